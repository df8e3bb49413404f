//! What a model knows of each of its styles, beside the weights: `music.json` in the model's folder.

use serde::{Deserialize, Serialize};

use crate::grammar::Range;
use crate::vocabulary::PERCUSSION;

/// Name of the file in a model's folder.
pub const FILE: &str = "music.json";
/// The reading of the tokens that this program writes and understands.
pub const REPRESENTATION: &str = "bars-3";

/// The contents of [`FILE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Styles {
    /// Must be [`REPRESENTATION`].
    pub representation: String,
    /// The styles in the order of their tokens; the first is the default.
    pub styles: Vec<Style>,
}

/// One style: who plays, and within which limits. All of it is counted in the training pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// The name that `--style` takes.
    pub name: String,
    /// Whether every part has one note at a time.
    pub voices: bool,
    /// The parts, from the top of the score.
    pub parts: Vec<StylePart>,
    /// The most frequent time signature.
    pub metre: (u8, u8),
    /// The middle tempo in quarter notes per minute.
    pub tempo: u32,
    /// The middle number of bars.
    pub bars: u32,
    /// Training pieces.
    pub pieces: usize,
}

/// One part of a style.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StylePart {
    /// As printed before the staff.
    pub name: String,
    /// General MIDI program, or 128 for percussion.
    pub program: u8,
    /// The pitches that occur in training.
    #[serde(flatten)]
    pub range: Range,
}

impl Styles {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Text that is not of this form or of another representation, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let styles: Styles = serde_json::from_str(text).map_err(|error| format!("{FILE}: {error}"))?;
        if styles.representation != REPRESENTATION {
            return Err(format!(
                "{FILE}: the representation is {:?}, this program reads {REPRESENTATION:?}",
                styles.representation
            ));
        }
        if styles.styles.is_empty() || styles.styles.len() > crate::vocabulary::STYLES {
            return Err(format!(
                "{FILE}: {} styles, 1 to {} can be",
                styles.styles.len(),
                crate::vocabulary::STYLES
            ));
        }
        for style in &styles.styles {
            let parts = style.parts.len();
            if parts == 0 || parts > crate::vocabulary::PARTS {
                return Err(format!("{FILE}: style {:?} has {parts} parts, 1 to 16 can be", style.name));
            }
            let wrong = |part: &&StylePart| {
                part.range.low > part.range.high || part.range.high > 127 || part.program > PERCUSSION
            };
            if let Some(part) = style.parts.iter().find(wrong) {
                return Err(format!(
                    "{FILE}: part {:?} of style {:?} has no such pitches or program",
                    part.name, style.name
                ));
            }
        }
        Ok(styles)
    }

    /// The style with this name and its token's number; the first one without a name.
    ///
    /// # Errors
    /// A name that the model does not have, in one line that lists those it has.
    pub fn find(&self, name: Option<&str>) -> Result<(usize, &Style), String> {
        let Some(name) = name else {
            return self.styles.first().map(|style| (0, style)).ok_or_else(|| format!("{FILE}: no style"));
        };
        let found = self.styles.iter().enumerate().find(|(_, style)| style.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.styles.iter().map(|style| style.name.as_str()).collect();
            format!("the model has no style {name:?}; it has {}", names.join(", "))
        })
    }
}

impl Style {
    /// The pitches of each part.
    pub fn ranges(&self) -> Vec<Range> {
        self.parts.iter().map(|part| part.range).collect()
    }
}
