//! The room: a feedback delay network of sixteen lines (Jot and Chaigne 1991) behind a few all-passes, and the
//! filter that takes away what is constant.

use super::RATE;

const LINES: usize = 16;
/// Frames; no two share a factor, so that echoes do not fall together.
const DELAYS: [usize; LINES] =
    [1123, 1301, 1433, 1559, 1693, 1831, 1979, 2113, 2267, 2411, 2557, 2689, 2833, 2971, 3109, 3271];
const DIFFUSERS: [usize; 3] = [149, 337, 593];
/// Seconds to fall by 60 dB, for low and for high sounds.
pub(super) const DECAY: f32 = 1.9;
const HIGH_DECAY: f32 = 0.75;
/// Frames until the first reflection.
const DISTANCE: usize = 660;

/// A ring buffer that gives back what went in its length ago.
#[derive(Debug, Clone)]
struct Delay {
    samples: Vec<f32>,
    at: usize,
}

impl Delay {
    fn new(length: usize) -> Delay {
        Delay { samples: vec![0.0; length], at: 0 }
    }

    fn read(&self) -> f32 {
        self.samples[self.at]
    }

    fn write(&mut self, x: f32) {
        self.samples[self.at] = x;
        self.at += 1;
        if self.at == self.samples.len() {
            self.at = 0;
        }
    }

    /// Schroeder's all-pass.
    fn diffuse(&mut self, x: f32) -> f32 {
        let held = self.read();
        let inside = x + 0.62 * held;
        self.write(inside);
        held - 0.62 * inside
    }
}

/// Adds to `left` and `right` what the room gives back of what was sent into it.
pub(super) fn reverberate(send: (&[f32], &[f32]), left: &mut [f32], right: &mut [f32]) {
    let mut lines = DELAYS.map(Delay::new);
    let mut before = [Delay::new(DISTANCE), Delay::new(DISTANCE + 127)];
    let mut diffusers = [DIFFUSERS.map(Delay::new), DIFFUSERS.map(|length| Delay::new(length + 23))];
    // the shelf of a line: unit gain for low sounds, less for high ones, over the line's own length
    let mut gain = [0f32; LINES];
    let mut damp = [0f32; LINES];
    for i in 0..LINES {
        let seconds = DELAYS[i] as f32 / RATE as f32;
        gain[i] = 10f32.powf(-3.0 * seconds / DECAY);
        let high = 10f32.powf(-3.0 * seconds / HIGH_DECAY) / gain[i];
        // one pole whose gain at half the rate is `high` squared: `high` lies near 5 kHz then
        damp[i] = (1.0 - high * high) / (1.0 + high * high);
    }
    let mut state = [0f32; LINES];
    let mut rumble = [0f32; 2];
    for t in 0..left.len() {
        let mut fresh = [send.0[t], send.1[t]];
        for side in 0..2 {
            // no room for what is below 90 Hz, it would only be mud
            rumble[side] += 0.0128 * (fresh[side] - rumble[side]);
            let input = fresh[side] - rumble[side];
            let late = before[side].read();
            before[side].write(input);
            fresh[side] = diffusers[side].iter_mut().fold(late, |x, diffuser| diffuser.diffuse(x));
        }
        let mut x = [0f32; LINES];
        for i in 0..LINES {
            // the constant keeps the states out of the slow denormal range
            let out = lines[i].read() * gain[i];
            state[i] = out + damp[i] * (state[i] - out) + 1e-20;
            x[i] = state[i];
        }
        let (mut l, mut r) = (0f32, 0f32);
        for i in 0..LINES / 2 {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            l += sign * x[2 * i];
            r += sign * x[2 * i + 1];
        }
        left[t] += 0.35 * l;
        right[t] += 0.35 * r;
        hadamard(&mut x);
        for i in 0..LINES {
            lines[i].write(x[i] + fresh[i % 2] * if i % 4 < 2 { 0.5 } else { -0.5 });
        }
    }
}

/// Hadamard's matrix, made orthogonal.
fn hadamard(x: &mut [f32; LINES]) {
    let mut half = 1;
    while half < LINES {
        for i in (0..LINES).step_by(2 * half) {
            for j in i..i + half {
                (x[j], x[j + half]) = (x[j] + x[j + half], x[j] - x[j + half]);
            }
        }
        half *= 2;
    }
    x.iter_mut().for_each(|v| *v *= 0.25);
}

/// Takes away the mean and what moves more slowly than 6 Hz.
pub(super) fn without_offset(samples: &mut [f32]) {
    let keep = 1.0 - std::f32::consts::TAU * 6.0 / RATE as f32;
    let (mut x, mut y) = (0f32, 0f32);
    for sample in samples {
        y = *sample - x + keep * y + 1e-20;
        x = *sample;
        *sample = y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_decays_as_it_says() {
        let mut send = vec![0f32; 3 * RATE as usize];
        send[0] = 1.0;
        let (mut left, mut right) = (vec![0f32; send.len()], vec![0f32; send.len()]);
        reverberate((&send, &send), &mut left, &mut right);
        let power = |from: f32, to: f32| {
            let frames = (from * RATE as f32) as usize..(to * RATE as f32) as usize;
            left[frames.clone()].iter().map(|x| x * x).sum::<f32>() / frames.len() as f32
        };
        let fall = 10.0 * (power(0.2, 0.4) / power(1.1, 1.3)).log10();
        let sixty = 0.9 * 60.0 / fall;
        assert!((HIGH_DECAY..DECAY * 1.1).contains(&sixty), "{sixty} s");
        assert!(left.iter().all(|x| x.abs() < 1.0));
    }

    #[test]
    fn an_offset_goes() {
        let mut samples = vec![0.5f32; RATE as usize];
        without_offset(&mut samples);
        assert!(samples[RATE as usize / 2].abs() < 1e-3);
    }
}
