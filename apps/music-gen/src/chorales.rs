//! The piano-roll JSON in which the JSB chorales are published: `{"train": [piece...], "valid": [...]}`,
//! a piece being sixteenths of `[soprano, alto, tenor, bass]`, MIDI note numbers or -1 for silence
//! (Boulanger-Lewandowski et al. 2012, <https://github.com/czhuang/JSB-Chorales-dataset>).
//!
//! The format holds no key, metre, bar line or tempo, and does not tell a repeated note from a held one:
//! equal pitches in a row are read as one note, key and metre are estimated.

use std::collections::BTreeMap;

use media::score::{Change, Note, Part, Score};

use crate::analysis::{estimate_key, estimate_metre};

/// Steps in a quarter note.
const STEPS: u32 = 4;
const NAMES: [&str; 4] = ["Soprano", "Alto", "Tenor", "Bass"];
/// General MIDI's "Choir Aahs".
const CHOIR: u8 = 52;
/// An unhurried tempo for a hymn; the data has none.
const TEMPO: f64 = 76.0;

/// Reads the splits and their pieces.
///
/// # Errors
/// Text that is not JSON of this form, in one line.
pub fn read(text: &str) -> Result<BTreeMap<String, Vec<Score>>, String> {
    let splits: BTreeMap<String, Vec<Vec<Vec<i32>>>> =
        serde_json::from_str(text).map_err(|error| format!("not a piano-roll JSON of chorales: {error}"))?;
    splits
        .into_iter()
        .map(|(name, pieces)| {
            let scores = pieces.iter().enumerate().map(|(index, piece)| {
                score(piece).map_err(|error| format!("{name} piece {}: {error}", index + 1))
            });
            Ok((name.clone(), scores.collect::<Result<Vec<_>, String>>()?))
        })
        .collect()
}

fn score(piece: &[Vec<i32>]) -> Result<Score, String> {
    let mut parts: Vec<Part> = NAMES
        .iter()
        .map(|name| Part { name: name.to_string(), program: CHOIR, percussion: false, notes: Vec::new() })
        .collect();
    for (step, chord) in piece.iter().enumerate() {
        let [_, _, _, _] = chord[..] else {
            return Err(format!("step {} has {} voices where 4 are due", step + 1, chord.len()));
        };
        let start = step as u32;
        for (part, &pitch) in parts.iter_mut().zip(chord) {
            match (u8::try_from(pitch).ok().filter(|pitch| *pitch < 128), part.notes.last_mut()) {
                (None, _) if pitch == -1 => {}
                (None, _) => return Err(format!("step {} has the pitch {pitch}", step + 1)),
                (Some(pitch), Some(note)) if note.pitch == pitch && note.end() == start => note.length += 1,
                (Some(pitch), _) => part.notes.push(Note { start, pitch, length: 1, velocity: 80 }),
            }
        }
    }
    let mut score = Score {
        ticks_per_quarter: STEPS,
        parts,
        tempos: vec![Change { start: 0, value: TEMPO }],
        ..Score::default()
    };
    let (metre, pickup) = estimate_metre(&score);
    score.pickup = pickup;
    score.keys = vec![Change { start: 0, value: estimate_key(&score) }];
    score.metres = vec![Change { start: 0, value: metre }];
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pitches_in_a_row_are_one_note_and_silence_is_none() {
        let text = r#"{"valid": [[[72, 67, 64, 48], [72, 67, -1, 48], [74, 67, 64, 48], [74, 67, 64, 48]]]}"#;
        let splits = read(text).unwrap();
        let parts = &splits["valid"][0].parts;
        let notes: Vec<Vec<(u32, u8, u32)>> =
            parts.iter().map(|p| p.notes.iter().map(|n| (n.start, n.pitch, n.length)).collect()).collect();
        assert_eq!(notes[0], [(0, 72, 2), (2, 74, 2)]);
        assert_eq!(notes[2], [(0, 64, 1), (2, 64, 2)]);
        assert_eq!(notes[3], [(0, 48, 4)]);
    }

    #[test]
    fn bad_steps_are_named() {
        for (text, expected) in [
            (r#"{"train": [[[1, 2, 3]]]}"#, "train piece 1: step 1 has 3 voices where 4 are due"),
            (r#"{"train": [[[1, 2, 3, 400]]]}"#, "train piece 1: step 1 has the pitch 400"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        assert!(read("[]").unwrap_err().starts_with("not a piano-roll JSON"));
    }
}
