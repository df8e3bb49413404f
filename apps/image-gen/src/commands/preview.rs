//! A small picture in the terminal, two pixels a character.

use std::io::{IsTerminal, Write};

use image_gen::Progress;
use media::image_file::Pixels;

/// The widest picture, in characters.
const WIDEST: u32 = 48;

/// Draws over itself on stderr; nothing where that is no terminal.
pub struct Preview {
    shown: bool,
    rows: usize,
}

impl Preview {
    /// A preview, where it is wanted and a terminal is there.
    pub fn new(wanted: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { shown: wanted && !plain && std::io::stderr().is_terminal(), rows: 0 }
    }

    /// Draws what there is.
    pub fn show(&mut self, at: &Progress<'_>) {
        // a preview that cannot be drawn is none
        let Some(picture) = self.shown.then(|| at.glance().ok()).flatten() else { return };
        let text = drawn(&picture);
        self.clear();
        let _ = std::io::stderr().write_all(text.as_bytes());
        self.rows = text.matches('\n').count();
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if self.rows > 0 {
            let _ = write!(std::io::stderr(), "\x1b[{}A\x1b[J", self.rows);
            self.rows = 0;
        }
    }
}

/// Upper half blocks in the colours of the pixels.
fn drawn(picture: &Pixels) -> String {
    let wide = picture.width.min(WIDEST);
    let high = (picture.height * wide / picture.width.max(1)).max(2).next_multiple_of(2);
    let small = picture.over([0; 3]).resized(wide, high);
    let at = |x: u32, y: u32| {
        let place = 4 * (y * wide + x) as usize;
        format!("{};{};{}", small.rgba[place], small.rgba[place + 1], small.rgba[place + 2])
    };
    let row = |y: u32| -> String {
        let cell = |x| format!("\x1b[38;2;{}m\x1b[48;2;{}m▀", at(x, y), at(x, y + 1));
        (0..wide).map(cell).collect::<String>() + "\x1b[0m\n"
    };
    (0..high).step_by(2).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_are_a_character() {
        let mut picture = Pixels::new(2, 2, [255, 0, 0, 255]);
        picture.put(&Pixels::new(2, 1, [0, 0, 255, 255]), 0, 1);
        let cell = "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀";
        assert_eq!(drawn(&picture), format!("{cell}{cell}\x1b[0m\n"));
        assert_eq!(drawn(&Pixels::new(200, 100, [0; 4])).matches('\n').count(), 12);
    }
}
