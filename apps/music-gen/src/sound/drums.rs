//! A small drum kit: skins as falling sines, wires and cymbals as bands of noise.

use super::noise::{Band, Noise};
use super::playing::Played;
use super::struck::{Mode, falling, ring};
use super::{RATE, Stereo, pan};

/// Noise in a band: centre in Hz, quality, seconds to fall by 60 dB, level.
type Hiss = (f32, f32, f32, f32);

/// Sounds one blow. The key says which drum (General MIDI's percussion map), its length says nothing.
pub(super) fn sound(note: &Played, place: f32) -> Stereo {
    let loudness = (f32::from(note.velocity) / 127.0).powf(1.4);
    let (samples, side) = drum(note.pitch, note.start as u64 ^ u64::from(note.pitch) << 32);
    let mut out = Stereo::silent(samples.len());
    let (left, right) = pan(place + side);
    out.add(&samples, (left * loudness, right * loudness));
    soften(&mut out.left);
    soften(&mut out.right);
    out
}

/// The sound of a drum and its place beside the player.
fn drum(key: u8, seed: u64) -> (Vec<f32>, f32) {
    match key {
        35 | 36 => {
            (mix(falling(130.0, 47.0, 0.035, 9.0, 0.7), 0.55, &[(1800.0, 0.8, 0.03, 0.12)], seed), 0.0)
        }
        37 => (mix(falling(900.0, 780.0, 0.01, 90.0, 0.15), 0.25, &[(2600.0, 1.2, 0.05, 0.3)], seed), -0.1),
        38 | 40 => {
            let wires = [(1900.0, 0.5, 0.22, 0.42), (5200.0, 0.6, 0.3, 0.3)];
            (mix(falling(240.0, 180.0, 0.02, 24.0, 0.4), 0.3, &wires, seed), -0.05)
        }
        39 => (mix(Vec::new(), 0.0, &[(1300.0, 1.0, 0.25, 0.6), (2400.0, 1.4, 0.12, 0.3)], seed), 0.1),
        41 | 43 | 45 | 47 | 48 | 50 => {
            let low = [82.0, 98.0, 117.0, 139.0, 165.0, 196.0][usize::from((key - 41) / 2).min(5)];
            let tom = falling(low * 1.6, low, 0.05, 7.5, 0.8);
            (mix(tom, 0.42, &[(low * 9.0, 0.7, 0.04, 0.1)], seed), (f32::from(key) - 45.0) * 0.07)
        }
        42 | 44 => (mix(Vec::new(), 0.0, &[(8200.0, 0.7, 0.09, 0.38)], seed), 0.3),
        46 => (mix(Vec::new(), 0.0, &[(7800.0, 0.6, 0.7, 0.34)], seed), 0.3),
        49 | 52 | 55 | 57 => {
            (mix(Vec::new(), 0.0, &[(5200.0, 0.4, 2.4, 0.34), (9500.0, 0.8, 1.6, 0.2)], seed), -0.4)
        }
        51 | 53 | 59 => {
            let bell = [1.0, 1.47, 2.09, 2.56, 3.39].map(|r| Mode {
                frequency: 640.0 * r,
                amplitude: 0.2,
                phase: 0.0,
                decay: 4.0,
            });
            (mix(ring(bell.to_vec(), 2 * RATE as usize), 0.3, &[(7400.0, 0.5, 1.3, 0.14)], seed), 0.4)
        }
        54 | 69 | 70 | 82 => (mix(Vec::new(), 0.0, &[(7000.0, 0.9, 0.16, 0.35)], seed), 0.25),
        56 => {
            let bell =
                [1.0, 1.48].map(|r| Mode { frequency: 560.0 * r, amplitude: 0.4, phase: 0.0, decay: 16.0 });
            (mix(ring(bell.to_vec(), RATE as usize / 2), 0.5, &[], seed), 0.2)
        }
        _ => {
            // hand drums, blocks and sticks: higher keys, higher and shorter
            let pitch = 170.0 * ((f32::from(key) - 60.0) / 14.0).exp2();
            let skin = falling(pitch * 1.2, pitch, 0.02, 16.0, 0.5);
            (mix(skin, 0.4, &[(pitch * 6.0, 0.9, 0.04, 0.12)], seed), (f32::from(key % 7) - 3.0) * 0.1)
        }
    }
}

/// A tone and bands of noise together.
fn mix(mut tone: Vec<f32>, level: f32, hisses: &[Hiss], seed: u64) -> Vec<f32> {
    tone.iter_mut().for_each(|sample| *sample *= level);
    let longest = hisses.iter().map(|hiss| hiss.2).fold(0.0, f32::max);
    tone.resize(tone.len().max((longest * 1.1 * RATE as f32) as usize), 0.0);
    for (i, &(centre, quality, seconds, level)) in hisses.iter().enumerate() {
        let (mut noise, mut band) = (Noise::new(seed ^ (i as u64) << 50), Band::new(centre, quality));
        let shrink = (-6.91 / (seconds * RATE as f32)).exp();
        let mut gain = level;
        let length = (seconds * 1.1 * RATE as f32) as usize;
        for sample in tone.iter_mut().take(length) {
            *sample += gain * band.next(noise.next());
            gain *= shrink;
        }
    }
    tone
}

/// A millisecond to begin, and twenty to end.
fn soften(samples: &mut [f32]) {
    let length = samples.len();
    let (rise, fall) = (RATE as usize / 1000, (RATE as usize / 50).min(length));
    for (t, sample) in samples.iter_mut().take(rise).enumerate() {
        *sample *= t as f32 / rise as f32;
    }
    for (t, sample) in samples[length - fall..].iter_mut().enumerate() {
        *sample *= 1.0 - (t as f32 + 1.0) / fall as f32;
    }
}
