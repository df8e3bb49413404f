//! The delay pattern: each row of codes comes a step later than the one before, so that what a frame's coarse codes are is
//! known when its finer ones are made. In stereo the rows of both channels come together.

/// Which step makes which code, and what stands where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    steps: Vec<usize>,
    padding: u32,
}

impl Delay {
    /// For so many rows of so many channels in turn; `padding` stands before and after a row.
    pub fn new(rows: usize, channels: usize, padding: u32) -> Self {
        Self { steps: (0..rows).map(|row| row / channels.max(1)).collect(), padding }
    }

    /// Rows of codes.
    pub fn rows(&self) -> usize {
        self.steps.len()
    }

    /// Columns that so many frames take: one of padding, one a frame, and one for each step of the last row.
    pub fn columns(&self, frames: usize) -> usize {
        frames + 1 + self.steps.last().copied().unwrap_or(0)
    }

    /// The frame that a row has in a column; `None` before and after them.
    pub fn frame(&self, row: usize, column: usize, frames: usize) -> Option<usize> {
        column.checked_sub(self.steps[row] + 1).filter(|frame| *frame < frames)
    }

    /// What stands where a row has no code.
    pub fn padding(&self) -> u32 {
        self.padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(delay: &Delay, frames: usize) -> Vec<String> {
        let row = |row: usize| {
            let column =
                |column| delay.frame(row, column, frames).map_or(".".into(), |frame| frame.to_string());
            (0..delay.columns(frames)).map(column).collect()
        };
        (0..delay.rows()).map(row).collect()
    }

    #[test]
    fn rows_come_one_after_the_other_and_channels_together() {
        assert_eq!(drawn(&Delay::new(4, 1, 9), 4), [".0123...", "..0123..", "...0123.", "....0123"]);
        assert_eq!(drawn(&Delay::new(4, 2, 9), 3), [".012.", ".012.", "..012", "..012"]);
        assert_eq!(drawn(&Delay::new(2, 1, 9), 1), [".0.", "..0"]);
    }
}
