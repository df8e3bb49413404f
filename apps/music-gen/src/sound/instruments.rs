//! What each General MIDI program sounds like, as plain numbers.

use super::tone::Spectrum;

/// An instrument.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instrument {
    /// Sounds as long as the key is held.
    Sustained(&'static Sustained),
    /// Rings and dies away.
    Struck(&'static Struck),
    /// A drum kit: every key is another instrument.
    Drums,
}

/// One row of pipes, or one section of players.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
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
    pub(super) fn share(&self, pitch: u8) -> f32 {
        if self.low { ((60.0 - f32::from(pitch)) / 14.0).clamp(0.0, 1.0) } else { 1.0 }
    }
}

const fn stop(spectrum: Spectrum, ratio: f32, gain: f32) -> Stop {
    Stop { spectrum, ratio, gain, cents: 0.0, attack: 1.0, low: false }
}

/// A sustained instrument. Times in seconds, tunings in cents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sustained {
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

static CHURCH_ORGAN: Sustained = Sustained {
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
    gain: 0.068,
    room: 0.5,
    ..TONE
};

static DRAWBARS: Sustained = Sustained {
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
    gain: 0.085,
    room: 0.25,
    ..TONE
};

static REED_ORGAN: Sustained = Sustained {
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
    gain: 0.08,
    room: 0.25,
    ..TONE
};

static CHOIR_AH: Sustained = Sustained {
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
    gain: 0.095,
    room: 0.6,
    ..TONE
};

static CHOIR_OOH: Sustained = Sustained {
    stops: &[stop(Spectrum::Ooh, 1.0, 1.0)],
    attack: 0.15,
    breath: 0.018,
    brightness: 3.0,
    ..CHOIR_AH
};

static STRING_SECTION: Sustained = Sustained {
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
    gain: 0.09,
    room: 0.45,
    ..TONE
};

static SOLO_STRING: Sustained = Sustained {
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

static BRASS: Sustained = Sustained {
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
    gain: 0.085,
    room: 0.4,
    ..TONE
};

static BRASS_SECTION: Sustained =
    Sustained { players: 3, detune: 6.0, width: 0.5, stagger: 0.02, drift: 3.0, ..BRASS };

static HORN: Sustained = Sustained { brightness: 2.2, attack: 0.07, room: 0.5, ..BRASS };

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
    gain: 0.085,
    room: 0.38,
    ..TONE
};

static CLARINET: Sustained =
    Sustained { stops: &[stop(Spectrum::Clarinet, 1.0, 1.0)], vibrato: (5.0, 2.0, 0.5), ..WIND };
static OBOE: Sustained = Sustained { stops: &[stop(Spectrum::Oboe, 1.0, 1.0)], gain: 0.075, ..WIND };
static BASSOON: Sustained = Sustained { stops: &[stop(Spectrum::Bassoon, 1.0, 1.0)], ..WIND };
static SAXOPHONE: Sustained = Sustained {
    stops: &[stop(Spectrum::Saxophone, 1.0, 1.0)],
    vibrato: (5.2, 10.0, 0.3),
    breath: 0.04,
    ..WIND
};
static FLUTE: Sustained = Sustained {
    stops: &[stop(Spectrum::Flute, 1.0, 1.0)],
    vibrato: (5.0, 8.0, 0.25),
    shimmer: 0.1,
    chiff: 0.15,
    breath: 0.09,
    gain: 0.09,
    ..WIND
};

static LEAD: Sustained = Sustained {
    stops: &[stop(Spectrum::Saw, 1.0, 1.0), Stop { cents: 7.0, ..stop(Spectrum::Saw, 1.0, 0.7) }],
    attack: 0.012,
    release: 0.12,
    vibrato: (5.5, 6.0, 0.4),
    brightness: 4.5,
    gain: 0.07,
    ..TONE
};
static SQUARE: Sustained = Sustained { stops: &[stop(Spectrum::Square, 1.0, 1.0)], brightness: 5.0, ..LEAD };
static PAD: Sustained = Sustained {
    stops: &[stop(Spectrum::Pad, 1.0, 1.0), stop(Spectrum::Saw, 2.0, 0.12)],
    players: 4,
    detune: 9.0,
    width: 0.8,
    attack: 0.35,
    release: 0.7,
    drift: 3.0,
    shimmer: 0.15,
    brightness: 3.0,
    gain: 0.09,
    room: 0.6,
    ..TONE
};

