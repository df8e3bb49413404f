//! MusicXML: what the elements mean in time and pitch, and what damage does.

use std::io::{Cursor, Write};

use media::musicxml::{read, read_written};
use media::score::{Change, Key, Metre, Score};
use zip::write::SimpleFileOptions;

use crate::{notes, sample};

/// A score of parts, each the content of its `<part>`; ids P1, P2 and so on.
fn document(parts: &[&str]) -> String {
    let mut list = String::new();
    let mut music = String::new();
    for (number, part) in (1..).zip(parts) {
        list += &format!("<score-part id='P{number}'><part-name>Name</part-name></score-part>");
        music += &format!("<part id='P{number}'>{part}</part>");
    }
    format!("<score-partwise><part-list>{list}</part-list>{music}</score-partwise>")
}

/// Measures in 4/4 with 4 divisions in a quarter note.
fn measures(contents: &[&str]) -> String {
    let attributes = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>";
    let mut text = String::new();
    for (index, content) in contents.iter().enumerate() {
        let attributes = if index == 0 { attributes } else { "" };
        text += &format!("<measure number='{}'>{attributes}{content}</measure>", index + 1);
    }
    text
}

/// A note such as "C4" with its duration and further elements.
fn n(pitch: &str, duration: u32, more: &str) -> String {
    let (step, octave) = pitch.split_at(1);
    format!(
        "<note><pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration>{more}</note>"
    )
}

fn score(parts: &[&str]) -> Score {
    read(document(parts).as_bytes()).unwrap()
}

