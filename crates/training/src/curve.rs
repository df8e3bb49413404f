//! Loss and held-out loss over the steps.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// What was seen at one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Training loss, averaged since the last point that has one.
    pub loss: Option<f64>,
    /// Held-out loss, where it was evaluated.
    pub held_out: Option<f64>,
}

/// The points of a run, by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The points.
    pub points: Vec<Point>,
}

impl Curve {
    /// The training losses as (step, loss).
    pub fn losses(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        self.points.iter().filter_map(|p| Some((p.step, p.loss?)))
    }

    /// The held-out losses as (step, loss).
    pub fn held_out(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        self.points.iter().filter_map(|p| Some((p.step, p.held_out?)))
    }

    /// `step,loss,held_out` with a header; what was not measured is empty.
    pub fn to_csv(&self) -> String {
        let cell = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
        let mut csv = String::from("step,loss,held_out\n");
        for point in &self.points {
            // writing to a string cannot fail
            let _ = writeln!(csv, "{},{},{}", point.step, cell(point.loss), cell(point.held_out));
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv() {
        let points = vec![
            Point { step: 0, loss: None, held_out: Some(2.5) },
            Point { step: 10, loss: Some(0.125), held_out: None },
        ];
        assert_eq!(Curve { points }.to_csv(), "step,loss,held_out\n0,,2.5\n10,0.125,\n");
    }
}
