//! A score as a picture: time runs to the right, pitch upwards, a colour a part; long pieces fold into rows.

mod heading;
#[cfg(test)]
mod tests;

use media::picture::{Align, Color, Picture, Rect, TextStyle};
use media::score::{Metre, Score};

use heading::Heading;

pub use heading::key_name;

const NIGHT: Color = Color(13, 16, 22);
const PANEL: Color = Color(22, 27, 36);
const PANEL_DARK: Color = Color(18, 22, 30);
const BEAT: Color = Color(34, 41, 54);
const BAR: Color = Color(58, 68, 88);
const TEXT: Color = Color(236, 239, 246);
const SOFT: Color = Color(137, 147, 168);
const WHITE_KEY: Color = Color(214, 219, 230);
const BLACK_KEY: Color = Color(30, 35, 46);
const PARTS: [Color; 10] = [
    Color(255, 125, 107),
    Color(255, 196, 84),
    Color(70, 211, 180),
    Color(99, 162, 255),
    Color(189, 142, 255),
    Color(255, 140, 198),
    Color(150, 214, 92),
    Color(86, 208, 240),
    Color(240, 164, 110),
    Color(170, 180, 204),
];

/// Narrowest picture.
const MIN_WIDTH: f32 = 760.0;
/// Widest picture.
const MAX_WIDTH: f32 = 4096.0;
/// Height at which time is squeezed rather than rows added.
const MAX_HEIGHT: f32 = 9000.0;
const MARGIN: f32 = 44.0;
const KEYBOARD: f32 = 38.0;
const NAMES: f32 = 34.0;
const ROW_GAP: f32 = 52.0;
/// Bars beyond which single bars are no longer told apart.
const MAX_BARS: usize = 20_000;

/// Where a bar lies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    start: u32,
    end: u32,
    /// As printed above it; 0 for a pickup.
    number: u32,
    /// Ticks between its beats.
    beat: f32,
}

/// A note as drawn. Of parts that sound one pitch together the first (slot 0) fills the lane, the others lie on
/// it as stripes.
struct Drawn {
    start: u32,
    end: u32,
    pitch: u8,
    part: usize,
    velocity: u8,
    slot: usize,
    slots: usize,
}

/// What is where.
struct Layout {
    low: u8,
    high: u8,
    lane: f32,
    /// Pixels in a tick.
    scale: f32,
    /// First and last tick of every row.
    rows: Vec<(u32, u32)>,
    left: f32,
    top: f32,
}

impl Layout {
    fn row_height(&self) -> f32 {
        (self.high - self.low + 1) as f32 * self.lane
    }

    fn row_top(&self, row: usize) -> f32 {
        self.top + row as f32 * (self.row_height() + ROW_GAP)
    }

    fn lane_top(&self, row: usize, pitch: u8) -> f32 {
        self.row_top(row) + (self.high - pitch) as f32 * self.lane
    }

    fn x(&self, row: usize, tick: u32) -> f32 {
        self.left + (i64::from(tick) - i64::from(self.rows[row].0)) as f32 * self.scale
    }
}

/// Draws `score`: title, key, metre, tempo and length above; legend; rows of bars with their numbers, the
/// keyboard at the left. At most 4096 pixels wide.
pub fn draw(score: &Score) -> Picture {
    let bars = bars(score);
    let heading = Heading::new(score, &bars);
    let layout = layout(score, &bars, heading.height());
    let widest = layout.rows.iter().map(|row| (row.1 - row.0) as f32 * layout.scale).fold(0.0, f32::max);
    let width = (layout.left + widest + MARGIN).clamp(MIN_WIDTH, MAX_WIDTH).ceil();
    let height = layout.row_top(layout.rows.len() - 1) + layout.row_height() + MARGIN;
    let mut picture = Picture::new(width as u32, height.ceil() as u32, NIGHT);
    heading.draw(&mut picture);
    for row in 0..layout.rows.len() {
        ground(&mut picture, &layout, row, &bars);
    }
    for note in &placed(score) {
        draw_note(&mut picture, &layout, note);
    }
    picture
}

