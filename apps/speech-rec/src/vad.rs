//! Where somebody speaks: frames that stand out of what was there before and after, in several parts of the spectrum at
//! once, and whose loudness moves as speech's does.
//!
//! Nothing here is learned. Frames are taken four at a time, their energy from 200 to 4000 Hz in eight groups of bands.
//! The floor of a group is its quietest moment within four seconds to both sides (minimum statistics, after Martin,
//! 2001), so a steady noise, hum or tone is its own floor; what stands out in one or two groups alone is a whistle or a
//! beep; and a noise that begins and ends, but does not move in between, is none either. Memory does not grow with the
//! sound, but for the list of what was found.

use std::collections::VecDeque;
use std::ops::Range;

use models::features::log_mel::centres;

/// Frames that are looked at together: 40 ms.
const STEP: usize = 4;
/// Steps whose quietest moment stands for them: 0.64 s.
const BLOCK: usize = 16;
/// Blocks to both sides that decide on the floor.
const REACH: usize = 6;
/// Parts of the spectrum.
const GROUPS: usize = 8;
/// Where they begin and end, in hertz.
const SPEECH: Range<f64> = 200. ..4000.;

/// Decades above the floor at which a group stands out, when speech begins and while it lasts.
const BEGINS: (f32, usize) = (0.75, 3);
const LASTS: (f32, usize) = (0.5, 2);
/// Nothing that is further below the loudest around it, in decades, is speech.
const DEEPEST: f32 = 4.5;
/// Nor is what is quieter than this: about the last bit of 16.
const FAINTEST: f32 = -7.5;
/// Steps of a gap within speech: 0.24 s.
const GAP: usize = 6;
/// Steps in which speech stands out clearly, at least: 0.08 s.
const SHORTEST: usize = 2;
/// How much speech's loudness moves at least, in decades (standard deviation): a word, and what lasts for more steps.
const MOVES: [(usize, f64); 2] = [(10, 0.1), (24, 0.2)];
/// A sound of no more blocks than this, 2 s, may be a word that was cut out, with no floor beside it: then that is so
/// many decades below the loudest at most.
const WORD: (usize, f32) = (3, 2.5);

/// The largest log-mel value of a window in which there is nothing: no band is as loud as a tone in the last bit of 16.
const NOTHING: f32 = -6.5;

/// Whether a window of scaled log-mel values is digital silence, or next to it.
pub fn is_silent(mel: &[f32]) -> bool {
    let (least, most) =
        mel.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), x| (least.min(*x), most.max(*x)));
    // what is 8 decades below the loudest value of a file is cut off: a window of nothing else holds nothing
    4. * most - 4. < NOTHING || least >= most
}

/// Finds speech in frames that come piece by piece.
pub struct Detector {
    bands: usize,
    /// The bands of each group.
    groups: [Range<usize>; GROUPS],
    /// Of the step that is being filled: energies, and its frames so far.
    energies: [f32; GROUPS],
    filled: usize,
    /// The blocks around the one that is to be judged next, the last of which is being filled.
    blocks: VecDeque<Block>,
    next: usize,
    stretches: Stretches,
}

/// Decades of energy of each group.
type Levels = [f32; GROUPS];

struct Block {
    steps: Vec<Levels>,
    quietest: Levels,
    loudest: f32,
}

impl Detector {
    /// For log-mel frames of so many bands.
    pub fn new(bands: usize) -> Self {
        let below = |hertz: f64| centres(bands).iter().filter(|centre| **centre < hertz).count();
        let (first, end) = (below(SPEECH.start), below(SPEECH.end));
        let edge = |group: usize| first + (end - first) * group / GROUPS;
        let group = |group: usize| edge(group)..edge(group + 1).max(edge(group) + 1).min(bands.max(1));
        Self {
            bands,
            groups: std::array::from_fn(group),
            energies: [0.; GROUPS],
            filled: 0,
            blocks: VecDeque::new(),
            next: 0,
            stretches: Stretches::default(),
        }
    }

