//! The codec as a model of one or of two channels uses it: each channel goes through it alone, and the rows of codes of
//! the left and the right one stand in turn.

use crate::nets::encodec::{self, Encodec, Pieces};
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};

/// Between samples of channels and rows of codes.
pub struct Codec {
    net: Encodec,
    channels: usize,
    device: Device,
}

impl Codec {
    /// Reads the weights of a codec for so many channels.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &encodec::Config, channels: usize, vb: VarBuilder) -> Result<Self> {
        if cfg.audio_channels != 1 {
            refuse!("config.json: a codec of {} audio_channels is not supported here", cfg.audio_channels);
        }
        Ok(Self { device: vb.device().clone(), net: Encodec::new(cfg, vb)?, channels })
    }

    /// What it was made by.
    pub fn config(&self) -> &encodec::Config {
        self.net.config()
    }

    /// Channels of the sound.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of each channel, of full scale -1 to 1, to codes (rows, frames); one channel is both of two. See
    /// [`Encodec::encode`].
    ///
    /// # Errors
    /// As there, and for another number of channels.
    pub fn encode(&self, sound: &[Vec<f32>], bandwidth: Option<f64>) -> Result<Vec<Vec<u32>>> {
        if sound.len() != self.channels && sound.len() != 1 {
            refuse!("sound of {} channels, where the model has {}", sound.len(), self.channels);
        }
        let mut heard = Vec::with_capacity(sound.len());
        for samples in sound {
            let samples = Tensor::from_slice(samples, (1, 1, samples.len()), &self.device)?;
            heard.push(self.net.encode(&samples, bandwidth)?.squeeze(0)?.to_vec2::<u32>()?);
        }
        let row = |row: usize| heard[row % self.channels % heard.len()][row / self.channels].clone();
        Ok((0..heard[0].len() * self.channels).map(row).collect())
    }

    /// Codes (rows, frames) to sound, so many frames at a time: each piece (channels, 1, samples). See [`Encodec::pieces`].
    ///
    /// # Errors
    /// As there, and for rows that differ in length or are not as many for each channel.
    pub fn pieces(&self, codes: &[Vec<u32>], piece: usize) -> Result<Pieces<'_>> {
        let frames = codes.first().map_or(0, Vec::len);
        if codes.iter().any(|row| row.len() != frames) || !codes.len().is_multiple_of(self.channels) {
            let lengths: Vec<usize> = codes.iter().map(Vec::len).collect();
            refuse!("rows of {lengths:?} codes, where {} channels need as many in each", self.channels);
        }
        let mut turned = Vec::with_capacity(codes.len() * frames);
        for channel in 0..self.channels {
            codes.iter().skip(channel).step_by(self.channels).for_each(|row| turned.extend_from_slice(row));
        }
        let shape = (self.channels, codes.len() / self.channels, frames);
        self.net.pieces(&Tensor::from_vec(turned, shape, &self.device)?, piece)
    }
}
