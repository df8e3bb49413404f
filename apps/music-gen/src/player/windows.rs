//! Pieces longer than the model hears at once, as audiocraft makes them: window after window, each of which begins with
//! the end of the one before.

use std::ops::Range;

/// Lengths in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Of the longest window.
    pub longest: usize,
    /// From the beginning of one window to that of the next.
    pub stride: usize,
    /// Of the whole piece.
    pub frames: usize,
}

impl Windows {
    /// The window that goes on after so many frames, which may begin before them; `None` where all are made.
    pub fn next(&self, known: usize) -> Option<Range<usize>> {
        let (longest, stride) = (self.longest.max(1), self.stride.clamp(1, self.longest.max(1)));
        if known >= self.frames {
            return None;
        }
        let start = if known < longest { 0 } else { known - (longest - stride) };
        Some(start..self.frames.min(start + longest))
    }

    /// Steps of all windows after so many frames, where one of so many frames has `columns`.
    pub fn steps(&self, mut known: usize, columns: impl Fn(usize) -> usize) -> usize {
        let mut steps = 0;
        while let Some(window) = self.next(known) {
            steps += columns(window.len()) - 1 - (known - window.start);
            known = window.end;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: usize, known: usize) -> Vec<(usize, usize)> {
        let windows = Windows { longest: 1500, stride: 900, frames };
        let mut known = known;
        std::iter::from_fn(|| {
            let window = windows.next(known)?;
            known = window.end;
            Some((window.start, window.end))
        })
        .collect()
    }

    #[test]
    fn windows_overlap_as_audiocrafts_do() {
        assert_eq!(all(1500, 0), [(0, 1500)]);
        assert_eq!(all(3000, 0), [(0, 1500), (900, 2400), (1800, 3000)]);
        assert_eq!(all(1501, 0), [(0, 1500), (900, 1501)]);
        assert_eq!(all(2000, 1000), [(0, 1500), (900, 2000)]);
        assert_eq!(all(5000, 4000), [(3400, 4900), (4300, 5000)]);
        assert_eq!(all(100, 100), []);
    }

    #[test]
    fn steps_are_counted_ahead() {
        let windows = Windows { longest: 1500, stride: 900, frames: 3000 };
        assert_eq!(windows.steps(0, |frames| frames + 4), 1503 + 903 + 603);
        assert_eq!(windows.steps(3000, |frames| frames + 4), 0);
    }
}
