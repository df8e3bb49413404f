//! Subtitles: sentences are joined over cues, and what they become is laid back over the same cues, in proportion to
//! the characters of each. Times, numbers, positions, notes and tags stay.

mod cut;

use std::ops::Range;

use super::lay::{Marked, Writer, lay};
use super::render::{Slot, Template};
use super::run::{self, Mark, Raw, Token};
use super::{Error, Found, Options, Segment, Target, html};
use crate::subtitles::read::{Block, after_head, blocks, lines};
use cut::{breaks, parts};

/// Most cues that one sentence goes through.
const MOST_CUES: usize = 8;
/// Longest pause within a sentence, in seconds.
const LONG_PAUSE: f64 = 2.0;
/// The customary width of a line, in characters, and the least where lines are broken.
const LINE_LENGTH: usize = 42;
const LEAST_LENGTH: usize = 32;

/// What one segment goes through.
#[derive(Clone, Debug)]
pub struct Group {
    pub segment: usize,
    pub rows: Vec<Row>,
    /// Most characters of a line.
    width: usize,
    line_end: &'static str,
    vtt: bool,
}

/// What one person says in one cue.
#[derive(Clone, Debug)]
pub struct Row {
    pub span: Range<usize>,
    /// Its part of the segment's text.
    text: Range<usize>,
    /// Its part of the segment's marks.
    marks: Range<usize>,
    /// How many lines it has.
    lines: usize,
    loose: bool,
}

/// A row that is not yet part of a group.
struct Said {
    span: Range<usize>,
    segment: Segment,
    lines: usize,
    /// Nothing before belongs to it.
    begins: bool,
}

/// What there is to translate.
pub fn find(source: &str, vtt: bool, options: &Options) -> Result<Found, Error> {
    let wrong = |error: crate::subtitles::ParseError| Error::Form { line: error.line, reason: error.reason };
    // an empty file says nothing, whatever its kind
    if source.trim().is_empty() {
        return Ok(Found::default());
    }
    let lines = lines(source);
    let first = if vtt { after_head(&lines).map_err(wrong)? } else { 0 };
    let blocks = blocks(&lines, first).map_err(wrong)?;
    let line_end = match source.find(['\r', '\n']).map(|at| &source[at..]) {
        Some(end) if end.starts_with("\r\n") => "\r\n",
        Some(end) if end.starts_with('\r') => "\r",
        _ => "\n",
    };
    let mut joining =
        Joining { found: Found::default(), rows: Vec::new(), line_end, vtt, until: 0.0, since: 0.0 };
    let mut longest = 0;
    let mut broken = false;
    for block in &blocks {
        let inside = &lines[block.lines.clone()];
        longest = inside.iter().map(|line| width(source, line, vtt)).fold(longest, usize::max);
        broken |= inside.len() > 1;
        joining.cue(block, rows(source, inside, vtt));
    }
    joining.end();
    let width = options.line_length.unwrap_or(longest.max(if broken { LEAST_LENGTH } else { LINE_LENGTH }));
    for slot in &mut joining.found.slots {
        if let Slot::Cues(group) = slot {
            group.width = width.max(1);
        }
    }
    Ok(joining.found)
}

/// How many characters of a line are seen.
fn width(source: &str, line: &str, vtt: bool) -> usize {
    let text = |token: &Token| match &token.part {
        run::Part::Text { text, .. } => text.chars().count(),
        _ => 0,
    };
    tokens(source, line, vtt).iter().map(text).sum()
}

/// Where a part of a text lies in it.
fn offset(source: &str, part: &str) -> usize {
    part.as_ptr() as usize - source.as_ptr() as usize
}

/// What is said in a cue: one row, or one for each line that begins with a dash; `None` where that is nothing to
/// translate.
fn rows(source: &str, lines: &[&str], vtt: bool) -> Vec<Option<Said>> {
    let mut rows = Vec::new();
    let mut row: Vec<Token> = Vec::new();
    let mut count = 0;
    let mut begins = false;
    let mut push = |row: &mut Vec<Token>, count: usize, begins: bool| {
        if count > 0 {
            let said = run::segment(std::mem::take(row));
            rows.push(said.map(|(span, segment)| Said { span, segment, lines: count, begins }));
        }
    };
    for line in lines {
        let mut tokens = tokens(source, line, vtt);
        let dash =
            tokens.iter_mut().find(|token| matches!(token.part, run::Part::Text { .. })).and_then(dash);
        if let Some(dash) = dash {
            push(&mut row, count, begins);
            (count, begins) = (0, true);
            tokens
                .insert(tokens.iter().position(|token| token.span.start >= dash.span.end).unwrap_or(0), dash);
        }
        begins |= line.trim_start().starts_with("<v");
        let end = offset(source, line);
        row.push(Token::space(end..end));
        row.extend(tokens);
        count += 1;
    }
    push(&mut row, count, begins);
    rows
}

