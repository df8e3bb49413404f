//! The learning rate and the decay of the average, step by step.

use crate::options::Options;

/// The learning rate of a step (from 0): linear warm-up, then a cosine that reaches
/// `min_lr_ratio * learning_rate` at the last step. While `total` is not known it stays at its height.
pub fn learning_rate(options: &Options, step: u64, total: Option<u64>) -> f64 {
    let top = options.learning_rate;
    if step < options.warmup_steps {
        return top * (step + 1) as f64 / options.warmup_steps as f64;
    }
    let Some(total) = total else { return top };
    let length = total.saturating_sub(options.warmup_steps + 1).max(1) as f64;
    let done = ((step - options.warmup_steps) as f64 / length).min(1.0);
    let height = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    top * (options.min_lr_ratio + (1.0 - options.min_lr_ratio) * height)
}

/// The decay of the average after so many updates. It starts low, so that the average forgets the first
/// weights even in a short run.
pub fn average_decay(decay: f64, updates: u64) -> f64 {
    decay.min((1.0 + updates as f64) / (10.0 + updates as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(step: u64, total: Option<u64>, expected: f64) {
        let options =
            Options { learning_rate: 2.0, warmup_steps: 4, min_lr_ratio: 0.1, ..Options::default() };
        let got = learning_rate(&options, step, total);
        assert!((got - expected).abs() < 1e-12, "step {step} of {total:?}: {got}, not {expected}");
    }

    #[test]
    fn warm_up_then_cosine() {
        check(0, Some(13), 0.5);
        check(3, Some(13), 2.0);
        check(4, Some(13), 2.0);
        check(8, Some(13), 1.1);
        check(12, Some(13), 0.2);
        check(6, Some(13), 2.0 * (0.1 + 0.45 * (1.0 + std::f64::consts::FRAC_PI_4.cos())));
        check(40, Some(13), 0.2);
        check(1000, None, 2.0);
        check(0, Some(1), 0.5);
        check(4, Some(4), 2.0);
    }

    #[test]
    fn average_warms_up() {
        assert_eq!(average_decay(0.999, 0), 0.1);
        assert_eq!(average_decay(0.999, 90), 0.91);
        assert_eq!(average_decay(0.999, 1_000_000), 0.999);
    }
}
