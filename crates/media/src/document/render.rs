//! Translations put into the places of a document.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::lay::{Marked, Writer, lay};
use super::run::{Mark, Raw};
use super::{Document, Found, Segment, Target, captions, html, inline, json, markdown, table, text};

/// A place whose bytes a translation replaces.
#[derive(Clone, Debug)]
pub enum Slot {
    /// Running text with marks.
    Running { span: Range<usize>, segment: usize, form: Form },
    /// A string, its texts, and what stands between them. It may lie in a mark of running text.
    Whole { span: Range<usize>, pieces: Vec<Piece>, form: Form },
    /// Parts of subtitles that one segment goes through.
    Cues(captions::Group),
}

/// A part of a string.
#[derive(Clone, Debug)]
pub enum Piece {
    Literal(String),
    Segment(usize),
}

/// How text is written.
#[derive(Clone, Debug)]
pub enum Form {
    /// As it is.
    Plain,
    /// In lines of a width, with this between them.
    Filled { width: usize, between: String },
    /// As HTML.
    Html,
    /// As a value in HTML; without quotes it gets some.
    Attribute { quote: Option<char> },
    /// As Markdown in which links of these labels are defined.
    Markdown { labels: Arc<HashSet<String>> },
    /// As the inside of a string; `ascii` where others are escaped too.
    Json { ascii: bool },
    /// As a field.
    Field(table::Style),
}

impl Slot {
    /// The segments of this place and where each begins.
    pub fn places(&self) -> Vec<(usize, usize)> {
        match self {
            Self::Running { span, segment, .. } => vec![(*segment, span.start)],
            Self::Cues(group) => vec![(group.segment, group.rows.first().map_or(0, |row| row.span.start))],
            Self::Whole { span, pieces, .. } => {
                let segment = |piece: &Piece| match piece {
                    Piece::Segment(segment) => Some((*segment, span.start)),
                    Piece::Literal(_) => None,
                };
                pieces.iter().filter_map(segment).collect()
            }
        }
    }
}

/// Takes the texts out of a string, line by line; `None` where there is none.
pub fn pieces(value: &str, found: &mut Found) -> Option<Vec<Piece>> {
    let before = found.segments.len();
    let mut pieces = Vec::new();
    let mut literal = String::new();
    for line in value.split_inclusive('\n') {
        let text = line.trim();
        if inline::parts(text, &inline::placeholders(text)).is_empty() {
            literal.push_str(line);
            continue;
        }
        let start = line.len() - line.trim_start().len();
        literal.push_str(&line[..start]);
        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        pieces.push(Piece::Segment(found.segments.len()));
        found.segments.push(plain(text));
        literal.push_str(&line[start + text.len()..]);
    }
    pieces.push(Piece::Literal(literal));
    (found.segments.len() > before).then_some(pieces)
}

/// A segment without marks.
pub fn plain(text: &str) -> Segment {
    // a lone one breaks no line, but no segment has one
    let text = text.replace('\r', " ");
    Segment { text, line: 0, marks: Vec::new(), loose: false }
}

