//! Spectra of sustained instruments, and the wave tables made of them.
//!
//! A table holds one period with all partials below 0.45 of the rate at its pitch, so reading it makes no
//! aliases. A spectrum says the strength of partial `n` at `f` Hz; formants stay where they are when the
//! pitch moves.

use std::f32::consts::TAU;

use super::RATE;
use super::noise::scatter;

/// Samples in a period.
const LENGTH: usize = 4096;
/// Partials above this number are left out; at the pitches where it matters they are inaudible.
const MOST_PARTIALS: usize = 160;

/// The colour of a sustained tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Spectrum {
    /// Open metal pipe, the sound of the organ.
    Principal,
    /// Stopped wooden pipe.
    Stopped,
    /// Open pipes of 4 and 2 foot and a soft fifth, tuned to each other, as partials of the key's own pitch.
    Upperwork,
    /// Nothing but the fundamental.
    Sine,
    /// Free reed: accordion, harmonica, harmonium.
    Reed,
    /// A singer's open vowel.
    Ah,
    /// A singer's dark vowel.
    Ooh,
    /// Bowed string in its body.
    Bowed,
    /// Lip reed.
    Brass,
    /// Cylinder with a single reed: odd partials.
    Clarinet,
    /// Double reed.
    Oboe,
    /// Low double reed.
    Bassoon,
    /// Cone with a single reed.
    Saxophone,
    /// Edge tone.
    Flute,
    /// All partials, falling as 1/n.
    Saw,
    /// Odd partials, falling as 1/n.
    Square,
    /// Soft and wide.
    Pad,
}

/// Centre in Hz, width in Hz, gain.
type Formant = (f32, f32, f32);

/// Peaks on a floor.
fn formants(f: f32, floor: f32, peaks: &[Formant]) -> f32 {
    let peak = |&(centre, width, gain): &Formant| gain / (1.0 + ((f - centre) / width).powi(2));
    floor + peaks.iter().map(peak).sum::<f32>()
}

impl Spectrum {
    /// Amplitude of partial `n` (from 1) at `f` Hz, for a tone of this MIDI pitch.
    fn amplitude(self, n: usize, f: f32, pitch: u8) -> f32 {
        let x = n as f32;
        let even = n.is_multiple_of(2);
        match self {
            Spectrum::Principal => x.powf(-1.15) * [1.0, 1.15, 0.9][(n - 1).min(2)] * (-f / 5200.0).exp(),
            Spectrum::Stopped => {
                [1.0, 0.05, 0.2, 0.02, 0.06, 0.008, 0.02].get(n - 1).copied().unwrap_or(0.0)
                    * (-f / 4000.0).exp()
            }
            Spectrum::Upperwork => {
                let row = |every: usize, gain: f32, pipe: Spectrum| {
                    if n.is_multiple_of(every) { gain * pipe.amplitude(n / every, f, pitch) } else { 0.0 }
                };
                row(2, 1.0, Spectrum::Principal)
                    + row(4, 0.33, Spectrum::Principal)
                    + row(3, 0.25, Spectrum::Stopped)
            }
            Spectrum::Sine => f32::from(n == 1),
            Spectrum::Reed => {
                x.powf(-0.75) * formants(f, 0.45, &[(1300.0, 700.0, 0.8)]) * (-f / 4200.0).exp()
            }
            Spectrum::Ah => vowel(f, pitch, true) * x.powf(-0.85),
            Spectrum::Ooh => vowel(f, pitch, false) * x.powf(-1.0),
            Spectrum::Bowed => {
                let body =
                    [(290.0, 90.0, 0.9), (480.0, 160.0, 0.8), (1100.0, 500.0, 0.5), (2600.0, 900.0, 0.55)];
                x.powf(-1.05) * formants(f, 0.45, &body) * (-f / 6500.0).exp()
            }
            Spectrum::Brass => {
                x.powf(-0.55) * formants(f, 0.4, &[(1000.0, 600.0, 0.9)]) * (-f / 2900.0).exp()
            }
            Spectrum::Clarinet => {
                // the even partials come back above the cut-off of the tone holes
                let share = if even { (f / 3200.0).min(1.0) * 0.55 } else { 1.0 };
                x.powf(-0.7) * share * (-f / 2700.0).exp()
            }
            Spectrum::Oboe => {
                x.powf(-0.5)
                    * formants(f, 0.2, &[(1050.0, 320.0, 1.0), (2900.0, 500.0, 0.6)])
                    * (-f / 4500.0).exp()
            }
            Spectrum::Bassoon => {
                x.powf(-0.7)
                    * formants(f, 0.25, &[(470.0, 160.0, 1.2), (1150.0, 300.0, 0.4)])
                    * (-f / 2600.0).exp()
            }
            Spectrum::Saxophone => {
                x.powf(-0.7)
                    * formants(f, 0.35, &[(700.0, 400.0, 0.8), (1700.0, 700.0, 0.4)])
                    * (-f / 3300.0).exp()
            }
            Spectrum::Flute => [1.0, 0.42, 0.16, 0.07, 0.03, 0.014, 0.007].get(n - 1).copied().unwrap_or(0.0),
            Spectrum::Saw => 1.0 / x * (-f / 9000.0).exp(),
            Spectrum::Square => {
                if even {
                    0.0
                } else {
                    1.0 / x * (-f / 9000.0).exp()
                }
            }
            Spectrum::Pad => x.powf(-1.5) * (-f / 3000.0).exp(),
        }
    }
}

