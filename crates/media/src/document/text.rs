//! Plain text: a segment a line, or a paragraph.

use super::render::{Form, Slot, plain};
use super::{Found, Options};

/// Lines or paragraphs that say something.
pub fn find(source: &str, options: &Options) -> Found {
    let mut found = Found::default();
    let mut paragraph: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        if text.is_empty() || !options.paragraphs {
            push(source, &mut paragraph, &mut found);
        }
        if !text.is_empty() {
            paragraph.push((at + line.len() - line.trim_start().len(), text));
        }
        at += line.len();
    }
    push(source, &mut paragraph, &mut found);
    found
}

/// Makes a segment of lines and where they begin.
fn push(source: &str, lines: &mut Vec<(usize, &str)>, found: &mut Found) {
    let (Some((start, _)), Some((last, end))) = (lines.first(), lines.last()) else {
        return;
    };
    let span = *start..last + end.len();
    let form = match &lines[..] {
        [(first, text), (second, _), ..] => {
            let between = &source[first + text.len()..*second];
            let width = lines.iter().map(|(_, text)| text.chars().count()).max().unwrap_or_default();
            Form::Filled { width, between: between.trim_start_matches([' ', '\t']).to_owned() }
        }
        _ => Form::Plain,
    };
    let texts: Vec<&str> = lines.iter().map(|(_, text)| *text).collect();
    found.slots.push(Slot::Running { span, segment: found.segments.len(), form });
    found.segments.push(plain(&texts.join(" ")));
    lines.clear();
}

/// Appends words in lines of a width; a longer word has its own.
pub fn fill(text: &str, width: usize, between: &str, out: &mut String) {
    let mut filled = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if filled > 0 && filled + 1 + length > width {
            out.push_str(between);
            filled = 0;
        } else if filled > 0 {
            out.push(' ');
            filled += 1;
        }
        out.push_str(word);
        filled += length;
    }
}
