//! HTML: the same tags but for the text, found by another tokenizer.

use std::ops::Range;

use html5gum::{DefaultEmitter, Token, Tokenizer};
use media::document::{Kind, Options, Target};

use super::{backwards, check_identity, nasty, parse, texts, translated, upper};

const SOURCE: &str = include_str!("sample.html");

/// Elements whose text stays.
const FIXED: [&str; 8] = ["script", "style", "pre", "code", "textarea", "noscript", "kbd", "svg"];

/// Tags, comments, and text, of which only that of fixed elements is told.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut fixed = Vec::new();
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(source, emitter) {
        let name = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name = name(&tag.name);
                let refused = tag.attributes.iter().any(|(key, value)| {
                    ***key == *b"translate" && ***value == *b"no"
                        || ***key == *b"class" && value.ends_with(b"notranslate")
                });
                if FIXED.contains(&name.as_str()) || refused {
                    fixed.push(name.clone());
                }
                tokens.push(format!("<{name} {:?} {}>", tag.attributes, tag.self_closing));
            }
            Token::EndTag(tag) => {
                let name = name(&tag.name);
                if fixed.last() == Some(&name) {
                    fixed.pop();
                }
                tokens.push(format!("</{name}>"));
            }
            Token::String(text) => {
                let text = String::from_utf8(text.to_vec()).unwrap();
                if !fixed.is_empty() || !text.contains(char::is_alphabetic) {
                    tokens.push(format!(
                        "text{}",
                        text.split_whitespace().map(|word| format!(" {word}")).collect::<String>()
                    ));
                } else {
                    tokens.push("text to translate".into());
                }
            }
            Token::Comment(text) => tokens.push(format!("comment {text:?}")),
            Token::Doctype(doctype) => tokens.push(format!("doctype {:?}", doctype.name)),
            Token::Error(_) => {}
        }
    }
    // spaces between blocks may go
    tokens.retain(|token| token != "text");
    tokens
}

#[test]
fn texts_are_blocks() {
    let options = Options { attributes: true, ..Options::default() };
    check_identity(Kind::Html, SOURCE, &Options::default());
    check_identity(Kind::Html, SOURCE, &options);
    let document = parse(Kind::Html, SOURCE, &Options::default());
    let expected: Vec<&str> = include_str!("sample.html.txt").lines().collect();
    assert_eq!(texts(&document), expected);
    let document = parse(Kind::Html, SOURCE, &options);
    let added: Vec<&str> = texts(&document).into_iter().filter(|text| !expected.contains(text)).collect();
    assert_eq!(added, ["Tip on \"hover\"", "A picture & more", "Type here", "Bare"]);
}

#[test]
fn tags_are_the_same_but_for_text() {
    let found = translated(Kind::Html, SOURCE, &Options::default(), upper);
    let (before, after) = (tokens(SOURCE), tokens(&found));
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before, after, "token {number} of\n{found}");
    }
    assert_eq!(before.len(), after.len());
    assert!(found.contains("CAFÉ") && found.contains("<title>A TITLE &amp; MORE</title>"), "{found}");
}

#[test]
fn tags_go_each_once() {
    for translate in [backwards, nasty] {
        let found = translated(Kind::Html, SOURCE, &Options::default(), translate);
        let sorted = |source: &str| {
            let mut tokens: Vec<String> = tokens(source)
                .into_iter()
                .filter(|token| token.starts_with('<') || token.starts_with("comment"))
                .collect();
            tokens.sort();
            tokens
        };
        assert_eq!(sorted(SOURCE), sorted(&found), "{found}");
        check_nested(&found);
    }
}

/// All tags and comments.
pub fn frame(source: &str) -> Vec<String> {
    let letter = |tag: &str| tag.trim_start_matches('/').starts_with(|c: char| c.is_ascii_alphabetic());
    let markup = |token: &String| token.strip_prefix('<').is_some_and(letter) || token.starts_with("comment");
    let mut tokens: Vec<String> = tokens(source).into_iter().filter(markup).collect();
    tokens.sort();
    tokens
}

/// Every tag within a paragraph is opened before it is closed, in the inverse order.
fn check_nested(source: &str) {
    let mut open: Vec<Vec<u8>> = Vec::new();
    for token in Tokenizer::new(source) {
        match token.unwrap() {
            Token::StartTag(tag) if [&b"b"[..], b"i", b"a", b"span", b"em"].contains(&&**tag.name) => {
                open.push(tag.name.to_vec());
            }
            Token::EndTag(tag) if [&b"b"[..], b"i", b"a", b"span", b"em"].contains(&&**tag.name) => {
                assert_eq!(open.pop().as_deref(), Some(&**tag.name), "{source}");
            }
            _ => {}
        }
    }
}

