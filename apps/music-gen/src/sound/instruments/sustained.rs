//! Instruments that sound as long as the key is held: pipes, voices, bows, winds, synthesisers.

use crate::sound::tone::Spectrum;

/// One row of pipes, or one section of players.
#[derive(Debug, Clone, Copy)]
pub(in crate::sound) struct Stop {
    pub spectrum: Spectrum,
    /// Frequency over the key's: 0.5 is 16 foot, 1 is 8 foot, 2 is 4 foot.
    pub ratio: f32,
    pub gain: f32,
    /// Tuning against the others.
    pub cents: f32,
    /// Time to speak, over the instrument's.
    pub attack: f32,
    /// Whether only the low half of the keyboard has it.
    pub low: bool,
}

impl Stop {
    /// How much of the stop a key has.
    pub(in crate::sound) fn share(&self, pitch: u8) -> f32 {
        if self.low { ((60.0 - f32::from(pitch)) / 14.0).clamp(0.0, 1.0) } else { 1.0 }
    }
}

const fn stop(spectrum: Spectrum, ratio: f32, gain: f32) -> Stop {
    Stop { spectrum, ratio, gain, cents: 0.0, attack: 1.0, low: false }
}

/// A sustained instrument. Times in seconds, tunings in cents.
#[derive(Debug, Clone, Copy)]
pub(in crate::sound) struct Sustained {
    pub stops: &'static [Stop],
    /// Players of each stop.
    pub players: usize,
    /// How far the outermost players are from the middle, in tuning and in place.
    pub detune: f32,
    pub width: f32,
    /// Tuning that differs from key to key.
    pub scatter: f32,
    pub attack: f32,
    pub release: f32,
    /// How late the last player may be.
    pub stagger: f32,
    /// Rate in Hz, depth in cents, delay.
    pub vibrato: (f32, f32, f32),
    /// Slow wandering of pitch, and of level (as a share).
    pub drift: f32,
    pub shimmer: f32,
    /// How far below its pitch a tone begins.
    pub scoop: f32,
    /// Noise at the beginning and all along.
    pub chiff: f32,
    pub breath: f32,
    /// Cut-off in kHz that the tone opens to, above twice its pitch.
    pub brightness: f32,
    /// How much the velocity says, 0 to 1.
    pub dynamics: f32,
    pub gain: f32,
    /// Share sent to the room.
    pub room: f32,
}

const TONE: Sustained = Sustained {
    stops: &[stop(Spectrum::Saw, 1.0, 1.0)],
    players: 1,
    detune: 0.0,
    width: 0.0,
    scatter: 0.0,
    attack: 0.05,
    release: 0.15,
    stagger: 0.0,
    vibrato: (5.5, 0.0, 0.3),
    drift: 1.0,
    shimmer: 0.03,
    scoop: 0.0,
    chiff: 0.0,
    breath: 0.0,
    brightness: 12.0,
    dynamics: 0.6,
    gain: 0.1,
    room: 0.3,
};

pub(super) static CHURCH_ORGAN: Sustained = Sustained {
    stops: &[
        Stop { cents: -0.1, ..stop(Spectrum::Principal, 1.0, 1.0) },
        Stop { cents: 0.2, attack: 1.4, ..stop(Spectrum::Stopped, 1.0, 0.6) },
        Stop { cents: 0.5, attack: 0.65, ..stop(Spectrum::Upperwork, 1.0, 0.42) },
        Stop { attack: 1.8, low: true, ..stop(Spectrum::Stopped, 0.5, 0.5) },
    ],
    width: 0.25,
    scatter: 0.3,
    attack: 0.055,
    release: 0.14,
    stagger: 0.012,
    drift: 0.5,
    shimmer: 0.035,
    chiff: 0.22,
    brightness: 9.0,
    dynamics: 0.15,
    gain: 0.055,
    room: 0.5,
    ..TONE
};

pub(super) static DRAWBARS: Sustained = Sustained {
    stops: &[
        stop(Spectrum::Sine, 0.5, 0.5),
        stop(Spectrum::Sine, 1.0, 1.0),
        stop(Spectrum::Sine, 1.5, 0.4),
        stop(Spectrum::Sine, 2.0, 0.6),
        stop(Spectrum::Sine, 3.0, 0.3),
        stop(Spectrum::Sine, 4.0, 0.2),
    ],
    players: 2,
    detune: 2.0,
    width: 0.5,
    scatter: 0.6,
    attack: 0.008,
    release: 0.05,
    vibrato: (6.4, 5.0, 0.0),
    shimmer: 0.05,
    chiff: 0.12,
    dynamics: 0.15,
    gain: 0.08,
    room: 0.25,
    ..TONE
};

pub(super) static REED_ORGAN: Sustained = Sustained {
    stops: &[
        Stop { cents: -4.0, ..stop(Spectrum::Reed, 1.0, 1.0) },
        Stop { cents: 4.0, ..stop(Spectrum::Reed, 1.0, 0.8) },
        stop(Spectrum::Reed, 2.0, 0.2),
    ],
    width: 0.3,
    scatter: 1.0,
    attack: 0.045,
    release: 0.09,
    breath: 0.008,
    dynamics: 0.35,
    brightness: 7.0,
    gain: 0.06,
    room: 0.25,
    ..TONE
};

