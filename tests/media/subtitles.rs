//! Subtitles are those that openai/whisper writes, and what is written is read again.

use std::path::Path;

use media::subtitles::{Cue, Layout, Word, lay_out, lrc, parse_srt, parse_vtt, srt, tsv, txt, vtt};

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/subtitles");
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn segments() -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::new();
    for row in golden("segments.tsv").lines() {
        let fields: Vec<&str> = row.splitn(4, '\t').collect();
        let (start, end) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        let text = fields[3].to_owned();
        if fields[0] == "segment" {
            cues.push(Cue { start, end, text, words: Vec::new() });
        } else {
            cues.last_mut().unwrap().words.push(Word { start, end, text });
        }
    }
    assert_eq!(cues.len(), 9);
    cues
}

fn cue(start: f64, end: f64, text: &str) -> Cue {
    Cue { start, end, text: text.into(), words: Vec::new() }
}

/// Words of a second each, in a segment.
fn spoken(start: f64, text: &str) -> Cue {
    let word = |(i, text): (usize, &str)| {
        let start = start + i as f64;
        Word { start, end: start + 1.0, text: format!(" {text}") }
    };
    let words: Vec<Word> = text.split(' ').enumerate().map(word).collect();
    Cue { start, end: start + words.len() as f64, text: format!(" {text}"), words }
}

fn layout(width: usize, count: usize, words: usize) -> Layout {
    let option = |most: usize| (most > 0).then_some(most);
    Layout {
        max_line_width: option(width),
        max_line_count: option(count),
        max_words_per_line: option(words),
        highlight_words: false,
    }
}

#[test]
fn words_are_laid_out_as_the_reference_does_byte_for_byte() {
    let highlight = |layout: Layout| Layout { highlight_words: true, ..layout };
    let options = [
        ("words", layout(0, 0, 0)),
        ("width20", layout(20, 0, 0)),
        ("width20_lines2", layout(20, 2, 0)),
        ("width42_lines1", layout(42, 1, 0)),
        ("width6_lines3", layout(6, 3, 0)),
        ("lines2", layout(0, 2, 0)),
        ("words3", layout(0, 0, 3)),
        ("words2_width9", layout(9, 0, 2)),
        ("words1_width30_lines2", layout(30, 2, 1)),
        ("highlight", highlight(layout(0, 0, 0))),
        ("highlight_width20_lines2", highlight(layout(20, 2, 0))),
    ];
    for (name, layout) in options {
        assert_eq!(srt(&segments(), &layout), golden(&format!("{name}.srt")), "{name}");
        assert_eq!(vtt(&segments(), &layout), golden(&format!("{name}.vtt")), "{name}");
    }
}

#[test]
fn segments_without_words_are_written_as_the_reference_does_byte_for_byte() {
    let mut cues = segments();
    cues.iter_mut().for_each(|cue| cue.words.clear());
    cues.push(cue(400_000.000_5, 400_001.001_5, " from a --> b "));
    assert_eq!(srt(&cues, &Layout::default()), golden("plain.srt"));
    assert_eq!(vtt(&cues, &Layout::default()), golden("plain.vtt"));
    assert_eq!(tsv(&cues), golden("plain.tsv"));
    assert_eq!(txt(&cues), golden("plain.txt"));
}

#[test]
fn what_is_written_is_read_again_and_written_the_same() {
    for name in ["plain", "words", "width20_lines2", "highlight_width20_lines2"] {
        let file = golden(&format!("{name}.srt"));
        assert_eq!(srt(&parse_srt(&file).unwrap(), &Layout::default()), file, "{name}");
        let file = golden(&format!("{name}.vtt"));
        assert_eq!(vtt(&parse_vtt(&file).unwrap(), &Layout::default()), file, "{name}");
    }
    let cues = [
        cue(0.0, 0.001, "1984\n2"),
        cue(1.0, 2.0, "R&D: 1 < 2 > 0, <i>so</i> &lt; & &amp;"),
        cue(359_999.999_5, 1e6, "<font color=red>x</font>"),
    ];
    let file = vtt(&cues, &Layout::default());
    assert_eq!(parse_vtt(&file).unwrap()[..2], cues[..2]);
    assert!(file.contains("R&amp;D: 1 &lt; 2 > 0, <i>so</i> &amp;lt; &amp; &amp;amp;\n"), "{file}");
    assert!(file.contains("100:00:00.000 --> 277:46:40.000\n&lt;font color=red>x&lt;/font>\n"), "{file}");
    let file = srt(&cues, &Layout::default());
    assert_eq!(parse_srt(&file).unwrap()[..2], cues[..2]);
    assert_eq!(srt(&parse_srt(&file).unwrap(), &Layout::default()), file);
}

#[test]
fn a_cue_has_no_blank_line_no_arrow_and_something_to_say() {
    let cues = [cue(0.0, 1.0, " a\n\n \r\n b --> c ---> d\r"), cue(1.0, 2.0, "\n \n"), cue(2.0, 2.0, "e")];
    let expected =
        "1\n00:00:00,000 --> 00:00:01,000\na\n b -> c -> d\n\n2\n00:00:02,000 --> 00:00:02,000\ne\n\n";
    assert_eq!(srt(&cues, &Layout::default()), expected);
    let expected = "WEBVTT\n\n00:00.000 --> 00:01.000\na\n b -> c -> d\n\n00:02.000 --> 00:02.001\ne\n\n";
    assert_eq!(vtt(&cues, &Layout::default()), expected);
    assert_eq!(tsv(&cues[..1]), "start\tend\ttext\n0\t1000\ta b --> c ---> d\n");
    assert_eq!(vtt(&[], &Layout::default()), "WEBVTT\n\n");
    let odd = [cue(-1.0, f64::NAN, "f")];
    assert_eq!(srt(&odd, &Layout::default()), "1\n00:00:00,000 --> 00:00:00,000\nf\n\n");
}