/// One part; times count in sixteenth notes.
fn check(contents: &[&str], expected: &[(u32, u8, u32)]) {
    let score = score(&[&measures(contents)]);
    let scale = score.ticks_per_quarter / 4;
    let found: Vec<_> = notes(&score.parts[0])
        .into_iter()
        .map(|(start, pitch, length)| (start / scale, pitch, length / scale))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn chords_rests_voices_and_divisions_make_times() {
    let chord = n("C4", 8, "") + &n("E4", 8, "").replace("<note>", "<note><chord/>") + &n("G4", 8, "");
    check(&[&chord], &[(0, 60, 8), (0, 64, 8), (8, 67, 8)]);
    let rest = "<note><rest/><duration>4</duration></note>";
    check(&[&(rest.to_owned() + &n("C4", 12, ""))], &[(4, 60, 12)]);
    let voices = n("C4", 16, "")
        + "<backup><duration>16</duration></backup><forward><duration>8</duration></forward>"
        + &n("C3", 4, "");
    check(&[&voices, &n("D4", 16, "")], &[(0, 60, 16), (8, 48, 4), (16, 62, 16)]);
    let change = n("C4", 8, "") + "<attributes><divisions>8</divisions></attributes>" + &n("D4", 16, "");
    check(&[&change, &n("E4", 32, "")], &[(0, 60, 8), (8, 62, 8), (16, 64, 16)]);
    let too_far = n("C4", 4, "") + "<backup><duration>400</duration></backup>" + &n("E4", 4, "");
    check(&[&too_far], &[(0, 60, 4), (0, 64, 4)]);
}

#[test]
fn grace_and_cue_notes_are_left_out() {
    let grace = "<note><grace/><pitch><step>D</step><octave>5</octave></pitch></note>";
    let cue = n("F4", 4, "").replace("<note>", "<note><cue/>");
    check(&[&(grace.to_owned() + &cue + &n("C4", 12, ""))], &[(4, 60, 12)]);
}

#[test]
fn ties_join_notes() {
    let start = "<tie type='start'/>";
    let both = "<tie type='stop'/><tie type='start'/>";
    let stop = "<tie type='stop'/>";
    check(
        &[&n("C4", 16, start), &n("C4", 16, both), &(n("C4", 4, stop) + &n("C4", 12, ""))],
        &[(0, 60, 36), (36, 60, 12)],
    );
    // a tie that nothing answers, and an answer without a tie
    check(&[&n("C4", 16, start), &n("D4", 16, stop)], &[(0, 60, 16), (16, 62, 16)]);
    // each voice's tie goes to its own voice
    let crossing = n("C4", 8, "<tie type='start'/><voice>1</voice>")
        + &n("D4", 8, "<voice>1</voice>")
        + "<backup><duration>16</duration></backup>"
        + &n("E4", 16, "<tie type='start'/><voice>2</voice>");
    check(&[&crossing, &n("E4", 4, stop)], &[(0, 60, 8), (0, 64, 20), (8, 62, 8)]);
}

#[test]
fn triplets_and_septuplets_are_exact() {
    let with = |divisions: u32, count: usize| {
        let notes = n("C4", 1, "").repeat(count);
        let text = format!(
            "<measure number='1'><attributes><divisions>{divisions}</divisions></attributes>{notes}</measure>"
        );
        let score = score(&[&text]);
        let lengths: Vec<u32> = score.parts[0].notes.iter().map(|note| note.length).collect();
        assert!(lengths.iter().all(|length| *length * divisions == score.ticks_per_quarter), "{lengths:?}");
        score.ticks_per_quarter
    };
    assert_eq!((with(3, 6), with(7, 7), with(1, 4), with(64, 64)), (480, 3360, 480, 960));
}

#[test]
fn lengths_beyond_any_grid_are_rounded() {
    let text = format!(
        "<attributes><divisions>9973</divisions></attributes>{}{}",
        n("C4", 1000, ""),
        n("D4", 8973, "")
    );
    let score = score(&[&format!("<measure number='1'>{text}</measure>")]);
    assert_eq!((score.ticks_per_quarter, score.end()), (10_080, 10_080));
}

#[test]
fn pitches_are_those_that_sound() {
    let check = |pitch: &str, transpose: &str, expected: u8| {
        let text = format!(
            "<attributes>{transpose}</attributes><note><pitch>{pitch}</pitch><duration>1</duration></note>"
        );
        assert_eq!(score(&[&measures(&[&text])]).parts[0].notes[0].pitch, expected);
    };
    check("<step>C</step><alter>-1</alter><octave>4</octave>", "", 59);
    check("<step>B</step><alter>2</alter><octave>3</octave>", "", 61);
    check("<step>A</step><alter>0.5</alter><octave>4</octave>", "", 70);
    check("<step>C</step><octave>-1</octave>", "", 0);
    let clarinet = "<key><fifths>1</fifths></key><transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>";
    check("<step>C</step><octave>5</octave>", clarinet, 70);
    let bass = "<transpose><diatonic>0</diatonic><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>";
    check("<step>C</step><octave>4</octave>", bass, 48);
    let key = |attributes: &str| {
        score(&[&measures(&[&format!("<attributes>{attributes}</attributes>")])]).keys[0].value
    };
    assert_eq!(key(clarinet), Key { fifths: -1, minor: false });
    assert_eq!(key("<key><fifths>-6</fifths><mode>minor</mode></key>"), Key { fifths: -6, minor: true });
}

#[test]
fn measures_begin_together_in_all_parts() {
    let long = measures(&["", &n("C4", 16, ""), &n("D4", 16, "")]);
    let short = measures(&[&n("E4", 16, ""), &n("F4", 4, ""), &n("G4", 16, "")]);
    let score = score(&[&long, &short]);
    assert_eq!(notes(&score.parts[0]), [(1920, 60, 1920), (3840, 62, 1920)]);
    assert_eq!(notes(&score.parts[1]), [(0, 64, 1920), (1920, 65, 480), (3840, 67, 1920)]);
}

#[test]
fn a_short_first_measure_is_a_pickup() {
    let score = score(&[&measures(&[&n("C4", 4, ""), &n("D4", 16, ""), &n("E4", 12, "")])]);
    let metre = Metre { numerator: 4, denominator: 4 };
    assert_eq!((score.pickup, score.metres), (480, vec![Change { start: 0, value: metre }]));
}

#[test]
fn a_cut_bar_restates_the_metre_and_a_split_bar_does_not() {
    let starts = |contents: &[&str]| -> Vec<u32> {
        score(&[&measures(contents)]).metres.iter().map(|change| change.start).collect()
    };
    let (whole, half) = (n("C4", 16, ""), n("C4", 8, ""));
    assert_eq!(starts(&[&whole, &half, &whole, &whole]), [0, 2880]);
    assert_eq!(starts(&[&whole, &half, &half, &whole]), [0]);
}

#[test]
fn metres_are_read_as_sums() {
    let check = |time: &str, expected: &[(u8, u8)]| {
        let text = format!("<measure number='1'><attributes><time>{time}</time></attributes></measure>");
        let found: Vec<_> =
            score(&[&text]).metres.iter().map(|c| (c.value.numerator, c.value.denominator)).collect();
        assert_eq!(found, expected);
    };
    check("<beats>3+2</beats><beat-type>8</beat-type>", &[(5, 8)]);
    check("<beats>3</beats><beat-type>4</beat-type><beats>3</beats><beat-type>8</beat-type>", &[(9, 8)]);
    check("<senza-misura/>", &[]);
}

#[test]
fn tempo_marks_count_in_quarters() {
    let check = |direction: &str, expected: &[f64]| {
        let text = format!("<direction>{direction}</direction>{}", n("C4", 16, ""));
        let found: Vec<f64> =
            score(&[&measures(&[&text])]).tempos.iter().map(|change| change.value).collect();
        assert_eq!(found, expected);
    };
    let mark = |content: &str| format!("<direction-type><metronome>{content}</metronome></direction-type>");
    check(&mark("<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>c. 60</per-minute>"), &[90.0]);
    check(&mark("<beat-unit>half</beat-unit><per-minute>40.5-50</per-minute>"), &[81.0]);
    check(&mark("<beat-unit>half</beat-unit><beat-unit>quarter</beat-unit>"), &[]);
    check(
        &(mark("<beat-unit>half</beat-unit><per-minute>1</per-minute>") + "<sound tempo='100'/>"),
        &[100.0],
    );
    check("<sound tempo='0'/>", &[]);
}

#[test]
fn staves_are_parts() {
    let staff = |pitch, number| n(pitch, 16, &format!("<staff>{number}</staff>"));
    let back = "<backup><duration>16</duration></backup>";
    let names = |text: &str| -> Vec<String> {
        score(&[&measures(&[text])]).parts.iter().map(|part| part.name.clone()).collect()
    };
    assert_eq!(names(&(staff("C5", 1) + back + &staff("C3", 2))), ["Name RH", "Name LH"]);
    assert_eq!(names(&staff("C5", 3)), ["Name 1", "Name 2", "Name 3"]);
    assert_eq!(names(&staff("C5", 1)), ["Name"]);
}

#[test]
fn drums_are_read_where_the_file_names_them() {
    let text = "<score-partwise><part-list><score-part id='P1'><part-name>Kit</part-name>\
        <midi-instrument id='I1'><midi-channel>10</midi-channel><midi-unpitched>39</midi-unpitched></midi-instrument>\
        </score-part></part-list><part id='P1'><measure number='1'>\
        <note><unpitched/><duration>1</duration><instrument id='I1'/></note>\
        <note><unpitched/><duration>1</duration><instrument id='I9'/></note></measure></part></score-partwise>";
    let score = read(text.as_bytes()).unwrap();
    assert!(score.parts[0].percussion);
    assert_eq!(notes(&score.parts[0]), [(0, 38, 480)]);
}

#[test]
fn repeats_and_endings_are_played() {
    let song = read(&sample("song.musicxml")).unwrap();
    assert_eq!(song.title.as_deref(), Some("Evening & Morning"));
    let voice = notes(&song.parts[0]);
    assert_eq!(
        voice[5..],
        [
            (1440, 72, 960),
            (2400, 71, 480),
            (2880, 72, 1440),
            (4320, 72, 960),
            (5280, 71, 480),
            (6240, 67, 960),
            (7200, 72, 960)
        ]
    );
    assert_eq!(song.metres.iter().map(|change| change.start).collect::<Vec<_>>(), [0, 7200]);
    assert_eq!(song.parts[2].notes[0].length, 2400);
    assert_eq!(read_written(&sample("song.musicxml")).unwrap().end(), 6720);
    assert_eq!(read(&sample("song.mxl")).unwrap(), song);
}

#[test]
fn encodings_are_told_apart() {
    let text = document(&[&measures(&[&n("C4", 16, "")])]).replace("Name", "Flöte");
    let expected = read(text.as_bytes()).unwrap();
    assert_eq!(expected.parts[0].name, "Flöte");
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{text}");
    let latin: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    for bytes in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        [b"\xff\xfe", &little[..]].concat(),
        [b"\xfe\xff", &big[..]].concat(),
        little,
        latin,
    ] {
        assert_eq!(read(&bytes).unwrap(), expected);
    }
    refuse(b"<a>\xff</a>", "cannot decode the XML: byte 3 is not UTF-8; save the file as UTF-8");
    refuse(b"\xff\xfe<", "cannot decode the XML: not valid UTF-16, though it begins as such");
}

