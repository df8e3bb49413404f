//! Placeholders, tags and addresses.

use media::document::Target;
use media::document::inline::{Run, held, joined, parts, placeholders, runs};

fn found(text: &str) -> Vec<&str> {
    placeholders(text).into_iter().map(|range| &text[range]).collect()
}

#[test]
fn placeholders_are_found() {
    let check = |text: &str, expected: &[&str]| assert_eq!(found(text), expected, "{text}");
    check("Hello {name}, {0} of {1:>10.2f}!", &["{name}", "{0}", "{1:>10.2f}"]);
    check("{{ user.name }} and {% if x %} {{x}} {}", &["{{ user.name }}", "{% if x %}", "{{x}}", "{}"]);
    check("${x} #{y} $name costs $5 or US$ 7", &["${x}", "#{y}", "$name"]);
    check(
        "{count, plural, one {# file} other {# files}} left",
        &["{count, plural, one {# file} other {# files}}"],
    );
    check(
        "%s: %1$d of %-5.2f, %(name)s, %@ %ld %%",
        &["%s", "%1$d", "%-5.2f", "%(name)s", "%@", "%ld", "%%"],
    );
    check("in %PATH% and %user_name%", &["%PATH%", "%user_name%"]);
    check("Good :smile: :+1: :thumbs_up:", &[":smile:", ":thumbs_up:"]);
    check(
        "See https://a.example/b?c=d&e=(f). Or (www.x.example)!",
        &["https://a.example/b?c=d&e=(f)", "www.x.example"],
    );
    check("Mail a.b+c@mail.example, please.", &["a.b+c@mail.example"]);
    check("<b>bold</b> &nbsp;x&#39;<br/>", &["<b>", "</b>", "&nbsp;", "&#39;", "<br/>"]);
    check("ftp+x://h/p, \"http://h\"", &["ftp+x://h/p", "http://h"]);
}

#[test]
fn prose_has_none() {
    for text in [
        "100% sure, 50 % of it, 5%discount",
        "at 12:30:45: go",
        "{this is prose} {open",
        "a < b > c & d @ e",
        "$ 5, 5$",
        "x@y w www. ://",
        "a::b",
        "%",
        "",
    ] {
        assert_eq!(found(text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn a_text_falls_into_runs() {
    let text = "Hi {name}!";
    let run = |range, keep| Run { range, keep };
    assert_eq!(runs(text, &placeholders(text)), [run(0..3, false), run(3..9, true), run(9..10, false)]);
    assert_eq!(runs("", &[]), []);
}

#[test]
fn what_is_held_is_counted() {
    let source = "{a} and {b} and {a}";
    let keeps = placeholders(source);
    assert!(held(source, &keeps, "{a}{a} et {b}"));
    assert!(!held(source, &keeps, "{a} et {b}"));
    assert!(!held(source, &keeps, "{a} {a} {a} {b}"));
    // not within a longer word, but between those of scripts without spaces
    let foo = std::slice::from_ref(&(4..7));
    assert!(held("use foo", foo, "foo, utilisez"));
    assert!(!held("use foo", foo, "foobar"));
    assert!(held("use foo", foo, "使用foo打开"));
}

#[test]
fn parts_are_translated_alone_and_joined() {
    let text = "Dear {name}, you have %d messages at https://x.example/y.";
    let keeps = placeholders(text);
    let parts = parts(text, &keeps);
    assert_eq!(
        parts.iter().map(|part| &text[part.clone()]).collect::<Vec<_>>(),
        ["Dear", ", you have", "messages at"]
    );
    let first = Target { text: "Cher".into(), alignment: vec![(0..4, 0..4)] };
    let target = joined(text, &keeps, &[first, ", vous avez".into()]);
    assert_eq!(target.text, "Cher {name}, vous avez %d messages at https://x.example/y.");
    assert!(held(text, &keeps, &target.text));
    let pairs: Vec<_> =
        target.alignment.iter().map(|(a, b)| (&text[a.clone()], &target.text[b.clone()])).collect();
    let url = ("https://x.example/y", "https://x.example/y");
    assert_eq!(pairs, [("Dear", "Cher"), ("{name}", "{name}"), ("%d", "%d"), url]);
    assert_eq!(joined("{a}", &placeholders("{a}"), &[]).text, "{a}");
}
