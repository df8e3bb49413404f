//! Units of measure: what stands behind a number.

/// Units: how they are written, one of them, several.
const UNITS: [(&str, &str, &str); 98] = [
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("μm", "micrometer", "micrometers"),
    ("nm", "nanometer", "nanometers"),
    ("mi", "mile", "miles"),
    ("ft", "foot", "feet"),
    ("yd", "yard", "yards"),
    ("yds", "yard", "yards"),
    ("nmi", "nautical mile", "nautical miles"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("μg", "microgram", "micrograms"),
    ("mcg", "microgram", "micrograms"),
    ("lb", "pound", "pounds"),
    ("lbs", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("L", "liter", "liters"),
    ("l", "liter", "liters"),
    ("dl", "deciliter", "deciliters"),
    ("dL", "deciliter", "deciliters"),
    ("cl", "centiliter", "centiliters"),
    ("ml", "milliliter", "milliliters"),
    ("mL", "milliliter", "milliliters"),
    ("gal", "gallon", "gallons"),
    ("qt", "quart", "quarts"),
    ("pt", "pint", "pints"),
    ("tsp", "teaspoon", "teaspoons"),
    ("tbsp", "tablespoon", "tablespoons"),
    ("ha", "hectare", "hectares"),
    ("sq ft", "square foot", "square feet"),
    ("sq. ft.", "square foot", "square feet"),
    ("sqft", "square foot", "square feet"),
    ("sq mi", "square mile", "square miles"),
    ("sq km", "square kilometer", "square kilometers"),
    ("sq m", "square meter", "square meters"),
    ("cu ft", "cubic foot", "cubic feet"),
    ("cc", "cubic centimeter", "cubic centimeters"),
    ("s", "second", "seconds"),
    ("sec", "second", "seconds"),
    ("secs", "second", "seconds"),
    ("ms", "millisecond", "milliseconds"),
    ("μs", "microsecond", "microseconds"),
    ("ns", "nanosecond", "nanoseconds"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("h", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("yr", "year", "years"),
    ("yrs", "year", "years"),
    ("mph", "mile per hour", "miles per hour"),
    ("kph", "kilometer per hour", "kilometers per hour"),
    ("kmh", "kilometer per hour", "kilometers per hour"),
    ("mpg", "mile per gallon", "miles per gallon"),
    ("rpm", "revolution per minute", "revolutions per minute"),
    ("bpm", "beat per minute", "beats per minute"),
    ("fps", "frame per second", "frames per second"),
    ("dpi", "dot per inch", "dots per inch"),
    ("psi", "pound per square inch", "pounds per square inch"),
    ("ppm", "part per million", "parts per million"),
    ("Hz", "hertz", "hertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("MHz", "megahertz", "megahertz"),
    ("GHz", "gigahertz", "gigahertz"),
    ("W", "watt", "watts"),
    ("kW", "kilowatt", "kilowatts"),
    ("MW", "megawatt", "megawatts"),
    ("GW", "gigawatt", "gigawatts"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("V", "volt", "volts"),
    ("mV", "millivolt", "millivolts"),
    ("kV", "kilovolt", "kilovolts"),
    ("mA", "milliamp", "milliamps"),
    ("mAh", "milliamp hour", "milliamp hours"),
    ("Ω", "ohm", "ohms"),
    ("dB", "decibel", "decibels"),
    ("N", "newton", "newtons"),
    ("Pa", "pascal", "pascals"),
    ("kPa", "kilopascal", "kilopascals"),
    ("hPa", "hectopascal", "hectopascals"),
    ("kJ", "kilojoule", "kilojoules"),
    ("kcal", "kilocalorie", "kilocalories"),
    ("cal", "calorie", "calories"),
    ("px", "pixel", "pixels"),
    ("KB", "kilobyte", "kilobytes"),
    ("kB", "kilobyte", "kilobytes"),
    ("MB", "megabyte", "megabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("TB", "terabyte", "terabytes"),
    ("kbps", "kilobit per second", "kilobits per second"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("°C", "degree celsius", "degrees celsius"),
    ("°F", "degree fahrenheit", "degrees fahrenheit"),
    ("°", "degree", "degrees"),
];

/// What is one letter and must stand right behind its number, because apart it is rather something else.
const GLUED: [&str; 4] = ["s", "h", "N", "pt"];

/// A unit that was found.
pub struct Unit {
    /// Bytes, from the end of the number on.
    pub length: usize,
    /// One of it, and several.
    pub names: [String; 2],
}

fn known(written: &str) -> Option<[&'static str; 2]> {
    UNITS.iter().find(|(unit, ..)| *unit == written).map(|(_, one, several)| [*one, *several])
}

/// Letters, and what belongs to a unit as they do.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphabetic() || c == '°'));
    &text[..end.unwrap_or(text.len())]
}

/// The unit that a text behind a number begins with.
pub fn find(text: &str) -> Option<Unit> {
    let rest = text.strip_prefix([' ', '-']).unwrap_or(text);
    let (space, apart) = (text.len() - rest.len(), rest.len() < text.len());
    if let Some(unit) = long(rest) {
        return Some(Unit { length: space + unit.length, ..unit });
    }
    let first = word(rest);
    let names = match first {
        "in" if !apart => ["inch", "inches"],
        "" => return None,
        _ => known(first)?,
    };
    if apart && GLUED.contains(&first) || text.starts_with('-') && first.len() < 2 {
        return None;
    }
    let mut unit = Unit { length: space + first.len(), names: names.map(String::from) };
    let behind = &text[unit.length..];
    power(&mut unit, behind);
    let behind = &text[unit.length..];
    per(&mut unit, behind);
    // the point of an abbreviated unit, where the sentence goes on
    let after = &text[unit.length..];
    if let Some(after) = after.strip_prefix(". ").filter(|_| first.len() > 1 && !first.contains('°')) {
        unit.length += usize::from(after.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit()));
    }
    let ends = !text[unit.length..].starts_with(|c: char| c.is_alphanumeric());
    ends.then_some(unit)
}

/// Units of two words.
fn long(rest: &str) -> Option<Unit> {
    let fits = |unit: &&(&str, &str, &str)| {
        let after = rest.strip_prefix(unit.0);
        unit.0.contains(' ') && after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric()))
    };
    let (written, one, several) = UNITS.iter().find(fits)?;
    Some(Unit { length: written.len(), names: [one.to_string(), several.to_string()] })
}

/// `m²`, `m2`, `m^2`
fn power(unit: &mut Unit, rest: &str) {
    const POWERS: [(&str, &str); 6] =
        [("²", "square"), ("^2", "square"), ("2", "square"), ("³", "cubic"), ("^3", "cubic"), ("3", "cubic")];
    let length = ["meter", "foot", "mile", "yard", "inch"].iter().any(|name| unit.names[0].ends_with(name));
    let Some((written, word)) =
        POWERS.iter().find(|(written, _)| rest.starts_with(written)).filter(|_| length)
    else {
        return;
    };
    unit.length += written.len();
    unit.names = unit.names.clone().map(|name| format!("{word} {name}"));
}

/// `/h`, `/s²`
fn per(unit: &mut Unit, rest: &str) {
    let Some(under) = rest.strip_prefix('/') else { return };
    let written = word(under);
    let name = match (written, known(written)) {
        ("day" | "week" | "month" | "year" | "hour" | "minute" | "second" | "person", _) => written,
        (_, Some([one, _])) => one,
        _ => return,
    };
    unit.length += 1 + written.len();
    let squared = under[written.len()..].starts_with('²');
    unit.length += if squared { '²'.len_utf8() } else { 0 };
    let squared = if squared { " squared" } else { "" };
    unit.names = unit.names.clone().map(|of| format!("{of} per {name}{squared}"));
}
