//! Damaged documents by the thousand: each is refused, or comes back byte for byte, and takes any translation.
//!
//! `FUZZ=1000000 cargo test -p media document -- --nocapture` tries more than the default of 3,000 a kind.

use std::time::{Duration, Instant};

use media::document::{Document, Kind, Options, Target};
use media::subtitles::{parse_srt, parse_vtt};

use super::{backwards, captions, html, json, markdown, nasty, table, upper};

/// A small deterministic generator (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit.max(1) as u64) as usize
    }
}

const PARTS: [&str; 60] = [
    "<",
    ">",
    "&",
    "\"",
    "'",
    "`",
    "*",
    "_",
    "[",
    "]",
    "(",
    ")",
    "!",
    "#",
    "|",
    "~",
    "$",
    "{",
    "}",
    "%s",
    "\\",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    ",",
    ";",
    ":",
    "-",
    "--",
    "-->",
    "é",
    "一二",
    "\u{a0}",
    "\u{301}",
    "<b>",
    "</b>",
    "<i x='y'>",
    "</i>",
    "<br>",
    "<!--",
    "<code>",
    "</code>",
    "<p>",
    "</p>",
    "&amp;",
    "&#x41;",
    "[^1]",
    "](u)",
    "**",
    "```",
    "> ",
    "- ",
    "1. ",
    "    ",
    "00:00:01,000 --> 00:00:02,000\n",
    "word ",
    "two words",
    "\\u00e9",
];

fn mutated(seed: &str, dice: &mut Dice) -> String {
    let mut text: Vec<char> = seed.chars().collect();
    let most = 1 + dice.below(8);
    for _ in 0..=dice.below(most) {
        let at = dice.below(text.len() + 1);
        let end = (at + dice.below(12)).min(text.len());
        match dice.below(5) {
            0 => drop(text.drain(at..end)),
            1 => {
                let copy = text[at..end].to_vec();
                let to = dice.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            2 => text.truncate(at.max(8)),
            _ => {
                let part: Vec<char> = PARTS[dice.below(PARTS.len())].chars().collect();
                text.splice(at..at, part);
            }
        }
    }
    text.into_iter().collect()
}

/// Whether another parser finds the same frame in both.
fn same_frame(kind: Kind, before: &str, after: &str) -> bool {
    match kind {
        Kind::Text => before.split_inclusive('\n').count() == after.split_inclusive('\n').count(),
        Kind::Markdown => markdown::frame(before) == markdown::frame(after),
        Kind::Html => html::frame(before) == html::frame(after),
        Kind::Json => {
            let frame = |source: &str| serde_json::from_str(source).ok().map(json::frame);
            frame(before) == frame(after)
        }
        Kind::JsonLines => {
            let values = |source: &str| -> Vec<_> {
                let values = serde_json::Deserializer::from_str(source).into_iter();
                values.map_while(Result::ok).map(json::frame).collect()
            };
            values(before) == values(after)
        }
        Kind::Srt => parse_srt(before).map(captions::times) == parse_srt(after).map(captions::times),
        Kind::Vtt => parse_vtt(before).map(captions::times) == parse_vtt(after).map(captions::times),
        Kind::Csv => table::frame(before) == table::frame(after),
        // a tab within quotes is text
        Kind::Tsv if before.contains('"') => true,
        Kind::Tsv => {
            let fields =
                |source: &str| -> Vec<_> { source.lines().map(|line| line.split('\t').count()).collect() };
            fields(before) == fields(after)
        }
    }
}

fn fuzz(kind: Kind, seeds: &[&str]) {
    let count = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(3_000);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut longest, mut strange) = (0, Duration::ZERO, 0);
    for number in 0..count {
        let source = mutated(seeds[dice.below(seeds.len())], &mut dice);
        // lines that are filled again and attributes that are translated are others
        let other = number % 2 == 0;
        let options = Options { attributes: other, paragraphs: other, ..Options::default() };
        let start = Instant::now();
        let document = match Document::parse(kind, source.as_bytes(), &options) {
            Ok(document) => document,
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains('\n') && line.len() < 400, "input {number}: {line:?}");
                continue;
            }
        };
        read += 1;
        let segments = document.segments();
        let same: Vec<Target> = segments.iter().map(|segment| segment.text.as_str().into()).collect();
        assert_eq!(String::from_utf8(document.render(&same).unwrap()).unwrap(), source, "input {number}");
        for translate in [upper, backwards, nasty, |_: &_| Target::default()] {
            let targets: Vec<Target> = segments.iter().map(translate).collect();
            let found = String::from_utf8(document.render(&targets).unwrap()).unwrap();
            strange += usize::from(
                !other
                    && !targets.iter().all(|target| target.text.is_empty())
                    && !same_frame(kind, &source, &found),
            );
        }
        // noise for an alignment
        let mut noisy: Vec<Target> = segments.iter().map(backwards).collect();
        for (from, to) in noisy.iter_mut().flat_map(|target| &mut target.alignment) {
            *from = dice.below(40)..dice.below(60);
            to.end += dice.below(9);
        }
        document.render(&noisy).unwrap();
        longest = longest.max(start.elapsed());
    }
    println!(
        "{kind:?}: {count} inputs, {read} read, longest {longest:?}, {strange} of {} have another frame",
        4 * read
    );
    let may = if kind == Kind::Markdown { 4 * read / 100 } else { 0 };
    assert!(strange <= may);
    assert!(read > count / 30 && longest < Duration::from_secs(30));
}

