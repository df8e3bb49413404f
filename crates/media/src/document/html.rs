//! HTML, however untidy: blocks are segments, tags within them are marks; scripts, styles, code, comments and what says
//! `translate="no"` stay.

mod characters;
pub mod scan;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::render::{Form, Slot, pieces};
use super::run::{self, Token};
use super::{Found, Options};
use characters::reference;
use scan::{Attribute, Tag, Thing};

/// Elements that stand within a line of text; unknown ones do too, as in a browser, and these are blocks.
const BLOCKS: [&str; 68] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "button",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "link",
    "listing",
    "main",
    "menu",
    "meta",
    "nav",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "select",
    "slot",
    "summary",
    "table",
    "tbody",
    "td",
    "template",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "xmp",
    "base",
    "marquee",
];
const VOID: [&str; 15] = [
    "area", "base", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
/// What is read but not translated.
const CODE: [&str; 9] = ["code", "kbd", "listing", "plaintext", "pre", "samp", "tt", "var", "xmp"];
/// What is no text at all.
const MUTE: [&str; 16] = [
    "audio", "canvas", "iframe", "map", "math", "noembed", "noframes", "noscript", "object", "script",
    "select", "style", "svg", "template", "textarea", "video",
];
/// Attributes that are read.
const ATTRIBUTES: [&str; 4] = ["alt", "aria-label", "placeholder", "title"];

/// Whether text is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    On,
    /// Text that stays as it is.
    Kept,
    /// No text.
    Mute,
}

/// What there is to translate.
pub fn find(source: &str, options: &Options) -> Found {
    let mut walk = Walk { source, options, found: Found::default(), run: Vec::new(), open: Open::default() };
    for thing in scan::Things::new(source) {
        match thing {
            Thing::Text(span) => walk.text(span, true),
            // without an end the rest of the file is in it, which nobody meant
            Thing::Raw(span) if span.end == source.len() => walk.end_block(),
            Thing::Raw(span) => walk.text(span, false),
            Thing::Open(tag) => walk.open(&tag),
            Thing::Close(tag) => walk.close(&tag),
            // what has no end stays at the end
            Thing::Other(span) if span.end == source.len() => walk.end_block(),
            Thing::Other(span) => walk.run.push(Token::point(span)),
        }
    }
    walk.end_block();
    walk.found
}

/// A tag within a line of text, as Markdown has them: what it means there, or `None` where it breaks the line.
pub fn inline_tag(source: &str, span: Range<usize>) -> Option<Token> {
    let thing = scan::Things::new(&source[..span.end]).starting_at(span.start).next();
    let token = match thing {
        Some(Thing::Open(tag)) if tag.name == "br" => return None,
        Some(Thing::Open(tag)) if tag.closed || VOID.contains(&&*tag.name) => Token::point(span),
        Some(Thing::Open(tag)) => {
            let keep = CODE.contains(&&*tag.name)
                || MUTE.contains(&&*tag.name)
                || refuses(source, &tag) == Some(true);
            Token::open(span, &tag.name, keep)
        }
        Some(Thing::Close(tag)) => Token::close(span, &tag.name),
        _ => Token::point(span),
    };
    Some(token)
}

/// Elements that are open.
#[derive(Default)]
struct Open<'a> {
    stack: Vec<(Cow<'a, str>, State)>,
    counts: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Open<'a> {
    fn state(&self) -> State {
        self.stack.last().map_or(State::On, |(_, state)| *state)
    }

    fn push(&mut self, name: Cow<'a, str>, state: State) {
        *self.counts.entry(name.clone()).or_default() += 1;
        self.stack.push((name, state));
    }

    /// Closes the innermost element of a name and all within it, if there is one.
    fn pop(&mut self, name: &str) {
        if self.counts.get(name).is_none_or(|count| *count == 0) {
            return;
        }
        while let Some((found, _)) = self.stack.pop() {
            if let Some(count) = self.counts.get_mut(&found) {
                *count -= 1;
            }
            if found == name {
                break;
            }
        }
    }

    /// Closes what a new element ends without a tag of its own.
    fn end_before(&mut self, name: &str) {
        let ends: &[&str] = match name {
            "li" => &["li"],
            "dt" | "dd" => &["dt", "dd"],
            "td" | "th" => &["td", "th"],
            "option" | "optgroup" => &["option"],
            "tr" => {
                self.end_before("td");
                &["tr"]
            }
            _ => &[],
        };
        for ends in [&["p"][..], ends] {
            if let Some((last, _)) = self.stack.last().filter(|(last, _)| ends.contains(&&**last)) {
                let last = last.clone();
                self.pop(&last);
            }
        }
    }
}

struct Walk<'a> {
    source: &'a str,
    options: &'a Options,
    found: Found,
    run: Vec<Token>,
    open: Open<'a>,
}

