//! What is said: one line an error, one object a line, nothing that moves a cursor.

use anyhow::{Context, anyhow};
use cli::{Exit, StdoutClosed, Timings, exit_of, one_line, report_line, usage};

#[test]
fn an_error_is_one_line_with_its_causes() {
    let check = |error: anyhow::Error, expected: &str| assert_eq!(report_line(&error), expected);
    check(anyhow!("no bars"), "error: no bars");
    let io = || std::io::Error::other("disk full");
    check(
        anyhow::Error::new(io()).context("a.wav").context("cannot play"),
        "error: cannot play: a.wav: disk full",
    );
    // A cause that the text above it ends with already is not said twice.
    check(anyhow::Error::new(io()).context("cannot write a: disk full"), "error: cannot write a: disk full");
    check(anyhow!("a\nb\t\u{1b}[31m\u{202e}c\u{0}"), "error: a\\nb\\t\\u{1b}[31m\\u{202e}c\\u{0}");
    check(anyhow!("first").context("trailing\n"), "error: trailing: first");
    check(anyhow!("naïve 🎵"), "error: naïve 🎵");
}

#[test]
fn errors_have_their_exit_codes() {
    let check = |error: anyhow::Error, expected: Exit| assert_eq!(exit_of(&error), expected);
    check(anyhow!("x"), Exit::Failed);
    check(usage("x"), Exit::Usage);
    check(usage("x").context("y"), Exit::Usage);
    check(StdoutClosed.into(), Exit::Done);
    check(Err::<(), _>(StdoutClosed).context("printing").unwrap_err(), Exit::Done);
    // Another pipe than stdout is an error like any.
    check(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into(), Exit::Failed);
    let numbers =
        [Exit::Done, Exit::Failed, Exit::Usage, Exit::SomeFailed, Exit::Interrupted].map(|exit| exit as u8);
    assert_eq!(numbers, [0, 1, 2, 3, 130]);
}

#[test]
fn a_batch_with_failures_is_exit_3() {
    let mut summary = batch_summary();
    assert_eq!(Exit::from(&summary), Exit::Done);
    summary.failed.push(("a".into(), "bad".into()));
    assert_eq!(Exit::from(&summary), Exit::SomeFailed);
}

fn batch_summary() -> batch::Summary {
    batch::Summary { done: 1, skipped: 2, ..batch::Summary::default() }
}

#[test]
fn timings_are_one_object() {
    let timings = Timings { load_s: 0.5, generate_s: 1.25, ..Timings::default() }.with("first_note_s", 0.25);
    let text = serde_json::to_string(&timings).unwrap();
    assert_eq!(text, r#"{"load_s":0.5,"generate_s":1.25,"first_note_s":0.25}"#);
}

#[test]
fn one_line_keeps_words_and_escapes_the_rest() {
    let check = |text: &str, expected: &str| assert_eq!(one_line(text), expected);
    check("a b é", "a b é");
    check("a\r\nb", "a\\r\\nb");
    check("\u{2028}\u{9b}31m", "\\u{2028}\\u{9b}31m");
}
