//! Line charts: loss curves, mostly.

use crate::picture::{Align, Color, Picture, Rect, TextStyle};

/// One named line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// (x, y) in order; points that are not finite break nothing and are left out.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 760;
const PLOT: Rect = Rect::new(104.0, 92.0, 1136.0, 572.0);
const PAPER: Color = Color(252, 252, 250);
const INK: Color = Color(38, 42, 51);
const SOFT: Color = Color(118, 124, 136);
const GRID: Color = Color(226, 228, 232);
const LINES: [Color; 6] = [
    Color(37, 99, 176),
    Color(214, 91, 49),
    Color(30, 140, 104),
    Color(146, 78, 168),
    Color(196, 146, 22),
    Color(92, 104, 122),
];

/// A chart of lines over common axes, 1280 x 760 pixels: title, axes with round ticks, grid, legend.
pub fn line_chart(title: &str, x_label: &str, y_label: &str, series: &[Series]) -> Picture {
    let mut picture = Picture::new(WIDTH, HEIGHT, PAPER);
    let kept: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|s| s.points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect())
        .collect();
    let xs = Axis::over(kept.iter().flatten().map(|p| p.0), 10, false);
    let ys = Axis::over(kept.iter().flatten().map(|p| p.1), 7, true);
    let x_at = |x: f64| PLOT.x + PLOT.width * xs.share(x);
    let y_at = |y: f64| PLOT.y + PLOT.height * (1.0 - ys.share(y));
    let small = TextStyle { size: 11.5, color: SOFT, bold: false, align: Align::Center };
    let bottom = PLOT.y + PLOT.height;
    for x in xs.ticks() {
        picture.fill(Rect::new(x_at(x).round(), PLOT.y, 1.0, PLOT.height), GRID, 1.0);
        picture.text((x_at(x), bottom + 26.0), &xs.label(x), small);
    }
    for y in ys.ticks() {
        picture.fill(Rect::new(PLOT.x, y_at(y).round(), PLOT.width, 1.0), GRID, 1.0);
        let right = TextStyle { align: Align::Right, ..small };
        picture.text((PLOT.x - 12.0, y_at(y) + 5.5), &ys.label(y), right);
    }
    picture.fill(Rect::new(PLOT.x, bottom.round(), PLOT.width, 1.5), SOFT, 1.0);
    for (points, &color) in kept.iter().zip(LINES.iter().cycle()) {
        let line = thin(points.iter().map(|&(x, y)| (x_at(x), y_at(y))).collect());
        // a short line shows its points too
        if line.len() <= 24 {
            let dots: Vec<_> = line.iter().map(|&point| vec![point]).collect();
            picture.strokes(&dots, 8.0, color, 1.0);
        }
        let width = if line.len() > 300 { 1.8 } else { 2.6 };
        picture.strokes(&[line], width, color, 1.0);
    }
    let heading = TextStyle { size: 19.0, color: INK, bold: true, align: Align::Left };
    picture.text((PLOT.x, 50.0), title, heading);
    picture.text((PLOT.x + PLOT.width / 2.0, bottom + 64.0), x_label, TextStyle { size: 13.0, ..small });
    picture.text_upwards((34.0, PLOT.y + PLOT.height / 2.0), y_label, TextStyle { size: 13.0, ..small });
    legend(&mut picture, series);
    picture
}

/// Names at the upper right, beside a piece of their line.
fn legend(picture: &mut Picture, series: &[Series]) {
    let style = TextStyle { size: 12.5, color: INK, bold: false, align: Align::Right };
    let mut right = PLOT.x + PLOT.width;
    for (series, &color) in series.iter().zip(LINES.iter().cycle()).collect::<Vec<_>>().into_iter().rev() {
        let width = crate::font::width(&series.name, style.size, style.bold);
        picture.text((right, 76.0), &series.name, style);
        let left = right - width - 34.0;
        picture.line((left, 70.0), (left + 24.0, 70.0), 3.2, color, 1.0);
        right = left - 26.0;
    }
}

/// Keeps the first, lowest, highest and last point of every half pixel, so that long series stay quick.
fn thin(points: Vec<(f32, f32)>) -> Vec<(f32, f32)> {
    if points.len() < 4 * PLOT.width as usize {
        return points;
    }
    let mut kept: Vec<(f32, f32)> = Vec::new();
    for column in points.chunk_by(|a, b| (a.0 * 2.0).floor() == (b.0 * 2.0).floor()) {
        let by_height = |a: &&(f32, f32), b: &&(f32, f32)| a.1.total_cmp(&b.1);
        let four =
            [column.first(), column.iter().min_by(by_height), column.iter().max_by(by_height), column.last()];
        kept.extend(four.into_iter().flatten());
    }
    kept
}

