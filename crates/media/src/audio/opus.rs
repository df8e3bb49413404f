//! Opus (RFC 6716), which symphonia's containers carry and its codecs do not decode.

use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder, OpusMSDecoder};

/// Frames a second that are decoded to, whatever went into the encoder.
pub(super) const RATE: u32 = 48_000;

/// A decoder made from the identification header (RFC 7845, 5.1), which also gives its gain.
pub(super) struct Opus {
    decoder: Kind,
    /// Samples a frame.
    pub channels: usize,
    /// Frames of encoder delay at the beginning, at [`RATE`].
    pub pre_skip: u64,
}

enum Kind {
    One(Box<OpusDecoder>),
    Many(OpusMSDecoder),
}

impl Opus {
    /// From the header; MP4 has its numbers the other way round.
    ///
    /// # Errors
    /// Channel mappings beyond those of Vorbis, in words.
    pub fn new(header: &[u8], big_endian: bool) -> Result<Self, String> {
        let Some(([_, _, _, _, _, _, _, _, _, channels, skip @ .., _, _, _, _, g0, g1, family], mapping)) =
            header.split_first_chunk::<19>()
        else {
            return Err("Opus without its header".into());
        };
        let (pre_skip, gain) = if big_endian {
            (u16::from_be_bytes(*skip), i16::from_be_bytes([*g0, *g1]))
        } else {
            (u16::from_le_bytes(*skip), i16::from_le_bytes([*g0, *g1]))
        };
        let channels = usize::from(*channels);
        let decoder = match (family, channels) {
            (0, 1 | 2) => {
                let mut decoder = OpusDecoder::new(RATE as i32, channels).map_err(|e| e.to_string())?;
                decoder.gain_q8 = gain.into();
                Kind::One(Box::new(decoder))
            }
            (1, 1..=8) => Kind::Many(surround(channels, mapping, gain)?),
            _ => return Err(format!("Opus with {channels} channels of mapping family {family}")),
        };
        Ok(Self { decoder, channels, pre_skip: pre_skip.into() })
    }

    /// Decodes a packet into interleaved `samples` and returns its frames.
    ///
    /// # Errors
    /// Packets that are none, in the decoder's words.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<usize, String> {
        if packet.is_empty() {
            return Err("an empty packet".into());
        }
        samples.resize(MAX_PACKET_SAMPLES * self.channels, 0.0);
        let decoded = match &mut self.decoder {
            Kind::One(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, samples),
            Kind::Many(decoder) => decoder.decode(packet, MAX_PACKET_SAMPLES, samples),
        };
        let frames = decoded.map_err(|error| error.to_string())?;
        samples.truncate(frames * self.channels);
        Ok(frames)
    }
}

/// The decoder of several streams in the order of Vorbis, which is the only one it knows.
fn surround(channels: usize, mapping: &[u8], gain: i16) -> Result<OpusMSDecoder, String> {
    let mut decoder = OpusMSDecoder::new(RATE as i32, channels, 1).map_err(|error| error.to_string())?;
    let layout = decoder.layout();
    let usual = [&[layout.nb_streams as u8, layout.nb_coupled_streams as u8], &layout.mapping[..]].concat();
    if mapping.get(..usual.len()) != Some(&usual) {
        return Err(format!("Opus with {channels} channels in an unusual order"));
    }
    for stream in decoder.streams_mut() {
        stream.gain_q8 = gain.into();
    }
    Ok(decoder)
}
