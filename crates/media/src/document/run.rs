//! Running text with markup in it to a segment: plain text, and marks at places of it.

use std::collections::HashMap;
use std::ops::Range;

use super::{Segment, has_letter};

/// Bytes of the source, one span after the other.
pub type Raw = Vec<Range<usize>>;

/// Markup around a part of a segment's text, or at a place of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// What it encloses; empty for what stands at one place.
    pub range: Range<usize>,
    /// What is written before.
    pub open: Raw,
    /// What is written behind.
    pub close: Raw,
    /// `open` stands in the place of the text, which must not be translated.
    pub keep: bool,
    /// White space stood behind it as well as before it.
    pub spaced: bool,
    /// The mark which this one stands in; it comes earlier.
    pub parent: Option<usize>,
}

/// What running text is made of, with its place in the source.
#[derive(Clone, Debug)]
pub struct Token {
    pub span: Range<usize>,
    pub part: Part,
}

#[derive(Clone, Debug)]
pub enum Part {
    /// Text as a reader sees it; `keep` where it must not be translated.
    Text { text: String, keep: bool },
    /// White space.
    Space,
    /// The beginning of markup; `keep` where all of it must not be translated.
    Open { name: String, keep: bool },
    /// Its end, and how that is written.
    Close { name: String, raw: Raw },
    /// Markup without text.
    Point,
}

impl Token {
    pub fn text(span: Range<usize>, text: &str) -> Self {
        Self { span, part: Part::Text { text: text.to_owned(), keep: false } }
    }

    pub fn keep(span: Range<usize>, text: &str) -> Self {
        Self { span, part: Part::Text { text: text.to_owned(), keep: true } }
    }

    pub fn open(span: Range<usize>, name: &str, keep: bool) -> Self {
        Self { span, part: Part::Open { name: name.to_owned(), keep } }
    }

    pub fn close(span: Range<usize>, name: &str) -> Self {
        let raw = vec![span.clone()];
        Self { span, part: Part::Close { name: name.to_owned(), raw } }
    }

    pub fn point(span: Range<usize>) -> Self {
        Self { span, part: Part::Point }
    }

    pub fn space(span: Range<usize>) -> Self {
        Self { span, part: Part::Space }
    }

    fn has_content(&self) -> bool {
        matches!(&self.part, Part::Text { text, .. } if !is_blank(text))
    }
}

/// White space that a browser collapses.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// The segment of running text and the span that a translation replaces; markup around all of it stays outside.
/// `None` where there is nothing to translate.
pub fn segment(tokens: Vec<Token>) -> Option<(Range<usize>, Segment)> {
    if !tokens.iter().any(Token::has_content) {
        return None;
    }
    let partners = partners(&tokens);
    let (tokens, partners) = with_keeps(tokens, &partners);
    let (first, end) = trimmed(&tokens, &partners)?;
    let mut building = Building::default();
    for at in first..end {
        // a partner that stays outside is none
        let partner = partners[at].filter(|partner| (first..end).contains(partner));
        building.token(&tokens[at], partner.is_some());
    }
    let segment = building.finish();
    let kept = segment.marks.iter().filter(|mark| mark.keep).map(|mark| mark.range.clone()).collect();
    let keeps = super::inline::united(kept, super::inline::placeholders(&segment.text));
    let said = super::inline::runs(&segment.text, &keeps);
    said.iter().any(|part| !part.keep && has_letter(&segment.text[part.range.clone()])).then(|| {
        let start = edge(&tokens[first], true);
        (start..edge(&tokens[end - 1], false), segment)
    })
}

/// Where a token's own text begins or ends in the source.
fn edge(token: &Token, start: bool) -> usize {
    let span = &token.span;
    match &token.part {
        Part::Text { text, keep: false } if text.len() == span.len() => match start {
            true => span.end - text.trim_start_matches(is_space).len(),
            false => span.start + text.trim_end_matches(is_space).len(),
        },
        _ if start => span.start,
        _ => span.end,
    }
}

