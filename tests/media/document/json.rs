//! JSON: the same values but for strings, the same bytes between them.

use media::document::{Document, Kind, Options};
use serde_json::Value;

use super::{backwards, check_identity, nasty, parse, texts, translated, upper};

const SOURCE: &str = r#" {
  "title" : "Hello {name}",  "n": [1, 2.50e3, -0, true,null, "two words", ""],
	"deep": {"title": "A \"quoted\"\ttext\nsecond line é \u00e9 \ud83d\ude00", "url": "https://x.example/a"},
  "half": "\ud800 lone", "slash": "a\/b", "2024-01-01": "12:30", "dup": "one", "dup": "two" } "#;

fn keys(names: &[&str]) -> Options {
    Options { keys: names.iter().map(|name| name.to_string()).collect(), ..Options::default() }
}

/// All strings in capitals, if they are values.
fn capitals(value: &mut Value) {
    match value {
        Value::String(text) if !text.starts_with("http") => {
            *text = text.to_uppercase().replace("{NAME}", "{name}");
        }
        Value::Array(values) => values.iter_mut().for_each(capitals),
        Value::Object(values) => values.values_mut().for_each(capitals),
        _ => {}
    }
}

/// The value without its texts.
pub fn frame(value: Value) -> Value {
    match value {
        Value::String(_) => Value::String(String::new()),
        Value::Array(values) => values.into_iter().map(frame).collect(),
        Value::Object(values) => values.into_iter().map(|(key, value)| (key, frame(value))).collect(),
        value => value,
    }
}

#[test]
fn strings_change_and_nothing_else() {
    let options = Options::default();
    check_identity(Kind::Json, SOURCE, &options);
    let document = parse(Kind::Json, SOURCE, &options);
    let expected =
        ["Hello {name}", "two words", "A \"quoted\"\ttext", "second line é é 😀", "a/b", "one", "two"];
    assert_eq!(texts(&document), expected);
    let source = SOURCE.replace("\\ud800 lone", "12");
    let mut expected: Value = serde_json::from_str(&source).unwrap();
    capitals(&mut expected);
    expected["deep"]["title"] = "A \"QUOTED\" TEXT\nSECOND LINE É É 😀".into();
    let found = translated(Kind::Json, &source, &options, upper);
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expected);
    for (a, b) in found.split("\" :").zip(source.split("\" :")).take(1) {
        assert_eq!(a, b);
    }
    assert!(found.contains("[1, 2.50e3, -0, true,null, \"TWO WORDS\", \"\"],\n\t\"deep\""), "{found}");
}

#[test]
fn keys_and_paths_are_chosen() {
    let source = r#"{"a": {"t": "one", "u": ["two", {"t": "three"}]}, "t": "four", "a.t": "five"}"#;
    let check = |names: &[&str], expected: &[&str]| {
        let document = parse(Kind::Json, source, &keys(names));
        assert_eq!(texts(&document), expected, "{names:?}");
        check_identity(Kind::Json, source, &keys(names));
    };
    check(&["t"], &["one", "three", "four"]);
    check(&["a.t"], &["one", "five"]);
    check(&["a.u"], &["two"]);
    check(&["a.u.t", "t"], &["one", "three", "four"]);
    check(&["a.*"], &["one", "two"]);
    check(&["none"], &[]);
}

#[test]
fn escapes_are_those_of_the_file() {
    let render = |source: &str, target: &str| {
        let document = parse(Kind::Json, source, &Options::default());
        String::from_utf8(document.render(&[target.into()]).unwrap()).unwrap()
    };
    assert_eq!(render(r#"["\u00e9t"]"#, "é😀\"\\\u{1}"), r#"["\u00e9\ud83d\ude00\"\\\u0001"]"#);
    assert_eq!(render(r#"["été"]"#, "é😀"), r#"["é😀"]"#);
    let found = translated(Kind::Json, SOURCE, &Options::default(), nasty);
    assert_eq!(parse(Kind::Json, &found, &Options::default()).segments().len(), 7);
}

#[test]
fn lines_of_json_are_one_document() {
    let source = "{\"a\": \"one two\"}\n\n[\"three\"]\r\n\"four\" 5 {}";
    let options = Options::default();
    check_identity(Kind::JsonLines, source, &options);
    let found = translated(Kind::JsonLines, source, &options, backwards);
    assert_eq!(found, "{\"a\": \"TWO ONE\"}\n\n[\"THREE\"]\r\n\"FOUR\" 5 {}");
}

#[test]
fn what_is_no_json_is_refused_with_its_line() {
    let check = |source: &str, expected: &str| {
        let error = Document::parse(Kind::Json, source.as_bytes(), &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{source}");
    };
    check("[1,\n2", "line 2: the JSON is not complete");
    check("[1,]", "line 1: expected a value, found \"]\"");
    check("{\"a\": 1,}", "line 1: expected a key, found \"}\"");
    check("{\"a\"\n1}", "line 2: expected a colon, found \"1}\"");
    check("[\"a\" \"b\"]", "line 1: expected a comma or the end of a list or object, found a string");
    check("[}", "line 1: expected a value or ], found \"}\"");
    check("1 2", "line 1: expected the end of the file, found \"2\"");
    check("[nul]", "line 1: expected a value, found \"nul]\"".replace("a value,", "a value or ],").as_str());
    check("[\"a\nb\"]", "line 1: a string is not closed on its line");
    check("[\"a\\", "line 1: a string is not closed on its line");
    check("[\n\"\\x\"]", "line 2: \"\\\\x\" is no escape of JSON");
    check("[\"\\u12g4\"]", "line 1: \"\\\\u12g4\" is no escape of JSON");
}

#[test]
fn what_serde_json_reads_is_read() {
    for source in ["1", "\"a\"", "[]", "{}", "[[],{}]", "-1.5E+3", "{\"\":\"\"}", "[\"\\u0000\"]", "\t[ ]\n"]
    {
        assert!(serde_json::from_str::<Value>(source).is_ok());
        check_identity(Kind::Json, source, &Options::default());
    }
}

#[test]
fn deep_brackets_take_no_stack() {
    let source = "[".repeat(100_000) + "\"deep down\"" + &"]".repeat(100_000);
    assert_eq!(texts(&parse(Kind::Json, &source, &Options::default())), ["deep down"]);
    let source = "{\"a\":".repeat(100_000) + "\"deep down\"" + &"}".repeat(100_000);
    assert_eq!(texts(&parse(Kind::Json, &source, &keys(&["a"]))), ["deep down"]);
}
