//! Statistics side by side, as Markdown.

use super::statistics::{Statistics, Unit};

/// Relative distance from the reference that still counts as alike.
const RELATIVE: f64 = 0.2;
/// For events rarer than this per 100 chords in the reference, the absolute distance that does.
const RARE: f64 = 0.5;

/// Whether `value` is within 20% of `reference`, or, for events per 100 chords whose reference is below 0.5,
/// within 0.5 of it.
pub fn within(unit: Unit, reference: f64, value: f64) -> bool {
    let distance = (value - reference).abs();
    let rare = unit == Unit::PerHundred && reference < RARE;
    // the small term keeps a limit that is met exactly from failing by a rounding error
    distance <= if rare { RARE } else { RELATIVE * reference.abs() } + 1e-9
}

/// The table of the model card: real pieces beside generated ones.
pub fn table(reference: &Statistics, generated: &Statistics) -> String {
    columns(&[("Bach (valid)", reference), ("generated", generated)])
}

/// A column for each set; the verdict compares the last one with the first one, the reference.
///
/// A second real set between them shows how far two samples of the same composer lie apart.
pub fn columns(sets: &[(&str, &Statistics)]) -> String {
    let (Some((_, reference)), Some((_, judged))) = (sets.first(), sets.last()) else { return String::new() };
    let mut out = String::from("| Statistic |");
    for (name, _) in sets {
        out.push_str(&format!(" {name} |"));
    }
    out.push_str(" within 20% |\n|---|");
    out.push_str(&"---:|".repeat(sets.len()));
    out.push_str(":---:|\n| Pieces |");
    for (_, set) in sets {
        out.push_str(&format!(" {} |", set.pieces));
    }
    out.push_str(" |\n| Chords |");
    for (_, set) in sets {
        out.push_str(&format!(" {} |", set.chords));
    }
    out.push_str(" |\n");
    let verdicts = reference.values().into_iter().zip(judged.values());
    for (row, ((name, unit, expected), (_, _, value))) in verdicts.enumerate() {
        out.push_str(&format!("| {name} |"));
        for (_, set) in sets {
            out.push_str(&format!(" {} |", show(unit, set.values()[row].2)));
        }
        let verdict = if within(unit, expected, value) { "yes" } else { "no" };
        out.push_str(&format!(" {verdict} |\n"));
    }
    out
}

fn show(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{:.1}%", 100.0 * value),
        Unit::PerHundred | Unit::Plain => format!("{value:.2}"),
    }
}