/// Takes the dash from the text that begins a line.
fn dash(token: &mut Token) -> Option<Token> {
    let run::Part::Text { text, .. } = &mut token.part else {
        return None;
    };
    if text.len() != token.span.len() {
        return None;
    }
    let rest = text.trim_start();
    let begins = rest.strip_prefix(['-', '–', '—', '‐', '‑']).filter(|rest| !rest.starts_with('-'))?;
    let length = text.len() - begins.trim_start().len();
    let span = token.span.start..token.span.start + length;
    token.span.start = span.end;
    *text = text[length..].to_owned();
    Some(Token::point(span))
}

/// A line's text and tags.
fn tokens(source: &str, line: &str, vtt: bool) -> Vec<Token> {
    let start = offset(source, line);
    let mut tokens = Vec::new();
    let (mut at, mut from) = (0, 0);
    while let Some(skip) = line[at..].find(['<', '{']) {
        let begin = at + skip;
        let Some((length, tag)) = markup(&line[begin..], start + begin, vtt) else {
            at = begin + 1;
            continue;
        };
        tokens.extend(html::decoded(source, start + from..start + begin, vtt, false));
        tokens.push(tag);
        at = begin + length;
        from = at;
    }
    tokens.extend(html::decoded(source, start + from..start + line.len(), vtt, false));
    tokens
}

/// The tag that a text begins with.
fn markup(text: &str, start: usize, vtt: bool) -> Option<(usize, Token)> {
    if text.starts_with("{\\") {
        let length = text.find('}')? + 1;
        return Some((length, Token::point(start..start + length)));
    }
    let inside = text.strip_prefix('<')?;
    let length = inside.find(['<', '>']).filter(|end| inside[*end..].starts_with('>'))? + 2;
    let span = start..start + length;
    let inside = &inside[..length - 2];
    let (closes, name) = inside.strip_prefix('/').map_or((false, inside), |name| (true, name));
    let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let token = match (named, closes) {
        (true, true) => Token::close(span, &name.to_ascii_lowercase()),
        (true, false) if inside.ends_with('/') || name.eq_ignore_ascii_case("br") => Token::point(span),
        (true, false) => Token::open(span, &name.to_ascii_lowercase(), false),
        // times of words, and whatever else a player does not show
        (false, _) if vtt => Token::point(span),
        (false, _) => return None,
    };
    Some((length, token))
}

/// Rows as they are joined to sentences.
struct Joining {
    found: Found,
    /// Those of the sentence that is not yet at its end.
    rows: Vec<Said>,
    line_end: &'static str,
    vtt: bool,
    /// When the cue before comes and goes.
    since: f64,
    until: f64,
}

impl Joining {
    fn cue(&mut self, block: &Block, rows: Vec<Option<Said>>) {
        let pause = block.start - self.until >= LONG_PAUSE || block.start < self.since;
        (self.since, self.until) = (block.start, block.end);
        if pause || rows.is_empty() {
            self.end();
        }
        for (at, said) in rows.into_iter().enumerate() {
            let Some(said) = said else {
                self.end();
                continue;
            };
            let text = &said.segment.text;
            let goes_on = self.rows.last().is_some_and(|last| !ends(&last.segment.text, text));
            if at > 0 || said.begins || !goes_on || self.rows.len() >= MOST_CUES {
                self.end();
            }
            self.rows.push(said);
        }
    }

