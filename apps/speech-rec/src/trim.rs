//! Words that end where the sound does: an alignment gives a word the silence beside it.

use crate::words::Word;

/// How far above the quiet parts of a window speech is, as a share of the way to its loud parts.
const SPEECH: f32 = 0.25;
/// A word is not made shorter than this, in seconds.
const SHORTEST: f64 = 0.06;

/// How loud each frame (10 ms) of a window is.
pub struct Loudness {
    /// Decades of energy, by frame.
    levels: Vec<f32>,
    /// From which on there is speech.
    speech: f32,
    /// Where the window begins, in seconds.
    offset: f64,
}

impl Loudness {
    /// Of scaled log-mel values (bands, frames).
    pub fn new(mel: &[f32], frames: usize, offset: f64) -> Self {
        let level = |frame: usize| {
            let energy: f32 = mel.iter().skip(frame).step_by(frames.max(1)).map(|x| 10f32.powf(4. * x)).sum();
            energy.log10()
        };
        let levels: Vec<f32> = (0..frames).map(level).collect();
        let mut sorted = levels.clone();
        sorted.sort_by(f32::total_cmp);
        let at =
            |share: f32| sorted.get((share * (frames.max(1) - 1) as f32) as usize).copied().unwrap_or(0.);
        let (quiet, loud) = (at(0.1), at(0.95));
        Self { levels, speech: quiet + SPEECH * (loud - quiet), offset }
    }

    /// Moves both ends of a word to the speech between them; a word without any stays as it is.
    pub fn trim(&self, word: &mut Word) {
        let frame = |seconds: f64| ((seconds - self.offset) * 100.).round().max(0.) as usize;
        let (start, end) = (frame(word.start), frame(word.end).min(self.levels.len()));
        let Some(levels) = self.levels.get(start..end.max(start)) else { return };
        let speaks = |level: &f32| *level >= self.speech;
        let (Some(first), Some(last)) = (levels.iter().position(speaks), levels.iter().rposition(speaks))
        else {
            return;
        };
        let seconds = |frame: usize| self.offset + (start + frame) as f64 / 100.;
        // one frame's window reaches into both of its neighbours
        let (from, to) = (seconds(first).max(word.start), seconds(last + 1).min(word.end));
        if to - from >= SHORTEST {
            (word.start, word.end) = ((from * 100.).round() / 100., (to * 100.).round() / 100.);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: f64, end: f64) -> Word {
        Word { word: " so".into(), start, end, probability: 1. }
    }

    #[test]
    fn a_word_is_cut_to_the_speech_within_it() {
        // two bands, a second: speech from 0.3 to 0.6
        let mel: Vec<f32> = (0..200).map(|i| if (30..60).contains(&(i % 100)) { 1. } else { -0.5 }).collect();
        let loudness = Loudness::new(&mel, 100, 10.);
        let trimmed = |start, end| {
            let mut word = word(start, end);
            loudness.trim(&mut word);
            (word.start, word.end)
        };
        assert_eq!(trimmed(10.1, 10.9), (10.3, 10.6));
        assert_eq!(trimmed(10.4, 10.5), (10.4, 10.5));
        assert_eq!(trimmed(10.0, 10.2), (10.0, 10.2));
        assert_eq!(trimmed(10.56, 10.8), (10.56, 10.8));
        assert_eq!(trimmed(10.4, 12.), (10.4, 10.6));
    }
}