#[test]
fn attributes_are_translated_in_their_quotes() {
    let options = Options { attributes: true, ..Options::default() };
    let found = translated(Kind::Html, SOURCE, &options, upper);
    for expected in [
        "alt='A PICTURE &amp; MORE'",
        "title='TIP ON \"HOVER\"'",
        "placeholder=\"TYPE HERE\"",
        "alt=\"BARE\"",
    ] {
        assert!(found.contains(expected), "{expected} in {found}");
    }
    // within a paragraph whose text stays
    let source = "<p>Text <img alt=\"one two\"> here</p>";
    let document = parse(Kind::Html, source, &options);
    assert_eq!(texts(&document), ["one two", "Text here"]);
    let render = |targets: [Target; 2]| String::from_utf8(document.render(&targets).unwrap()).unwrap();
    assert_eq!(render(["x".into(), "Text here".into()]), "<p>Text <img alt=\"x\"> here</p>");
    assert_eq!(render(["x".into(), "y".into()]), "<p><img alt=\"x\"> y</p>");
}

fn render(source: &str, target: &str, pairs: &[(&str, &str)]) -> String {
    let document = parse(Kind::Html, source, &Options::default());
    let text = &document.segments()[0].text;
    let place = |text: &str, part: &str| {
        let start = text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        start..start + part.len()
    };
    let alignment = pairs.iter().map(|(from, to)| (place(text, from), place(target, to))).collect();
    String::from_utf8(document.render(&[Target { text: target.into(), alignment }]).unwrap()).unwrap()
}

#[test]
fn tags_find_their_words() {
    let check = |source: &str, target: &str, pairs: &[(&str, &str)], expected: &str| {
        assert_eq!(render(source, target, pairs), expected, "{source}");
    };
    let pairs =
        [("The", "Das"), ("white", "weiße"), ("house", "Haus"), ("stood", "stand"), ("there", "dort")];
    let target = "Dort stand das weiße Haus.";
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(a, b)| {
            (
                *a,
                if *b == "Das" {
                    "das"
                } else if *b == "dort" {
                    "Dort"
                } else {
                    *b
                },
            )
        })
        .collect();
    check(
        "<p>The <b>white</b> house stood there.</p>",
        target,
        &pairs,
        "<p>Dort stand das <b>weiße</b> Haus.</p>",
    );
    check(
        "<p>The <b>white house</b> stood <i>there</i>.</p>",
        target,
        &pairs,
        "<p><i>Dort</i> stand das <b>weiße Haus</b>.</p>",
    );
    check(
        "<p>The <b>white <i>house</i></b> stood there.</p>",
        target,
        &pairs,
        "<p>Dort stand das <b>weiße <i>Haus</i></b>.</p>",
    );
    check(
        "<p><b>The</b> white house stood there.</p>",
        target,
        &pairs,
        "<p>Dort stand <b>das</b> weiße Haus.</p>",
    );
    check(
        "<p>The white house<sup>1</sup> stood there.</p>",
        "Dort stand das weiße Haus1.",
        &pairs[..4],
        "<p>Dort stand das weiße Haus<sup>1</sup>.</p>",
    );
    check(
        "<p>The white house<img src=x> stood there.</p>",
        target,
        &pairs,
        "<p>Dort stand das weiße Haus<img src=x>.</p>",
    );
    // aligned to nothing: in proportion
    check(
        "<p>One <b>two</b> three four</p>",
        "eins zwei drei vier",
        &[("four", "vier")],
        "<p>eins <b>zwei</b> drei vier</p>",
    );
    check("<p>One <b>two</b> three</p>", "eins zwei drei", &[], "<p>eins <b>zwei</b> drei</p>");
    check("<p>One <b>two</b> three</p>", "uno", &[], "<p><b>uno</b></p>");
    check("<p>One <b>two</b> three</p>", "", &[], "<p><b></b></p>");
    // around all of it, outside
    check("<p> <a href=x><b>One two</b></a>\n</p>", "eins", &[], "<p> <a href=x><b>eins</b></a>\n</p>");
    // what is kept is found, or comes back
    check(
        "<p>Press <kbd>Ctrl</kbd> <b>now</b></p>",
        "Jetzt Ctrl drücken",
        &[("now", "Jetzt"), ("Press", "drücken")],
        "<p><b>Jetzt</b> <kbd>Ctrl</kbd> drücken</p>",
    );
    check(
        "<p>Press <kbd>Ctrl</kbd> now</p>",
        "Jetzt drücken",
        &[("now", "Jetzt"), ("Press", "drücken")],
        "<p>Jetzt drücken <kbd>Ctrl</kbd></p>",
    );
    // in a link though it was taken out of it
    check(
        "<p>See <a href=u>the <code>x</code> page</a> now</p>",
        "x jetzt die Seite sehen",
        &[("the", "die"), ("page", "Seite"), ("now", "jetzt"), ("See", "sehen")],
        "<p>jetzt <a href=u>die <code>x</code> Seite</a> sehen</p>",
    );
}

