//! The grammar alone: whatever is drawn under it is a valid piece, and reads back as the same tokens.

use media::score::{Note, Part};
use music_gen::encode::encode;
use music_gen::grammar::{Grammar, Range};
use music_gen::vocabulary::{self, Token, bar_length};
use training::Rng;

const RANGES: [Range; 4] = [
    Range { low: 60, high: 81 },
    Range { low: 52, high: 74 },
    Range { low: 46, high: 69 },
    Range { low: 36, high: 66 },
];

/// A piece of uniform draws from what the grammar allows.
fn random_piece(rng: &mut Rng, voices: bool, bars: u8) -> Grammar {
    let mut grammar = Grammar::new(&RANGES);
    let header = [Token::Begin, Token::Style(0), Token::Key(7, true), Token::Metre(3, 4), Token::Tempo(8)];
    for token in header {
        grammar.push(token).unwrap();
    }
    for part in 0..4 {
        grammar.push(Token::Part(part)).unwrap();
        grammar.push(Token::Program(52)).unwrap();
    }
    if voices {
        grammar.push(Token::Voices).unwrap();
    }
    if rng.below(2) == 0 {
        grammar.push(Token::Pickup).unwrap();
    }
    grammar.push(Token::BarsLeft(bars - 1)).unwrap();
    let mut steps = 0;
    while !grammar.finished() {
        let choices: Vec<Token> = (0..vocabulary::SIZE as u32)
            .filter_map(Token::from_id)
            .filter(|token| grammar.allows(*token))
            .filter(|token| !matches!(token, Token::Metre(..) | Token::Key(..)))
            .collect();
        assert!(!choices.is_empty(), "nothing may follow after {steps} steps");
        grammar.push(choices[rng.below(choices.len())]).unwrap();
        steps += 1;
        assert!(steps < 100_000, "the piece does not end");
    }
    grammar
}

fn overlaps(part: &Part) -> bool {
    part.notes.iter().enumerate().any(|(index, note)| {
        part.notes[index + 1..].iter().any(|later| later.pitch == note.pitch && later.start < note.end())
    })
}

#[test]
fn random_pieces_are_valid() {
    let mut rng = Rng::new(1);
    for number in 0..300 {
        let (voices, bars) = (number % 2 == 0, 1 + rng.below(5) as u8);
        let grammar = random_piece(&mut rng, voices, bars);
        let score = grammar.score(&[]);
        let whole = bar_length(media::score::Metre { numerator: 3, denominator: 4 });
        assert!(score.end() <= whole * bars as u32, "the piece is longer than its bars");
        for (part, range) in score.parts.iter().zip(RANGES) {
            assert!(part.notes.iter().all(|note| range.contains(note.pitch)));
            assert!(!overlaps(part), "piece {number}: a pitch is struck while it sounds");
            if voices {
                assert!(part.notes.windows(2).all(|pair| pair[0].end() <= pair[1].start));
            }
        }
    }
}

#[test]
fn pieces_read_back_as_their_tokens() {
    let mut rng = Rng::new(2);
    for number in 0..200 {
        let grammar = random_piece(&mut rng, number % 2 == 0, 3);
        let score = grammar.score(&[]);
        if score.parts.iter().any(|part| part.notes.is_empty()) {
            continue;
        }
        let encoded = encode(&score, 0, 0).unwrap();
        let mut again = Grammar::new(&RANGES);
        for token in encoded.tokens() {
            again.push(token).unwrap();
        }
        assert!(again.finished());
        let read = again.score(&[]);
        assert_eq!(encode(&read, 0, 0).unwrap(), encoded, "piece {number}");
        // A hair's overlap in a single line of free parts is read as legato, and silence of less than a
        // thirty-second in a lower voice as none; all else comes back as it was.
        let notes = |score: &media::score::Score| -> Vec<Vec<Note>> {
            score.parts.iter().map(|part| without_hairs(&part.notes)).collect()
        };
        if number % 2 == 0 {
            assert_eq!(notes(&read), notes(&score), "piece {number}");
        }
    }
}

fn without_hairs(notes: &[Note]) -> Vec<Note> {
    let filled = |(index, note): (usize, &Note)| {
        let next = notes.get(index + 1).map(|next| next.start).filter(|start| *start < note.end() + 3);
        Note { length: next.unwrap_or(note.end()) - note.start, ..*note }
    };
    notes.iter().enumerate().map(filled).collect()
}

#[test]
fn transposing_moves_pitches_and_key_and_comes_back() {
    let mut rng = Rng::new(3);
    let score = random_piece(&mut rng, true, 4).score(&[]);
    let encoded = encode(&score, 0, 0).unwrap();
    let up = encoded.transposed(3);
    assert_ne!(up, encoded);
    assert_eq!(up.transposed(-3), encoded);
    assert_eq!(up.header[2], Token::Key(10, true));
    for shift in encoded.transposable(&RANGES) {
        let moved = encoded.transposed(shift);
        let fits = moved.extremes().iter().zip(RANGES).all(|(extreme, range)| {
            extreme.is_none_or(|extreme| range.contains(extreme.low) && range.contains(extreme.high))
        });
        assert!(fits, "{shift} leaves a range");
    }
}

#[test]
fn misplaced_tokens_are_refused_and_change_nothing() {
    let mut grammar = Grammar::new(&RANGES);
    let error = grammar.push(Token::Pitch(60)).unwrap_err();
    assert_eq!(error.to_string(), "token Pitch(60) may not stand at place 0");
    grammar.push(Token::Begin).unwrap();
    assert!(grammar.push(Token::Begin).is_err());
}
