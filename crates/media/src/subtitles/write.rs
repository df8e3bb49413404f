//! Cues to text files.

use std::fmt::Write;

use super::{Cue, Layout, TAGS, lay_out, milliseconds};

/// SubRip. Cues that say nothing are left out.
pub fn srt(cues: &[Cue], layout: &Layout) -> String {
    let mut file = String::new();
    let cues = lay_out(cues, layout);
    let shown = cues.iter().map(|cue| (cue, lines(&cue.text))).filter(|(_, text)| !text.is_empty());
    for (number, (cue, text)) in (1..).zip(shown) {
        let (start, end) = (clock(cue.start, true, ','), clock(cue.end, true, ','));
        _ = write!(file, "{number}\n{start} --> {end}\n{text}\n\n");
    }
    file
}

/// WebVTT (<https://www.w3.org/TR/webvtt1/>). What would be markup is escaped, cues that say nothing are left out, and
/// every other one lasts a millisecond at least, as it must.
pub fn vtt(cues: &[Cue], layout: &Layout) -> String {
    let mut file = String::from("WEBVTT\n\n");
    for cue in lay_out(cues, layout) {
        let text = escaped(&lines(&cue.text));
        if !text.is_empty() {
            let least = (milliseconds(cue.start) + 1) as f64 / 1000.0;
            let (start, end) = (clock(cue.start, false, '.'), clock(cue.end.max(least), false, '.'));
            _ = write!(file, "{start} --> {end}\n{text}\n\n");
        }
    }
    file
}

/// Tab-separated start and end in milliseconds and text, as openai/whisper writes them; a line a cue, whatever its
/// words.
pub fn tsv(cues: &[Cue]) -> String {
    let mut file = String::from("start\tend\ttext\n");
    for cue in cues {
        let text = one_line(&cue.text).replace('\t', " ");
        _ = writeln!(file, "{}\t{}\t{text}", milliseconds(cue.start), milliseconds(cue.end));
    }
    file
}

/// Lyrics: a line for each cue after the minutes, seconds and hundredths at which it begins.
pub fn lrc(cues: &[Cue]) -> String {
    let mut file = String::new();
    for cue in cues.iter().filter(|cue| !cue.text.trim().is_empty()) {
        let hundredths = (milliseconds(cue.start) + 5) / 10;
        let (minutes, rest) = (hundredths / 6000, hundredths % 6000);
        _ = writeln!(file, "[{minutes:02}:{:02}.{:02}]{}", rest / 100, rest % 100, one_line(&cue.text));
    }
    file
}

/// The text alone, a line a cue.
pub fn txt(cues: &[Cue]) -> String {
    cues.iter().map(|cue| one_line(&cue.text) + "\n").collect()
}

/// Hours (where asked for or not 0, as many digits as they need), minutes, seconds, milliseconds.
fn clock(seconds: f64, always_hours: bool, mark: char) -> String {
    let all = milliseconds(seconds);
    let (hours, minutes) = (all / 3_600_000, all / 60_000 % 60);
    let (seconds, milliseconds) = (all / 1000 % 60, all % 1000);
    let hours = if always_hours || hours > 0 { format!("{hours:02}:") } else { String::new() };
    format!("{hours}{minutes:02}:{seconds:02}{mark}{milliseconds:03}")
}

/// Text of a cue without blank lines, which would end it, and without the arrow that only times may have.
fn lines(text: &str) -> String {
    // what a reader takes for the end of a line
    let lines = text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty());
    let mut text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    while text.contains("-->") {
        text = text.replace("-->", "->");
    }
    text
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// `&` and `<` as WebVTT wants them, where they begin none of its tags.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '&' => escaped += "&amp;",
            '<' if !TAGS.iter().any(|tag| text[at..].starts_with(tag)) => escaped += "&lt;",
            c => escaped.push(c),
        }
    }
    escaped
}
