//! Subtitles: the same times and tags, sentences joined over cues and laid back.

use media::document::{Document, Kind, Options, Target};
use media::subtitles::{Cue, parse_srt, parse_vtt};

use super::{backwards, check_identity, nasty, parse, texts, translated, upper};

const SRT: &str = "1\r\n00:00:01,000 --> 00:00:02,500\r\n{\\an8}When the <i>old</i> sun\r\nhas gone down,\r\n\r\n2\r\n00:00:02,600 --> 00:00:04,000 X1:1 X2:2\r\n<i>we shall go home.</i>\r\n\r\n3\r\n00:00:05,000 --> 00:00:06,000\r\n- Hello there.\r\n- Hi, {name}.\r\n\r\n4\r\n00:00:09,000 --> 00:00:10,000\r\n♪ 12 ♪\r\n\r\n5\r\n00:00:10,500 --> 00:00:11,000\r\n[door closes]\r\n\r\n";
const VTT: &str = "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE keep\nthis note\n\nfirst\n00:01.000 --> 00:02.000 line:0 position:20%\n<v Ann Lee>So <c.loud>it</c> is <00:01.500>R&amp;D &lt;here&gt;\n\n1:00:00.000 --> 1:00:01.000\nnot <b>the\nend</b>\n\n00:00:02.000 --> 00:00:02.500 align:left\nof it all.";

/// When each cue comes and goes.
pub fn times(cues: Vec<Cue>) -> Vec<(f64, f64)> {
    cues.iter().map(|cue| (cue.start, cue.end)).collect()
}

fn same_frame(before: &[Cue], after: &[Cue]) {
    let frame = |cues: &[Cue]| -> Vec<(f64, f64, Vec<String>)> {
        let tags = |text: &str| {
            let parts = text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap().to_owned());
            parts.collect()
        };
        cues.iter().map(|cue| (cue.start, cue.end, tags(&cue.text))).collect()
    };
    assert_eq!(frame(before), frame(after));
}

#[test]
fn sentences_are_joined_over_cues_and_laid_back() {
    let options = Options::default();
    check_identity(Kind::Srt, SRT, &options);
    let document = parse(Kind::Srt, SRT, &options);
    let expected =
        ["When the old sun has gone down, we shall go home.", "Hello there.", "Hi, {name}.", "[door closes]"];
    assert_eq!(texts(&document), expected);
    assert_eq!(document.segments().iter().map(|segment| segment.line).collect::<Vec<_>>(), [3, 12, 13, 21]);
    let targets: Vec<Target> = vec![
        "Quand le vieux soleil sera couché, nous rentrerons à la maison.".into(),
        "Bonjour.".into(),
        "Salut, {name}.".into(),
        "[porte]".into(),
    ];
    let found = String::from_utf8(document.render(&targets).unwrap()).unwrap();
    let expected = SRT
        .replace("When the <i>old</i> sun\r\nhas gone down,", "Quand le <i>vieux</i>\r\nsoleil sera couché,")
        .replace("we shall go home.", "nous rentrerons à la maison.")
        .replace("Hello there", "Bonjour")
        .replace("Hi,", "Salut,")
        .replace("door closes", "porte");
    assert_eq!(found, expected);
}

#[test]
fn times_and_tags_stay() {
    for (number, translate) in [upper, backwards, nasty].into_iter().enumerate() {
        let options = Options::default();
        let found = translated(Kind::Srt, SRT, &options, translate);
        let (before, after) = (parse_srt(SRT).unwrap(), parse_srt(&found).unwrap());
        assert_eq!(before.len(), 5);
        // the last has tags of its own
        if number < 2 {
            same_frame(&before, &after);
        }
        assert_eq!(before.len(), after.len(), "{found}");
        assert_eq!(found.matches("{\\an8}").count(), 1);
        let found = translated(Kind::Vtt, VTT, &options, translate);
        let (before, after) = (parse_vtt(VTT).unwrap(), parse_vtt(&found).unwrap());
        assert_eq!(before.len(), 3);
        assert_eq!(times(before), times(after));
        let head = VTT.split("<v Ann").next().unwrap();
        assert!(found.starts_with(head), "{found}");
        for kept in [
            "<v Ann Lee>",
            "<c.loud>",
            "</c>",
            "<00:01.500>",
            "<b>",
            "</b>",
            " align:left\n",
            "1:00:00.000 -->",
        ] {
            assert_eq!(found.matches(kept).count(), 1, "{kept} in {found}");
        }
    }
}

