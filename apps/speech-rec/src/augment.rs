//! Sound as it might also have been recorded: another pace and pitch, another room, noise, a telephone.

use std::f64::consts::TAU;

use realfft::RealFftPlanner;
use training::Rng;

use crate::sound::RATE;

/// Samples at `factor` times the pace, and the pitch with it, by cubic interpolation.
pub fn pace(samples: &[f32], factor: f64) -> Vec<f32> {
    let count = (samples.len() as f64 / factor) as usize;
    let at = |place: isize| {
        let last = samples.len() as isize - 1;
        f64::from(samples[place.clamp(0, last) as usize])
    };
    let value = |i: usize| {
        let (place, part) = ((i as f64 * factor).floor(), (i as f64 * factor).fract());
        let [a, b, c, d] = [-1, 0, 1, 2].map(|step| at(place as isize + step));
        // Catmull and Rom, 1974
        let (linear, square, cube) = (c - a, 2. * a - 5. * b + 4. * c - d, 3. * (b - c) + d - a);
        (b + 0.5 * part * (linear + part * (square + part * cube))) as f32
    };
    if samples.is_empty() { Vec::new() } else { (0..count).map(value).collect() }
}

/// Root of the mean square; 0 of nothing.
pub fn level(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// A whole window as it might have come: in a room, by a telephone, amid noise, loud or soft.
pub fn surroundings(samples: &mut [f32], rng: &mut Rng) {
    let loud = level(samples);
    if rng.uniform() < 0.35 {
        room(samples, rng);
    }
    if rng.uniform() < 0.15 {
        let cut = 3000. + 1000. * rng.uniform();
        filter(samples, |hertz| f32::from(u8::from((150. ..cut).contains(&hertz))));
    }
    if rng.uniform() < 0.6 {
        let decibels = 5. + 35. * rng.uniform();
        let noise = noise(samples.len(), rng);
        let gain = loud * 10f32.powf(-decibels as f32 / 20.);
        samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += gain * noise);
    }
    let gain = 10f32.powf((-24. + 27. * rng.uniform()) as f32 / 20.);
    samples.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-1., 1.));
}

/// Echoes that fade as in a small or a larger room: noise that decays by 60 dB in 0.1 to 0.6 seconds, after the sound
/// itself.
fn room(samples: &mut [f32], rng: &mut Rng) {
    let seconds = 0.1 + 0.5 * rng.uniform();
    let share = (0.1 + 0.5 * rng.uniform()) as f32;
    let count = (seconds * f64::from(RATE)) as usize;
    let mut echo: Vec<f32> =
        (0..count).map(|i| (rng.normal() * 10f64.powf(-3. * i as f64 / count as f64)) as f32).collect();
    let energy = (level(&echo) * (count as f32).sqrt()).max(1e-9);
    echo.iter_mut().for_each(|x| *x *= share / energy);
    echo[0] = 1.;
    convolve(samples, &echo);
}

/// Noise of level 1 whose power falls with the frequency: evenly (white) to steeply (brown), sometimes in gusts.
pub fn noise(count: usize, rng: &mut Rng) -> Vec<f32> {
    let mut noise: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
    let slope = (2. * rng.uniform()) as f32;
    filter(&mut noise, |hertz| (hertz.max(50.) as f32 / 1000.).powf(-slope / 2.));
    if rng.uniform() < 0.3 {
        let (rate, phase) = (0.2 + 4. * rng.uniform(), rng.uniform());
        for (i, x) in noise.iter_mut().enumerate() {
            let turn = rate * i as f64 / f64::from(RATE) + phase;
            *x *= (0.6 + 0.4 * (TAU * turn).sin()) as f32;
        }
    }
    let scale = 1. / level(&noise).max(1e-9);
    noise.iter_mut().for_each(|x| *x *= scale);
    noise
}

