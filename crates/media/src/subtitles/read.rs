//! Text files to cues, forgiving what can be understood: line ends of any kind, a byte order mark, missing numbers and
//! blank lines, a point for a comma.

use std::ops::Range;

use super::{Cue, TAGS};

/// What cannot be understood, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads SubRip; numbers are not kept.
///
/// # Errors
/// The first line that stands where times are expected, or times that run backwards.
pub fn parse_srt(file: &str) -> Result<Vec<Cue>, ParseError> {
    let lines = lines(file);
    cues(&lines, 0, str::to_owned)
}

/// Reads WebVTT: text without its tags (but bold, italic and underlined), classes, voices and positions, without notes,
/// styles and regions.
///
/// # Errors
/// As [`parse_srt`], and a first line that is not `WEBVTT`.
pub fn parse_vtt(file: &str) -> Result<Vec<Cue>, ParseError> {
    let lines = lines(file);
    let after = after_head(&lines)?;
    cues(&lines, after, plain)
}

/// The first line behind the mark of WebVTT and what belongs to it.
pub(crate) fn after_head(lines: &[&str]) -> Result<usize, ParseError> {
    let head = lines.first().copied().unwrap_or_default();
    if !head.strip_prefix("WEBVTT").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(wrong(0, format!("expected WEBVTT, found {:?}", shortened(head))));
    }
    // what follows the mark belongs to it, up to a blank line
    let after = lines.iter().skip(1).position(|line| line.is_empty() || line.contains("-->"));
    Ok(after.map_or(lines.len(), |skip| skip + 1))
}

/// The lines of a file without their ends.
pub(crate) fn lines(file: &str) -> Vec<&str> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    file.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .flat_map(|line| line.split('\r'))
        .collect()
}

/// Cues from a line on; `text` makes of a cue's lines what it says.
fn cues(lines: &[&str], at: usize, text: fn(&str) -> String) -> Result<Vec<Cue>, ParseError> {
    let cue = |block: Block| {
        let text = text(&lines[block.lines].join("\n"));
        Cue { start: block.start, end: block.end, text, words: Vec::new() }
    };
    Ok(blocks(lines, at)?.into_iter().map(cue).collect())
}

/// When a cue is shown, in seconds, and which lines it says.
pub(crate) struct Block {
    pub start: f64,
    pub end: f64,
    pub lines: Range<usize>,
}

/// Cues from a line on.
pub(crate) fn blocks(lines: &[&str], mut at: usize) -> Result<Vec<Block>, ParseError> {
    let mut cues = Vec::new();
    let timed = |at: usize| lines.get(at).is_some_and(|line| line.contains("-->"));
    while at < lines.len() {
        let line = lines[at].trim();
        let note =
            ["NOTE", "STYLE", "REGION"].iter().any(|word| line.split([' ', '\t']).next() == Some(word));
        if line.is_empty() {
            at += 1;
        } else if timed(at) {
            let (start, end) = times(line).map_err(|reason| wrong(at, reason))?;
            let first = at + 1;
            at = first;
            let ends = |at: usize| {
                lines[at].trim().is_empty() || timed(at) || (is_number(lines[at]) && timed(at + 1))
            };
            while at < lines.len() && !ends(at) {
                at += 1;
            }
            cues.push(Block { start, end, lines: first..at });
        } else if timed(at + 1) {
            at += 1;
        } else if note {
            at += lines[at..].iter().take_while(|line| !line.trim().is_empty()).count();
        } else if is_number(line) && lines[at + 1..].iter().all(|line| line.trim().is_empty()) {
            // the number of a cue that was never written
            break;
        } else {
            let reason =
                format!("expected times like 00:00:01,000 --> 00:00:02,500, found {:?}", shortened(line));
            return Err(wrong(at, reason));
        }
    }
    Ok(cues)
}

fn wrong(at: usize, reason: String) -> ParseError {
    ParseError { line: at + 1, reason }
}

fn shortened(line: &str) -> String {
    line.chars().take(40).collect()
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// Both times of a line; what follows them says where on the picture.
fn times(line: &str) -> Result<(f64, f64), String> {
    let (start, rest) = line.split_once("-->").unwrap_or((line, ""));
    let end = rest.split_whitespace().next().unwrap_or_default();
    let time = |text: &str| {
        time(text.trim()).ok_or(format!("{:?} is no time like 00:00:01,000", shortened(text.trim())))
    };
    let (start, end) = (time(start)?, time(end)?);
    if end < start {
        return Err("it ends before it begins".into());
    }
    // from whole milliseconds, so that they are written as they were
    Ok((start as f64 / 1000.0, end as f64 / 1000.0))
}

/// Milliseconds of hours (if any), minutes, seconds and their fraction.
fn time(text: &str) -> Option<u64> {
    let number = |digits: &str, most: usize| {
        let whole = (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        whole.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (clock, fraction) = text.split_once([',', '.']).unwrap_or((text, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes, seconds] => (number(hours, 6)?, minutes, seconds),
        [minutes, seconds] => (0, minutes, seconds),
        _ => return None,
    };
    let minutes = number(minutes, 2).filter(|minutes| *minutes < 60)?;
    let seconds = number(seconds, 2).filter(|seconds| *seconds < 60)?;
    let fraction = number(fraction, 3)? * 10u64.pow(3 - fraction.len() as u32);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction)
}

/// WebVTT's cue text without markup and escapes.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('<') {
        plain += &rest[..at];
        let tag = rest[at..].find('>').map_or(&rest[at..], |length| &rest[at..=at + length]);
        // without classes
        let name = tag[1..].split(['.', ' ', '\t', '\n', '>']).next().unwrap_or_default();
        if let Some(tag) = TAGS.iter().find(|tag| tag[1..tag.len() - 1] == *name) {
            plain += tag;
        }
        rest = &rest[at + tag.len()..];
    }
    plain += rest;
    let escapes =
        [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", "\u{a0}"), ("&lrm;", "\u{200e}"), ("&rlm;", "\u{200f}")];
    for (escape, character) in escapes {
        plain = plain.replace(escape, character);
    }
    plain.replace("&amp;", "&")
}