    /// Takes log-mel values as they come from a stream, (frames, bands), not scaled.
    pub fn push(&mut self, frames: &[f32]) {
        for frame in frames.chunks_exact(self.bands) {
            for (energy, group) in self.energies.iter_mut().zip(&self.groups) {
                let bands = frame.get(group.clone()).unwrap_or_default();
                *energy += bands.iter().map(|x| 10f32.powf(*x)).sum::<f32>() / bands.len().max(1) as f32;
            }
            self.filled += 1;
            if self.filled == STEP {
                self.step();
            }
        }
    }

    /// Stretches of frames in which somebody speaks, in order.
    pub fn finish(mut self) -> Vec<Range<usize>> {
        while self.next < self.blocks.len() {
            self.judge(true);
        }
        self.stretches.close();
        self.stretches.found
    }

    fn step(&mut self) {
        let levels = self.energies.map(|energy| (energy / STEP as f32).max(1e-10).log10());
        (self.energies, self.filled) = ([0.; GROUPS], 0);
        if self.blocks.back().is_none_or(|block| block.steps.len() == BLOCK) {
            if self.blocks.len() > self.next + REACH {
                self.judge(false);
            }
            self.blocks.push_back(Block {
                steps: Vec::with_capacity(BLOCK),
                quietest: [f32::INFINITY; GROUPS],
                loudest: f32::NEG_INFINITY,
            });
        }
        if let Some(block) = self.blocks.back_mut() {
            block.steps.push(levels);
            for (quietest, level) in block.quietest.iter_mut().zip(levels) {
                *quietest = quietest.min(level);
                block.loudest = block.loudest.max(level);
            }
        }
    }

    /// Judges the steps of a block by the blocks around it; `ended` says that no more follow.
    fn judge(&mut self, ended: bool) {
        let mut floor = [f32::INFINITY; GROUPS];
        let mut loudest = f32::NEG_INFINITY;
        for block in &self.blocks {
            floor.iter_mut().zip(block.quietest).for_each(|(floor, level)| *floor = floor.min(level));
            loudest = loudest.max(block.loudest);
        }
        if ended && self.blocks.len() <= WORD.0 {
            floor.iter_mut().for_each(|floor| *floor = floor.min(loudest - WORD.1));
        }
        let least = (loudest - DEEPEST).max(FAINTEST);
        floor.iter_mut().for_each(|floor| *floor = floor.max(least));
        if let Some(block) = self.blocks.get(self.next) {
            for levels in &block.steps {
                self.stretches.add(levels, &floor);
            }
        }
        self.next += 1;
        if self.next > REACH {
            self.blocks.pop_front();
            self.next -= 1;
        }
    }
}

/// Steps that stand out, joined.
#[derive(Default)]
struct Stretches {
    /// The number of the next step.
    at: usize,
    open: Option<Stretch>,
    found: Vec<Range<usize>>,
}

/// A stretch that may still go on.
struct Stretch {
    first: usize,
    /// The last step that stood out.
    last: usize,
    /// Steps that stood out clearly.
    clear: usize,
    /// How loud its steps are, but for the first and the last, which may hold little of it.
    inner: Moments,
    /// Those since, which do not count before it goes on.
    pending: Moments,
}

/// Number, sum and sum of squares.
#[derive(Default, Clone, Copy)]
struct Moments(usize, f64, f64);

impl Moments {
    fn add(&mut self, x: f64) {
        *self = Self(self.0 + 1, self.1 + x, self.2 + x * x);
    }

    fn join(&mut self, other: &mut Self) {
        let Self(count, sum, squares) = std::mem::take(other);
        *self = Self(self.0 + count, self.1 + sum, self.2 + squares);
    }

    fn deviation(self) -> f64 {
        let Self(count, sum, squares) = self;
        let count = count.max(1) as f64;
        (squares / count - (sum / count).powi(2)).max(0.).sqrt()
    }
}