#[test]
fn damage_is_refused_or_kept() {
    fuzz(Kind::Text, &["One.\n\nTwo lines\nhere.\r\n"]);
    fuzz(Kind::Markdown, &[include_str!("sample.md"), "a *b **c** `d`* [e](f) <g>h</g>\n"]);
    fuzz(Kind::Html, &[include_str!("sample.html"), "<p>a <b>b <i>c</i></b> <code>d</code><br>e</p>"]);
    let srt = "1\n00:00:01,000 --> 00:00:02,500\na <i>b</i>,\nc\n\n2\n00:00:03,000 --> 100:00:04,000\n- d & e\n- f\n\n";
    fuzz(Kind::Srt, &[srt]);
    fuzz(
        Kind::Vtt,
        &[
            "WEBVTT\n\n00:01.000 --> 00:02.000 line:0\n<v A>a <c.b>b</c>\n\n00:02.000 --> 00:03.000\nc &amp; d",
        ],
    );
    fuzz(Kind::Json, &[r#"{"a": ["b \u00e9 \n c", 1, {"d": "e f"}], "g": null}"#]);
    fuzz(Kind::JsonLines, &["{\"a\": \"b c\"}\n[\"d\"]\n"]);
    fuzz(Kind::Csv, &["a,b\n1,\"x \"\"y\"\", z\"\n2,plain text\n"]);
    fuzz(Kind::Tsv, &["a\tb\n1\t\"x\"\n2\tplain text\n"]);
}

#[test]
fn a_line_of_ten_megabytes_takes_linear_time() {
    let line = "The <b>white house</b> stood *there*, {name}: \"so\" %s & [x](y) `c`. ";
    for kind in [Kind::Text, Kind::Markdown, Kind::Html, Kind::Srt, Kind::Json, Kind::Csv, Kind::Tsv] {
        let text = match kind {
            Kind::Json | Kind::Csv => line.replace('"', ""),
            _ => line.to_owned(),
        };
        let text = text.repeat(10_000_000 / text.len());
        let source = match kind {
            Kind::Srt => format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n"),
            Kind::Json => format!("\"{text}\""),
            Kind::Csv => format!("a\n\"{text}\""),
            Kind::Tsv => format!("a\n{text}"),
            _ => text,
        };
        let start = Instant::now();
        let document = Document::parse(kind, source.as_bytes(), &Options::default()).unwrap();
        let parsed = start.elapsed();
        assert_eq!(document.segments().len(), 1);
        let target = document.segments()[0].text.to_uppercase();
        let found = document.render(&[target.into()]).unwrap();
        assert!(found.len() > 9_000_000);
        println!("{kind:?}: {parsed:?} to parse, {:?} in all", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(300), "{kind:?}: {:?}", start.elapsed());
    }
}

#[test]
fn many_lines_are_quick() {
    let source = "A line of some words, as they come.\n".repeat(200_000);
    let start = Instant::now();
    let document = Document::parse(Kind::Text, source.as_bytes(), &Options::default()).unwrap();
    let targets: Vec<Target> = document.segments().iter().map(|_| "une ligne".into()).collect();
    assert_eq!(document.render(&targets).unwrap(), "une ligne\n".repeat(200_000).as_bytes());
    println!("200,000 lines: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60));
}
