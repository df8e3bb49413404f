//! Tones that ring and die away: struck and plucked strings, bars, bells, skins.
//!
//! A note is a sum of modes, decaying sines. A mode is one complex number turned and shrunk a little every
//! frame; eight are turned side by side. A piano's partials have two modes each, one that dies quickly and one,
//! slightly out of tune, that rings on (Weinreich 1977); a string's partials are stretched by its stiffness.

use std::f32::consts::{PI, TAU};

use super::instruments::{Body, Struck};
use super::noise::scatter;
use super::playing::Played;
use super::tone::frequency;
use super::{RATE, Stereo, pan};

const LANES: usize = 8;
const BLOCK: usize = 64;
/// A mode below this part of full scale is over.
const INAUDIBLE: f32 = 2e-5;

/// A decaying sine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mode {
    /// Hz.
    pub frequency: f32,
    /// Amplitude at the beginning.
    pub amplitude: f32,
    /// Phase at the beginning, in turns.
    pub phase: f32,
    /// Decay in nepers a second.
    pub decay: f32,
}

impl Mode {
    /// Frames until it is inaudible.
    fn life(&self) -> usize {
        let over = (self.amplitude.abs().max(INAUDIBLE) / INAUDIBLE).ln() / self.decay.max(0.05);
        (over * RATE as f32) as usize + 1
    }
}

/// The sum of `modes` into a buffer of at most `frames`.
pub(super) fn ring(mut modes: Vec<Mode>, frames: usize) -> Vec<f32> {
    modes.retain(|mode| mode.frequency < 0.45 * RATE as f32 && mode.amplitude.abs() > INAUDIBLE);
    modes.sort_by_key(|mode| std::cmp::Reverse(mode.life()));
    let frames = frames.min(modes.first().map_or(0, Mode::life));
    let mut out = vec![0f32; frames];
    for group in modes.chunks(LANES) {
        let (mut re, mut im) = ([0f32; LANES], [0f32; LANES]);
        let (mut c, mut s) = ([0f32; LANES], [0f32; LANES]);
        for (lane, mode) in group.iter().enumerate() {
            let turn = f64::from(mode.frequency) * std::f64::consts::TAU / RATE as f64;
            let shrink = (-f64::from(mode.decay) / RATE as f64).exp();
            (c[lane], s[lane]) = ((turn.cos() * shrink) as f32, (turn.sin() * shrink) as f32);
            re[lane] = mode.amplitude * (mode.phase * TAU).cos();
            im[lane] = mode.amplitude * (mode.phase * TAU).sin();
        }
        let life = group[0].life().min(frames);
        for block in out[..life].chunks_mut(BLOCK) {
            for sample in block {
                let mut sum = [0f32; LANES];
                for lane in 0..LANES {
                    sum[lane] = im[lane];
                    let turned = c[lane] * re[lane] - s[lane] * im[lane];
                    im[lane] = s[lane] * re[lane] + c[lane] * im[lane];
                    re[lane] = turned;
                }
                *sample += (sum[0] + sum[4]) + (sum[1] + sum[5]) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
            }
        }
    }
    out
}

/// Most frames that a note can take.
pub(super) fn frames(voice: &Struck, note: &Played) -> usize {
    let release = if note.pitch >= voice.undamped { 8.0 } else { damping(voice, note.pitch) * 1.2 };
    let seconds = note.hold as f32 / RATE as f32 + release;
    (seconds.min(30.0) * RATE as f32) as usize
}

/// Seconds that the damper takes for 60 dB.
fn damping(voice: &Struck, pitch: u8) -> f32 {
    voice.release * (1.35 - f32::from(pitch) / 127.0 * 0.7)
}

/// Sounds one note at `place` (-1 left to 1 right).
pub(super) fn sound(voice: &Struck, note: &Played, place: f32) -> Stereo {
    let most = frames(voice, note);
    let loudness = f32::from(note.velocity) / 127.0;
    let (prompt, late) = modes(voice, note, loudness);
    let (mut prompt, mut late) = (ring(prompt, most), ring(late, most));
    let level = voice.gain * (0.12 + 0.88 * loudness.powf(1.6));
    finish(voice, note, loudness, level, &mut prompt);
    finish(voice, note, loudness, level, &mut late);
    let mut out = Stereo::silent(prompt.len().max(late.len()));
    // low keys to the left, as one sits at the instrument; the late sound comes from all of the soundboard
    let key = place + voice.width * (f32::from(note.pitch) - 62.0) / 48.0;
    out.add(&prompt, pan(key));
    out.add(&late, pan(place - 0.6 * (key - place)));
    out
}