#[test]
fn web_subtitles_are_escaped() {
    let document = parse(Kind::Vtt, VTT, &Options::default());
    assert_eq!(texts(&document), ["So it is R&D <here>", "not the end", "of it all."]);
    let found = translated(Kind::Vtt, VTT, &Options::default(), upper);
    assert!(found.contains("<v Ann Lee>SO <c.loud>IT</c> IS <00:01.500>R&amp;D &lt;"), "{found}");
    check_identity(Kind::Vtt, VTT, &Options::default());
}

fn cues(texts: &[&str]) -> String {
    let cue = |(at, text): (usize, &&str)| {
        format!("{}\n00:00:{:02},000 --> 00:00:{:02},900\n{text}\n\n", at + 1, at, at)
    };
    texts.iter().enumerate().map(cue).collect()
}

#[test]
fn sentences_end_where_they_end() {
    let check = |lines: &[&str], expected: &[&str]| {
        let source = cues(lines);
        assert_eq!(texts(&parse(Kind::Srt, &source, &Options::default())), expected);
    };
    check(&["One,", "two", "three."], &["One, two three."]);
    check(
        &["One.", "Two!", "Three?", "Four\u{201d}", "five"],
        &["One.", "Two!", "Three?", "Four\u{201d} five"],
    );
    check(&["Wait...", "What?"], &["Wait...", "What?"]);
    check(&["Wait…", "for me"], &["Wait… for me"]);
    check(&["One", "- Two"], &["One", "Two"]);
    check(&["One", "[noise]", "two"], &["One", "[noise]", "two"]);
    check(&["One", "123", "two"], &["One", "two"]);
    check(&["a"; 10], &["a a a a a a a a", "a a"]);
    let apart = "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:04,000 --> 00:00:05,000\ntwo\n";
    assert_eq!(texts(&parse(Kind::Srt, apart, &Options::default())), ["One", "two"]);
}

#[test]
fn lines_have_a_length() {
    let render = |lines: &[&str], target: &str, line_length| {
        let document = parse(Kind::Srt, &cues(lines), &Options { line_length, ..Options::default() });
        let found = String::from_utf8(document.render(&[target.into()]).unwrap()).unwrap();
        parse_srt(&found).unwrap().into_iter().map(|cue| cue.text).collect::<Vec<_>>()
    };
    let long = "one two three four five six seven eight nine ten eleven";
    assert_eq!(render(&["a b c."], long, None), ["one two three four five six\nseven eight nine ten eleven"]);
    assert_eq!(
        render(&["a b c."], long, Some(20)),
        ["one two three four\nfive six seven eight\nnine ten eleven"]
    );
    assert_eq!(render(&["a b\nc d."], "one two three", None), ["one two\nthree"]);
    assert_eq!(render(&["Hello there,\nmy friend."], "Salut, toi", None), ["Salut,\ntoi"]);
    // between cues in proportion, each with a word while there are some
    assert_eq!(render(&["a", "b", "c."], "one two three", None), ["one", "two", "three"]);
    assert_eq!(render(&["a", "b", "c."], "one", None), ["one", "", ""]);
    assert_eq!(render(&["one two three four,", "five."], "a b c d, e", None), ["a b c d,", "e"]);
    // scripts without spaces
    assert_eq!(
        render(&["One two three,", "four five six."], "一二三四,五六七八。", None),
        ["一二三四,", "五六七八。"]
    );
    assert_eq!(render(&["a"], "一二三四五六七八九十。", Some(6)), ["一二三四五六\n七八九十。"]);
}

#[test]
fn broken_times_are_refused_with_their_line() {
    let error = |kind, source: &str| {
        Document::parse(kind, source.as_bytes(), &Options::default()).unwrap_err().to_string()
    };
    let found = error(Kind::Srt, "1\n00:00:01,000 --> 00:00:0x,000\na\n");
    assert_eq!(found, "line 2: \"00:00:0x,000\" is no time like 00:00:01,000");
    assert_eq!(error(Kind::Vtt, "1\na"), "line 1: expected WEBVTT, found \"1\"");
}