/// The range of an axis and the distance of its ticks.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// The axis that shows all values with about `count` round ticks. `whole` widens it to end on ticks.
    fn over(values: impl Iterator<Item = f64>, count: u32, whole: bool) -> Axis {
        // beyond these sizes a range overflows, or is lost in rounding
        let values = values.map(|v| v.clamp(-1e150, 1e150));
        let (mut low, mut high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= (high.abs() + low.abs()) * 1e-9 {
            let margin = if high == 0.0 { 1.0 } else { high.abs() * 0.1 };
            (low, high) = (low - margin, high + margin);
        }
        let rough = (high - low) / count as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999);
        let step = step.unwrap_or(10.0 * power);
        if whole {
            (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        }
        Axis { low, high, step }
    }

    fn share(&self, value: f64) -> f32 {
        ((value - self.low) / (self.high - self.low)).clamp(-1.0, 2.0) as f32
    }

    fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-6).ceil();
        let count = ((self.high - first * self.step) / self.step + 1e-6).floor().clamp(0.0, 30.0) as usize;
        (0..=count).map(|i| (first + i as f64) * self.step).collect()
    }

    fn label(&self, value: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if !(1e-4..1e7).contains(&largest) {
            return if value.abs() < self.step / 2.0 { "0".into() } else { format!("{value:.1e}") };
        }
        if largest >= 1e4 && self.step >= 100.0 {
            let digits = if self.step % 1000.0 == 0.0 { 0 } else { 1 };
            let text = format!("{:.digits$}k", value / 1000.0);
            return if value == 0.0 { "0".into() } else { text };
        }
        // as many digits as tell two ticks apart
        let digits = (0..7).find(|&d| ((self.step * 10f64.powi(d)).fract()).abs() < 1e-6).unwrap_or(6);
        format!("{:.*}", digits as usize, if value.abs() < self.step / 2.0 { 0.0 } else { value })
            .replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], expected: &[&str]) {
        let axis = Axis::over(values.iter().copied(), 5, true);
        let labels: Vec<String> = axis.ticks().into_iter().map(|t| axis.label(t)).collect();
        assert_eq!(labels, expected, "{values:?}");
    }

    #[test]
    fn ticks_are_round() {
        check(&[0.0, 1.0], &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(&[1.93, 4.41], &["1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5"]);
        check(&[-3.0, 8.0], &["−5.0", "−2.5", "0.0", "2.5", "5.0", "7.5", "10.0"]);
        check(&[0.0, 20_000.0], &["0", "5k", "10k", "15k", "20k"]);
    }

    #[test]
    fn odd_ranges_have_a_few_ticks() {
        let odd = [
            vec![],
            vec![0.0],
            vec![5.0, 5.0],
            vec![-1e300, 1e300],
            vec![1e-9, 2e-9],
            vec![1e15, 1e15 + 1.0],
        ];
        for values in odd {
            let axis = Axis::over(values.iter().copied(), 8, true);
            let ticks = axis.ticks().len();
            assert!((2..=31).contains(&ticks) && axis.high > axis.low, "{values:?}: {ticks}");
        }
    }

    #[test]
    fn draws_lines_and_survives_bad_points() {
        let points = vec![(0.0, 3.0), (1.0, f64::NAN), (2.0, 1.0), (f64::INFINITY, 2.0)];
        let picture = line_chart("Loss", "step", "nats", &[Series { name: "train".into(), points }]);
        assert_eq!((picture.width, picture.height), (WIDTH, HEIGHT));
        let blue = picture.pixels.chunks(3).filter(|p| *p == [LINES[0].0, LINES[0].1, LINES[0].2]).count();
        assert!(blue > 1000, "{blue}");
        line_chart("", "", "", &[]);
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_peak() {
        let mut points: Vec<(f32, f32)> = (0..1_000_000).map(|i| (i as f32 / 1000.0, 5.0)).collect();
        points[500_000].1 = -7.0;
        let kept = thin(points);
        assert!(kept.len() < 10_000 && kept.iter().any(|p| p.1 == -7.0));
    }
}
