//! What is played when: the notes of a score in frames, with the gaps that let a repeated note speak again.

use media::score::Score;

use super::{Clock, RATE, SoundError};

/// Longest piece, in seconds, and the most seconds of sounding notes: beyond them a file is broken or hostile.
const MAX_SECONDS: f64 = 3600.0;
const MAX_SOUNDING: f64 = 150_000.0;
/// Seconds that a synthesised note keeps free before the next of its pitch.
pub(super) const GAP: f64 = 0.075;

/// One note to sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Played {
    /// First frame.
    pub start: usize,
    /// Frames until the key is let go, at least 1.
    pub hold: usize,
    /// MIDI note number.
    pub pitch: u8,
    /// MIDI velocity.
    pub velocity: u8,
    /// Index of the part in the score.
    pub part: usize,
}

/// The notes of `score` sorted by (start, part, pitch). A note ends `gap` seconds before the next of its pitch in
/// its part begins, or less where they follow quickly.
pub(super) fn played(score: &Score, gap: f64) -> Result<Vec<Played>, SoundError> {
    let clock = Clock::new(score);
    let seconds = clock.seconds(score.end());
    if seconds > MAX_SECONDS {
        return Err(SoundError::TooLong { seconds, limit: MAX_SECONDS });
    }
    let mut all = Vec::with_capacity(score.parts.iter().map(|part| part.notes.len()).sum());
    let mut sounding = 0.0;
    for (part, notes) in score.parts.iter().map(|part| &part.notes).enumerate() {
        // from the last to the first, so that the next note of a pitch is known
        let mut next = [f64::INFINITY; 128];
        let mut order: Vec<_> = notes.iter().collect();
        order.sort_by_key(|note| note.start);
        for note in order.into_iter().rev() {
            let (start, end) = (clock.seconds(note.start), clock.seconds(note.end()));
            let pitch = note.pitch.min(127);
            let free = next[usize::from(pitch)];
            next[usize::from(pitch)] = start;
            let gap = gap.min(0.3 * (free - start));
            let hold = if end > free - gap { free - gap - start } else { end - start };
            sounding += hold;
            all.push(Played {
                start: (start * RATE as f64).round() as usize,
                hold: ((hold * RATE as f64).round() as usize).max(1),
                pitch,
                velocity: note.velocity.clamp(1, 127),
                part,
            });
        }
    }
    if sounding > MAX_SOUNDING {
        return Err(SoundError::TooDense { seconds: sounding, limit: MAX_SOUNDING });
    }
    all.sort_by_key(|note| (note.start, note.part, note.pitch, note.hold));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::score::{Note, Part};

    fn check(notes: &[(u32, u32, u8)], expected: &[(f64, f64)]) {
        let note = |&(start, length, pitch)| Note { start, pitch, length, velocity: 80 };
        let part = Part { notes: notes.iter().map(note).collect(), ..Part::default() };
        // two ticks a second
        let score = Score { ticks_per_quarter: 1, parts: vec![part], ..Score::default() };
        let frames = |seconds: f64| (seconds * RATE as f64).round() as usize;
        let found: Vec<_> = played(&score, GAP).unwrap().into_iter().map(|p| (p.start, p.hold)).collect();
        let expected: Vec<_> = expected.iter().map(|e| (frames(e.0), frames(e.1))).collect();
        assert_eq!(found, expected, "{notes:?}");
    }

    #[test]
    fn a_repeated_pitch_gets_a_gap() {
        check(&[(0, 2, 60), (2, 2, 62)], &[(0.0, 1.0), (1.0, 1.0)]);
        check(&[(0, 2, 60), (2, 2, 60)], &[(0.0, 0.925), (1.0, 1.0)]);
        check(&[(0, 2, 60), (4, 2, 60)], &[(0.0, 1.0), (2.0, 1.0)]);
    }

    #[test]
    fn an_overlap_is_cut() {
        check(&[(0, 8, 60), (2, 2, 60)], &[(0.0, 0.925), (1.0, 1.0)]);
        check(&[(0, 2, 60), (0, 2, 60)], &[(0.0, 1.0 / RATE as f64), (0.0, 1.0)]);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let notes = |length| vec![Note { start: 0, pitch: 60, length, velocity: 80 }];
        let part = |length| Part { notes: notes(length), ..Part::default() };
        let score = |parts| Score { ticks_per_quarter: 1, parts, ..Score::default() };
        let error = played(&score(vec![part(u32::MAX)]), GAP).unwrap_err().to_string();
        assert_eq!(error, "the piece lasts 2147483648 s, more than the 3600 s that can be rendered; cut it");
        let error = played(&score(vec![part(7000); 60]), GAP).unwrap_err().to_string();
        assert!(error.starts_with("the notes sound for 210000 s"), "{error}");
    }
}