impl<'a> Walk<'a> {
    fn text(&mut self, span: Range<usize>, has_references: bool) {
        let state = self.open.state();
        if state == State::Mute {
            self.run.push(Token::point(span));
            return;
        }
        // a title has references, though no tags
        let title = self.open.stack.last().is_some_and(|(name, _)| name == "title");
        let decoded = decoded(self.source, span, has_references || title, state == State::Kept);
        self.run.extend(decoded);
    }

    fn open(&mut self, tag: &Tag<'a>) {
        let block = BLOCKS.contains(&&*tag.name);
        if block {
            self.end_block();
            self.open.end_before(&tag.name);
        }
        let outside = self.open.state();
        let refused = refuses(self.source, tag);
        let state = if outside == State::Mute || MUTE.contains(&&*tag.name) {
            State::Mute
        } else if CODE.contains(&&*tag.name) || refused == Some(true) {
            State::Kept
        } else if refused == Some(false) && block {
            State::On
        } else {
            outside
        };
        if self.options.attributes && outside == State::On && refused != Some(true) {
            self.attributes(&tag.attributes);
        }
        let void = VOID.contains(&&*tag.name) || (tag.closed && outside == State::Mute);
        if tag.name == "br" {
            self.end_block();
        } else if !block && void {
            self.run.push(Token::point(tag.span.clone()));
        } else if !block {
            self.run.push(Token::open(tag.span.clone(), &tag.name, state > outside));
        }
        if !void {
            self.open.push(tag.name.clone(), state);
        }
    }

    fn close(&mut self, tag: &Tag<'a>) {
        if BLOCKS.contains(&&*tag.name) || tag.name == "br" {
            self.end_block();
        } else {
            self.run.push(Token::close(tag.span.clone(), &tag.name));
        }
        self.open.pop(&tag.name);
    }

    fn end_block(&mut self) {
        if let Some((span, segment)) = run::segment(std::mem::take(&mut self.run)) {
            self.found.slots.push(Slot::Running {
                span,
                segment: self.found.segments.len(),
                form: Form::Html,
            });
            self.found.segments.push(segment);
        }
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            let name = self.source[attribute.name.clone()].to_ascii_lowercase();
            let Some(span) = attribute.value.clone().filter(|_| ATTRIBUTES.contains(&name.as_str())) else {
                continue;
            };
            let value = value(self.source, span.clone());
            if let Some(pieces) = pieces(&value, &mut self.found) {
                let form = Form::Attribute { quote: attribute.quote };
                self.found.slots.push(Slot::Whole { span, pieces, form });
            }
        }
    }
}

/// Whether an element says that it is not (or is) to be translated.
fn refuses(source: &str, tag: &Tag<'_>) -> Option<bool> {
    let mut refuses = None;
    for attribute in &tag.attributes {
        let value = attribute.value.clone().map_or("", |value| &source[value]);
        match &source[attribute.name.clone()] {
            name if name.eq_ignore_ascii_case("translate") => {
                refuses = Some(value.eq_ignore_ascii_case("no"));
            }
            name if name.eq_ignore_ascii_case("class")
                && value.split_ascii_whitespace().any(|class| class == "notranslate") =>
            {
                return Some(true);
            }
            _ => {}
        }
    }
    refuses
}

/// Text with its references as tokens.
pub fn decoded(source: &str, span: Range<usize>, has_references: bool, keep: bool) -> Vec<Token> {
    let token =
        |span: Range<usize>, text: &str| if keep { Token::keep(span, text) } else { Token::text(span, text) };
    let mut tokens = Vec::new();
    let mut start = span.start;
    let mut at = span.start;
    while let Some(skip) = source[at..span.end].find('&').filter(|_| has_references) {
        at += skip;
        match reference(&source[at..span.end], false) {
            Some((length, text)) => {
                if start < at {
                    tokens.push(token(start..at, &source[start..at]));
                }
                tokens.push(token(at..at + length, &text));
                at += length;
                start = at;
            }
            None => at += 1,
        }
    }
    if start < span.end {
        tokens.push(token(start..span.end, &source[start..span.end]));
    }
    tokens
}

/// An attribute's value with its references resolved.
fn value(source: &str, span: Range<usize>) -> String {
    let mut text = String::new();
    let mut rest = &source[span];
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (length, decoded) = reference(rest, true).unwrap_or((1, "&".into()));
        text.push_str(&decoded);
        rest = &rest[length..];
    }
    text + rest
}

/// Appends text so that none of it is markup.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            c => out.push(c),
        }
    }
}

/// Appends the value of an attribute.
pub fn escape_value(value: &str, quote: Option<char>, out: &mut String) {
    let around = quote.is_none().then_some('"');
    out.extend(around);
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '"' if quote != Some('\'') => out.push_str("&quot;"),
            '\'' if quote == Some('\'') => out.push_str("&#39;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            c => out.push(c),
        }
    }
    out.extend(around);
}
