//! Markdown: paragraphs, headings, items and cells are segments; emphasis, links, pictures, code and HTML in them are
//! marks. Code blocks, HTML blocks, front matter, definitions and the frame of tables stay.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options as Syntax, Parser, Tag, TagEnd};

use super::render::{Form, Slot, pieces};
use super::run::{self, Part, Token};
use super::{Found, Options, html};

/// What a translation is put into.
fn syntax() -> Syntax {
    Syntax::ENABLE_TABLES
        | Syntax::ENABLE_FOOTNOTES
        | Syntax::ENABLE_STRIKETHROUGH
        | Syntax::ENABLE_TASKLISTS
        | Syntax::ENABLE_HEADING_ATTRIBUTES
        | Syntax::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Syntax::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Syntax::ENABLE_MATH
        | Syntax::ENABLE_GFM
        | Syntax::ENABLE_DEFINITION_LIST
}

/// What there is to translate.
pub fn find(source: &str, options: &Options) -> Found {
    let events = Parser::new_ext(source, syntax()).into_offset_iter();
    let labels = events.reference_definitions().iter().map(|(label, _)| folded(label)).collect();
    let mut walk = Walk {
        source,
        options,
        labels: Arc::new(labels),
        found: Found::default(),
        run: Vec::new(),
        open: Vec::new(),
        image: None,
        untouched: 0,
        end: 0,
    };
    for (event, span) in events {
        walk.event(event, span);
    }
    walk.end_block();
    walk.found
}

/// A label of a link as it is compared.
fn folded(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

struct Walk<'a> {
    source: &'a str,
    options: &'a Options,
    labels: Arc<HashSet<String>>,
    found: Found,
    run: Vec<Token>,
    /// Links that are open, and where what is in each begins.
    open: Vec<(LinkType, usize)>,
    /// How deep in pictures, where the outermost begins, and its text.
    image: Option<(usize, usize, String)>,
    /// How deep in blocks that stay.
    untouched: usize,
    /// Where the last thing within a line ended.
    end: usize,
}

impl Walk<'_> {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) {
        match &event {
            Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_)) => {
                self.end_block();
                self.untouched += 1;
            }
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_)) => {
                self.untouched = self.untouched.saturating_sub(1);
            }
            _ if self.untouched > 0 => {}
            _ if self.image.is_some() => self.in_image(&event, span),
            _ => self.outside_image(event, span),
        }
    }

    fn in_image(&mut self, event: &Event<'_>, span: Range<usize>) {
        let Some((depth, _, text)) = &mut self.image else {
            return;
        };
        match event {
            Event::Start(Tag::Image { .. }) => *depth += 1,
            Event::End(TagEnd::Image) => *depth -= 1,
            Event::Text(more) | Event::Code(more) => text.push_str(more),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
        if *depth == 0
            && let Some((_, start, text)) = self.image.take()
        {
            self.run.push(Token::point(span.clone()));
            self.alternative(start, span.end, &text);
            self.end = span.end;
        }
    }

    /// The text of a picture, if it is asked for and without markup.
    fn alternative(&mut self, start: usize, end: usize, text: &str) {
        let inside = start + 2;
        let plain = self.source.get(inside..end).is_some_and(|rest| {
            rest.starts_with(text)
                && rest[text.len()..].starts_with("](")
                && !text.contains(['\\', '&', '\n'])
        });
        if self.options.attributes
            && plain
            && let Some(pieces) = pieces(text, &mut self.found)
        {
            let (span, form) = (inside..inside + text.len(), self.form());
            self.found.slots.push(Slot::Whole { span, pieces, form });
        }
    }

    fn form(&self) -> Form {
        Form::Markdown { labels: Arc::clone(&self.labels) }
    }

    fn outside_image(&mut self, event: Event<'_>, span: Range<usize>) {
        let letter = kind(&event);
        let end = span.end;
        match event {
            Event::Text(text) => {
                // the sign that takes a sign's meaning away belongs to it
                let escaped = self.source[self.end.min(span.start)..span.start].ends_with('\\')
                    && text.starts_with(|c: char| c.is_ascii_punctuation());
                self.run.push(Token::text(span.start - usize::from(escaped)..span.end, &text));
            }
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.run.push(Token::keep(span, &text));
            }
            Event::SoftBreak => self.run.push(Token::space(span)),
            Event::HardBreak => self.end_block(),
            Event::InlineHtml(_) => match html::inline_tag(self.source, span) {
                Some(token) => self.run.push(token),
                None => self.end_block(),
            },
            Event::FootnoteReference(_) => self.run.push(Token::point(span)),
            Event::Start(Tag::Image { .. }) => self.image = Some((1, span.start, String::new())),
            Event::Start(Tag::Link { link_type, .. }) => {
                let automatic = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.run.push(Token::open(span.start..span.start + 1, "[", automatic));
                self.open.push((link_type, span.start + 1));
                self.end = span.start + 1;
                return;
            }
            Event::End(TagEnd::Link) => self.end_link(span),
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => {
                let length = self.delimiter(&span, letter);
                self.run.push(Token::open(span.start..span.start + length, name(letter), false));
                self.end = span.start + length;
                return;
            }
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => {
                let letter = match event {
                    Event::End(TagEnd::Emphasis) => Some(b'*'),
                    Event::End(TagEnd::Strong) => Some(b'b'),
                    _ => Some(b'~'),
                };
                let length = self.delimiter(&span, letter);
                self.run.push(Token::close(span.end - length..span.end, name(letter)));
            }
            _ => return self.end_block(),
        }
        self.end = end;
    }

    /// How long the signs of an emphasis are.
    fn delimiter(&self, span: &Range<usize>, letter: Option<u8>) -> usize {
        match letter {
            Some(b'b') => 2,
            Some(b'~') if self.source[span.start..].starts_with("~~") => 2,
            _ => 1,
        }
    }

    fn end_link(&mut self, span: Range<usize>) {
        let Some((link_type, inside)) = self.open.pop() else {
            return;
        };
        let source = self.source;
        let sign = if matches!(link_type, LinkType::Autolink | LinkType::Email) { '>' } else { ']' };
        let from = self.end.clamp(inside, span.end);
        let start = source[from..span.end].find(sign).map_or(span.end, |at| from + at);
        let end = start..span.end;
        let label = inside..start;
        let bracket = span.start..inside;
        let closing = start..(start + 1).min(span.end);
        // a link by its text alone gets that text as its label
        let raw = match link_type {
            LinkType::Shortcut | LinkType::Collapsed => vec![closing.clone(), bracket, label, closing],
            _ => vec![end.clone()],
        };
        self.run.push(Token { span: end, part: Part::Close { name: "[".into(), raw } });
    }

    fn end_block(&mut self) {
        if let Some((span, segment)) = run::segment(std::mem::take(&mut self.run)) {
            let form = self.form();
            self.found.slots.push(Slot::Running { span, segment: self.found.segments.len(), form });
            self.found.segments.push(segment);
        }
    }
}