#[test]
fn alignments_that_do_not_fit_are_ignored() {
    let document = parse(Kind::Html, "<p>One <b>two</b> ü</p>", &Options::default());
    let odd = Range { start: 5, end: 2 };
    let alignment =
        vec![(0..100, 0..1), (0..3, 4..99), (8..9, 0..1), (odd, 0..1), (0..usize::MAX, 1..usize::MAX)];
    let target = Target { text: "eins zwei ü".into(), alignment };
    assert_eq!(document.render(&[target]).unwrap(), "<p>eins <b>zwei</b> ü</p>".as_bytes());
}

#[test]
fn unclosed_tags_lose_nothing() {
    for source in [
        "<p>One <b>two <i>three</p><p>four</b> five",
        "<p>x <b>a <i>b</b> c</i> d</p>",
        "</b>text</p></div> more",
        "<div><ul><li>one<li>two <b>three<li>four</ul>",
        "<p>text <a href=\"x",
        "<p>text <!-- never closed",
        "<script>var a = '<p>text</p>';",
        "text < 5 and <3 > 2 & more &",
        "<p translate=no>no<p>yes",
        "<code>a<p>b</code>c",
        "<",
        "a<b",
        "<p>x<br><br/>y</p>",
        "<b><p>bold</b> text</p>",
    ] {
        check_identity(Kind::Html, source, &Options::default());
        for translate in [upper, backwards] {
            let found = translated(Kind::Html, source, &Options::default(), translate);
            let tags = |source: &str| {
                let mut tags: Vec<String> =
                    tokens(source).into_iter().filter(|token| token.starts_with('<')).collect();
                tags.sort();
                tags
            };
            assert_eq!(tags(source), tags(&found), "{found}");
            let words = |source: &str| {
                let mut words: Vec<String> = Vec::new();
                for token in Tokenizer::new(source) {
                    if let Token::String(text) = token.unwrap() {
                        let text = String::from_utf8(text.to_vec()).unwrap().to_uppercase();
                        words.extend(
                            text.split(|c: char| !c.is_alphanumeric())
                                .filter(|word| !word.is_empty())
                                .map(str::to_owned),
                        );
                    }
                }
                words.sort();
                words
            };
            assert_eq!(words(source), words(&found), "{found}");
        }
    }
}

#[test]
fn references_are_characters() {
    let source = "<p>&eacute;t&#233; &#xE9; &copy 2020 &notit; &amp;lt; AT&T &#150; &hearts; &nosuch; a&nbsp;b &NotEqualTilde;</p>";
    let document = parse(Kind::Html, source, &Options::default());
    let expected = "été é © 2020 ¬it; &lt; AT&T – ♥ &nosuch; a\u{a0}b ≂̸";
    assert_eq!(texts(&document), [expected]);
    // as the other tokenizer has them
    let text = Tokenizer::new(source).find_map(|token| match token.unwrap() {
        Token::String(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
        _ => None,
    });
    assert_eq!(text.as_deref(), Some(expected));
    let found = translated(Kind::Html, source, &Options::default(), upper);
    let document = parse(Kind::Html, &found, &Options::default());
    assert_eq!(
        texts(&document),
        [expected
            .replace("&nosuch;", "&NOSUCH;")
            .to_uppercase()
            .replace("&LT;", "&lt;")
            .replace("&NOSUCH;", "&nosuch;")]
    );
}

#[test]
fn a_million_open_tags_take_no_stack_and_little_time() {
    let check = |source: String, count: usize| {
        let document = parse(Kind::Html, &source, &Options::default());
        assert_eq!(document.segments().len(), count);
        let targets: Vec<Target> = document.segments().iter().map(backwards).collect();
        let found = document.render(&targets).unwrap();
        assert_eq!(found.len(), source.len());
    };
    let start = std::time::Instant::now();
    check("<b>".repeat(1_000_000) + "deep down", 1);
    check("<div>".repeat(1_000_000) + "deep down" + &"</div>".repeat(1_000_000), 1);
    check("<b>x ".repeat(200_000) + "deep down" + &"</b>".repeat(200_000), 1);
    check("<i>".repeat(200_000) + "deep" + &"</b>".repeat(200_000), 1);
    check("<div>".repeat(200_000) + &"</p>".repeat(200_000), 0);
    assert!(start.elapsed().as_secs() < 300, "{:?}", start.elapsed());
}