pub(super) static CHOIR_AH: Sustained = Sustained {
    stops: &[stop(Spectrum::Ah, 1.0, 1.0)],
    players: 5,
    detune: 7.0,
    width: 0.55,
    scatter: 2.5,
    attack: 0.13,
    release: 0.26,
    stagger: 0.05,
    vibrato: (5.3, 13.0, 0.25),
    drift: 5.0,
    shimmer: 0.16,
    scoop: 28.0,
    breath: 0.022,
    brightness: 5.5,
    dynamics: 0.4,
    gain: 0.072,
    room: 0.6,
    ..TONE
};

pub(super) static CHOIR_OOH: Sustained = Sustained {
    stops: &[stop(Spectrum::Ooh, 1.0, 1.0)],
    attack: 0.15,
    breath: 0.018,
    brightness: 3.0,
    ..CHOIR_AH
};

pub(super) static STRING_SECTION: Sustained = Sustained {
    stops: &[stop(Spectrum::Bowed, 1.0, 1.0)],
    players: 5,
    detune: 8.0,
    width: 0.6,
    scatter: 2.0,
    attack: 0.14,
    release: 0.25,
    stagger: 0.04,
    vibrato: (5.6, 10.0, 0.15),
    drift: 3.5,
    shimmer: 0.12,
    breath: 0.01,
    brightness: 6.0,
    dynamics: 0.55,
    gain: 0.07,
    room: 0.45,
    ..TONE
};

pub(super) static SOLO_STRING: Sustained = Sustained {
    players: 1,
    detune: 0.0,
    width: 0.0,
    scatter: 1.5,
    attack: 0.075,
    release: 0.16,
    stagger: 0.0,
    vibrato: (5.7, 15.0, 0.28),
    scoop: 12.0,
    breath: 0.018,
    room: 0.35,
    ..STRING_SECTION
};

pub(super) static BRASS: Sustained = Sustained {
    stops: &[stop(Spectrum::Brass, 1.0, 1.0)],
    scatter: 1.5,
    attack: 0.05,
    release: 0.12,
    vibrato: (5.0, 5.0, 0.6),
    drift: 2.0,
    scoop: 22.0,
    breath: 0.008,
    brightness: 5.0,
    dynamics: 0.75,
    gain: 0.064,
    room: 0.4,
    ..TONE
};

pub(super) static BRASS_SECTION: Sustained =
    Sustained { players: 3, detune: 6.0, width: 0.5, stagger: 0.02, drift: 3.0, ..BRASS };

pub(super) static HORN: Sustained = Sustained { brightness: 2.2, attack: 0.07, room: 0.5, ..BRASS };

const WIND: Sustained = Sustained {
    scatter: 1.5,
    attack: 0.05,
    release: 0.11,
    vibrato: (5.1, 6.0, 0.35),
    drift: 2.0,
    shimmer: 0.06,
    scoop: 10.0,
    breath: 0.025,
    brightness: 8.0,
    dynamics: 0.55,
    gain: 0.062,
    room: 0.38,
    ..TONE
};

pub(super) static CLARINET: Sustained =
    Sustained { stops: &[stop(Spectrum::Clarinet, 1.0, 1.0)], vibrato: (5.0, 2.0, 0.5), ..WIND };
pub(super) static OBOE: Sustained =
    Sustained { stops: &[stop(Spectrum::Oboe, 1.0, 1.0)], gain: 0.062, ..WIND };
pub(super) static BASSOON: Sustained = Sustained { stops: &[stop(Spectrum::Bassoon, 1.0, 1.0)], ..WIND };
pub(super) static SAXOPHONE: Sustained = Sustained {
    stops: &[stop(Spectrum::Saxophone, 1.0, 1.0)],
    vibrato: (5.2, 10.0, 0.3),
    breath: 0.04,
    ..WIND
};
pub(super) static FLUTE: Sustained = Sustained {
    stops: &[stop(Spectrum::Flute, 1.0, 1.0)],
    vibrato: (5.0, 8.0, 0.25),
    shimmer: 0.1,
    chiff: 0.15,
    breath: 0.09,
    gain: 0.06,
    ..WIND
};

pub(super) static LEAD: Sustained = Sustained {
    stops: &[stop(Spectrum::Saw, 1.0, 1.0), Stop { cents: 7.0, ..stop(Spectrum::Saw, 1.0, 0.7) }],
    attack: 0.012,
    release: 0.12,
    vibrato: (5.5, 6.0, 0.4),
    brightness: 4.5,
    gain: 0.06,
    ..TONE
};
pub(super) static SQUARE: Sustained =
    Sustained { stops: &[stop(Spectrum::Square, 1.0, 1.0)], brightness: 5.0, ..LEAD };
pub(super) static PAD: Sustained = Sustained {
    stops: &[stop(Spectrum::Pad, 1.0, 1.0), stop(Spectrum::Saw, 2.0, 0.12)],
    players: 4,
    detune: 9.0,
    width: 0.8,
    attack: 0.35,
    release: 0.7,
    drift: 3.0,
    shimmer: 0.15,
    brightness: 3.0,
    gain: 0.08,
    room: 0.6,
    ..TONE
};