/// The bars of a piece, from its metres; even slices without numbers where there are too many.
fn bars(score: &Score) -> Vec<Bar> {
    let quarter = f64::from(score.ticks_per_quarter.max(1));
    let end = score.end().max(1);
    let mut changes = score.metres.iter().peekable();
    let mut metre = Metre { numerator: 4, denominator: 4 };
    let mut bars = Vec::new();
    let (mut start, mut number) = (0u32, if score.pickup > 0 { 0 } else { 1 });
    while start < end {
        while let Some(change) = changes.next_if(|change| change.start <= start) {
            metre = change.value;
        }
        let beat = quarter * 4.0 / f64::from(metre.denominator.max(1));
        let full = (beat * f64::from(metre.numerator.max(1))).clamp(1.0, f64::from(u32::MAX)) as u32;
        let length = if number == 0 { score.pickup.min(full) } else { full };
        let next = changes.peek().map_or(u32::MAX, |change| change.start);
        let stop = start.saturating_add(length).min(next);
        bars.push(Bar { start, end: stop, number, beat: beat as f32 });
        (start, number) = (stop, number + 1);
        if bars.len() > MAX_BARS {
            let slice = end.div_ceil(512).max(1);
            let slices = (0..end.div_ceil(slice)).map(|i| i * slice);
            return slices
                .map(|start| Bar { start, end: start.saturating_add(slice), number: 0, beat: f32::MAX })
                .collect();
        }
    }
    bars
}

fn layout(score: &Score, bars: &[Bar], top: f32) -> Layout {
    let pitches = || score.parts.iter().flat_map(|part| &part.notes).map(|note| note.pitch.min(127));
    let (low, high) = (pitches().min().unwrap_or(57), pitches().max().unwrap_or(76));
    let (low, high) = (low.saturating_sub(2), (high + 2).min(127));
    let lane = (600.0 / (high - low + 1) as f32).clamp(7.0, 16.0);
    let row = (high - low + 1) as f32 * lane + ROW_GAP;
    let left = MARGIN + NAMES + KEYBOARD;
    let total = bars.last().map_or(1, |bar| bar.end) as f64;
    let quarter = score.ticks_per_quarter.max(1) as f64;
    // a piece of one row is stretched, a long one folded into rows, a very long one squeezed
    let mut across = 1680.0;
    let mut scale = 34.0 / quarter;
    if total * scale < across {
        scale = (across * 0.9 / total).min(64.0 / quarter);
    }
    let most_rows = ((MAX_HEIGHT - top) / row).floor().max(1.0) as f64;
    if total * scale > across * most_rows {
        across = (MAX_WIDTH - left - MARGIN) as f64;
        scale = scale.min(across * most_rows * 0.9 / total);
    }
    let rows = fold(bars, across / scale);
    Layout { low, high, lane, scale: scale as f32, rows, left, top }
}

/// Cuts bars into rows of at most `longest` ticks at bar lines: as few rows as can be, as even as can be, in
/// multiples of four bars where the last row does not suffer. A bar longer than a row is cut inside.
fn fold(bars: &[Bar], longest: f64) -> Vec<(u32, u32)> {
    let total = bars.last().map_or(1.0, |bar| f64::from(bar.end));
    let usual = bars.get(bars.len() / 2).map_or(1.0, |bar| f64::from((bar.end - bar.start).max(1)));
    // a pickup goes along with the first row
    let (all, most) = ((total / usual).floor().max(1.0), (longest * 1.08 / usual).floor().max(1.0));
    let rows = (all / most).ceil();
    let even = (all / rows).ceil();
    let fours = (even / 4.0).ceil() * 4.0;
    let last = all - (rows - 1.0) * fours;
    let per_row = if fours <= most && last >= fours / 2.0 { fours } else { even };
    let target = ((per_row + 0.99) * usual).min(longest * 1.2);
    let mut cuts = Vec::new();
    let (mut start, mut end) = (0u32, 0u32);
    for bar in bars {
        if end > start && f64::from(bar.end - start) > target {
            cuts.push((start, end));
            start = end;
        }
        end = bar.end;
        while f64::from(end - start) > longest * 1.2 {
            let cut = start.saturating_add((longest as u32).max(1));
            cuts.push((start, cut));
            start = cut;
        }
    }
    if end > start || cuts.is_empty() {
        cuts.push((start, end.max(start + 1)));
    }
    cuts
}

