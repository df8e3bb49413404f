//! Markdown: the same events but for the text.

use media::document::{Kind, Options, Target};
use pulldown_cmark::{Event, Options as Syntax, Parser, Tag, TagEnd};

use super::{backwards, check_identity, nasty, parse, texts, translated, upper};

const SOURCE: &str = include_str!("sample.md");

fn syntax() -> Syntax {
    Syntax::all()
        - Syntax::ENABLE_SMART_PUNCTUATION
        - Syntax::ENABLE_OLD_FOOTNOTES
        - Syntax::ENABLE_WIKILINKS
        - Syntax::ENABLE_SUBSCRIPT
        - Syntax::ENABLE_SUPERSCRIPT
}

/// Events with the text of blocks taken out; that of code, HTML and front matter stays.
fn events(source: &str) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    let mut fixed = 0;
    for event in Parser::new_ext(source, syntax()) {
        match &event {
            Event::Start(Tag::CodeBlock(_) | Tag::MetadataBlock(_) | Tag::Image { .. }) => fixed += 1,
            Event::End(TagEnd::CodeBlock | TagEnd::MetadataBlock(_) | TagEnd::Image) => fixed -= 1,
            _ => {}
        }
        let text = matches!(event, Event::Text(_) | Event::SoftBreak) && fixed == 0;
        if text && events.last().is_some_and(|last| last == "text") {
            continue;
        }
        let event = match event {
            _ if text => "text".to_owned(),
            // a link by its text alone becomes one with a label
            Event::Start(Tag::Link { dest_url, title, .. }) => format!("link {dest_url} {title}"),
            event => format!("{event:?}"),
        };
        events.push(event);
    }
    events
}

/// Markup within blocks, and the words that it encloses.
fn enclosed(source: &str) -> Vec<String> {
    let mut open: Vec<(String, Vec<String>)> = Vec::new();
    let mut found = Vec::new();
    for event in Parser::new_ext(source, syntax()) {
        match event {
            Event::Start(
                Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. },
            ) => {
                let Event::Start(tag) = event else { continue };
                let name = match tag {
                    Tag::Link { dest_url, .. } => format!("link {dest_url}"),
                    tag => format!("{tag:?}"),
                };
                open.push((name, Vec::new()));
            }
            Event::End(
                TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image,
            ) => {
                let (name, mut words) = open.pop().unwrap();
                words.sort();
                found.push(format!("{name}: {words:?}"));
                if let Some((_, outer)) = open.last_mut() {
                    outer.extend(words);
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, words)) = open.last_mut() {
                    let part = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_uppercase();
                    words.extend(text.split_whitespace().map(part).filter(|word| !word.is_empty()));
                }
            }
            _ => {}
        }
    }
    found.sort();
    found
}

/// All events but text and emphasis.
pub fn frame(source: &str) -> Vec<String> {
    let mut events: Vec<String> = events(source).into_iter().filter(|event| event != "text").collect();
    events.sort();
    events
}

#[test]
fn texts_are_blocks() {
    check_identity(Kind::Markdown, SOURCE, &Options::default());
    let document = parse(Kind::Markdown, SOURCE, &Options::default());
    for (number, (found, expected)) in
        texts(&document).iter().zip(include_str!("sample.md.txt").lines()).enumerate()
    {
        assert_eq!(*found, expected, "segment {number}");
    }
    assert_eq!(document.segments().len(), include_str!("sample.md.txt").lines().count());
}

#[test]
fn events_are_the_same_but_for_text() {
    let found = translated(Kind::Markdown, SOURCE, &Options::default(), upper);
    let (before, after) = (events(SOURCE), events(&found));
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before, after, "event {number} of\n{found}");
    }
    assert_eq!(before.len(), after.len());
    assert_ne!(found, SOURCE);
}

#[test]
fn marks_go_with_their_words() {
    let found = translated(Kind::Markdown, SOURCE, &Options::default(), backwards);
    assert_eq!(enclosed(SOURCE), enclosed(&found), "{found}");
    let sorted = |source: &str| {
        let mut events: Vec<String> = events(source).into_iter().filter(|event| event != "text").collect();
        events.sort();
        events
    };
    assert_eq!(sorted(SOURCE), sorted(&found), "{found}");
}

#[test]
fn signs_in_a_translation_are_text() {
    let found = translated(Kind::Markdown, SOURCE, &Options::default(), nasty);
    let blocks = |source: &str| -> Vec<String> {
        let is_text = |event: &String| {
            event.starts_with("text") || event.starts_with("Start(Emph") || event.starts_with("End(Emph")
        };
        let mut events: Vec<String> = events(source).into_iter().filter(|event| !is_text(event)).collect();
        events.sort();
        events
    };
    assert_eq!(blocks(SOURCE), blocks(&found), "{found}");
}

