//! EnCodec (Défossez et al., 2022): sound to rows of codes and back, as in Hugging Face's `EncodecModel`: the codec of
//! 24 kHz, and that of 32 kHz inside MusicGen, by configuration.
//!
//! The net is ours and not candle-transformers', which has no reflection at the ends, computes what is to be heard in
//! one piece, and steps through its memory by candle's operators. Sounds of any length are computed piece by piece here:
//! convolutions see as many frames beside a piece as they need, and the memory goes on, so there are no seams.
//!
//! - `coder`: convolutions and memory
//! - `quantiser`: codebooks

mod coder;
mod config;
mod quantiser;

pub use config::Config;

use crate::vars::VarBuilder;
use candle_core::{DType, Result, Tensor};
use coder::{Decoder, Encoder, Seen};
use quantiser::Quantiser;
use std::ops::Range;

/// The whole codec.
pub struct Encodec {
    cfg: Config,
    encoder: Encoder,
    quantiser: Quantiser,
    decoder: Decoder,
}

/// Frames of a piece: two and a half seconds, whose values stay near the processor.
const PIECE: usize = 128;

impl Encodec {
    /// Reads the weights under the keys of the checkpoint, in either spelling of their norms; `cfg` is validated first.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        Ok(Self {
            encoder: Encoder::new(cfg, vb.pp("encoder"))?,
            quantiser: Quantiser::new(cfg, vb.pp("quantizer"))?,
            decoder: Decoder::new(cfg, vb.pp("decoder"))?,
            cfg: cfg.clone(),
        })
    }

    /// What it was made by.
    pub fn config(&self) -> &Config {
        &self.cfg
    }

    /// Samples (batch, channels, time) of full scale -1 to 1 to codes (batch, codebooks, frames); a frame more where the
    /// samples end within one. `bandwidth` is one of `target_bandwidths`, whose first it is where nothing is asked for.
    ///
    /// # Errors
    /// For no samples, other channels, and a bandwidth that the codec does not have.
    pub fn encode(&self, samples: &Tensor, bandwidth: Option<f64>) -> Result<Tensor> {
        self.encode_in_pieces(samples, bandwidth, PIECE)
    }

    /// [`Encodec::encode`] by so many frames at a time.
    ///
    /// # Errors
    /// As there.
    pub fn encode_in_pieces(&self, samples: &Tensor, bandwidth: Option<f64>, piece: usize) -> Result<Tensor> {
        let count = self.cfg.codebooks_at(bandwidth)?;
        let (_, channels, time) = samples.dims3()?;
        if channels != self.cfg.audio_channels {
            refuse!("a codec of {} channels was given {channels}", self.cfg.audio_channels);
        }
        if time == 0 {
            refuse!("a codec was given no samples");
        }
        let (hop, reach) = (self.cfg.hop(), self.encoder.reach);
        let frames = time.div_ceil(hop);
        let mut gathered = Vec::new();
        for piece in pieces(frames, piece) {
            let seen = around(&piece, reach, frames);
            let end = (seen.end * hop).min(time);
            let xs = samples.narrow(2, seen.start * hop, end - seen.start * hop)?;
            let xs = self.encoder.gather(&xs)?;
            gathered.push(xs.narrow(2, piece.start - seen.start, piece.len())?);
        }
        let vectors = self.encoder.finish(&Tensor::cat(&gathered, 2)?)?;
        self.quantiser.encode(&vectors, count)
    }

    /// Codes (batch, codebooks, frames), of as many codebooks as there are or of the first of them, to samples (batch,
    /// channels, frames * hop).
    ///
    /// # Errors
    /// For no frames, more rows than codebooks, and numbers that are no codes.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let pieces = self.pieces(codes, PIECE)?.collect::<Result<Vec<_>>>()?;
        Tensor::cat(&pieces, 2)
    }

    /// The samples of [`Encodec::decode`] by so many frames at a time, in memory that does not grow with their number.
    ///
    /// # Errors
    /// As there.
    pub fn pieces(&self, codes: &Tensor, piece: usize) -> Result<Pieces<'_>> {
        let (_, rows, frames) = codes.dims3()?;
        if rows == 0 || frames == 0 || rows > self.cfg.codebooks() {
            refuse!(
                "codes of {rows} rows and {frames} frames, where a codec has {} codebooks",
                self.cfg.codebooks()
            );
        }
        let codes = codes.to_dtype(DType::U32)?;
        let largest = codes.flatten_all()?.max(0)?.to_scalar::<u32>()?;
        if largest as usize >= self.cfg.codebook_size {
            refuse!("code {largest} is none of a codebook of {}", self.cfg.codebook_size);
        }
        let (pieces, seen) = (pieces(frames, piece), Seen::default());
        Ok(Pieces { net: self, codes, frames, pieces: pieces.into_iter(), seen, begun: None })
    }
}

/// Samples of codes, piece by piece.
pub struct Pieces<'a> {
    net: &'a Encodec,
    codes: Tensor,
    frames: usize,
    pieces: std::vec::IntoIter<Range<usize>>,
    seen: Seen,
    /// Frames after the memory that are still needed, and the number of the first.
    begun: Option<(Tensor, usize)>,
}

impl Pieces<'_> {
    /// Takes the memory as far as a piece needs, and gives what it needs of it.
    fn begin(&mut self, needed: Range<usize>) -> Result<Tensor> {
        let net = self.net;
        let known = match &self.begun {
            Some((xs, first)) => *first..first + xs.dim(2)?,
            None => 0..0,
        };
        let mut parts = Vec::new();
        if let Some((xs, first)) = self.begun.take().filter(|_| known.end > needed.start) {
            parts.push(xs.narrow(2, needed.start - first, known.end - needed.start)?);
        }
        if needed.end > known.end {
            let new = known.end..needed.end;
            let sight = around(&new, net.decoder.sight(), self.frames);
            let vectors = net.quantiser.decode(&self.codes.narrow(2, sight.start, sight.len())?)?;
            let kept = new.start - sight.start..new.end - sight.start;
            parts.push(net.decoder.begin(&vectors, kept, &mut self.seen)?);
        }
        let xs = Tensor::cat(&parts, 2)?;
        self.begun = Some((xs.clone(), needed.start));
        Ok(xs)
    }

    fn piece(&mut self, piece: Range<usize>) -> Result<Tensor> {
        let (net, hop) = (self.net, self.net.cfg.hop());
        let needed = around(&piece, net.decoder.reach, self.frames);
        let samples = net.decoder.spread(&self.begin(needed.clone())?)?;
        samples.narrow(2, (piece.start - needed.start) * hop, piece.len() * hop)?.contiguous()
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.pieces.next()?;
        Some(self.piece(piece))
    }
}

/// All frames in runs of so many.
fn pieces(frames: usize, piece: usize) -> Vec<Range<usize>> {
    let piece = piece.max(1);
    (0..frames).step_by(piece).map(|start| start..frames.min(start + piece)).collect()
}

/// A run of frames with so many more on either side, where there are such.
fn around(piece: &Range<usize>, more: usize, frames: usize) -> Range<usize> {
    piece.start.saturating_sub(more)..frames.min(piece.end + more)
}
