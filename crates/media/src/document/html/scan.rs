//! HTML to tags, text and the rest, as a browser divides it
//! (<https://html.spec.whatwg.org/multipage/parsing.html#tokenization>), each with its place; in linear time.

use std::borrow::Cow;
use std::ops::Range;

/// A part of a document.
#[derive(Debug)]
pub enum Thing<'a> {
    Text(Range<usize>),
    /// The inside of an element that has no tags in it.
    Raw(Range<usize>),
    Open(Tag<'a>),
    Close(Tag<'a>),
    /// Comments, declarations, and a tag that never ends.
    Other(Range<usize>),
}

/// A tag.
#[derive(Debug)]
pub struct Tag<'a> {
    pub span: Range<usize>,
    /// In lower case.
    pub name: Cow<'a, str>,
    /// Whether it ends with `/>`.
    pub closed: bool,
    pub attributes: Vec<Attribute>,
}

/// An attribute; `value` without its quotes.
#[derive(Debug)]
pub struct Attribute {
    pub name: Range<usize>,
    pub value: Option<Range<usize>>,
    pub quote: Option<char>,
}

/// Elements without tags in them.
const RAW: [&str; 10] =
    ["iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp"];

/// All parts of a document, one after the other, without gaps.
pub struct Things<'a> {
    source: &'a str,
    at: usize,
    /// The raw element that is open.
    raw: Option<&'static str>,
}

impl<'a> Things<'a> {
    pub fn new(source: &'a str) -> Self {
        Self { source, at: 0, raw: None }
    }

    pub fn starting_at(self, at: usize) -> Self {
        Self { at, ..self }
    }

    /// Where the next thing ends that is no text and begins here; `None` where text begins.
    fn markup(&mut self) -> Option<Thing<'a>> {
        let bytes = self.source.as_bytes();
        let start = self.at;
        let second = |at: usize| bytes.get(start + at).copied().unwrap_or(b' ');
        // half a tag must not come before anything
        if start + 1 == bytes.len() || (second(1) == b'/' && start + 2 == bytes.len()) {
            return Some(Thing::Other(start..bytes.len()));
        }
        match (second(1), second(2)) {
            (letter, _) if letter.is_ascii_alphabetic() => Some(self.tag(1)),
            (b'/', letter) if letter.is_ascii_alphabetic() => Some(self.tag(2)),
            (b'!', b'-') if second(3) == b'-' => Some(Thing::Other(start..self.comment())),
            (b'!' | b'?', _) => Some(Thing::Other(start..self.past(start, ">"))),
            (b'/', _) => Some(Thing::Other(start..self.past(start, ">"))),
            _ => None,
        }
    }

    fn past(&self, from: usize, end: &str) -> usize {
        self.source[from..].find(end).map_or(self.source.len(), |at| from + at + end.len())
    }

    fn comment(&self) -> usize {
        let inside = self.at + 4;
        for short in [">", "->"] {
            if self.source[inside..].starts_with(short) {
                return inside + short.len();
            }
        }
        let (mut from, bytes) = (inside, self.source.as_bytes());
        while let Some(at) = self.source[from..].find("--") {
            let end = from + at + 2;
            match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'>'), _) => return end + 1,
                (Some(b'!'), Some(b'>')) => return end + 2,
                _ => from += at + 1,
            }
        }
        self.source.len()
    }

    /// The tag that begins here; its name comes after some signs.
    fn tag(&self, skip: usize) -> Thing<'a> {
        let bytes = self.source.as_bytes();
        let start = self.at + skip;
        let name_end = start + count(&bytes[start..], |byte| !is_space(byte) && byte != b'/' && byte != b'>');
        let name = &self.source[start..name_end];
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        let mut attributes = Vec::new();
        let mut at = name_end;
        let closed = loop {
            at += count(&bytes[at..], |byte| is_space(byte) || byte == b'/');
            match bytes.get(at) {
                None => return Thing::Other(self.at..bytes.len()),
                Some(b'>') => break bytes[at - 1] == b'/',
                Some(_) => {
                    let (attribute, end) = self.attribute(at);
                    attributes.push(attribute);
                    at = end;
                }
            }
        };
        let tag = Tag { span: self.at..at + 1, name, closed, attributes };
        if skip == 1 { Thing::Open(tag) } else { Thing::Close(tag) }
    }

    /// An attribute and where it ends.
    fn attribute(&self, start: usize) -> (Attribute, usize) {
        let bytes = self.source.as_bytes();
        // a name may begin with =
        let ends = |byte: u8| is_space(byte) || matches!(byte, b'/' | b'>' | b'=');
        let end = start + 1 + count(&bytes[start + 1..], |byte| !ends(byte));
        let name = start..end;
        let sign = end + count(&bytes[end..], is_space);
        if bytes.get(sign) != Some(&b'=') {
            return (Attribute { name, value: None, quote: None }, end);
        }
        let at = sign + 1 + count(&bytes[sign + 1..], is_space);
        match bytes.get(at) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = at + 1 + count(&bytes[at + 1..], |byte| byte != *quote);
                let quote = Some(char::from(*quote));
                (Attribute { name, value: Some(at + 1..end), quote }, (end + 1).min(bytes.len()))
            }
            _ => {
                let end = at + count(&bytes[at..], |byte| !is_space(byte) && byte != b'>');
                (Attribute { name, value: Some(at..end), quote: None }, end)
            }
        }
    }

    /// The inside of a raw element, up to its end tag.
    fn raw(&mut self, name: &str) -> Range<usize> {
        let bytes = self.source.as_bytes();
        let start = self.at;
        let mut at = start;
        let ends = |rest: &[u8]| {
            rest.get(2..2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
                && rest.get(2 + name.len()).is_none_or(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'))
        };
        while let Some(skip) = self.source[at..].find("</").filter(|_| name != "plaintext") {
            at += skip;
            if ends(&bytes[at..]) {
                return start..at;
            }
            at += 2;
        }
        start..bytes.len()
    }
}

fn count(bytes: &[u8], accepts: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| accepts(**byte)).count()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

impl<'a> Iterator for Things<'a> {
    type Item = Thing<'a>;

    fn next(&mut self) -> Option<Thing<'a>> {
        if let Some(name) = self.raw.take() {
            let span = self.raw(name);
            self.at = span.end;
            if !span.is_empty() {
                return Some(Thing::Raw(span));
            }
        }
        let start = self.at;
        let rest = self.source.get(start..).filter(|rest| !rest.is_empty())?;
        let thing = if rest.starts_with('<') { self.markup() } else { None };
        let thing = thing.unwrap_or_else(|| {
            // up to the next that may begin a tag; the first does not
            let begins = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?');
            let bytes = rest.as_bytes();
            let next = (1..bytes.len()).find(|at| bytes[*at] == b'<' && bytes.get(at + 1).is_none_or(begins));
            Thing::Text(start..next.map_or(self.source.len(), |at| start + at))
        });
        self.at = match &thing {
            Thing::Text(span) | Thing::Raw(span) | Thing::Other(span) => span.end,
            Thing::Open(tag) | Thing::Close(tag) => tag.span.end,
        };
        if let Thing::Open(tag) = &thing {
            self.raw = RAW.iter().find(|raw| **raw == tag.name).copied();
        }
        Some(thing)
    }
}
