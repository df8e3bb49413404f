//! Instruments that ring and die away: keyboards, plucked strings, bars, bells, skins.

/// What rings.
#[derive(Debug, Clone, Copy)]
pub(in crate::sound) enum Body {
    /// A string: where it is struck (share of its length), stiffness over a piano's, whether it has a twin that
    /// rings on, and how fast its partials fall (exponent).
    String { at: f32, stiffness: f32, twins: bool, roll: f32 },
    /// Modes given as (frequency over the key's, gain, decay over the first one's).
    Modes(&'static [(f32, f32, f32)]),
}

/// An instrument that rings. Times in seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::sound) struct Struck {
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

pub(super) static PIANO: Struck = Struck {
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
    gain: 0.44,
    room: 0.16,
};

pub(super) static BRIGHT_PIANO: Struck = Struck { brightness: 4200.0, ..PIANO };

pub(super) static ELECTRIC_PIANO: Struck = Struck {
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

pub(super) static HARPSICHORD: Struck = Struck {
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
    gain: 0.2,
    room: 0.22,
};

pub(super) static GUITAR: Struck = Struck {
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
    gain: 0.38,
    room: 0.2,
};

pub(super) static HARP: Struck =
    Struck { ring: 5.5, damping: 0.35, brightness: 2600.0, release: 1.6, width: 0.4, room: 0.35, ..GUITAR };

pub(super) static BASS: Struck = Struck {
    body: Body::String { at: 0.26, stiffness: 0.1, twins: false, roll: 0.9 },
    ring: 3.2,
    ring_slope: 0.25,
    damping: 0.35,
    brightness: 1700.0,
    contact: 0.002,
    release: 0.14,
    gain: 0.55,
    room: 0.1,
    ..GUITAR
};

pub(super) static PIZZICATO: Struck =
    Struck { ring: 1.1, damping: 0.5, brightness: 2200.0, release: 0.5, room: 0.4, gain: 0.42, ..GUITAR };

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

pub(super) static BELLS: Struck = Struck {
    body: Body::Modes(&[(1.0, 1.0, 1.0), (2.76, 0.45, 1.8), (5.4, 0.22, 3.4), (8.93, 0.1, 6.0)]),
    ring: 4.5,
    gain: 0.24,
    room: 0.35,
    ..BARS
};
pub(super) static WOOD: Struck = Struck {
    body: Body::Modes(&[(1.0, 1.0, 1.0), (3.98, 0.3, 2.6), (9.6, 0.1, 5.0)]),
    ring: 0.9,
    knock: 0.06,
    gain: 0.42,
    ..BARS
};
pub(super) static TUBES: Struck = Struck {
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
pub(super) static TIMPANI: Struck = Struck {
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
    knock: 0.06,
    gain: 0.36,
    room: 0.4,
    ..BARS
};
pub(super) static STEEL: Struck = Struck {
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