/// The notes in drawing order, each with its slot in the lane.
fn placed(score: &Score) -> Vec<Drawn> {
    let mut notes: Vec<Drawn> = Vec::new();
    for (part, notes_of) in score.parts.iter().map(|part| &part.notes).enumerate() {
        notes.extend(notes_of.iter().map(|n| Drawn {
            start: n.start,
            end: n.end().max(n.start.saturating_add(1)),
            pitch: n.pitch.min(127),
            part,
            velocity: n.velocity,
            slot: 0,
            slots: 1,
        }));
    }
    notes.sort_by_key(|note| (note.pitch, note.start, note.part));
    let mut first = 0;
    while first < notes.len() {
        // a cluster: notes of one pitch, each beginning before the earlier ones have ended
        let mut last = first + 1;
        let mut end = notes[first].end;
        while last < notes.len() && notes[last].pitch == notes[first].pitch && notes[last].start < end {
            end = end.max(notes[last].end);
            last += 1;
        }
        let mut parts: Vec<usize> = notes[first..last].iter().map(|note| note.part).collect();
        parts.sort_unstable();
        parts.dedup();
        for note in &mut notes[first..last] {
            (note.slot, note.slots) = (parts.binary_search(&note.part).unwrap_or(0), parts.len());
        }
        first = last;
    }
    notes.sort_by_key(|note| (note.slot, note.start, note.part, note.pitch));
    notes
}

fn black(pitch: u8) -> bool {
    matches!(pitch % 12, 1 | 3 | 6 | 8 | 10)
}

/// Everything below the notes of one row: lanes, keyboard, beats, bars and their numbers.
fn ground(picture: &mut Picture, layout: &Layout, row: usize, bars: &[Bar]) {
    let (first, last) = layout.rows[row];
    let (top, height) = (layout.row_top(row), layout.row_height());
    let (left, right) = (layout.left, layout.x(row, last));
    let label = TextStyle { size: 9.5, color: SOFT, bold: false, align: Align::Right };
    for pitch in layout.low..=layout.high {
        let y = layout.lane_top(row, pitch);
        let color = if black(pitch) { PANEL_DARK } else { PANEL };
        picture.fill(Rect::new(left, y, right - left, layout.lane), color, 1.0);
        if pitch % 12 == 0 {
            picture.fill(Rect::new(left, y + layout.lane - 0.5, right - left, 1.0), BAR, 0.7);
            let name = format!("C{}", i32::from(pitch) / 12 - 1);
            picture.text((layout.left - KEYBOARD - 9.0, y + layout.lane / 2.0 + 4.5), &name, label);
        }
    }
    keyboard(picture, layout, row);
    let shown = bars.iter().filter(|bar| bar.end > first && bar.start < last);
    let usual = bars.get(bars.len() / 2).map_or(1.0, |bar| (bar.end - bar.start) as f32 * layout.scale);
    let every = [1, 2, 4, 8, 16, 32, 64, 128].into_iter().find(|n| usual * *n as f32 >= 30.0).unwrap_or(256);
    for (i, bar) in shown.enumerate() {
        if bar.beat * layout.scale >= 7.0 && bar.beat >= 1.0 {
            let beats = ((bar.end - bar.start) as f32 / bar.beat).ceil() as u32;
            // a pickup counts its beats from its end
            let rest = if bar.number == 0 { (bar.end - bar.start) as f32 % bar.beat } else { 0.0 };
            for beat in 0..beats {
                let x = layout.x(row, bar.start) + (beat as f32 * bar.beat + rest) * layout.scale;
                if x > left + 1.0 && x < right - 1.0 {
                    picture.fill(Rect::new(x.round(), top, 1.0, height), BEAT, 1.0);
                }
            }
        }
        if bar.start >= first {
            let x = layout.x(row, bar.start);
            if usual >= 3.0 && bar.start > first {
                picture.fill(Rect::new(x.round(), top, 1.0, height), BAR, 1.0);
            }
            if bar.number > 0 && (i == 0 || bar.number % every == if every == 1 { 0 } else { 1 }) {
                let style = TextStyle { align: Align::Left, size: 9.5, ..label };
                picture.text((x + 1.0, top - 9.0), &bar.number.to_string(), style);
            }
        }
    }
    picture.fill(Rect::new(right.round() - 1.0, top, 1.5, height), BAR, 1.0);
}

