//! Codes out of logits, a column of all rows a step, as transformers' `generate` draws them.

use super::{Cache, MusicGen};
use crate::decoding::{DecodeError, Sampler};
use candle_core::{Result, Tensor};

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Generation<'a> {
    /// Codes (rows, frames) that it begins with; no frames for none.
    pub given: &'a [Vec<u32>],
    /// Frames in all, with those.
    pub frames: usize,
    /// How many times as far as the prompt leads its logits are moved; 1 is not at all, and needs no second sequence.
    pub guidance: f64,
}

impl MusicGen {
    /// Goes on from an empty cache of [`MusicGen::start`], of two sequences where `guidance` is above 1. `on_step` hears
    /// of each step, and stops all by `false`; what comes then is shorter.
    ///
    /// The draws are those of transformers with the same seed, since they fall on every row of every step.
    ///
    /// # Errors
    /// Rows that are not as many as the model's or differ in length, codes that are none, logits that are no numbers.
    pub fn generate(
        &self,
        mut cache: Cache,
        asked: &Generation,
        sampler: &mut Sampler,
        on_step: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Vec<u32>>> {
        let (delay, frames, batch) = (self.delay(), asked.frames, cache.rows());
        let known = asked.given.first().map_or(0, Vec::len);
        if !asked.given.is_empty()
            && (asked.given.len() != delay.rows() || asked.given.iter().any(|row| row.len() != known))
        {
            refuse!(
                "a beginning of {} rows that are not all of {known} codes, for {} rows",
                asked.given.len(),
                delay.rows()
            );
        }
        let mut codes: Vec<Vec<u32>> =
            (0..delay.rows()).map(|row| asked.given.get(row).cloned().unwrap_or_default()).collect();
        let columns = if known < frames { delay.columns(frames) } else { 0 };
        let column = |codes: &[Vec<u32>], row: usize, column: usize| {
            let code = delay.frame(row, column, frames).and_then(|frame| codes[row].get(frame));
            code.copied().unwrap_or(delay.padding())
        };
        let mut next = 0..known + 1;
        while next.end < columns {
            let rows = (0..delay.rows()).flat_map(|row| next.clone().map(move |place| (row, place)));
            let seen: Vec<u32> = rows.map(|(row, place)| column(&codes, row, place)).collect();
            let seen =
                Tensor::from_vec(seen.repeat(batch), (batch, delay.rows(), next.len()), self.device())?;
            let logits = self.forward_last(&seen, &mut cache)?.to_vec3::<f32>()?;
            for (row, codes) in codes.iter_mut().enumerate() {
                let mut logits = guided(&logits, row, asked.guidance);
                let code = sampler
                    .sample(&[], &mut logits)
                    .map_err(|why: DecodeError| candle_core::Error::Msg(why.to_string()))?;
                // where the beginning or the padding has one, the draw is lost
                if delay.frame(row, next.end, frames) == Some(codes.len()) {
                    codes.push(code);
                }
            }
            next = next.end..next.end + 1;
            if !on_step() {
                break;
            }
        }
        let whole = codes.iter().map(Vec::len).min().unwrap_or(0);
        codes.iter_mut().for_each(|row| row.truncate(whole));
        Ok(codes)
    }
}

/// A row of the first sequence, moved away from that of the second, which was told nothing.
fn guided(logits: &[Vec<Vec<f32>>], row: usize, guidance: f64) -> Vec<f32> {
    match logits {
        [told, untold] => {
            let moved = |(told, untold): (&f32, &f32)| untold + (told - untold) * guidance as f32;
            told[row].iter().zip(&untold[row]).map(moved).collect()
        }
        _ => logits[0][row].clone(),
    }
}
