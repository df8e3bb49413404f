//! What stands behind a flag: readers of numbers that say in one line what they want.

use std::str::FromStr;

/// Reads a number between two bounds.
///
/// # Errors
/// `wanted`, for everything else.
pub fn number<T: FromStr + PartialOrd>(text: &str, low: T, high: T, wanted: &str) -> Result<T, String> {
    text.parse().ok().filter(|value| *value >= low && *value <= high).ok_or_else(|| wanted.to_string())
}

/// Reads a share of data that is kept aside.
///
/// # Errors
/// What is no number from 0 to 0.9.
pub fn held_out(text: &str) -> Result<f64, String> {
    number(text, 0., 0.9, "a number from 0 to 0.9")
}

/// Reads a share.
///
/// # Errors
/// What is no number from 0 to 1.
pub fn share(text: &str) -> Result<f32, String> {
    number(text, 0., 1., "a number from 0 to 1")
}

/// Reads a share of activations that are dropped.
///
/// # Errors
/// What is no number from 0 to 0.9.
pub fn dropout(text: &str) -> Result<f32, String> {
    number(text, 0., 0.9, "a number from 0 to 0.9")
}

/// Reads seconds, up to a day.
///
/// # Errors
/// What is no number from 0.01 to 86400.
pub fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.01, 86_400., "a number from 0.01 to 86400")
}

/// Reads the width of a net.
///
/// # Errors
/// What is no multiple of 64 from 64 to 4096.
pub fn width(text: &str) -> Result<usize, String> {
    let wanted = "a multiple of 64, up to 4096";
    let width: usize = number(text, 64, 4096, wanted)?;
    if width.is_multiple_of(64) { Ok(width) } else { Err(wanted.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_their_bounds() {
        assert_eq!((width("256"), held_out("0.9")), (Ok(256), Ok(0.9)));
        for text in ["63", "100", "4160", "-64", "x", ""] {
            assert!(width(text).is_err(), "{text}");
        }
        for text in ["-0.1", "0.95", "NaN", "inf", ""] {
            assert!(held_out(text).is_err() && dropout(text).is_err(), "{text}");
        }
        assert!(seconds("0").is_err() && seconds("60").is_ok());
    }
}