fn keyboard(picture: &mut Picture, layout: &Layout, row: usize) {
    let left = layout.left - KEYBOARD;
    let (top, height) = (layout.row_top(row), layout.row_height());
    picture.fill_round(Rect::new(left - 2.0, top, KEYBOARD + 2.0, height), 3.0, WHITE_KEY, WHITE_KEY, 1.0);
    for pitch in layout.low..=layout.high {
        let y = layout.lane_top(row, pitch);
        if black(pitch) {
            let key = Rect::new(left - 2.0, y + 0.5, KEYBOARD * 0.62, layout.lane - 1.0);
            picture.fill_round(key, 1.5, BLACK_KEY, NIGHT, 1.0);
            let middle = y + layout.lane / 2.0 - 0.5;
            picture.fill(Rect::new(left + KEYBOARD * 0.6, middle, KEYBOARD * 0.4, 1.0), SOFT, 0.55);
        } else if pitch > layout.low && !black(pitch - 1) {
            picture.fill(Rect::new(left - 2.0, y + layout.lane - 0.5, KEYBOARD + 2.0, 1.0), SOFT, 0.55);
        }
    }
    picture.fill(Rect::new(layout.left - 1.0, top, 2.0, height), NIGHT, 1.0);
}

fn draw_note(picture: &mut Picture, layout: &Layout, note: &Drawn) {
    let loudness = f32::from(note.velocity.min(127)) / 127.0;
    let color = PARTS[note.part % PARTS.len()].towards(NIGHT, 0.24 * (0.7 - loudness).max(0.0));
    let first = layout.rows.partition_point(|row| row.1 <= note.start);
    for row in first..layout.rows.len() {
        let (begin, end) = layout.rows[row];
        if begin >= note.end {
            break;
        }
        let (from, to) = (note.start.max(begin), note.end.min(end));
        let share = if note.slot == 0 { layout.lane } else { layout.lane * 0.9 / note.slots as f32 };
        let y = layout.lane_top(row, note.pitch)
            + (layout.lane - share) * note.slot as f32 / (note.slots - 1).max(1) as f32;
        let x = layout.x(row, from);
        let width = ((to - from) as f32 * layout.scale - 1.6).max(2.0);
        let body = Rect::new(x + 0.8, y + 0.7, width, (share - 1.4).max(1.5));
        let edge = Rect::new(body.x - 1.0, body.y - 1.0, body.width + 2.0, body.height + 2.0);
        let radius = (share * 0.3).min(4.0);
        picture.fill_round(edge, radius + 1.0, NIGHT, NIGHT, 0.6);
        let (light, dark) = (color.towards(TEXT, 0.14), color.towards(NIGHT, 0.1));
        picture.fill_round(body, radius, light, dark, 1.0);
    }
}
