//! Where windows begin and end when it is known where somebody speaks: none without speech, none that begins in silence,
//! and cuts at pauses.

use std::ops::Range;

use crate::segment::Window;

/// Frames of silence that are kept beside speech: its softest sounds are not found.
const PADDING: usize = 30;
/// A pause of so many frames ends a window: in silences words are made up.
const PAUSE: usize = 300;
/// What is left of a stretch after the last word that was told, and is shorter, is no speech of its own.
const REST: usize = 20;

/// The windows of a sound.
#[derive(Debug, Clone)]
pub struct Plan {
    speech: Vec<Range<usize>>,
    /// Frames of a whole window.
    frames: usize,
    /// Frames of the sound.
    count: usize,
}

impl Plan {
    /// For stretches of speech in order, windows of so many frames, and a sound of so many.
    pub fn new(speech: &[Range<usize>], frames: usize, count: usize) -> Self {
        let within = |span: &Range<usize>| span.start.min(count)..span.end.min(count);
        let speech = speech.iter().map(within).filter(|span| !span.is_empty()).collect();
        Self { speech, frames, count }
    }

    /// The next window from a frame on, and whether it is cut off within speech.
    pub fn window(&self, from: usize) -> Option<(Window, bool)> {
        let over = |span: &Range<usize>| span.end <= from || (span.start < from && span.end - from < REST);
        let first = self.speech.partition_point(over);
        let seek = self.padded(first)?.start.max(from);
        let full = seek + self.frames;
        // ends that are possible, and the pauses there
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let mut end = None;
        for place in first..self.speech.len() {
            let span = &self.speech[place];
            if span.end > full {
                end = Some(longest(&ends, seek + self.frames / 2).map_or((full, true), |end| (end, false)));
                break;
            }
            let pause = self.speech.get(place + 1).map_or(usize::MAX, |next| next.start - span.end);
            let last = self.padded(place)?.end.min(full);
            if pause >= PAUSE {
                end = Some((last, false));
                break;
            }
            ends.push((last, pause));
        }
        let (end, within) = end?;
        Some((Window { seek, size: end.min(self.count) - seek }, within))
    }

    /// A stretch with the silence beside it.
    fn padded(&self, place: usize) -> Option<Range<usize>> {
        let span = self.speech.get(place)?;
        let before = match place {
            0 => span.start,
            _ => (span.start - self.speech[place - 1].end) / 2,
        };
        let after = match self.speech.get(place + 1) {
            None => self.count - span.end,
            Some(next) => (next.start - span.end) / 2,
        };
        Some(span.start - before.min(PADDING)..span.end + after.min(PADDING))
    }
}

/// The end at the longest pause after some frame, or where there is none, at the longest of all.
fn longest(ends: &[(usize, usize)], half: usize) -> Option<usize> {
    let later = ends.iter().filter(|(end, _)| *end >= half).max_by_key(|(_, pause)| *pause);
    later.or_else(|| ends.iter().max_by_key(|(_, pause)| *pause)).map(|(end, _)| *end)
}

/// The quietest place in the last third of a window of log-mel values (bands, frames): where nobody pauses, a cut there
/// hurts least.
pub fn quietest(mel: &[f32], frames: usize) -> usize {
    /// Frames that are looked at together.
    const WIDTH: usize = 8;
    let first = frames - frames / 3;
    let level = |frame: usize| {
        (frame..frame + WIDTH).map(|frame| mel.iter().skip(frame).step_by(frames).sum::<f32>()).sum::<f32>()
    };
    let places = first..frames.saturating_sub(WIDTH);
    let best = places.map(|frame| (level(frame), frame)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(frames, |(_, frame)| frame + WIDTH / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All windows of a sound of 10000 frames, as (first, end, cut off), of 1000 frames each.
    fn windows(speech: &[Range<usize>]) -> Vec<(usize, usize, bool)> {
        let plan = Plan::new(speech, 1000, 10_000);
        let (mut all, mut seek) = (Vec::new(), 0);
        while let Some((window, within)) = plan.window(seek) {
            assert!(window.size > 0 && window.size <= 1000 && window.seek >= seek);
            seek = window.seek + window.size;
            all.push((window.seek, seek, within));
        }
        all
    }

    #[test]
    fn silence_is_in_no_window() {
        assert_eq!(windows(&[]), []);
        assert_eq!(windows(std::slice::from_ref(&(5000..5200))), [(4970, 5230, false)]);
        assert_eq!(windows(&[0..200, 9990..10_050]), [(0, 230, false), (9960, 10_000, false)]);
    }

    #[test]
    fn windows_end_at_pauses() {
        // a long pause ends one that is not full
        assert_eq!(windows(&[100..200, 600..700]), [(70, 230, false), (570, 730, false)]);
        assert_eq!(windows(&[100..200, 400..500]), [(70, 530, false)]);
        // a full one ends at the longest pause of its later half
        let speech = [0..300, 400..600, 640..700, 730..900, 920..1100];
        assert_eq!(windows(&speech), [(0, 620, false), (620, 1130, false)]);
        // or of the earlier
        assert_eq!(windows(&[0..100, 150..1100]), [(0, 125, false), (125, 1125, false)]);
    }

    #[test]
    fn speech_without_a_pause_is_cut_when_the_window_is_full() {
        assert_eq!(windows(std::slice::from_ref(&(0..1500))), [(0, 1000, true), (1000, 1530, false)]);
    }

    #[test]
    fn a_rest_is_no_speech_and_a_short_word_is() {
        let plan = Plan::new(&[100..300, 500..512], 1000, 10_000);
        assert_eq!(plan.window(290).map(|(window, _)| window.seek), Some(470));
        assert_eq!(plan.window(270).map(|(window, _)| window.seek), Some(270));
        assert_eq!(plan.window(500).map(|(window, _)| window.seek), Some(500));
        assert_eq!(plan.window(512).map(|(window, _)| window.seek), None);
    }

    #[test]
    fn the_quietest_place_is_found() {
        let mel: Vec<f32> =
            (0..200).map(|i| if (80..90).contains(&(i % 100)) || i % 100 < 30 { -1. } else { 0.5 }).collect();
        assert!((83..=87).contains(&quietest(&mel, 100)));
        assert_eq!(quietest(&[0.; 4], 2), 2);
    }
}