    /// Makes one segment of the rows.
    fn end(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let mut whole = Segment { text: String::new(), line: 0, marks: Vec::new(), loose: false };
        let mut rows = Vec::new();
        for Said { span, segment, lines, .. } in self.rows.drain(..) {
            if !whole.text.is_empty() {
                whole.text.push(' ');
            }
            let (start, first) = (whole.text.len(), whole.marks.len());
            whole.text.push_str(&segment.text);
            whole
                .marks
                .extend(segment.marks.into_iter().map(|mark| moved(mark, first as isize, start as isize)));
            let (text, marks) = (start..whole.text.len(), first..whole.marks.len());
            rows.push(Row { span, text, marks, lines, loose: segment.loose });
        }
        let segment = self.found.segments.len();
        let group = Group { segment, rows, width: 0, line_end: self.line_end, vtt: self.vtt };
        self.found.slots.push(Slot::Cues(group));
        self.found.segments.push(whole);
    }
}

/// A mark whose number and text moved.
fn moved(mark: Mark, by: isize, bytes: isize) -> Mark {
    let place = |at: usize| at.saturating_add_signed(bytes);
    let range = place(mark.range.start)..place(mark.range.end);
    Mark { range, parent: mark.parent.map(|parent| parent.saturating_add_signed(by)), ..mark }
}

/// Whether a sentence ends between two rows.
fn ends(text: &str, next: &str) -> bool {
    let aside = |text: &str| text.starts_with(['[', '(', '♪', '♫', '#', '【', '（']);
    let text = text.trim_end_matches(|c: char| "\"'”’»«)]】）」』 ".contains(c) || c.is_whitespace());
    if text.ends_with("...") || text.ends_with('…') {
        return !next.starts_with("...") && !next.starts_with(|c: char| c == '…' || c.is_lowercase());
    }
    text.is_empty() || text.ends_with(|c: char| ".!?。！？؟।։♪♫".contains(c)) || aside(text) || aside(next)
}

/// A target over the rows of its group.
pub fn laid(
    group: &Group,
    segment: &Segment,
    target: &Target,
    template: &Template<'_>,
) -> Vec<(Range<usize>, String)> {
    let lengths: Vec<usize> =
        group.rows.iter().map(|row| segment.text[row.text.clone()].chars().count()).collect();
    let parts = parts(&target.text, &lengths);
    group
        .rows
        .iter()
        .zip(parts)
        .map(|(row, part)| (row.span.clone(), row_of(group, row, segment, target, part, template)))
        .collect()
}

/// A row with its part of a target.
fn row_of(
    group: &Group,
    row: &Row,
    segment: &Segment,
    target: &Target,
    part: Range<usize>,
    template: &Template<'_>,
) -> String {
    let text = &target.text[part.clone()];
    let first = row.marks.start as isize;
    let start = row.text.start as isize;
    let marks: Vec<Mark> =
        segment.marks[row.marks.clone()].iter().map(|mark| moved(mark.clone(), -first, -start)).collect();
    let cut = |range: &Range<usize>, to: &Range<usize>| {
        let (start, end) = (range.start.max(to.start), range.end.min(to.end));
        (start < end).then(|| start - to.start..end - to.start)
    };
    let pairs = target.alignment.iter();
    let alignment: Vec<_> =
        pairs.filter_map(|(from, to)| Some((cut(from, &row.text)?, cut(to, &part)?))).collect();
    let breaks = breaks(text, group.width, row.lines);
    let raw = |raw: &Raw, out: &mut String| template.raw(raw, out);
    let write = |range: Range<usize>, out: &mut String| {
        let mut at = range.start;
        let first = breaks.partition_point(|gap| gap.start < range.start);
        for gap in breaks[first..].iter().take_while(|gap| gap.start < range.end) {
            escape(&text[at..gap.start], group.vtt, out);
            out.push_str(group.line_end);
            at = gap.end;
        }
        escape(&text[at.min(range.end)..range.end], group.vtt, out);
    };
    let marked = Marked { text: &segment.text[row.text.clone()], marks: &marks, loose: row.loose };
    lay(
        &marked,
        text,
        &alignment,
        &Writer { raw: &raw, text: &write, tight: false, padded: false, omits: false },
    )
}

fn escape(text: &str, vtt: bool, out: &mut String) {
    if vtt {
        html::escape(text, out);
        return;
    }
    let mut text = text.to_owned();
    // an arrow would be taken for times
    while text.contains("-->") {
        text = text.replace("-->", "->");
    }
    out.push_str(&text);
}