/// What rings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// A string: where it is struck (share of its length), stiffness over a piano's, whether it has a twin that
    /// rings on, and how fast its partials fall (exponent).
    String { at: f32, stiffness: f32, twins: bool, roll: f32 },
    /// Modes given as (frequency over the key's, gain, decay over the first one's).
    Modes(&'static [(f32, f32, f32)]),
}

/// An instrument that rings. Times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Struck {
    pub body: Body,
    /// Time to fall by 60 dB at middle C, and how many times it halves per octave upwards.
    pub ring: f32,
    pub ring_slope: f32,
    /// How much faster each further partial of a string decays.
    pub damping: f32,
    /// Frequency in Hz at which the spectrum bends down, for a hard blow at middle C.
    pub brightness: f32,
    /// Time that the hammer or finger touches.
    pub contact: f32,
    /// Level of the blow itself.
    pub knock: f32,
    /// Time of the damper for 60 dB.
    pub release: f32,
    /// First key that has no damper.
    pub undamped: u8,
    /// How far keys lie apart from left to right.
    pub width: f32,
    pub gain: f32,
    pub room: f32,
}

static PIANO: Struck = Struck {
    body: Body::String { at: 0.122, stiffness: 1.0, twins: true, roll: 0.75 },
    ring: 13.0,
    ring_slope: 0.72,
    damping: 0.22,
    brightness: 3000.0,
    contact: 0.0028,
    knock: 0.035,
    release: 0.36,
    undamped: 90,
    width: 0.4,
    gain: 0.42,
    room: 0.16,
};

static BRIGHT_PIANO: Struck = Struck { brightness: 4200.0, ..PIANO };

static ELECTRIC_PIANO: Struck = Struck {
    body: Body::Modes(&[
        (1.0, 1.0, 1.0),
        (2.0, 0.28, 1.4),
        (3.0, 0.07, 2.0),
        (7.1, 0.16, 9.0),
        (13.2, 0.04, 16.0),
    ]),
    ring: 6.0,
    ring_slope: 0.5,
    contact: 0.0015,
    knock: 0.01,
    release: 0.25,
    undamped: 128,
    gain: 0.3,
    ..PIANO
};

static HARPSICHORD: Struck = Struck {
    body: Body::String { at: 0.14, stiffness: 0.15, twins: false, roll: 0.45 },
    ring: 5.0,
    ring_slope: 0.5,
    damping: 0.09,
    brightness: 7500.0,
    contact: 0.0006,
    knock: 0.012,
    release: 0.16,
    undamped: 128,
    width: 0.25,
    gain: 0.17,
    room: 0.22,
};

static GUITAR: Struck = Struck {
    body: Body::String { at: 0.21, stiffness: 0.1, twins: false, roll: 0.85 },
    ring: 4.2,
    ring_slope: 0.45,
    damping: 0.24,
    brightness: 3300.0,
    contact: 0.0010,
    knock: 0.02,
    release: 0.2,
    undamped: 128,
    width: 0.1,
    gain: 0.3,
    room: 0.2,
};

static HARP: Struck =
    Struck { ring: 5.5, damping: 0.35, brightness: 2600.0, release: 1.6, width: 0.4, room: 0.35, ..GUITAR };

static BASS: Struck = Struck {
    body: Body::String { at: 0.26, stiffness: 0.1, twins: false, roll: 0.9 },
    ring: 3.2,
    ring_slope: 0.25,
    damping: 0.35,
    brightness: 1700.0,
    contact: 0.002,
    release: 0.14,
    gain: 0.42,
    room: 0.1,
    ..GUITAR
};

static PIZZICATO: Struck =
    Struck { ring: 1.1, damping: 0.5, brightness: 2200.0, release: 0.5, room: 0.4, gain: 0.34, ..GUITAR };

const BARS: Struck = Struck {
    body: Body::Modes(&[]),
    ring: 2.0,
    ring_slope: 0.5,
    damping: 0.0,
    brightness: 3000.0,
    contact: 0.0012,
    knock: 0.02,
    release: 3.0,
    undamped: 0,
    width: 0.3,
    gain: 0.3,
    room: 0.3,
};

