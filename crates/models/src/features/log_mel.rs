//! Log-mel frames of speech as openai/whisper's `log_mel_spectrogram` makes them (whisper/audio.py), whole or as a
//! stream of any length in constant memory.
//!
//! Power of a short-time Fourier transform (400 samples at 16 kHz, every 160, Hann window, centred, the ends
//! reflected) in bands of Slaney's mel scale; its logarithm to base 10, at most 8 below the largest of the whole input.

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::Result;
use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second.
pub const RATE: u32 = 16_000;
/// Samples from one frame to the next: there are 100 frames a second.
pub const HOP: usize = 160;
/// Samples that a frame is computed from.
pub const WINDOW: usize = 400;

const EDGE: usize = WINDOW / 2;
const BINS: usize = WINDOW / 2 + 1;
const MOST_BANDS: usize = 1024;
/// Frames that one thread computes at a time.
const CHUNK: usize = 64;
/// Samples of a whole input that are looked at at a time.
const BLOCK: usize = 1 << 16;

/// Frames of a whole input.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    /// Values a frame.
    pub bands: usize,
    /// (frames, bands), some -1 to 1.5 for speech.
    pub values: Vec<f32>,
}

/// What does not change from one input to the next: window, transform and bands. A clone shares them.
#[derive(Clone)]
pub struct LogMel {
    bands: usize,
    window: Arc<[f64]>,
    transform: Arc<dyn RealToComplex<f64>>,
    filters: Arc<[Filter]>,
}

/// The bins of a band, first and weights; all others are 0.
pub(crate) struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl Filter {
    /// The band's energy in the power of all bins.
    pub(crate) fn energy(&self, power: &[f32]) -> f32 {
        let bins = &power[self.first..][..self.weights.len()];
        bins.iter().zip(&self.weights).map(|(power, weight)| power * weight).sum()
    }
}

impl LogMel {
    /// For so many bands: 80, or 128 from Whisper large-v3 on.
    ///
    /// # Errors
    /// 0 bands, or more than 1024.
    pub fn new(bands: usize) -> Result<Self> {
        if !(1..=MOST_BANDS).contains(&bands) {
            refuse!("{bands} mel bands, expected 1 to {MOST_BANDS}");
        }
        // rounded as the reference's is
        let hann = |i: usize| f64::from((0.5 - 0.5 * (2.0 * PI * i as f64 / WINDOW as f64).cos()) as f32);
        Ok(Self {
            bands,
            window: (0..WINDOW).map(hann).collect(),
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
            filters: mel_filters(bands, RATE, WINDOW).into(),
        })
    }

    /// All frames of an input that `padding` zeros follow, (samples + padding) / 160 of them, scaled as the net is
    /// used to. openai/whisper pads 30 s, 480000.
    ///
    /// # Errors
    /// Fewer than 201 samples with their padding: there is nothing to reflect at the ends.
    pub fn compute(&self, samples: &[f32], padding: usize) -> Result<Frames> {
        let mut stream = self.stream();
        let mut values = Vec::with_capacity((samples.len() + padding) / HOP * self.bands);
        for block in samples.chunks(BLOCK) {
            values.extend(stream.push(block));
        }
        let zeros = vec![0.0; padding.min(BLOCK)];
        for start in (0..padding).step_by(BLOCK) {
            values.extend(stream.push(&zeros[..BLOCK.min(padding - start)]));
        }
        let (rest, maximum) = stream.finish()?;
        values.extend(rest);
        scale(&mut values, maximum);
        Ok(Frames { bands: self.bands, values })
    }

    /// Frames of an input that comes piece by piece.
    pub fn stream(&self) -> Stream {
        Stream {
            log_mel: self.clone(),
            padded: Vec::new(),
            begun: false,
            taken: 0,
            given: 0,
            maximum: f32::NEG_INFINITY,
        }
    }

    /// The first `count` frames of samples that begin with a frame's.
    fn frames(&self, samples: &[f32], count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count * self.bands];
        if count <= CHUNK {
            self.some_frames(samples, &mut values);
        } else {
            let chunks = values.par_chunks_mut(CHUNK * self.bands).enumerate();
            chunks.for_each(|(i, values)| self.some_frames(&samples[i * CHUNK * HOP..], values));
        }
        values
    }

    /// Transformed in double precision: beside a loud bin, single precision is off by up to 2e-4 in one that is as
    /// quiet as the result can say, and the reference itself by half of that.
    fn some_frames(&self, samples: &[f32], values: &mut [f32]) {
        let mut windowed = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut power = [0f32; BINS];
        for (i, frame) in values.chunks_exact_mut(self.bands).enumerate() {
            let samples = &samples[i * HOP..][..WINDOW];
            for ((to, sample), weight) in windowed.iter_mut().zip(samples).zip(&*self.window) {
                *to = f64::from(*sample) * weight;
            }
            let transformed = self.transform.process_with_scratch(&mut windowed, &mut spectrum, &mut scratch);
            debug_assert!(transformed.is_ok(), "the buffers are the transform's own");
            for (power, bin) in power.iter_mut().zip(&spectrum) {
                *power = Complex::norm_sqr(bin) as f32;
            }
            for (value, filter) in frame.iter_mut().zip(&*self.filters) {
                *value = filter.energy(&power).max(1e-10).log10();
            }
        }
    }
}

