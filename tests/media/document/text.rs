//! Plain text: every line has its line.

use media::document::{Kind, Options};

use super::{check_identity, parse, texts, translated, upper};

const SOURCE: &str = "One line.\r\n\r\n  \tTwo  spaces. \n\n\n42\nlast é";

#[test]
fn lines_keep_their_white_space() {
    let options = Options::default();
    check_identity(Kind::Text, SOURCE, &options);
    let document = parse(Kind::Text, SOURCE, &options);
    assert_eq!(texts(&document), ["One line.", "Two  spaces.", "42", "last é"]);
    assert_eq!(document.segments().iter().map(|segment| segment.line).collect::<Vec<_>>(), [1, 3, 6, 7]);
    let expected = "ONE LINE.\r\n\r\n  \tTWO SPACES. \n\n\n42\nLAST É";
    assert_eq!(translated(Kind::Text, SOURCE, &options, upper), expected);
    // a target is one line, whatever comes
    let targets = ["a\nb".into(), "c\r\n".into(), "".into(), " d".into()];
    assert_eq!(document.render(&targets).unwrap(), b"a b\r\n\r\n  \tc \n\n\n\nd");
}

#[test]
fn paragraphs_are_joined_and_filled() {
    let options = Options { paragraphs: true, ..Options::default() };
    let source = "A paragraph of\r\nthree wrapped\r\nlines.\r\n\r\n  Single.\r\n";
    check_identity(Kind::Text, source, &options);
    let document = parse(Kind::Text, source, &options);
    assert_eq!(texts(&document), ["A paragraph of three wrapped lines.", "Single."]);
    let targets =
        ["Drei Zeilen sind ein Absatz geworden.".into(), "Eine einzige, die lang sein darf.".into()];
    let expected =
        "Drei Zeilen\r\nsind ein\r\nAbsatz\r\ngeworden.\r\n\r\n  Eine einzige, die lang sein darf.\r\n";
    assert_eq!(String::from_utf8(document.render(&targets).unwrap()).unwrap(), expected);
}
