//! Numbers as words: American English, without `and`.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const THOUSANDS: [&str; 12] = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
];

/// Each digit by itself: `one two three`.
pub fn digits(digits: &str) -> String {
    let words: Vec<&str> =
        digits.bytes().filter(u8::is_ascii_digit).map(|digit| ONES[usize::from(digit - b'0')]).collect();
    words.join(" ")
}

/// A whole number of ASCII digits, commas and spaces between them passed over; digit by digit where there are too many.
pub fn cardinal(written: &str) -> String {
    let plain: String = written.chars().filter(char::is_ascii_digit).collect();
    let number = plain.trim_start_matches('0');
    if number.is_empty() {
        return "zero".into();
    }
    if number.len() > 3 * THOUSANDS.len() {
        return digits(number);
    }
    let mut words = Vec::new();
    let groups = number.len().div_ceil(3);
    let mut rest = number;
    for group in (0..groups).rev() {
        let (head, tail) = rest.split_at(rest.len() - 3 * group);
        rest = tail;
        let value: usize = head.parse().unwrap_or(0);
        if value > 0 {
            below_thousand(value, &mut words);
            words.extend((group > 0).then(|| THOUSANDS[group]));
        }
    }
    words.join(" ")
}

fn below_thousand(value: usize, words: &mut Vec<&'static str>) {
    if value >= 100 {
        words.extend([ONES[value / 100], "hundred"]);
    }
    match value % 100 {
        0 => {}
        small @ 1..20 => words.push(ONES[small]),
        large => {
            words.push(TENS[large / 10]);
            words.extend((large % 10 > 0).then(|| ONES[large % 10]));
        }
    }
}

/// `twenty first`
pub fn ordinal(written: &str) -> String {
    let words = cardinal(written);
    let (before, last) = words.rsplit_once(' ').map_or(("", words.as_str()), |(before, last)| (before, last));
    let last = match last {
        "one" => "first".into(),
        "two" => "second".into(),
        "three" => "third".into(),
        "five" => "fifth".into(),
        "eight" => "eighth".into(),
        "nine" => "ninth".into(),
        "twelve" => "twelfth".into(),
        tens if tens.ends_with('y') => format!("{}ieth", &tens[..tens.len() - 1]),
        other => format!("{other}th"),
    };
    [before, &last].join(" ").trim_start().into()
}

/// A year: `nineteen oh five`, `two thousand five`, `twenty twenty four`.
pub fn year(written: &str) -> String {
    let value: usize = match written.parse() {
        Ok(value @ 1000..=9999) => value,
        _ => return cardinal(written),
    };
    let (high, low) = (value / 100, value % 100);
    let century = |words: String| format!("{} {words}", cardinal(&high.to_string()));
    match low {
        _ if value % 1000 < 10 => cardinal(written),
        0 => century("hundred".into()),
        1..10 => century(format!("oh {}", ONES[low])),
        _ => century(cardinal(&low.to_string())),
    }
}

/// The years that begin with it: `nineteen nineties`, `two thousands`.
pub fn decade(written: &str) -> String {
    plural(&if written.len() == 4 { year(written) } else { cardinal(written) })
}

/// The last word as more than one: `nineties`, `halves`.
pub fn plural(words: &str) -> String {
    if let Some(before) = words.strip_suffix("half") {
        return format!("{before}halves");
    }
    match words.strip_suffix('y') {
        Some(before) => format!("{before}ies"),
        None if words.ends_with('x') => format!("{words}es"),
        None => format!("{words}s"),
    }
}

/// A fraction: `one half`, `three quarters`, `five eighths`.
pub fn fraction(over: &str, under: &str) -> String {
    let under = match under.trim_start_matches('0') {
        "" | "1" => return format!("{} over {}", cardinal(over), cardinal(under)),
        "2" => "half".into(),
        "4" => "quarter".into(),
        other => ordinal(other),
    };
    let one = over.trim_start_matches('0') == "1";
    format!("{} {}", cardinal(over), if one { under } else { plural(&under) })
}

/// A number with a point or none: `three point one four`, `point five`, `one thousand`.
pub fn decimal(written: &str) -> String {
    match written.split_once('.') {
        Some(("", after)) => format!("point {}", digits(after)),
        Some((before, after)) => format!("{} point {}", cardinal(before), digits(after)),
        None => cardinal(written),
    }
}

/// The value of a Roman numeral that is written as it should be.
pub fn roman(written: &str) -> Option<u32> {
    const SIGNS: [(&str, u32); 13] = [
        ("M", 1000),
        ("CM", 900),
        ("D", 500),
        ("CD", 400),
        ("C", 100),
        ("XC", 90),
        ("L", 50),
        ("XL", 40),
        ("X", 10),
        ("IX", 9),
        ("V", 5),
        ("IV", 4),
        ("I", 1),
    ];
    let (mut value, mut rest) = (0, written);
    for (sign, worth) in SIGNS {
        while let Some(after) = rest.strip_prefix(sign) {
            (value, rest) = (value + worth, after);
        }
    }
    // of all ways to write a value, the one that takes the largest signs first
    let (mut spelled, mut left) = (String::new(), value);
    for (sign, worth) in SIGNS {
        while left >= worth && spelled.len() <= written.len() {
            spelled.push_str(sign);
            left -= worth;
        }
    }
    (rest.is_empty() && value > 0 && spelled == written).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_words() {
        let check = |f: fn(&str) -> String, written: &str, words: &str| assert_eq!(f(written), words);
        check(cardinal, "0", "zero");
        check(cardinal, "1,000,001", "one million one");
        check(cardinal, "123456", "one hundred twenty three thousand four hundred fifty six");
        check(cardinal, &"9".repeat(40), "nine ".repeat(40).trim());
        check(ordinal, "21", "twenty first");
        check(ordinal, "40", "fortieth");
        check(ordinal, "1000", "one thousandth");
        check(year, "1905", "nineteen oh five");
        check(year, "2005", "two thousand five");
        check(year, "1900", "nineteen hundred");
        check(decade, "1990", "nineteen nineties");
        check(decade, "2000", "two thousands");
        check(decimal, "3.14", "three point one four");
        assert_eq!(fraction("3", "2"), "three halves");
        assert_eq!(fraction("1", "6"), "one sixth");
        assert_eq!(fraction("2", "36"), "two thirty sixths");
    }

    #[test]
    fn roman_numerals_have_one_spelling() {
        for (written, value) in [("IV", 4), ("XXXIX", 39), ("MCMXCIX", 1999), ("VIII", 8)] {
            assert_eq!(roman(written), Some(value));
        }
        for written in ["", "IIII", "VX", "IC", "VV", "IVI", "ABC"] {
            assert_eq!(roman(written), None, "{written}");
        }
    }
}
