//! What a file is, by its content, and the track in it that can be decoded.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known as codec_ids;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{
    FORMAT_ID_AIFF, FORMAT_ID_CAF, FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_MP1, FORMAT_ID_MP2,
    FORMAT_ID_MP3, FORMAT_ID_WAVE,
};
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::aac;
use super::edits::Edits;
use super::error::AudioError;
use super::opus::{self, Opus};
use super::repair::{self, Length};

/// Place and bytes that mark what is not read here, with its name; other programs' files should not be searched
/// for something that looks like the middle of an MP3.
const OTHERS: [(usize, &[u8], &str); 16] = [
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF)"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"DSD ", "DSD"),
    (0, b".RMF", "RealMedia"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (8, b"AVI LIST", "AVI"),
    (28, b"Speex   ", "Speex"),
    (0, b"MThd", "MIDI (notes, not sound)"),
    (0, b"\0\0\x01\xba", "an MPEG program stream"),
    (188, b"\x47", "an MPEG transport stream"),
];

/// Marks of files that hold no sound at all, whatever may be found in the middle of them.
const NO_SOUND: [&[u8]; 12] = [
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"PK\x03\x04",
    b"\x7fELF",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"<",
    b"{",
];

/// Marks of the containers that are read; MP3 and AAC may also begin with zeros or anything else.
const CONTAINERS: [(usize, &[u8]); 9] = [
    (0, b"RIFF"),
    (0, b"RF64"),
    (0, b"BW64"),
    (0, b"FORM"),
    (0, b"caff"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"\x1a\x45\xdf\xa3"),
    (4, b"ftyp"),
];

/// A track and everything that is needed to decode it.
pub(super) struct Chosen {
    pub track: Track,
    pub codec: Codec,
    /// Frames a second, where the container says.
    pub rate: Option<u32>,
    /// Time of encoder delay before the sound that the decoder does not take off itself, in seconds.
    pub delay: f64,
    /// Time that all packets of an MP4 track last, in seconds; the last one's frames need not all be sound.
    pub total: Option<f64>,
    /// Frame from which on no packet ends in padding, whatever the reader says.
    pub padded: i64,
    /// Frames of sound, where the header knows it exactly.
    pub frames: Option<u64>,
    /// What was said of its length.
    pub length: Length,
}

/// What turns a packet into samples.
pub(super) enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Opus),
}

/// Finds the container's kind, and the default audio track or the first that can be decoded.
///
/// # Errors
/// What is no audio or not supported.
pub(super) fn open(
    source: Box<dyn MediaSource>,
    path: &Path,
) -> Result<(Box<dyn FormatReader>, Chosen), AudioError> {
    let Looked { source, marked, edits, length } = look(source, path)?;
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let reader = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, format, metadata)
        .map_err(|error| refusal(error, marked, path))?;
    let mut chosen = choose(&*reader, &edits, path)?;
    chosen.frames = chosen.frames.filter(|_| length == Length::Told);
    chosen.length = length;
    Ok((reader, chosen))
}

struct Looked {
    source: Box<dyn MediaSource>,
    /// Whether it begins as a container does, as far as one can look.
    marked: bool,
    edits: Edits,
    length: Length,
}

/// Reads the beginning: refuses what is known to be something else, and finds what symphonia does not look for.
fn look(mut source: Box<dyn MediaSource>, path: &Path) -> Result<Looked, AudioError> {
    let failed = |error| AudioError::Open { path: path.to_owned(), error };
    if !source.is_seekable() {
        return Ok(Looked { source, marked: true, edits: Edits::default(), length: Length::Unknown });
    }
    let mut head = Vec::new();
    source.by_ref().take(512).read_to_end(&mut head).map_err(failed)?;
    source.seek(SeekFrom::Start(0)).map_err(failed)?;
    if head.is_empty() {
        return Err(AudioError::Empty { path: path.to_owned() });
    }
    let marks = |at: usize, mark: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let transport = marks(0, b"\x47") && marks(376, b"\x47");
    if let Some((.., name)) =
        OTHERS.iter().find(|(at, mark, _)| marks(*at, mark) && (*at != 188 || transport))
    {
        return Err(AudioError::Codec { path: path.to_owned(), codec: name.to_string() });
    }
    if NO_SOUND.iter().any(|mark| marks(0, mark)) {
        return Err(AudioError::NotAudio { path: path.to_owned() });
    }
    let mut length = Length::Told;
    if marks(8, b"WAVE") {
        (source, length) = repair::wav(source).map_err(failed)?;
    }
    let edits = if marks(4, b"ftyp") { Edits::read(&mut source).map_err(failed)? } else { Edits::default() };
    source.seek(SeekFrom::Start(0)).map_err(failed)?;
    let marked = CONTAINERS.iter().any(|(at, mark)| marks(*at, mark));
    Ok(Looked { source, marked, edits, length })
}

/// What looks like a container in the middle of something else is none.
fn refusal(error: Error, marked: bool, path: &Path) -> AudioError {
    let path = path.to_owned();
    match error {
        Error::Unsupported(reason) if reason.starts_with("core (probe)") => AudioError::NotAudio { path },
        Error::Unsupported(_) | Error::DecodeError(_) if !marked => AudioError::NotAudio { path },
        Error::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            AudioError::Unreadable { path, reason: "it ends too early".into() }
        }
        Error::IoError(error) => AudioError::Open { path, error },
        error => AudioError::Unreadable { path, reason: error.to_string() },
    }
}