/// Tones that are held and change now and then, of level 1: music, a hum, a siren.
pub fn tones(count: usize, rng: &mut Rng) -> Vec<f32> {
    let mut sum = vec![0f32; count];
    for _ in 0..1 + rng.below(5) {
        let note = (0.15 + rng.uniform()) * f64::from(RATE);
        let (mut phase, mut hertz, mut left) = (rng.uniform(), 0., 0.);
        let bright = rng.uniform();
        for x in &mut sum {
            if left <= 0. {
                (left, hertz) = (note, 80. * 2f64.powf((rng.below(49) as f64) / 12.));
            }
            left -= 1.;
            phase = (phase + hertz / f64::from(RATE)).fract();
            let fade = (left.max(0.) / note).sqrt();
            *x += (fade * ((TAU * phase).sin() + bright * (TAU * 2. * phase).sin())) as f32;
        }
    }
    let scale = 1. / level(&sum).max(1e-9);
    sum.iter_mut().for_each(|x| *x *= scale);
    sum
}

/// Multiplies each frequency by a number.
fn filter(samples: &mut [f32], gain: impl Fn(f64) -> f32) {
    let size = samples.len().next_multiple_of(2).max(2);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut time, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    time[..samples.len()].copy_from_slice(samples);
    if forward.process(&mut time, &mut spectrum).is_err() {
        return;
    }
    let last = spectrum.len() - 1;
    for (bin, value) in spectrum.iter_mut().enumerate() {
        *value *= gain(bin as f64 * f64::from(RATE) / size as f64) / size as f32;
    }
    (spectrum[0].im, spectrum[last].im) = (0., 0.);
    if back.process(&mut spectrum, &mut time).is_ok() {
        samples.copy_from_slice(&time[..samples.len()]);
    }
}

/// Convolves samples with a shorter row, and keeps their number.
fn convolve(samples: &mut [f32], row: &[f32]) {
    let size = (samples.len() + row.len()).next_multiple_of(1024);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |values: &[f32]| {
        let (mut time, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
        time[..values.len()].copy_from_slice(values);
        forward.process(&mut time, &mut spectrum).map(|()| spectrum)
    };
    let (Ok(mut product), Ok(other)) = (spectrum(samples), spectrum(row)) else { return };
    product.iter_mut().zip(other).for_each(|(a, b)| *a *= b / size as f32);
    let last = product.len() - 1;
    (product[0].im, product[last].im) = (0., 0.);
    let mut time = back.make_output_vec();
    if back.process(&mut product, &mut time).is_ok() {
        samples.copy_from_slice(&time[..samples.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, count: usize) -> Vec<f32> {
        (0..count).map(|i| (TAU * hertz * i as f64 / f64::from(RATE)).sin() as f32).collect()
    }

    #[test]
    fn a_faster_pace_is_shorter_and_higher() {
        let (found, expected) = (pace(&tone(440., 16_000), 1.1), tone(484., 14_545));
        assert_eq!(found.len(), expected.len());
        // at the very end there is nothing to interpolate with
        let pairs = found.iter().zip(&expected).take(14_543);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(worst < 5e-3, "{worst}");
        assert_eq!(pace(&[0.5], 1.), [0.5]);
        assert!(pace(&[], 1.).is_empty());
    }

    #[test]
    fn a_convolution_is_the_sum_of_moved_rows() {
        let (row, mut samples) = (tone(300., 300), tone(1000., 1000));
        let direct = |n: usize| (0..=n.min(299)).map(|k| f64::from(row[k] * samples[n - k])).sum::<f64>();
        let expected: Vec<f64> = (0..1000).map(direct).collect();
        convolve(&mut samples, &row);
        let worst = samples.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0., f64::max);
        assert!(worst < 1e-3, "{worst}");
    }

    #[test]
    fn noise_and_tones_have_level_one_and_filters_take_what_they_should() {
        let mut rng = Rng::new(3);
        assert!((level(&noise(16_000, &mut rng)) - 1.).abs() < 1e-3);
        assert!((level(&tones(16_000, &mut rng)) - 1.).abs() < 1e-3);
        let mut both: Vec<f32> =
            tone(400., 16_000).iter().zip(tone(5000., 16_000)).map(|(a, b)| a + b).collect();
        filter(&mut both, |hertz| f32::from(u8::from(hertz < 1000.)));
        let left = both.iter().zip(tone(400., 16_000)).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(left < 1e-3, "{left}");
        let mut silence = vec![0.; 16_001];
        surroundings(&mut silence, &mut rng);
        assert_eq!(silence.len(), 16_001);
        assert!(silence.iter().all(|x| *x == 0.));
    }
}