impl Stretches {
    fn add(&mut self, levels: &Levels, floor: &Levels) {
        let above = |(margin, groups): (f32, usize)| {
            levels.iter().zip(floor).filter(|(level, floor)| **level > **floor + margin).count() >= groups
        };
        let (begins, lasts) = (above(BEGINS), above(LASTS));
        // a mean of logarithms, so that no group drowns the others
        let loudness =
            levels.iter().zip(floor).map(|(level, floor)| f64::from(level.max(*floor))).sum::<f64>()
                / GROUPS as f64;
        match &mut self.open {
            None if begins => {
                self.open = Some(Stretch {
                    first: self.at,
                    last: self.at,
                    clear: 1,
                    inner: Moments::default(),
                    pending: Moments::default(),
                });
            }
            None => {}
            Some(stretch) => {
                if lasts {
                    stretch.last = self.at;
                    stretch.clear += usize::from(begins);
                    stretch.inner.join(&mut stretch.pending);
                }
                stretch.pending.add(loudness);
                if self.at - stretch.last > GAP {
                    self.close();
                }
            }
        }
        self.at += 1;
    }

    fn close(&mut self) {
        let Some(stretch) = self.open.take() else { return };
        let (steps, deviation) = (stretch.inner.0, stretch.inner.deviation());
        let still = MOVES.iter().any(|(count, least)| steps >= *count && deviation < *least);
        if stretch.clear >= SHORTEST && !still {
            self.found.push(stretch.first * STEP..(stretch.last + 1) * STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use models::features::log_mel::LogMel;
    use models::random::Generator;

    use super::*;

    const SECOND: usize = 16_000;

    fn found(samples: &[f32]) -> Vec<Range<usize>> {
        let mut stream = LogMel::new(80).unwrap().stream();
        let mut detector = Detector::new(80);
        for block in samples.chunks(5_000) {
            detector.push(&stream.push(block));
        }
        detector.finish()
    }

    fn noise(seconds: usize, level: f32, seed: u64) -> Vec<f32> {
        let mut generator = Generator::new(seed);
        (0..seconds * SECOND).map(|_| level * 3f32.sqrt() * (2. * generator.uniform() - 1.)).collect()
    }

    fn tone(seconds: usize, hertz: f32) -> Vec<f32> {
        let angle = |i: usize| (i as f32 * hertz / SECOND as f32).fract() * std::f32::consts::TAU;
        (0..seconds * SECOND).map(|i| 0.3 * angle(i).sin()).collect()
    }

    /// Syllables, four a second, of a noise whose spectrum falls as speech's does.
    fn speech_like(seconds: usize, level: f32, seed: u64) -> Vec<f32> {
        let (mut low, mut samples) = (0., noise(seconds, level, seed));
        for (i, sample) in samples.iter_mut().enumerate() {
            low += 0.3 * (*sample - low);
            let syllable = (i as f32 / SECOND as f32 * 4. * std::f32::consts::PI).sin();
            *sample = low * syllable * syllable;
        }
        samples
    }

    fn add(to: &mut [f32], what: &[f32], second: usize) {
        to[second * SECOND..].iter_mut().zip(what).for_each(|(to, what)| *to += what);
    }

    /// Frames that are found, within and without a stretch of seconds.
    fn shares(found: &[Range<usize>], speech: Range<usize>) -> (usize, usize) {
        let speech = speech.start * 100..speech.end * 100;
        let all: usize = found.iter().map(ExactSizeIterator::len).sum();
        let within =
            |span: &Range<usize>| span.end.min(speech.end).saturating_sub(span.start.max(speech.start));
        let within: usize = found.iter().map(within).sum();
        (within, all - within)
    }

    #[track_caller]
    fn nobody(samples: &[f32], what: &str) {
        let found = found(samples);
        assert!(found.is_empty(), "{what}: {found:?}");
    }

    #[test]
    fn nobody_speaks_in_silence_noise_hum_and_tones() {
        nobody(&vec![0.; 20 * SECOND], "silence");
        for (seed, level) in [(1, 0.00005), (2, 0.001), (3, 0.03), (4, 0.3)] {
            nobody(&noise(30, level, seed), &format!("noise of {level}"));
        }
        for hertz in [60., 440., 1000., 3000.] {
            nobody(&tone(10, hertz), &format!("a tone of {hertz} Hz"));
        }
        // such that begin and end
        for what in [tone(3, 440.), noise(3, 0.1, 5)] {
            let mut samples = noise(20, 0.0003, 6);
            add(&mut samples, &what, 10);
            nobody(&samples, "a part");
        }
    }

    #[test]
    fn what_moves_like_speech_is_found_where_it_is() {
        for (seed, level, floor) in [(1, 0.1, 0.), (2, 0.1, 0.001), (3, 0.005, 0.0001), (4, 0.3, 0.02)] {
            let mut samples = noise(40, floor, seed);
            add(&mut samples, &speech_like(5, level, seed + 10), 20);
            let (within, without) = shares(&found(&samples), 20..25);
            assert!(within > 400 && without < 30, "{level} over {floor}: {within} {without}");
        }
    }

    #[test]
    fn a_word_that_was_cut_out_is_found_and_a_piece_of_noise_is_not() {
        let syllable = &speech_like(1, 0.1, 1)[600..3_600];
        assert_eq!(found(syllable).len(), 1);
        nobody(&noise(1, 0.1, 2), "noise");
        nobody(&tone(1, 700.), "a tone");
    }

    #[test]
    fn pauses_part_what_is_said() {
        let mut samples = noise(12, 0.0005, 1);
        add(&mut samples, &speech_like(2, 0.1, 2), 3);
        add(&mut samples, &speech_like(3, 0.1, 3), 6);
        let found = found(&samples);
        assert!(!found.iter().any(|span| span.start < 540 && span.end > 560), "{found:?}");
        assert!(shares(&found, 3..5).0 > 150 && shares(&found, 6..9).0 > 230, "{found:?}");
        assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start));
    }

    #[test]
    fn it_does_not_matter_how_frames_are_cut() {
        let mut samples = noise(30, 0.0005, 1);
        add(&mut samples, &speech_like(4, 0.1, 2), 12);
        let frames = LogMel::new(80).unwrap().stream().push(&samples);
        let cut = |size: usize| {
            let mut detector = Detector::new(80);
            frames.chunks(size * 80).for_each(|frames| detector.push(frames));
            assert!(detector.blocks.len() <= 2 * REACH + 1);
            detector.finish()
        };
        assert_eq!(cut(1), cut(frames.len()));
        assert_eq!(cut(1), cut(333));
        assert!(!cut(1).is_empty());
    }

    #[test]
    fn other_numbers_of_bands_are_heard_too() {
        for bands in [8, 40, 128] {
            let mut samples = noise(20, 0.0005, 1);
            add(&mut samples, &speech_like(4, 0.1, 2), 12);
            let mut stream = LogMel::new(bands).unwrap().stream();
            let mut detector = Detector::new(bands);
            detector.push(&stream.push(&samples));
            assert!(shares(&detector.finish(), 12..16).0 > 300, "{bands}");
        }
        Detector::new(1).push(&[0.; 64]);
    }

    #[test]
    fn windows_of_nothing_are_silent() {
        let scaled = |decades: f32| (decades + 4.) / 4.;
        assert!(is_silent(&[scaled(-10.); 100]) && is_silent(&[scaled(-6.9); 100]));
        // 16 bits with their last one dithered
        assert!(is_silent(&[scaled(-9.), scaled(-8.2), scaled(-7.9)]));
        assert!(!is_silent(&[scaled(-9.), scaled(-4.)]));
        assert!(is_silent(&[]));
    }
}