/// Frames of samples that come piece by piece: the same numbers however they are cut.
///
/// What it gives are logarithms, since the largest of the whole input is known only at its end: [`scale`] makes of
/// them what a net is used to.
pub struct Stream {
    log_mel: LogMel,
    /// Samples from the beginning of the next frame on; until there are enough to reflect, just samples.
    padded: Vec<f32>,
    begun: bool,
    taken: usize,
    given: usize,
    maximum: f32,
}

impl Stream {
    /// Takes samples, full scale -1 to 1, and returns the frames that they complete, (frames, bands).
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.taken += samples.len();
        self.padded.extend_from_slice(samples);
        if !self.begun && self.taken > EDGE {
            let edge: Vec<f32> = self.padded[1..=EDGE].iter().rev().copied().collect();
            self.padded.splice(0..0, edge);
            self.begun = true;
        }
        let missing = WINDOW - HOP;
        let count = if self.begun { self.padded.len().saturating_sub(missing) / HOP } else { 0 };
        self.give(count)
    }

    /// The last frames, (frames, bands), and the largest value of all.
    ///
    /// # Errors
    /// Fewer than 201 samples in all: there is nothing to reflect at the ends.
    pub fn finish(mut self) -> Result<(Vec<f32>, f32)> {
        if !self.begun {
            refuse!(
                "{} samples make no log-mel frame, expected at least {}; add zeros",
                self.taken,
                EDGE + 1
            );
        }
        let last = self.padded.len() - 1;
        let edge: Vec<f32> = self.padded[last - EDGE..last].iter().rev().copied().collect();
        self.padded.extend(edge);
        let values = self.give(self.taken / HOP - self.given);
        Ok((values, self.maximum))
    }

    /// The largest value so far, negative infinity before the first frame.
    pub fn maximum(&self) -> f32 {
        self.maximum
    }

    fn give(&mut self, count: usize) -> Vec<f32> {
        let values = self.log_mel.frames(&self.padded, count);
        self.padded.drain(..count * HOP);
        self.given += count;
        self.maximum = values.iter().fold(self.maximum, |most, value| most.max(*value));
        values
    }
}

/// Logarithms to what a net is used to: at most 8 below `maximum`, the largest of the whole input, plus 4, by 4.
pub fn scale(values: &mut [f32], maximum: f32) {
    for value in values {
        *value = (value.max(maximum - 8.0) + 4.0) / 4.0;
    }
}

/// Triangles of unit area on Slaney's scale from 0 to half of the rate, as `librosa.filters.mel(sr=rate, n_fft=window)` has
/// them.
pub(crate) fn mel_filters(bands: usize, rate: u32, window: usize) -> Vec<Filter> {
    let top = mel(f64::from(rate) / 2.0);
    let corners: Vec<f64> = (0..bands + 2).map(|i| hertz(top * i as f64 / (bands + 1) as f64)).collect();
    let filter = |corner: &[f64]| {
        let weight = |bin: usize| {
            let frequency = bin as f64 * f64::from(rate) / window as f64;
            let rise = (frequency - corner[0]) / (corner[1] - corner[0]);
            let fall = (corner[2] - frequency) / (corner[2] - corner[1]);
            let height = rise.min(fall).max(0.0) as f32;
            (f64::from(height) * 2.0 / (corner[2] - corner[0])) as f32
        };
        let weights: Vec<f32> = (0..=window / 2).map(weight).collect();
        let first = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|weight| *weight > 0.0).map_or(first, |last| last + 1);
        Filter { first, weights: weights[first..end].to_vec() }
    };
    corners.windows(3).map(filter).collect()
}

/// The middles of so many bands, in hertz.
pub fn centres(bands: usize) -> Vec<f64> {
    let top = mel(f64::from(RATE) / 2.0);
    (1..=bands).map(|i| hertz(top * i as f64 / (bands + 1) as f64)).collect()
}

/// Where Slaney's scale turns from linear to logarithmic, in hertz; and a step of either part.
const TURN: f64 = 1000.0;
const LINEAR: f64 = 200.0 / 3.0;

fn logarithmic() -> f64 {
    6.4f64.ln() / 27.0
}

fn mel(hertz: f64) -> f64 {
    if hertz < TURN { hertz / LINEAR } else { TURN / LINEAR + (hertz / TURN).ln() / logarithmic() }
}

fn hertz(mel: f64) -> f64 {
    let turn = TURN / LINEAR;
    if mel < turn { mel * LINEAR } else { TURN * ((mel - turn) * logarithmic()).exp() }
}