/// The default audio track, or the first that there is a decoder for.
///
/// # Errors
/// No audio track, or none whose codec is supported.
pub(super) fn choose(reader: &dyn FormatReader, edits: &Edits, path: &Path) -> Result<Chosen, AudioError> {
    let default = reader.default_track(TrackType::Audio).map(|track| track.id);
    let mut tracks: Vec<&Track> = reader.tracks().iter().filter(|track| audio(track).is_some()).collect();
    tracks.sort_by_key(|track| Some(track.id) != default);
    let mut refused = None;
    for track in tracks {
        let Some(parameters) = audio(track) else { continue };
        let mp4 = reader.format_info().format == FORMAT_ID_ISOMP4;
        match decoder(parameters, mp4) {
            Ok(codec) => {
                let track = track.clone();
                let rate = parameters.sample_rate;
                let (delay, total) = bounds(&track, &codec, reader, edits);
                let padded = padded(&track, reader);
                let frames = frames(&track, reader);
                return Ok(Chosen { track, codec, rate, delay, total, padded, frames, length: Length::Told });
            }
            Err(codec) => refused = refused.or(Some(codec)),
        }
    }
    let path = path.to_owned();
    Err(refused.map_or(AudioError::NoTrack { path: path.clone() }, |codec| AudioError::Codec { path, codec }))
}

fn audio(track: &Track) -> Option<&AudioCodecParameters> {
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Some(parameters),
        _ => None,
    }
}

/// The decoder of a codec, or the codec's name.
fn decoder(parameters: &AudioCodecParameters, mp4: bool) -> Result<Codec, String> {
    if parameters.codec == codec_ids::CODEC_ID_OPUS {
        let header = parameters.extra_data.as_deref().unwrap_or_default();
        return Opus::new(header, mp4).map(Codec::Opus);
    }
    let make = |parameters: &AudioCodecParameters| {
        symphonia::default::get_codecs().make_audio_decoder(parameters, &Default::default()).ok()
    };
    if let Some(decoder) = make(parameters) {
        return Ok(Codec::Symphonia(decoder));
    }
    if parameters.codec != codec_ids::CODEC_ID_AAC {
        return Err(name(parameters.codec));
    }
    let core = aac::core(parameters).and_then(|core| make(&core));
    core.map(Codec::Symphonia).ok_or("AAC other than LC or HE in mono or stereo".into())
}

fn name(codec: AudioCodecId) -> String {
    let name = match codec {
        codec_ids::CODEC_ID_AC3 => "AC-3",
        codec_ids::CODEC_ID_EAC3 => "E-AC-3",
        codec_ids::CODEC_ID_AC4 => "AC-4",
        codec_ids::CODEC_ID_DCA => "DTS",
        codec_ids::CODEC_ID_WMA => "Windows Media Audio",
        codec_ids::CODEC_ID_SPEEX => "Speex",
        _ => return format!("the codec {codec}"),
    };
    name.into()
}

/// MPEG audio is cut by symphonia to a length that is estimated where no LAME tag gives the padding, and that of the
/// first file where several were joined.
fn padded(track: &Track, reader: &dyn FormatReader) -> i64 {
    if ![FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3].contains(&reader.format_info().format) {
        return i64::MAX;
    }
    let end = track.padding.map_or(0, |padding| track.num_frames.unwrap_or(0).saturating_add(padding.into()));
    i64::try_from(end).unwrap_or(i64::MAX)
}

/// Frames as a header counts them; elsewhere the number is an estimate, or counts delay and padding too.
fn frames(track: &Track, reader: &dyn FormatReader) -> Option<u64> {
    match reader.format_info().format {
        FORMAT_ID_WAVE | FORMAT_ID_AIFF | FORMAT_ID_FLAC => track.num_frames,
        // with a LAME tag, which has the padding
        FORMAT_ID_MP3 if track.padding.is_some() => track.num_frames,
        _ => None,
    }
}

/// Encoder delay and length of all packets, in seconds, as far as no decoder trims them.
fn bounds(track: &Track, codec: &Codec, reader: &dyn FormatReader, edits: &Edits) -> (f64, Option<f64>) {
    let unit = track.time_base.map_or(0.0, |base| f64::from(base.numer.get()) / f64::from(base.denom.get()));
    let pre_skip = match codec {
        Codec::Opus(opus) => opus.pre_skip as f64 / f64::from(opus::RATE),
        Codec::Symphonia(_) => 0.0,
    };
    match reader.format_info().format {
        FORMAT_ID_ISOMP4 => {
            let delay = edits.start(track.id).map_or(pre_skip, |start| start as f64 * unit);
            let ticks = track.duration.filter(|duration| duration.get() > 0 && !edits.fragmented);
            (delay, ticks.map(|ticks| ticks.get() as f64 * unit))
        }
        FORMAT_ID_CAF => (track.delay.map_or(pre_skip, |frames| f64::from(frames) * unit), None),
        _ => (pre_skip, None),
    }
}
