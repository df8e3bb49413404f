//! Against words that nobody said: silence before and after words that sound made up is skipped, as openai/whisper's
//! `hallucination_silence_threshold` has it.

use crate::segment::{Cut, Segment, Window};
use crate::words::Word;

/// Marks that are no words.
const PUNCTUATION: &str = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";

/// What is known around a window.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Silence longer than this is skipped, in seconds.
    pub silence: f64,
    /// The window.
    pub window: Window,
    /// Frames of a whole window.
    pub frames: usize,
    /// Frames of sound in all.
    pub count: usize,
    /// Where the last word before it ended.
    pub last_word: f64,
}

impl Guard {
    /// Takes away segments that nobody said, and says from where to go on; a frame is the answer where the window is to be
    /// decoded again from there.
    pub fn skip(self, found: &mut Cut) -> Option<usize> {
        let start = self.window.start();
        let end = (self.window.seek + self.frames) as f64 / 100.;
        let last = last_word(&found.segments).filter(|last| !found.closed && *last > start);
        if let Some(last) = last {
            found.next = match end - last > self.silence {
                true => frame(last),
                false => self.window.seek + self.window.size,
            };
        }
        if let Some(first) = spoken(&found.segments).filter(|first| sounds_made_up(first)) {
            let gap = first.start - start;
            if gap > self.silence {
                return Some(self.window.seek + frame(gap));
            }
        }
        let mut before = self.last_word;
        for place in 0..found.segments.len() {
            let segment = &found.segments[place];
            if words(segment).is_empty() {
                continue;
            }
            if sounds_made_up(segment) {
                let next = spoken(&found.segments[place + 1..]);
                let resumes =
                    next.map_or(start + self.window.size as f64 / 100., |next| words(next)[0].start);
                let silence_before = segment.start - before > self.silence
                    || segment.start < self.silence
                    || segment.start - start < 2.;
                let silence_after = resumes - segment.end > self.silence
                    || next.is_some_and(sounds_made_up)
                    || end - segment.end < 2.;
                if silence_before && silence_after {
                    found.next = frame(segment.start.max(start + 1.));
                    if self.count as f64 / 100. - segment.end < self.silence {
                        found.next = self.count;
                    }
                    found.segments.truncate(place);
                    break;
                }
            }
            before = segment.end;
        }
        None
    }
}

/// Where the last word of some segments ends; where there is none, the last segment.
pub fn last_word(segments: &[Segment]) -> Option<f64> {
    let words = segments.iter().rev().flat_map(|segment| segment.words.iter().flatten().rev());
    words.map(|word| word.end).next().or(segments.last().map(|segment| segment.end))
}

fn frame(seconds: f64) -> usize {
    (seconds * 100.).round_ties_even() as usize
}

fn words(segment: &Segment) -> &[Word] {
    segment.words.as_deref().unwrap_or_default()
}

fn spoken(segments: &[Segment]) -> Option<&Segment> {
    segments.iter().find(|segment| !words(segment).is_empty())
}

/// Whether its first words are unlikely, very short or very long.
fn sounds_made_up(segment: &Segment) -> bool {
    let words: Vec<&Word> =
        words(segment).iter().filter(|word| !PUNCTUATION.contains(&word.word)).take(8).collect();
    let score = |word: &&Word| {
        let length = word.end - word.start;
        let unlikely = if word.probability < 0.15 { 1. } else { 0. };
        unlikely + (0.133 - length).max(0.) * 15. + (length - 2.).max(0.)
    };
    let sum: f64 = words.iter().map(score).sum();
    !self::words(segment).is_empty() && (sum >= 3. || sum + 0.01 >= words.len() as f64)
}