static BELLS: Struck = Struck {
    body: Body::Modes(&[(1.0, 1.0, 1.0), (2.76, 0.45, 1.8), (5.4, 0.22, 3.4), (8.93, 0.1, 6.0)]),
    ring: 4.5,
    gain: 0.24,
    room: 0.35,
    ..BARS
};
static WOOD: Struck = Struck {
    body: Body::Modes(&[(1.0, 1.0, 1.0), (3.98, 0.3, 2.6), (9.6, 0.1, 5.0)]),
    ring: 0.9,
    knock: 0.06,
    gain: 0.36,
    ..BARS
};
static TUBES: Struck = Struck {
    body: Body::Modes(&[
        (0.5, 0.22, 0.5),
        (1.0, 1.0, 1.0),
        (1.2, 0.3, 1.3),
        (1.5, 0.34, 1.4),
        (2.0, 0.55, 1.6),
        (2.66, 0.3, 2.2),
        (3.01, 0.22, 2.6),
        (4.17, 0.12, 3.6),
    ]),
    ring: 6.5,
    gain: 0.2,
    room: 0.5,
    ..BARS
};
static TIMPANI: Struck = Struck {
    body: Body::Modes(&[
        (1.0, 1.0, 1.0),
        (1.5, 0.6, 1.3),
        (1.99, 0.4, 1.6),
        (2.44, 0.25, 2.0),
        (2.89, 0.14, 2.4),
    ]),
    ring: 1.6,
    ring_slope: 0.2,
    contact: 0.004,
    knock: 0.12,
    gain: 0.5,
    room: 0.4,
    ..BARS
};
static STEEL: Struck = Struck {
    body: Body::Modes(&[
        (1.0, 1.0, 1.0),
        (2.0, 0.6, 1.2),
        (3.0, 0.25, 1.7),
        (4.03, 0.18, 2.2),
        (6.1, 0.08, 3.2),
    ]),
    ring: 1.8,
    ..BARS
};

/// The instrument of a General MIDI program (0 to 127), the closest there is.
pub(super) fn instrument(program: u8, percussion: bool) -> Instrument {
    use Instrument::{Drums, Struck, Sustained};
    if percussion {
        return Drums;
    }
    match program {
        0 | 2 | 3 => Struck(&PIANO),
        1 => Struck(&BRIGHT_PIANO),
        4 | 5 => Struck(&ELECTRIC_PIANO),
        6 | 7 => Struck(&HARPSICHORD),
        8..=11 => Struck(&BELLS),
        12 | 13 => Struck(&WOOD),
        14 => Struck(&TUBES),
        15 => Struck(&HARPSICHORD),
        16..=18 => Sustained(&DRAWBARS),
        19 => Sustained(&CHURCH_ORGAN),
        20..=23 => Sustained(&REED_ORGAN),
        24..=31 => Struck(&GUITAR),
        32..=39 => Struck(&BASS),
        40..=43 => Sustained(&SOLO_STRING),
        44 | 48..=51 => Sustained(&STRING_SECTION),
        45 => Struck(&PIZZICATO),
        46 => Struck(&HARP),
        47 => Struck(&TIMPANI),
        52 => Sustained(&CHOIR_AH),
        53 | 54 => Sustained(&CHOIR_OOH),
        55 | 61..=63 => Sustained(&BRASS_SECTION),
        60 => Sustained(&HORN),
        56..=59 => Sustained(&BRASS),
        64..=67 => Sustained(&SAXOPHONE),
        68 | 69 | 111 => Sustained(&OBOE),
        70 | 109 => Sustained(&BASSOON),
        71 => Sustained(&CLARINET),
        72..=79 => Sustained(&FLUTE),
        80 => Sustained(&SQUARE),
        81..=84 | 86 | 87 => Sustained(&LEAD),
        85 => Sustained(&CHOIR_AH),
        91 => Sustained(&CHOIR_OOH),
        88..=103 => Sustained(&PAD),
        104..=107 => Struck(&GUITAR),
        108 | 113 | 115 => Struck(&WOOD),
        110 => Sustained(&SOLO_STRING),
        112 => Struck(&BELLS),
        114 => Struck(&STEEL),
        116..=119 => Struck(&TIMPANI),
        _ => Sustained(&PAD),
    }
}
