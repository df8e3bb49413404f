//! Columns of text: the same records but for the columns asked for.

use csv::{ReaderBuilder, StringRecord};
use media::document::{Document, Kind, Options};

use super::{backwards, check_identity, nasty, parse, texts, translated, upper};

const SOURCE: &str = "id,Text,\"note, long\"\r\n1,plain text,\"a \"\"quoted\"\", text\"\r\n2,\"two\r\nlines\",x,ragged one\n\n3\r\n4,  spaced  ,\"\"";

fn columns(names: &[&str]) -> Options {
    Options { columns: names.iter().map(|name| name.to_string()).collect(), ..Options::default() }
}

fn records(source: &str, delimiter: u8) -> Vec<StringRecord> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(source.as_bytes());
    reader.records().map(Result::unwrap).collect()
}

/// How many fields each record has.
pub fn frame(source: &str) -> Vec<usize> {
    let first = source.lines().next().unwrap_or_default();
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    records(source, delimiter).iter().map(StringRecord::len).collect()
}

#[test]
fn fields_change_and_nothing_else() {
    check_identity(Kind::Csv, SOURCE, &Options::default());
    let document = parse(Kind::Csv, SOURCE, &Options::default());
    assert_eq!(
        texts(&document),
        ["plain text", "a \"quoted\", text", "two", "lines", "x", "ragged one", "spaced"]
    );
    let found = translated(Kind::Csv, SOURCE, &Options::default(), upper);
    let (before, after) = (records(SOURCE, b','), records(&found, b','));
    assert_eq!(before[0], after[0]);
    for (before, after) in before[1..].iter().zip(&after[1..]) {
        let expected: Vec<String> = before.iter().map(str::to_uppercase).collect();
        assert_eq!(after.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(before.len(), after.len());
    assert!(found.contains("\r\n\"TWO") || found.contains("2,\"TWO\r\nLINES\",X"), "{found}");
}

#[test]
fn columns_are_chosen_by_name_and_number() {
    let check = |names: &[&str], expected: &[&str]| {
        assert_eq!(texts(&parse(Kind::Csv, SOURCE, &columns(names))), expected, "{names:?}");
    };
    check(&["Text"], &["plain text", "two", "lines", "spaced"]);
    check(&["2"], &["plain text", "two", "lines", "spaced"]);
    check(&["note, long"], &["a \"quoted\", text", "x"]);
    let headless = Options { header: false, ..columns(&["3"]) };
    assert_eq!(texts(&parse(Kind::Csv, SOURCE, &headless)), ["note, long", "a \"quoted\", text", "x"]);
    let error =
        |options: &Options| Document::parse(Kind::Csv, SOURCE.as_bytes(), options).unwrap_err().to_string();
    assert_eq!(error(&columns(&["text"])), "no column \"text\"; there are id, Text, note, long");
    assert_eq!(error(&columns(&["4"])), "no column \"4\"; there are id, Text, note, long");
    assert_eq!(
        error(&Options { header: false, ..columns(&["Text"]) }),
        "no column \"Text\"; there are 1 to 3"
    );
}

#[test]
fn fields_are_quoted_where_they_must_be() {
    let render = |kind, source: &str, target: &str| {
        let document = parse(kind, source, &Options { header: false, ..Options::default() });
        String::from_utf8(document.render(&[target.into()]).unwrap()).unwrap()
    };
    assert_eq!(render(Kind::Csv, "1,one\n", "a, b"), "1,\"a, b\"\n");
    assert_eq!(render(Kind::Csv, "1,one\n", "a \"b\""), "1,\"a \"\"b\"\"\"\n");
    assert_eq!(render(Kind::Csv, "1,\"one\"\n", "a"), "1,\"a\"\n");
    assert_eq!(render(Kind::Csv, "1;one\n", "a, b"), "1;a, b\n");
    assert_eq!(render(Kind::Csv, "1;one\n", "a; b"), "1;\"a; b\"\n");
    assert_eq!(render(Kind::Tsv, "1\tone\n", "a, \"b\"\tc"), "1\ta, \"b\" c\n");
    let found = translated(Kind::Csv, SOURCE, &Options::default(), nasty);
    assert_eq!(records(&found, b',').len(), records(SOURCE, b',').len());
}

#[test]
fn tabs_may_stand_between_fields_with_any_quotes() {
    let source = "1\teng\tHe said \"yes\".\n2\tfra\t\"Oui\" dit-il\n3\tdeu\t\"Ja\"\n4\tx\t\"open\n";
    let options = Options { header: false, ..columns(&["3"]) };
    check_identity(Kind::Tsv, source, &options);
    assert_eq!(
        texts(&parse(Kind::Tsv, source, &options)),
        ["He said \"yes\".", "\"Oui\" dit-il", "Ja", "\"open"]
    );
    let expected = "1\teng\t\"YES\". SAID HE\n2\tfra\tDIT-IL \"OUI\"\n3\tdeu\t\"JA\"\n4\tx\t\"OPEN\n";
    assert_eq!(translated(Kind::Tsv, source, &options, backwards), expected);
}

#[test]
fn an_open_quote_is_refused_with_its_line() {
    let error = |source: &str| {
        Document::parse(Kind::Csv, source.as_bytes(), &Options::default()).unwrap_err().to_string()
    };
    assert_eq!(error("a,b\n1,\"x\ny\"\n2,\"open\n\n"), "line 4: a quote is opened here and never closed");
    let expected = "line 2: a quoted field goes on behind its quote; double the quotes within it";
    assert_eq!(error("a\n\"x\"y\n"), expected);
}