fn refuse(bytes: &[u8], expected: &str) {
    assert_eq!(read(bytes).unwrap_err().to_string(), expected);
}

fn refuse_measure(content: &str, expected: &str) {
    let text = document(&[&measures(&[content])]);
    refuse(text.as_bytes(), &format!("part \"P1\", measure \"1\": {expected}"));
}

#[test]
fn damage_is_one_clear_line() {
    refuse(b"", "the file is empty; expected MusicXML");
    refuse(b"hello", "the XML is damaged at byte 5: there is no root element");
    refuse(b"<opus/>", "not a score: the XML's root is <opus>, expected <score-partwise>");
    refuse(
        b"<score-timewise/>",
        "score-timewise MusicXML is not read; export the file as score-partwise, the usual form",
    );
    refuse(b"<score-partwise/>", "the score has no measures; nothing to read");
    let text = document(&[&measures(&[&n("C4", 16, "")])]);
    let end = text.find("</measure>").unwrap();
    let cut = read(&text.as_bytes()[..end]).unwrap_err().to_string();
    assert!(cut.ends_with("the file ends inside an element; it is truncated"), "{cut}");
    assert!(read(&vec![b' '; media::musicxml::MAX_FILE_BYTES + 1]).is_err());

    refuse_measure(&n("H4", 4, ""), "a pitch with step \"H\"");
    refuse_measure(&n("C11", 4, ""), "a pitch beyond MIDI's range: note number 144, expected 0 to 127");
    refuse_measure(&n("C4", 4_000_000, ""), "a duration of \"4000000\" with 4 divisions");
    refuse_measure(&n("C4", 1, "").replace(">1<", ">-1<"), "a duration of \"-1\" with 4 divisions");
    refuse_measure("<attributes><divisions>0</divisions></attributes>", "divisions of \"0\"");
    refuse_measure("<attributes><staves>99</staves></attributes>", "\"99\" staves, expected 1 to 16");
    let time = "<attributes><time><beats>5</beats><beat-type>0</beat-type></time></attributes>";
    refuse_measure(time, "time signature \"5\"/\"0\"");
}