#[test]
fn laid_out_cues_keep_their_words() {
    let cues = lay_out(&[spoken(0.0, "one two three"), spoken(10.0, "four")], &layout(8, 1, 0));
    let found: Vec<_> =
        cues.iter().map(|cue| (cue.start, cue.end, cue.text.as_str(), cue.words.len())).collect();
    assert_eq!(found, [(0.0, 2.0, "one two", 2), (2.0, 3.0, "three", 1), (10.0, 11.0, "four", 1)]);
    // without the words of one, its text is all there is
    let mut mixed = [spoken(0.0, "one two"), cue(2.0, 3.0, " three "), cue(3.0, 4.0, " ")];
    let texts =
        |cues: &[Cue]| lay_out(cues, &layout(0, 0, 1)).into_iter().map(|cue| cue.text).collect::<Vec<_>>();
    assert_eq!(texts(&mixed), ["one", "two", "three"]);
    mixed[0].words.clear();
    assert_eq!(texts(&mixed), [" one two", " three ", " "]);
}

#[test]
fn lyrics_have_minutes_and_hundredths() {
    let cues =
        [cue(0.0, 1.0, " a\nb"), cue(61.994, 62.0, "c"), cue(61.995, 62.0, "d"), cue(6000.5, 6001.0, "e")];
    assert_eq!(lrc(&cues), "[00:00.00]a b\n[01:01.99]c\n[01:02.00]d\n[100:00.50]e\n");
}

#[test]
fn what_others_write_is_understood() {
    let check = |file: &str, expected: &[(f64, f64, &str)]| {
        let cues = parse_srt(file).unwrap();
        let found: Vec<_> = cues.iter().map(|cue| (cue.start, cue.end, cue.text.as_str())).collect();
        assert_eq!(found, expected, "{file:?}");
    };
    let plain = [(1.0, 2.5, "a\nb"), (3.0, 4.0, "c")];
    check("1\n00:00:01,000 --> 00:00:02,500\na\nb\n\n2\n00:00:03,000 --> 00:00:04,000\nc\n\n", &plain);
    check(
        "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\na\r\nb\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nc",
        &plain,
    );
    check("1\r00:00:01,000 --> 00:00:02,500\ra\rb\r\r2\r00:00:03,000 --> 00:00:04,000\rc\r", &plain);
    // no numbers, no blank line, a point, short fractions, no hours, places on the picture
    check("00:00:01.0-->0:0:02.5 X1:1 Y1:2\na\nb\n2\n00:03,00 -->  00:04 align:left\nc", &plain);
    check("\n\n  \n7\n00:00:01,000 --> 00:00:02,500\na\nb\n00:00:03,000 --> 00:00:04,000\nc\n\n3\n", &plain);
    check("1\n100:00:00,000 --> 100:00:00,000\n\n", &[(360_000.0, 360_000.0, "")]);
    check("", &[]);
}

#[test]
fn web_subtitles_lose_notes_and_markup() {
    let file = "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE of\nno worth\n\nREGION\nid:r\n\n\
        first\n00:01.000 --> 00:02.000 line:0 position:20%\n\
        <v Ann Lee>So <i.loud>it</i> is <00:01.500><c>&lt;x&gt;</c>&nbsp;R&amp;D\n\n\
        NOTE\n\n1:00:00.000 --> 1:00:01.000\n<b>end";
    let cues = parse_vtt(file).unwrap();
    assert_eq!(cues, [cue(1.0, 2.0, "So <i>it</i> is <x>\u{a0}R&D"), cue(3600.0, 3601.0, "<b>end")]);
    assert_eq!(parse_vtt("\u{feff}WEBVTT").unwrap(), []);
    assert_eq!(parse_vtt("WEBVTT\n00:01.000 --> 00:02.000\na").unwrap(), [cue(1.0, 2.0, "a")]);
}

#[test]
fn what_cannot_be_understood_is_refused_with_its_line() {
    let check = |file: &str, expected: &str| assert_eq!(parse_srt(file).unwrap_err().to_string(), expected);
    let expected = "expected times like 00:00:01,000 --> 00:00:02,500, found";
    check("Dear all,\n", &format!("line 1: {expected} \"Dear all,\""));
    check("1\n00:00:01,000 --> 00:00:02,000\na\n\nb\n", &format!("line 5: {expected} \"b\""));
    check("1\nno times\na\n", &format!("line 1: {expected} \"1\""));
    check("1\n00:00:01,000 --> 00:00:0x,000\na\n", "line 2: \"00:00:0x,000\" is no time like 00:00:01,000");
    check("\n1\n00:60:01,000 --> 00:61:02,000\n", "line 3: \"00:60:01,000\" is no time like 00:00:01,000");
    check("00:00:01,0000 --> 00:00:02,000\n", "line 1: \"00:00:01,0000\" is no time like 00:00:01,000");
    check("00:00:03,000 --> 00:00:02,000\na\n", "line 1: it ends before it begins");
    check("-->", "line 1: \"\" is no time like 00:00:01,000");
    let error = |file: &str| parse_vtt(file).unwrap_err().to_string();
    assert_eq!(error("1\n00:01.000 --> 00:02.000\na"), "line 1: expected WEBVTT, found \"1\"");
    assert_eq!(error(""), "line 1: expected WEBVTT, found \"\"");
    assert_eq!(error("WEBVTTX"), "line 1: expected WEBVTT, found \"WEBVTTX\"");
}
