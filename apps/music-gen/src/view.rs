//! A piece as the net is shown it: the tokens that it has to see, each with what it is told, in windows.

use crate::encode::Encoded;
use crate::grammar::{Grammar, moved, moved_pitch};
use crate::vocabulary::{SIZE, Token};

/// A token as the net is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The token.
    pub token: Token,
    /// Whether the grammar left a choice where it stands: what a net can learn from and be judged by.
    pub chosen: bool,
    /// [`Grammar::context`] before it: what the net is told when it is to foretell this token.
    pub context: Vec<u32>,
}

impl Shown {
    /// A token of a header that stands before a later bar: nothing is told and nothing asked.
    fn given(token: Token) -> Shown {
        Shown { token, chosen: false, context: Vec::new() }
    }

    /// The token and what is told with all pitches so many semitones higher.
    pub fn moved(self, semitones: i32) -> Shown {
        let token = match self.token {
            Token::Pitch(pitch) => Token::Pitch(moved_pitch(pitch, semitones)),
            other => other,
        };
        let context = self.context.into_iter().map(|fact| moved(fact, semitones)).collect();
        Shown { token, context, ..self }
    }
}

/// What the net is shown of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The header's tokens.
    pub header: Vec<Shown>,
    /// The tokens of each bar.
    pub bars: Vec<Vec<Shown>>,
}

impl View {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.header.len() + self.bars.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first bar from which all to the end fits into so many tokens, the header's included; the last one where
    /// none does.
    pub fn ending(&self, tokens: usize) -> usize {
        let mut left = tokens.saturating_sub(self.header.len());
        let fits = |bar: &&Vec<Shown>| {
            let fits = bar.len() <= left;
            left = left.saturating_sub(bar.len());
            fits
        };
        let bars = self.bars.iter().rev().take_while(fits).count();
        self.bars.len() - bars.max(1).min(self.bars.len())
    }

    /// At most so many tokens from a bar on, after the header of `piece`, which this is a view of.
    pub fn window(&self, piece: &Encoded, first: usize, most: usize) -> Vec<Shown> {
        let header = if first == 0 { self.header.clone() } else { piece.header_at(first) };
        header.into_iter().chain(self.bars.iter().skip(first).flatten().cloned()).take(most).collect()
    }
}

impl Encoded {
    /// For each token whether the grammar leaves a choice where it stands. The same in every transposition.
    pub fn choices(&self) -> Vec<bool> {
        self.allowed().into_iter().map(|allowed| allowed.is_some()).collect()
    }

    /// For each token the numbers of those that the grammar allows there, in any range; `None` where that
    /// leaves no choice.
    pub fn allowed(&self) -> Vec<Option<Vec<u32>>> {
        let mut grammar = Grammar::new(&[]);
        let mut choices = Vec::with_capacity(self.len());
        for token in self.tokens() {
            let allows = |id: &u32| Token::from_id(*id).is_some_and(|token| grammar.allows(token));
            let allowed: Vec<u32> = (0..SIZE as u32).filter(allows).collect();
            choices.push((allowed.len() > 1).then_some(allowed));
            if grammar.push(token).is_err() {
                break;
            }
        }
        choices
    }

    /// The piece as the net is shown it. `choices` are [`Encoded::choices`] of the piece.
    pub fn view(&self, choices: &[bool]) -> View {
        let mut grammar = Grammar::new(&[]);
        let mut choices = choices.iter().copied();
        let mut show = |tokens: &[Token]| -> Vec<Shown> {
            let mut shown = Vec::with_capacity(tokens.len());
            for &token in tokens {
                let chosen = choices.next().unwrap_or(false);
                if grammar.shows(token) {
                    shown.push(Shown { token, chosen, context: grammar.context() });
                }
                if grammar.push(token).is_err() {
                    break;
                }
            }
            shown
        };
        View { header: show(&self.header), bars: self.bars.iter().map(|bar| show(bar)).collect() }
    }

    /// The header as it stands before a window that begins at a bar after the first: `Middle` for `Begin`,
    /// without the mark of an incomplete first bar, and with the metre that holds there. The key
    /// stays the first one, since the pitches are written from it.
    pub fn header_at(&self, first: usize) -> Vec<Shown> {
        let before = self.bars[..first.min(self.bars.len())].iter().flatten();
        let metre = before.rev().find(|token| matches!(token, Token::Metre(..)));
        let at = |token: &Token| match token {
            Token::Begin => Some(Token::Middle),
            Token::Pickup => None,
            Token::Metre(..) => Some(*metre.unwrap_or(token)),
            other => Some(*other),
        };
        self.header.iter().filter_map(at).map(Shown::given).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use media::score::{Note, Part, Score};

    /// Four voices in quarters, of so many 4/4 bars.
    fn hymn(bars: u32) -> Encoded {
        let voice = |pitch: u8| Part {
            notes: (0..4 * bars)
                .map(|index| Note {
                    start: 24 * index,
                    length: 24,
                    pitch: pitch + (index % 3) as u8,
                    velocity: 80,
                })
                .collect(),
            ..Part::default()
        };
        let parts = [72, 65, 58, 48].map(voice).to_vec();
        encode(&Score { ticks_per_quarter: 24, parts, ..Score::default() }, 0, 0).unwrap()
    }

    #[test]
    fn windows_begin_with_a_header_and_hold_whole_pieces_where_they_can() {
        let piece = hymn(4);
        let view = piece.view(&piece.choices());
        // its count, two sections, the upper voice's pitches and lengths, three positions and what three voices do
        assert_eq!(view.bars[1].len(), 3 + 4 * 2 + 3 + 4 * 3);
        assert_eq!(view.ending(view.len()), 0);
        // where a window begins there, it ends with the piece
        let two = view.header.len() + view.bars[2].len() + view.bars[3].len();
        assert_eq!(
            (view.ending(two), view.ending(two + 1), view.ending(two - 1), view.ending(0)),
            (2, 2, 3, 3)
        );
        assert_eq!(view.window(&piece, 2, two + 1).last(), view.bars[3].last());
        let whole = view.window(&piece, 0, usize::MAX);
        assert_eq!((whole.len(), whole[0].token), (view.len(), Token::Begin));
        let later = view.window(&piece, 2, 60);
        assert_eq!((later.len(), later[0].token), (60, Token::Middle));
        let header = later.iter().position(|shown| shown.token == Token::BarsLeft(1)).unwrap();
        assert!(later[..header].iter().all(|shown| !shown.chosen && shown.context.is_empty()));
        // what is told does not depend on where the window begins
        assert_eq!(
            later[header..],
            whole[whole.len() - view.bars[2].len() - view.bars[3].len()..][..60 - header]
        );
    }

    #[test]
    fn what_is_not_shown_is_never_a_choice() {
        let piece = hymn(3);
        let choices = piece.choices();
        let view = piece.view(&choices);
        let chosen =
            view.header.iter().chain(view.bars.iter().flatten()).filter(|shown| shown.chosen).count();
        assert_eq!(chosen, choices.iter().filter(|choice| **choice).count());
    }
}
