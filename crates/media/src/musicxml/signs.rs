//! Signs on the staff to values: metres, tempo marks, dynamics, repeat signs.

use super::one_line as short;
use super::order::Marks;
use super::tree::Element;
use crate::score::Metre;

/// MIDI velocity that MusicXML's dynamics of 100% (forte) stand for.
const FULL_VELOCITY: f64 = 90.0;
/// Quarter notes a minute that are believed; other marks are ignored.
const TEMPOS: std::ops::RangeInclusive<f64> = 4.0..=10_000.0;

/// Per cent of forte to MIDI velocity.
pub fn velocity(percent: &str) -> Option<u8> {
    let percent = percent.parse::<f64>().ok().filter(|percent| percent.is_finite())?;
    Some((percent / 100.0 * FULL_VELOCITY).round().clamp(1.0, 127.0) as u8)
}

/// A tempo in quarter notes a minute, where it is believable.
pub fn usable_tempo(tempo: &str) -> Option<f64> {
    tempo.parse::<f64>().ok().filter(|tempo| TEMPOS.contains(tempo))
}

/// Quarter notes a minute of a mark such as "dotted quarter = c. 60"; none where it relates two note values.
pub fn metronome(mark: &Element<'_>) -> Option<f64> {
    let quarters = match mark.text_of("beat-unit")? {
        "breve" => 8.0,
        "whole" => 4.0,
        "half" => 2.0,
        "quarter" => 1.0,
        "eighth" => 0.5,
        "16th" => 0.25,
        "32nd" => 0.125,
        _ => return None,
    };
    let dots = mark.children("beat-unit-dot").take(3).count() as i32;
    let text = mark.text_of("per-minute")?;
    let number = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let beats = number[..end].trim_end_matches('.').parse::<f64>().ok()?;
    let tempo = beats * quarters * (2.0 - 0.5f64.powi(dots));
    Some(tempo).filter(|tempo| TEMPOS.contains(tempo))
}

/// The metre of a `<time>`; composite ones ("3+2", or several pairs) as their sum, none for senza misura.
pub fn metre(time: &Element<'_>) -> Result<Option<Metre>, String> {
    let mut total: Option<(u32, u32)> = None;
    for (beats, unit) in time.children("beats").zip(time.children("beat-type")) {
        let wrong = || format!("time signature {:?}/{:?}", short(beats.text()), short(unit.text()));
        let unit = unit.text().parse::<u32>().ok().filter(|unit| unit.is_power_of_two() && *unit <= 64);
        let unit = unit.ok_or_else(wrong)?;
        let mut sum = 0u32;
        for part in beats.text().split('+') {
            let part = part.trim().parse::<u8>().ok().filter(|part| *part > 0).ok_or_else(wrong)?;
            sum = sum.saturating_add(u32::from(part));
        }
        let (old_sum, old_unit) = total.unwrap_or((0, unit));
        let common = unit.max(old_unit);
        let both = (old_sum * (common / old_unit)).saturating_add(sum.min(255) * (common / unit));
        if both > 255 || sum > 255 {
            return Err(wrong());
        }
        total = Some((both, common));
    }
    Ok(total.map(|(sum, unit)| Metre { numerator: sum as u8, denominator: unit as u8 }))
}

/// Reads a `<barline>`'s repeat and ending into `marks`.
pub fn barline(element: &Element<'_>, marks: &mut Marks) {
    if let Some(repeat) = element.child("repeat") {
        match repeat.attribute("direction").as_deref() {
            Some("forward") => marks.forward = true,
            Some("backward") => {
                let times = repeat.attribute("times").and_then(|times| times.parse().ok());
                marks.backward = Some(times.unwrap_or(2));
            }
            _ => {}
        }
    }
    for ending in element.children("ending") {
        if ending.attribute("type").as_deref() == Some("start") {
            let numbers = ending.attribute("number").unwrap_or_default();
            let numbers =
                numbers.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
            marks.ending_start = numbers.take(100).collect();
        } else {
            marks.ending_stop = true;
        }
    }
}