#[test]
fn hostile_xml_is_refused() {
    let laughs = format!(
        "<!DOCTYPE score-partwise [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>{}",
        document(&[&measures(&["<words>&b;</words>"])])
    );
    let error = read(laughs.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("unrecognized entity"), "{error}");
    let deep = document(&[&measures(&[&"<a>".repeat(100_000)])]);
    let error = read(deep.as_bytes()).unwrap_err().to_string();
    assert!(error.ends_with("elements nested too deep or too many"), "{error}");
    let wide = document(&[&measures(&[&"<a/>".repeat(1_000_000)])]);
    assert!(read(wide.as_bytes()).is_err());
    let long = n("C4", 1, "").repeat(100) + "<barline><repeat direction='backward' times='50000'/></barline>";
    let error = read(document(&[&measures(&[&long])]).as_bytes()).unwrap_err().to_string();
    assert!(error.ends_with("notes when repeats are played"), "{error}");
    let looped = measures(&[
        &(n("C4", 16, "") + "<barline><repeat direction='backward' times='4000000000'/></barline>")
    ]);
    assert_eq!(score(&[&looped]).end(), 1920);
    let changes = "<sound tempo='100'/><forward><duration>1</duration></forward>".repeat(30_000);
    let looped = measures(&[&(changes + "<barline><repeat direction='backward' times='50000'/></barline>")]);
    assert!(read(document(&[&looped]).as_bytes()).is_err());
}

fn package(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn hostile_packages_are_refused() {
    let refuse = |bytes: &[u8], expected: &str| {
        let error = read(bytes).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot unpack the .mxl (zip) file: ") && error.contains(expected),
            "{error}"
        );
    };
    let container =
        |name: &str| format!("<container><rootfiles><rootfile full-path='{name}'/></rootfiles></container>");
    let bomb = vec![b' '; 65 << 20];
    let named = container("a.xml");
    refuse(
        &package(&[("META-INF/container.xml", named.as_bytes()), ("a.xml", &bomb)]),
        "unpacks to more than 67108864",
    );
    refuse(&package(&[("META-INF/container.xml", named.as_bytes())]), "\"a.xml\", which is not in it");
    refuse(&package(&[("META-INF/container.xml", b"<container/>")]), "names no root file");
    refuse(&package(&[("readme.txt", b"")]), "neither META-INF/container.xml nor a .musicxml in it");
    refuse(b"PK\x03\x04 no zip", "");
    let names: Vec<String> = (0..1001).map(|index| index.to_string()).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refuse(&package(&entries), "1001 entries, expected at most 1000");
    let text = document(&[&measures(&[&n("C4", 16, "")])]);
    let bare = package(&[("music.xml", text.as_bytes())]);
    assert_eq!(read(&bare).unwrap(), read(text.as_bytes()).unwrap());
}