/// The whole document.
pub fn document(document: &Document, targets: &[Target]) -> String {
    let is_new = |(segment, target): (&Segment, &Target)| segment.text != target.text;
    let new: Vec<bool> = document.segments.iter().zip(targets).map(is_new).collect();
    let targets: Vec<Target> = targets.iter().map(in_one_line).collect();
    let mut template = Template { source: &document.source, edits: Vec::new() };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for slot in &document.slots {
        if let Slot::Whole { span, pieces, form } = slot {
            let changed = slot.places().into_iter().any(|(segment, _)| new[segment]);
            edits.extend(changed.then(|| (span.clone(), whole(&targets, pieces, form))));
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    template.edits = std::mem::take(&mut edits);
    for slot in &document.slots {
        match slot {
            Slot::Running { span, segment, form } if new[*segment] => {
                let (segment, target) = (&document.segments[*segment], &targets[*segment]);
                edits.push((span.clone(), running(segment, target, form, &template)));
            }
            Slot::Cues(group) if new[group.segment] => {
                let (segment, target) = (&document.segments[group.segment], &targets[group.segment]);
                edits.extend(captions::laid(group, segment, target, &template));
            }
            _ => {}
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(document.source.len());
    let mut at = 0;
    for (span, text) in edits {
        template.copy(at..span.start, &mut out);
        out.push_str(&text);
        at = span.end;
    }
    template.copy(at..document.source.len(), &mut out);
    out
}

/// A target without line breaks and white space at its ends.
fn in_one_line(target: &Target) -> Target {
    let text = target.text.replace(['\n', '\r'], " ");
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim().to_owned();
    let place = |at: usize| at.saturating_sub(start).min(trimmed.len());
    let fits = |to: &Range<usize>| to.start <= to.end && to.end <= text.len();
    let pairs = target.alignment.iter().filter(|(_, to)| fits(to));
    let alignment = pairs.map(|(from, to)| (from.clone(), place(to.start)..place(to.end))).collect();
    Target { text: trimmed, alignment }
}

/// The source with the strings in it that changed.
pub struct Template<'a> {
    pub source: &'a str,
    edits: Vec<(Range<usize>, String)>,
}

impl Template<'_> {
    /// Appends a part of it.
    pub fn copy(&self, span: Range<usize>, out: &mut String) {
        let first = self.edits.partition_point(|(edit, _)| edit.start < span.start);
        let mut at = span.start;
        for (edit, text) in self.edits[first..].iter().take_while(|(edit, _)| edit.end <= span.end) {
            out.push_str(&self.source[at..edit.start]);
            out.push_str(text);
            at = edit.end;
        }
        out.push_str(&self.source[at..span.end]);
    }

    /// Appends markup.
    pub fn raw(&self, raw: &Raw, out: &mut String) {
        for span in raw {
            self.copy(span.clone(), out);
        }
    }
}

/// A string with its texts.
fn whole(targets: &[Target], pieces: &[Piece], form: &Form) -> String {
    let part = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Segment(segment) => targets[*segment].text.clone(),
    };
    written(&pieces.iter().map(part).collect::<String>(), form)
}

fn written(value: &str, form: &Form) -> String {
    let mut out = String::with_capacity(value.len());
    match form {
        Form::Plain | Form::Markdown { .. } => out.push_str(value),
        Form::Filled { width, between } => text::fill(value, *width, between, &mut out),
        Form::Html => html::escape(value, &mut out),
        Form::Attribute { quote } => html::escape_value(value, *quote, &mut out),
        Form::Json { ascii } => json::escape(value, *ascii, &mut out),
        Form::Field(style) => table::escape(value, style, &mut out),
    }
    out
}

/// Running text with its marks.
fn running(segment: &Segment, target: &Target, form: &Form, template: &Template<'_>) -> String {
    let source = Marked { text: &segment.text, marks: &segment.marks, loose: segment.loose };
    let raw = |raw: &Raw, out: &mut String| template.raw(raw, out);
    let (text, alignment) = (target.text.as_str(), &target.alignment[..]);
    match form {
        Form::Markdown { labels } => {
            let dollars = text.matches('$').nth(1).is_some();
            let write = |range: Range<usize>, out: &mut String| markdown::escape(&text[range], dollars, out);
            let attempt = |(tight, padded, loose): (bool, bool, bool)| {
                let writer = Writer { raw: &raw, text: &write, tight, padded, omits: true };
                lay(&Marked { loose: loose || source.loose, ..source }, text, alignment, &writer)
            };
            let mut shape: Vec<u8> =
                segment.marks.iter().flat_map(|mark| shape(mark, template, labels)).collect();
            shape.sort_unstable();
            let fits = |laid: &String| markdown::shape(laid, labels) == shape;
            // signs at the ends of emphasis, or letters around it, can take its meaning away
            let ways = [(true, false, false), (true, true, false), (true, true, true)];
            let first = attempt((false, false, false));
            if fits(&first) { first } else { ways.into_iter().map(attempt).find(fits).unwrap_or(first) }
        }
        Form::Html => {
            let write = |range: Range<usize>, out: &mut String| html::escape(&text[range], out);
            lay(
                &source,
                text,
                alignment,
                &Writer { raw: &raw, text: &write, tight: false, padded: false, omits: false },
            )
        }
        _ => written(text, form),
    }
}

/// What a mark of Markdown is for a parser.
fn shape(mark: &Mark, template: &Template<'_>, labels: &HashSet<String>) -> Vec<u8> {
    let mut text = String::new();
    template.raw(&mark.open, &mut text);
    if !mark.keep && !mark.range.is_empty() {
        text.push('x');
    }
    template.raw(&mark.close, &mut text);
    markdown::shape(&text, labels)
}
