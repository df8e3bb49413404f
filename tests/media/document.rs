//! Documents are translated and opened again: by other parsers, which find the same but for the text.

mod captions;
mod html;
mod inline;
mod json;
mod markdown;
mod random;
mod table;
mod text;

use std::ops::Range;
use std::path::Path;

use media::document::{Document, Error, Kind, Options, Segment, Target};

fn parse(kind: Kind, source: &str, options: &Options) -> Document {
    Document::parse(kind, source.as_bytes(), options).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

fn texts(document: &Document) -> Vec<&str> {
    document.segments().iter().map(|segment| segment.text.as_str()).collect()
}

/// A document with each segment translated.
fn translated(kind: Kind, source: &str, options: &Options, translate: fn(&Segment) -> Target) -> String {
    let document = parse(kind, source, options);
    let targets: Vec<Target> = document.segments().iter().map(translate).collect();
    String::from_utf8(document.render(&targets).unwrap()).unwrap()
}

/// What comes of texts that come back as they are: the very bytes.
fn check_identity(kind: Kind, source: &str, options: &Options) {
    let document = parse(kind, source, options);
    let targets: Vec<Target> =
        document.segments().iter().map(|segment| segment.text.as_str().into()).collect();
    assert_eq!(String::from_utf8(document.render(&targets).unwrap()).unwrap(), source);
    for segment in document.segments() {
        assert!(!segment.text.contains('\n') && segment.text.trim() == segment.text, "{:?}", segment.text);
        assert!((1..=1 + source.matches('\n').count()).contains(&segment.line), "{segment:?}");
    }
}

/// Words of a segment, each thing that is kept as one.
fn words(segment: &Segment) -> Vec<Range<usize>> {
    let text = &segment.text;
    let keeps = segment.keeps();
    let is_space =
        |at: &usize| text[*at..].starts_with([' ', '\t']) && !keeps.iter().any(|keep| keep.contains(at));
    let mut words = Vec::new();
    let mut start = None;
    for (at, _) in text.char_indices() {
        match (is_space(&at), start) {
            (true, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

/// Words in capitals but for what is kept, in an order, aligned one to one.
fn in_order(segment: &Segment, words: Vec<Range<usize>>, aligned: bool) -> Target {
    let keeps = segment.keeps();
    let mut target = Target::default();
    for word in words {
        if !target.text.is_empty() {
            target.text.push(' ');
        }
        let start = target.text.len();
        let mut at = word.start;
        for keep in keeps.iter().filter(|keep| keep.start >= word.start && keep.end <= word.end) {
            target.text.push_str(&segment.text[at..keep.start].to_uppercase());
            target.text.push_str(&segment.text[keep.clone()]);
            at = keep.end;
        }
        target.text.push_str(&segment.text[at..word.end].to_uppercase());
        if aligned {
            target.alignment.push((word, start..target.text.len()));
        }
    }
    target
}

/// The same in capitals.
fn upper(segment: &Segment) -> Target {
    in_order(segment, words(segment), false)
}

/// The same in capitals and backwards, with an alignment.
fn backwards(segment: &Segment) -> Target {
    in_order(segment, words(segment).into_iter().rev().collect(), true)
}

/// Signs that mean something to one format or another.
fn nasty(segment: &Segment) -> Target {
    let keeps: Vec<&str> = segment.keeps().into_iter().map(|range| &segment.text[range]).collect();
    format!(
        "# 1. * <b> & &amp; \"q\", 'a'; | [x](y) _z_ `c` \\ $ ~~ --> {{é}} {} \u{a0} ∑ -",
        keeps.join(" ")
    )
    .into()
}

#[test]
fn kinds_are_told_by_their_names() {
    let check =
        |name: &str, expected: Option<Kind>| assert_eq!(Kind::of(Path::new(name)), expected, "{name}");
    check("a.txt", Some(Kind::Text));
    check("a.b.MD", Some(Kind::Markdown));
    check("a.markdown", Some(Kind::Markdown));
    check("x/a.htm", Some(Kind::Html));
    check("a.html", Some(Kind::Html));
    check("a.srt", Some(Kind::Srt));
    check("a.vtt", Some(Kind::Vtt));
    check("a.json", Some(Kind::Json));
    check("a.jsonl", Some(Kind::JsonLines));
    check("a.csv", Some(Kind::Csv));
    check("a.tsv", Some(Kind::Tsv));
    check("a.docx", None);
    check("txt", None);
}

#[test]
fn other_encodings_are_named() {
    let parse =
        |bytes: &[u8], lossy| Document::parse(Kind::Text, bytes, &Options { lossy, ..Options::default() });
    let error = parse(b"a\nb\xe9c\n", false).unwrap_err();
    assert_eq!(error, Error::NotUtf8 { line: 2, place: 3, byte: 0xe9 });
    let expected =
        "line 2: byte 0xe9 at place 3 is not UTF-8; convert the file, or replace such bytes with --lossy";
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        parse(b"\xef\xbb\xbfa\xff", false).unwrap_err(),
        Error::NotUtf8 { line: 1, place: 4, byte: 0xff }
    );
    assert_eq!(texts(&parse(b"b\xe9c", true).unwrap()), ["b\u{fffd}c"]);
    assert_eq!(
        parse(b"\xff\xfea\0", true).unwrap_err().to_string(),
        "the file is UTF-16; convert it to UTF-8"
    );
    assert_eq!(parse(b"\xfe\xff\0a", false).unwrap_err(), Error::Utf16);
    // a mark is kept, and is no text
    let document = parse(b"\xef\xbb\xbfone\r\n", false).unwrap();
    assert_eq!(texts(&document), ["one"]);
    assert_eq!(document.render(&["uno".into()]).unwrap(), b"\xef\xbb\xbfuno\r\n");
}

#[test]
fn as_many_targets_as_segments() {
    let document = parse(Kind::Text, "a\nb\n", &Options::default());
    let error = document.render(&["x".into()]).unwrap_err();
    assert_eq!(error.to_string(), "1 translations for 2 segments");
}

#[test]
fn empty_documents_are_documents() {
    for kind in [
        Kind::Text,
        Kind::Markdown,
        Kind::Html,
        Kind::Srt,
        Kind::Vtt,
        Kind::Json,
        Kind::JsonLines,
        Kind::Csv,
        Kind::Tsv,
    ] {
        for source in ["", "\n", " \r\n\t\n"] {
            let document = parse(kind, source, &Options::default());
            assert_eq!(document.segments(), []);
            assert_eq!(document.render(&[]).unwrap(), source.as_bytes());
        }
    }
}