/// The modes of a note: those that die quickly, and those that ring on.
fn modes(voice: &Struck, note: &Played, loudness: f32) -> (Vec<Mode>, Vec<Mode>) {
    let base = frequency(note.pitch);
    let ring60 = voice.ring * (-(f32::from(note.pitch) - 60.0) / 12.0 * voice.ring_slope).exp2();
    let slow = 6.91 / ring60.clamp(0.08, 40.0);
    let cutoff = voice.brightness * (0.3 + 1.0 * loudness.powf(1.5)) * (base / 261.6).powf(0.4);
    let seed = u64::from(note.pitch) << 8 | note.part as u64;
    let (mut prompt, mut late) = (Vec::new(), Vec::new());
    match voice.body {
        Body::String { at, stiffness, twins, roll } => {
            let b = stiffness * inharmonicity(note.pitch);
            for n in 1..=(0.44 * RATE as f32 / base).min(110.0) as usize {
                let x = n as f32;
                let stretched = base * x * ((1.0 + b * x * x) / (1.0 + b)).sqrt();
                let strike = (PI * x * at).sin().abs().max(0.06);
                let board = stretched / (stretched + 70.0);
                let amplitude = strike * board * x.powf(-roll) * (-stretched / cutoff).exp();
                let amplitude = amplitude * (1.0 + 0.25 * scatter(seed ^ (n as u64) << 20));
                // scattered phases: in step, the partials would begin with a spike
                let phase = if n == 1 { 0.0 } else { 0.5 * scatter(n as u64 ^ 0x5eed) };
                let decay = slow * (1.0 + voice.damping * (x - 1.0));
                if twins {
                    let apart = 0.25 + 0.2 * scatter(seed ^ (n as u64) << 24);
                    let beat = base * x * ((apart / 1200.0).exp2() - 1.0);
                    let quick =
                        Mode { frequency: stretched, amplitude: amplitude * 0.72, phase, decay: 2.7 * decay };
                    prompt.push(quick);
                    let slow =
                        Mode { frequency: stretched + beat, amplitude: amplitude * 0.32, phase, decay };
                    late.push(slow);
                } else {
                    prompt.push(Mode { frequency: stretched, amplitude, phase, decay });
                }
            }
        }
        Body::Modes(ratios) => {
            for (n, &(ratio, gain, quick)) in ratios.iter().enumerate() {
                let frequency = base * ratio;
                let bright = (-(frequency - base).max(0.0) / (cutoff * 3.0)).exp();
                let phase = if n % 2 == 0 { 0.0 } else { 0.5 };
                prompt.push(Mode { frequency, amplitude: gain * bright, phase, decay: slow * quick });
            }
        }
    }
    if voice.knock > 0.0 {
        // the wood answers the blow: a few short modes that do not follow the pitch
        for i in 0..12u64 {
            let frequency = 75.0 * (1.32f32).powf(i as f32 + 0.5 * scatter(i * 31 + 5));
            let amplitude = voice.knock * (0.4 + loudness) * scatter(i * 17 + 3) / (1.0 + i as f32 * 0.25);
            late.push(Mode { frequency, amplitude, phase: 0.0, decay: 38.0 + 9.0 * i as f32 });
        }
    }
    (prompt, late)
}

/// Stiffness of a piano's string: low strings are wound, high ones short (fit of Rauhala and Välimäki 2006).
fn inharmonicity(pitch: u8) -> f32 {
    let m = f32::from(pitch);
    (0.0926 * m - 13.64).exp() + (-0.0847 * m - 5.82).exp()
}

/// The softness of the blow at the beginning and the damper at the end.
fn finish(voice: &Struck, note: &Played, loudness: f32, level: f32, samples: &mut [f32]) {
    let contact = voice.contact * (1.6 - loudness) * (1.5 - f32::from(note.pitch) / 127.0);
    let contact = (contact * RATE as f32).max(16.0);
    let rise = (contact as usize + 1).min(samples.len());
    for (t, sample) in samples[..rise].iter_mut().enumerate() {
        let x = (t as f32 / contact).min(1.0);
        *sample *= 0.5 - 0.5 * (PI * x).cos();
    }
    samples.iter_mut().for_each(|sample| *sample *= level);
    let length = samples.len();
    if note.pitch < voice.undamped && note.hold < length {
        let shrink = (-6.91 / (damping(voice, note.pitch) * RATE as f32)).exp();
        let mut gain = 1.0f32;
        for sample in &mut samples[note.hold..] {
            gain *= shrink;
            *sample *= gain;
        }
    }
    // whatever is left at the end of the buffer goes smoothly
    let fade = (0.02 * RATE as f32) as usize;
    let first = length.saturating_sub(fade);
    for (t, sample) in samples[first..].iter_mut().enumerate() {
        *sample *= 0.5 + 0.5 * (PI * (t as f32 + 1.0) / (length - first) as f32).cos();
    }
}

/// A sine that falls from one frequency to another, as a struck skin does.
pub(super) fn falling(from: f32, to: f32, bend: f32, decay: f32, seconds: f32) -> Vec<f32> {
    let mut phase = 0f32;
    (0..(seconds * RATE as f32) as usize)
        .map(|t| {
            let t = t as f32 / RATE as f32;
            phase += (to + (from - to) * (-t / bend).exp()) / RATE as f32;
            phase -= phase.floor();
            (TAU * phase).sin() * (-t * decay).exp()
        })
        .collect()
}