/// The mouth and throat of a singer: bass to soprano by pitch, for an open vowel or a dark one.
fn vowel(f: f32, pitch: u8, open: bool) -> f32 {
    // 0 at a bass's F2, 1 at a soprano's F5
    let high = ((f32::from(pitch) - 41.0) / 36.0).clamp(0.0, 1.0);
    let between = |low: f32, top: f32| low + (top - low) * high;
    // the chest gives warmth below the first formant
    let chest = 0.3 / (1.0 + ((f - between(190.0, 330.0)) / 160.0).powi(2));
    let peaks = if open {
        [
            (between(620.0, 830.0), between(95.0, 150.0), 1.0),
            (between(1040.0, 1220.0), between(110.0, 170.0), 0.5),
            (between(2350.0, 2900.0), between(190.0, 260.0), 0.30),
            (between(2800.0, 3700.0), between(240.0, 330.0), 0.20),
            (between(3700.0, 4900.0), 420.0, 0.05),
        ]
    } else {
        [
            (between(340.0, 420.0), between(75.0, 130.0), 1.0),
            (between(680.0, 860.0), between(90.0, 140.0), 0.28),
            (between(2300.0, 2800.0), 220.0, 0.05),
            (between(2800.0, 3600.0), 260.0, 0.025),
            (4500.0, 420.0, 0.006),
        ]
    };
    chest + formants(f, 0.08, &peaks)
}

/// One period of a tone: every sample with its distance to the next.
#[derive(Debug, Clone)]
pub(super) struct Table(Box<[[f32; 2]; LENGTH]>);

impl Table {
    /// The tone `ratio` times the pitch's frequency, as loud as all others: its power, weighted a little as the
    /// ear does, is 1.
    pub(super) fn new(spectrum: Spectrum, pitch: u8, ratio: f32) -> Table {
        let frequency = frequency(pitch) * ratio;
        let most = ((0.44 * RATE as f32 / frequency) as usize).clamp(1, MOST_PARTIALS);
        let sine: Vec<f32> = (0..LENGTH).map(|i| (TAU * i as f32 / LENGTH as f32).sin()).collect();
        let mut samples = [0f32; LENGTH];
        let (mut power, mut loudest) = (0.0, 0f32);
        for n in 1..=most {
            let f = frequency * n as f32;
            // the last partials fade, so that neighbouring pitches sound alike
            let edge = ((0.44 * RATE as f32 - f) / 2000.0).clamp(0.0, 1.0);
            let amplitude = spectrum.amplitude(n, f, pitch) * edge.max(f32::from(n == 1));
            if amplitude < 1e-4 * loudest {
                continue;
            }
            loudest = loudest.max(amplitude);
            power += amplitude * amplitude * (f / (f + 110.0)) / 2.0;
            // the same in every table, so that stops of one key add up
            let phase = ((scatter(n as u64 * 7919) + 1.0) * LENGTH as f32 / 2.0) as usize;
            for (i, sample) in samples.iter_mut().enumerate() {
                *sample += amplitude * sine[(i * n + phase) % LENGTH];
            }
        }
        let scale = 1.0 / power.max(1e-12).sqrt();
        let mut pairs = Box::new([[0f32; 2]; LENGTH]);
        for (i, pair) in pairs.iter_mut().enumerate() {
            *pair = [scale * samples[i], scale * (samples[(i + 1) % LENGTH] - samples[i])];
        }
        Table(pairs)
    }

    /// The wave at a phase where 2^32 is a whole period.
    #[inline(always)]
    pub(super) fn at(&self, phase: u32) -> f32 {
        const BITS: u32 = LENGTH.trailing_zeros();
        let i = (phase >> (32 - BITS)) as usize;
        let between = (phase << BITS >> 8) as f32 / (1 << 24) as f32;
        let [sample, rise] = self.0[i];
        sample + between * rise
    }
}

/// Frequency of a MIDI pitch in equal temperament, A4 at 440 Hz.
pub(super) fn frequency(pitch: u8) -> f32 {
    440.0 * ((f32::from(pitch) - 69.0) / 12.0).exp2()
}