fn name(letter: Option<u8>) -> &'static str {
    match letter {
        Some(b'b') => "**",
        Some(b'~') => "~~",
        _ => "*",
    }
}

/// A letter for markup within a line.
fn kind(event: &Event<'_>) -> Option<u8> {
    Some(match event {
        Event::Start(Tag::Emphasis) => b'*',
        Event::Start(Tag::Strong) => b'b',
        Event::Start(Tag::Strikethrough) => b'~',
        Event::Start(Tag::Link { .. }) => b'[',
        Event::Start(Tag::Image { .. }) => b'!',
        Event::Code(_) => b'`',
        Event::InlineMath(_) => b'$',
        Event::DisplayMath(_) => b'D',
        Event::InlineHtml(_) => b'<',
        _ => return None,
    })
}

/// How much markup of each kind there is in running text, in order; `?` where it is more than running text.
pub fn shape(text: &str, labels: &HashSet<String>) -> Vec<u8> {
    let known = |link: BrokenLink<'_>| {
        labels.contains(&folded(&link.reference)).then(|| (CowStr::from("x"), CowStr::from("")))
    };
    let mut depth = 0;
    let mut shape = Vec::new();
    for event in Parser::new_with_broken_link_callback(text, syntax(), Some(known)) {
        match &event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => continue,
            Event::Start(Tag::Image { .. }) => {
                depth += 1;
                if depth > 1 {
                    continue;
                }
            }
            Event::End(TagEnd::Image) => depth -= 1,
            _ if depth > 0 => continue,
            Event::Text(_) | Event::SoftBreak | Event::FootnoteReference(_) => {}
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link) => {}
            _ if kind(&event).is_none() => shape.push(b'?'),
            _ => {}
        }
        shape.extend(kind(&event));
    }
    shape.sort_unstable();
    shape
}

/// Appends a part of a text so that none of it is markup; `dollars` where the text has several.
pub fn escape(inside: &str, dollars: bool, out: &mut String) {
    let block = if out.is_empty() { begins_block(inside) } else { None };
    for (at, c) in inside.char_indices() {
        let before = inside[..at].chars().next_back();
        let after = inside[at + c.len_utf8()..].chars().next();
        let spaced = before.is_some_and(char::is_whitespace) && after.is_some_and(char::is_whitespace);
        let in_word = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        let rest = &inside[at + c.len_utf8()..];
        let marks = match c {
            '`' | '[' | ']' | '|' => true,
            '*' | '~' => !spaced,
            '_' => !spaced && !in_word,
            '$' => dollars,
            '\\' => after.is_none_or(|c| c.is_ascii_punctuation()),
            '<' => after.is_none_or(|c| c.is_ascii_alphabetic() || "/!?".contains(c)),
            '&' => rest.is_empty() || rest.starts_with('#') || names_character(rest),
            '!' => rest.is_empty(),
            _ => false,
        };
        if marks || block == Some(at) {
            out.push('\\');
        }
        out.push(c);
    }
}

fn names_character(rest: &str) -> bool {
    let length = rest.bytes().take(32).take_while(u8::is_ascii_alphanumeric).count();
    length > 0 && rest[length..].starts_with(';')
}

/// The sign that would begin a block, as text at the beginning of a line may.
fn begins_block(text: &str) -> Option<usize> {
    let ends = |at: usize| text[at..].chars().next().is_none_or(char::is_whitespace);
    let first = text.chars().next()?;
    let same = text.len() - text.trim_start_matches(first).len();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match first {
        '#' => ends(same).then_some(0),
        '>' | '=' => Some(0),
        '+' | ':' => ends(1).then_some(0),
        '-' => Some(0),
        '0'..='9' if text[digits..].starts_with(['.', ')']) => ends(digits + 1).then_some(digits),
        _ => None,
    }
}
