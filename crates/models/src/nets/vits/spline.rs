//! Monotonic rational-quadratic splines (Durkan, Bekasov, Murray and Papamakarios, 2019), backwards: from what a spline
//! makes to what it made it of. Outside of an interval around zero a spline is the identity.

/// Least width and height of a piece as a share of the interval, and least slope at its ends.
const LEAST: f64 = 1e-3;

/// What `value` was before the spline of `widths`, `heights` (one a piece, to be normalised) and `slopes` (one a joint,
/// to be bent) between minus and plus `bound`.
pub fn invert(value: f32, [widths, heights, slopes]: [&[f32]; 3], bound: f64) -> f32 {
    let value = f64::from(value);
    if !(-bound..=bound).contains(&value) {
        return value as f32;
    }
    let (xs, ys) = (joints(widths, bound), joints(heights, bound));
    let pieces = widths.len();
    let at = ys[1..pieces].iter().filter(|joint| value >= **joint).count();
    // the outermost slopes are one, as beyond
    let slope = |joint: usize| match slopes.get(joint.wrapping_sub(1)) {
        Some(slope) => LEAST + softplus(f64::from(*slope)),
        None => 1.,
    };
    let (width, height) = (xs[at + 1] - xs[at], ys[at + 1] - ys[at]);
    let (before, after, mean) = (slope(at), slope(at + 1), height / width);
    let risen = value - ys[at];
    let bend = risen * (before + after - 2. * mean);
    let (a, b, c) = (height * (mean - before) + bend, height * before - bend, -mean * risen);
    // never below zero but by rounding
    let root = (b * b - 4. * a * c).max(0.).sqrt();
    (2. * c / (-b - root) * width + xs[at]) as f32
}

/// Where pieces of these sizes, normalised, begin and end.
fn joints(sizes: &[f32], bound: f64) -> Vec<f64> {
    let largest = sizes.iter().fold(f32::NEG_INFINITY, |largest, size| largest.max(*size));
    let exponentials: Vec<f64> = sizes.iter().map(|size| f64::from(size - largest).exp()).collect();
    let (sum, rest) = (exponentials.iter().sum::<f64>(), 1. - LEAST * sizes.len() as f64);
    let mut place = 0.;
    let mut joints = vec![-bound];
    for exponential in exponentials {
        place += LEAST + rest * exponential / sum;
        joints.push(2. * bound * place - bound);
    }
    joints[sizes.len()] = bound;
    joints
}

fn softplus(x: f64) -> f64 {
    if x > 20. { x } else { x.exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    // the same forwards, after the paper's equation 4
    fn forward(value: f64, [widths, heights, slopes]: [&[f32]; 3], bound: f64) -> f64 {
        let (xs, ys) = (joints(widths, bound), joints(heights, bound));
        let at = xs[1..widths.len()].iter().filter(|joint| value >= **joint).count();
        let slope = |joint: usize| match joint {
            0 => 1.,
            joint if joint == widths.len() => 1.,
            joint => LEAST + softplus(f64::from(slopes[joint - 1])),
        };
        let (width, height) = (xs[at + 1] - xs[at], ys[at + 1] - ys[at]);
        let (before, after, mean) = (slope(at), slope(at + 1), height / width);
        let share = (value - xs[at]) / width;
        let both = share * (1. - share);
        let divisor = mean + (before + after - 2. * mean) * both;
        ys[at] + height * (mean * share * share + before * both) / divisor
    }

    #[test]
    fn what_a_spline_makes_leads_back() {
        let widths = [0.3, -1.2, 2.0, 0.1];
        let heights = [1.1, 0.4, -2.5, 0.0];
        let slopes = [-0.7, 3.0, 0.2];
        let spline = [&widths[..], &heights, &slopes];
        let mut last = f64::NEG_INFINITY;
        for step in 0..=400 {
            let value = f64::from(step) / 40. - 5.;
            let made = forward(value, spline, 5.);
            assert!(made > last, "it does not rise at {value}");
            last = made;
            let found = f64::from(invert(made as f32, spline, 5.));
            // judged by what is made of it: where the spline is flat, rounding `made` alone moves `found` by 1e-3
            let again = forward(found, spline, 5.);
            assert!((again - made).abs() < 1e-5, "{found} for {value}, which becomes {again}, not {made}");
            assert!((found - value).abs() < 2e-3, "{found} for {value}");
        }
        assert_eq!([invert(5.5, spline, 5.), invert(-7., spline, 5.)], [5.5, -7.]);
        assert!(invert(f32::NAN, spline, 5.).is_nan());
    }
}