/// For each opening the closing that belongs to it, and the other way round.
fn partners(tokens: &[Token]) -> Vec<Option<usize>> {
    let mut partners = vec![None; tokens.len()];
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.part {
            Part::Open { name, .. } => {
                open.push((at, name));
                *counts.entry(name).or_default() += 1;
            }
            Part::Close { name, .. } if counts.get(name.as_str()).is_some_and(|count| *count > 0) => {
                while let Some((start, found)) = open.pop() {
                    *counts.entry(found).or_default() -= 1;
                    if found == name {
                        (partners[start], partners[at]) = (Some(at), Some(start));
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    partners
}

/// The same with each kept element as one token.
fn with_keeps(tokens: Vec<Token>, partners: &[Option<usize>]) -> (Vec<Token>, Vec<Option<usize>>) {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut inside: Option<(usize, Token)> = None;
    for (at, token) in tokens.into_iter().enumerate() {
        if let Some((end, mut whole)) = inside.take() {
            if let Part::Text { text, .. } = &mut whole.part {
                match &token.part {
                    Part::Text { text: more, .. } => text.push_str(more),
                    Part::Space => text.push(' '),
                    _ => {}
                }
            }
            whole.span.end = token.span.end;
            if at == end {
                kept.push(whole)
            } else {
                inside = Some((end, whole))
            }
            continue;
        }
        match (&token.part, partners[at]) {
            (Part::Open { keep: true, .. }, Some(end)) => inside = Some((end, Token::keep(token.span, ""))),
            _ => kept.push(token),
        }
    }
    for token in &mut kept {
        if matches!(&token.part, Part::Text { text, keep: true } if is_blank(text)) {
            token.part = Part::Point;
        }
    }
    let partners = self::partners(&kept);
    (kept, partners)
}

/// The tokens that are left when those before and behind all text are taken away, but for markup whose other half is
/// among them.
fn trimmed(tokens: &[Token], partners: &[Option<usize>]) -> Option<(usize, usize)> {
    let mut first = tokens.iter().position(Token::has_content)?;
    let mut end = tokens.iter().rposition(Token::has_content)? + 1;
    // one round is enough for markup that is nested; others are kept whole
    for _ in 0..4 {
        let stays = |at: &usize| partners[*at].is_some_and(|partner| (first..end).contains(&partner));
        let new_first = (0..first).find(stays).unwrap_or(first);
        let new_end = (end..tokens.len()).rev().find(stays).map_or(end, |at| at + 1);
        if (new_first, new_end) == (first, end) {
            return Some((first, end));
        }
        (first, end) = (new_first, new_end);
    }
    Some((0, tokens.len()))
}

/// A segment that grows token by token.
#[derive(Default)]
struct Building {
    text: String,
    marks: Vec<Mark>,
    open: Vec<usize>,
    loose: bool,
    /// What was just read, if it has no text.
    point: Option<usize>,
}

impl Building {
    fn token(&mut self, token: &Token, paired: bool) {
        let raw = || vec![token.span.clone()];
        match &token.part {
            Part::Space => self.space(),
            Part::Text { text, keep: false } => self.text(text),
            Part::Text { text, keep: true } => {
                let start = self.text.len();
                self.text(text.trim_matches(is_space));
                self.mark(Mark { range: start..self.text.len(), open: raw(), keep: true, ..Mark::default() });
            }
            Part::Open { .. } if paired => {
                self.point = None;
                let start = self.text.len();
                let mark = self.mark(Mark { range: start..start, open: raw(), ..Mark::default() });
                self.open.push(mark);
            }
            Part::Close { raw, .. } if paired => {
                self.point = None;
                if let Some(mark) = self.open.pop() {
                    self.marks[mark].range.end = self.text.len();
                    self.marks[mark].close = raw.clone();
                }
            }
            Part::Open { .. } | Part::Close { .. } | Part::Point => {
                self.loose |= !matches!(token.part, Part::Point);
                let at = self.text.len();
                self.point = Some(self.mark(Mark { range: at..at, open: raw(), ..Mark::default() }));
            }
        }
    }

    fn mark(&mut self, mark: Mark) -> usize {
        self.marks.push(Mark { parent: self.open.last().copied(), ..mark });
        self.marks.len() - 1
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        } else if let Some(point) = self.point.take() {
            self.marks[point].spaced = true;
        }
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if is_space(c) {
                self.space();
            } else {
                self.text.push(c);
                self.point = None;
            }
        }
    }

    fn finish(mut self) -> Segment {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        for mark in &mut self.marks {
            let end = mark.range.end.min(self.text.len());
            let start = mark.range.start.min(end);
            let inside = &self.text[start..end];
            if !inside.is_empty() {
                let start = end - inside.trim_start_matches(' ').len();
                mark.range = start..start.max(start + inside.trim_matches(' ').len());
            } else {
                mark.range = start..end;
            }
        }
        Segment { text: self.text, line: 0, marks: self.marks, loose: self.loose }
    }
}
