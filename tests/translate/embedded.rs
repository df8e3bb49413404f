//! The built-in model: English and French, both ways, without a network.

use crate::{done, fed, folder, translate};

#[test]
fn a_question_goes_into_french_and_back() {
    let folder = folder("there-and-back");
    let said = |words: &[&str]| done(&translate(&folder, &[&["--offline", "-q"], words].concat()));
    let french = said(&["--from", "en", "--to", "fr", "Where is the library?"]);
    // a narrow no-break space stands before a French question mark
    assert_eq!(french.trim(), "Où est la bibliothèque\u{202f}?");
    assert_eq!(said(&["--from", "fr", "--to", "en", french.trim()]).trim(), "Where is the library?");
    // of two languages the other one is written
    assert_eq!(said(&["--from", "en", "Where is the library?"]), french);
    assert_eq!(said(&["--to", "fr", "Where is the library?"]), french);
}

#[test]
fn tags_are_laid_around_the_words_that_they_stood_around() {
    let page = "<p>The <b>cat</b> is <i>sleeping</i>.</p>\n";
    let words = ["--from", "en", "--to", "fr", "--format", "html", "--offline", "-q", "-"];
    let found = done(&fed(&folder("tags"), &words, page.as_bytes()));
    assert_eq!(found, "<p>Le <b>chat</b> <i>dort</i>.</p>\n");
}

#[test]
fn the_model_is_listed_with_its_licence() {
    let shown = done(&translate(&folder("listed"), &["models", "show", "embedded"]));
    assert!(shown.contains("cc-by-2.0-fr"), "{shown}");
}

#[test]
fn other_languages_are_refused_with_a_model_that_knows_them() {
    let output = translate(&folder("inside"), &["--from", "en", "--to", "de", "It is raining."]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        why.contains("English and French, not German")
            && why.contains("opus-mt-en-de")
            && !why.contains("--then"),
        "{why}"
    );
}