fn render(source: &str, target: &str, pairs: &[(&str, &str)]) -> String {
    let document = parse(Kind::Markdown, source, &Options::default());
    let text = &document.segments()[0].text;
    let place = |text: &str, part: &str| {
        let start = text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        start..start + part.len()
    };
    let alignment = pairs.iter().map(|(from, to)| (place(text, from), place(target, to))).collect();
    let target = Target { text: target.into(), alignment };
    String::from_utf8(document.render(&[target]).unwrap()).unwrap()
}

#[test]
fn emphasis_finds_its_words() {
    let check = |source: &str, target: &str, pairs: &[(&str, &str)], expected: &str| {
        assert_eq!(render(source, target, pairs), expected, "{source}");
    };
    let pairs = [("The", "La"), ("white", "blanche"), ("house", "maison"), ("is", "est"), ("big", "grande")];
    check(
        "The **white** *house* is big.",
        "La maison blanche est grande.",
        &pairs,
        "La *maison* **blanche** est grande.",
    );
    check(
        "The **white [house](u)** is big.",
        "La maison blanche est grande.",
        &pairs,
        "La **[maison](u) blanche** est grande.",
    );
    check("**The white house is big.**", "x", &[], "**x**");
    check(
        "See `code` *now*.",
        "Jetzt siehe code.",
        &[("now", "Jetzt"), ("See", "siehe")],
        "*Jetzt* siehe `code`.",
    );
    // code that is lost comes back
    check("See `code` now.", "Jetzt siehe", &[("now", "Jetzt"), ("See", "siehe")], "Jetzt siehe `code`");
    // emphasis that signs or letters would break
    check(
        "a **big** c",
        "这是“重要”的",
        &[("a", "这是"), ("big", "“重要”"), ("c", "的")],
        "这是“**重要**”的",
    );
    check("a _big_ c", "这是重要的", &[("a", "这是"), ("big", "重要"), ("c", "的")], "这是 _重要_ 的");
    check("a **big** _c_", "重要的", &[("big", "重要"), ("c", "的")], "**重要**_的_");
}

#[test]
fn links_by_their_text_keep_their_label() {
    let source = "See [the docs] and [the code][].\n\n[The Docs]: /d\n[the code]: /c 'T'\n";
    check_identity(Kind::Markdown, source, &Options::default());
    let found = translated(Kind::Markdown, source, &Options::default(), upper);
    let expected =
        "SEE [THE DOCS][the docs] AND [THE CODE][the code].\n\n[The Docs]: /d\n[the code]: /c 'T'\n";
    assert_eq!(found, expected);
    assert_eq!(events(source), events(&found));
}

#[test]
fn pictures_may_be_described() {
    let source = "A ![small cat](cat.png \"t\") *here*.\n";
    let options = Options { attributes: true, ..Options::default() };
    check_identity(Kind::Markdown, source, &options);
    assert_eq!(
        translated(Kind::Markdown, source, &options, upper),
        "A ![SMALL CAT](cat.png \"t\") *HERE*.\n"
    );
    assert_eq!(
        translated(Kind::Markdown, source, &Options::default(), upper),
        "A ![small cat](cat.png \"t\") *HERE*.\n"
    );
}

#[test]
fn text_at_the_beginning_of_a_line_begins_no_block() {
    for (target, expected) in [
        ("1. x", "1\\. x"),
        ("# x", "\\# x"),
        ("- x", "\\- x"),
        ("+ x", "\\+ x"),
        ("> x", "\\> x"),
        ("===", "\\==="),
        ("---", "\\---"),
        ("1.5 x", "1.5 x"),
        ("#x", "#x"),
        ("\\*x snake_case 2 * 3", "\\\\\\*x snake_case 2 * 3"),
        ("a &amp; b & c &lt", "a \\&amp; b & c &lt"),
        ("$5", "$5"),
        ("$5 or $6", "\\$5 or \\$6"),
    ] {
        let found = render("Text.\n", target, &[]);
        assert_eq!(found, format!("{expected}\n"));
        let parsed: Vec<_> = Parser::new_ext(&found, syntax()).collect();
        let text: String = parsed
            .iter()
            .filter_map(|event| if let Event::Text(text) = event { Some(&**text) } else { None })
            .collect();
        assert_eq!(text, target);
        assert_eq!(parsed[0], Event::Start(Tag::Paragraph));
    }
}
