//! One rate to another, block by block, as if the input were one piece.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// Least number of samples of a transformed block on either side: the filter is as long as the block, and with
/// this length passes 98.6% of the band.
const BLOCK: usize = 1024;

/// A stream of one channel from one rate to another: a windowed sinc, applied by Fourier transforms.
///
/// Output sample `i` stands at the time of input sample `i * from / to`: the filter's delay is taken off. What
/// comes out depends on the samples alone, not on how they were cut into blocks.
pub struct Resampler {
    fft: Fft<f32>,
    /// Samples that wait until there is a block of them.
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples of delay that are still to be dropped.
    delay: usize,
    taken: u64,
    given: u64,
    from: u32,
    to: u32,
}

impl Resampler {
    /// From one rate to the other, both positive.
    ///
    /// # Errors
    /// Rates that rubato refuses, in its words.
    pub fn new(from: u32, to: u32) -> Result<Self, String> {
        let divisor = greatest_common_divisor(from, to);
        let units = [from / divisor, to / divisor].map(|unit| unit as usize);
        // an even number of units puts the middle of the filter on a sample on both sides
        let count = BLOCK.div_ceil(units[0].min(units[1])).next_multiple_of(2);
        let fft = Fft::new_custom(
            from as usize,
            to as usize,
            count * units[0],
            1,
            1,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|error| error.to_string())?;
        let output = vec![0.0; fft.output_frames_max()];
        let delay = fft.output_delay();
        Ok(Self { fft, input: Vec::new(), output, delay, taken: 0, given: 0, from, to })
    }

    /// Takes samples and appends what they complete to `out`.
    ///
    /// # Errors
    /// What rubato reports.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), String> {
        self.taken += samples.len() as u64;
        self.input.extend_from_slice(samples);
        let size = self.fft.input_frames_next();
        let mut at = 0;
        while self.input.len() - at >= size {
            self.block(at..at + size, out)?;
            at += size;
        }
        self.input.drain(..at);
        Ok(())
    }

    /// Appends the rest to `out`, so that there are round(samples * to / from) in all.
    ///
    /// # Errors
    /// What rubato reports.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), String> {
        let (from, to) = (u128::from(self.from), u128::from(self.to));
        let total = (u128::from(self.taken) * to * 2 + from) / (from * 2);
        let size = self.fft.input_frames_next();
        while u128::from(self.given) < total {
            self.input.resize(size, 0.0);
            self.block(0..size, out)?;
            self.input.clear();
        }
        let extra = u128::from(self.given) - total;
        out.truncate(out.len() - usize::try_from(extra).unwrap_or(0));
        Ok(())
    }

    fn block(&mut self, input: std::ops::Range<usize>, out: &mut Vec<f32>) -> Result<(), String> {
        let (frames, most) = (input.len(), self.output.len());
        let from = InterleavedSlice::new(&self.input[input], 1, frames).map_err(|error| error.to_string())?;
        let mut to =
            InterleavedSlice::new_mut(&mut self.output, 1, most).map_err(|error| error.to_string())?;
        let (_, written) =
            self.fft.process_into_buffer(&from, &mut to, None).map_err(|error| error.to_string())?;
        let skipped = self.delay.min(written);
        self.delay -= skipped;
        self.given += (written - skipped) as u64;
        out.extend_from_slice(&self.output[skipped..written]);
        Ok(())
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}
