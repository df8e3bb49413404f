//! The words above the rows: title, key, metre, tempo, length, and which colour is whose.

use media::font;
use media::picture::{Align, Picture, Rect, TextStyle};
use media::score::{Key, Score};

use super::{Bar, MARGIN, MIN_WIDTH, NIGHT, PARTS, SOFT, TEXT};
use crate::sound::Clock;

/// Room between the entries of the legend.
const ENTRY_GAP: f32 = 22.0;

/// Parts that have notes, with their names.
fn sounding(score: &Score) -> Vec<(usize, String)> {
    let named = score.parts.iter().enumerate().filter(|(_, part)| !part.notes.is_empty());
    named
        .map(|(i, part)| {
            let name = printable(&part.name, 24);
            (i, if name.is_empty() { format!("Part {}", i + 1) } else { name })
        })
        .collect()
}

/// The first characters of a text from a file, without those that move the pen.
fn printable(text: &str, most: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The words above the rows.
pub(super) struct Heading {
    title: String,
    facts: String,
    /// Index of the part and its name.
    legend: Vec<(usize, String)>,
    /// Whether the legend needs a line of its own.
    below: bool,
}

const FACTS: TextStyle = TextStyle { size: 12.5, color: SOFT, bold: false, align: Align::Left };
const LEGEND: TextStyle = TextStyle { size: 12.0, color: TEXT, bold: false, align: Align::Left };

impl Heading {
    pub(super) fn new(score: &Score, bars: &[Bar]) -> Heading {
        let title = printable(score.title.as_deref().unwrap_or(""), 80);
        let untitled =
            || score.keys.first().map_or("Piece".into(), |k| format!("Piece in {}", key_name(k.value)));
        let title = if title.is_empty() { untitled() } else { title };
        let (facts, legend) = (facts(score, bars), sounding(score));
        let names: f32 = legend.iter().map(|(_, name)| entry_width(name)).sum();
        let below = names + font::width(&facts, FACTS.size, FACTS.bold) > MIN_WIDTH - 2.0 * MARGIN;
        Heading { title, facts, legend, below }
    }

    /// Where the first row begins.
    pub(super) fn height(&self) -> f32 {
        if self.below { 180.0 } else { 148.0 }
    }

    pub(super) fn draw(&self, picture: &mut Picture) {
        let right = picture.width as f32 - MARGIN;
        let mut size = 22.0;
        while size > 8.0 && font::width(&self.title, size, true) > right - MARGIN {
            size -= 1.0;
        }
        let style = TextStyle { size, color: TEXT, bold: true, align: Align::Left };
        picture.text((MARGIN, 62.0), &self.title, style);
        picture.text((MARGIN, 94.0), &self.facts, FACTS);
        let all: f32 = self.legend.iter().map(|(_, name)| entry_width(name)).sum();
        let (mut x, y) = if self.below { (MARGIN, 126.0) } else { (right - all + ENTRY_GAP, 94.0) };
        for (i, (part, name)) in self.legend.iter().enumerate() {
            let others = self.legend.len() - i;
            let more = format!("and {others} more");
            // the last place is kept for the number of those that do not fit
            let rest: f32 = self.legend[i..].iter().map(|(_, name)| entry_width(name)).sum();
            let room = entry_width("and 99999 more");
            if x + rest > right + ENTRY_GAP + 0.5 && x + entry_width(name) + room > right {
                picture.text((x, y), &more, LEGEND);
                break;
            }
            let color = PARTS[part % PARTS.len()];
            picture.fill_round(
                Rect::new(x, y - 11.0, 14.0, 11.0),
                3.5,
                color,
                color.towards(NIGHT, 0.2),
                1.0,
            );
            picture.text((x + 20.0, y), name, LEGEND);
            x += entry_width(name);
        }
    }
}

fn entry_width(name: &str) -> f32 {
    font::width(name, LEGEND.size, LEGEND.bold) + 20.0 + ENTRY_GAP
}

/// Key, metre, tempo, bars and length in words.
fn facts(score: &Score, bars: &[Bar]) -> String {
    let mut facts = Vec::new();
    if let Some(key) = score.keys.first() {
        facts.push(key_name(key.value));
    }
    // The metre of an incomplete first bar is how a MIDI file writes it, not the piece's.
    let own = score.metres.iter().find(|metre| score.pickup == 0 || metre.start > 0).or(score.metres.first());
    if let Some(metre) = own {
        facts.push(format!("{}/{}", metre.value.numerator, metre.value.denominator));
    }
    if let Some(tempo) = score.tempos.first().filter(|tempo| tempo.value.is_finite()) {
        facts.push(format!("♩ = {:.0}", tempo.value));
    }
    match bars.last().map_or(0, |bar| bar.number) {
        0 => (),
        1 => facts.push("1 bar".into()),
        count => facts.push(format!("{count} bars")),
    }
    let seconds = Clock::new(score).seconds(score.end()).round() as u64;
    facts.push(format!("{}:{:02}", seconds / 60, seconds % 60));
    facts.join("  ·  ")
}

/// A key in words, "B♭ major".
pub fn key_name(key: Key) -> String {
    // the circle of fifths, from C♭ major; minor keys lie three fifths further
    const LETTERS: [char; 7] = ['F', 'C', 'G', 'D', 'A', 'E', 'B'];
    let place = i32::from(key.fifths) + 1 + if key.minor { 3 } else { 0 };
    let letter = LETTERS[place.rem_euclid(7) as usize];
    let accidental = match place.div_euclid(7) {
        0 => String::new(),
        sharps if sharps > 0 => "♯".repeat(sharps as usize),
        flats => "♭".repeat(-flats as usize),
    };
    format!("{letter}{accidental} {}", if key.minor { "minor" } else { "major" })
}
