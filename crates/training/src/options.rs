//! How a training goes: its length, its step, its optimiser, and how often it looks up.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Everything that decides the numbers of a run, beside the task itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Number of steps. With `minutes` too, whichever ends first decides; one of them must be given.
    pub steps: Option<u64>,
    /// Wall time aimed at. The rate of the first steps turns it into a number of steps, which is then fixed
    /// and kept by a resumed run.
    pub minutes: Option<f64>,
    /// Micro-batches of a step; their gradients are averaged. On a CPU they are computed side by side, each on its
    /// share of the cores: for small nets two halves of a batch take little more than half of the whole's time.
    pub micro_batches: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup_steps: u64,
    /// Where the cosine ends, as a part of `learning_rate`.
    pub min_lr_ratio: f64,
    /// Decoupled weight decay, on variables of two dimensions or more (not on norms and biases).
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Longest gradient, over all variables together; longer ones are scaled down.
    pub clip: Option<f64>,
    /// Decay of the moving average of the weights; `None` for no average.
    pub average: Option<f64>,
    /// Linear maps and their gradients multiply in bf16 where the processor does, and sum in f32.
    #[serde(default)]
    pub bf16: bool,
    /// Seed of all that a step draws.
    pub seed: u64,
    /// Steps between two points of the curve; the losses between are averaged.
    pub curve_every: u64,
    /// Steps between two evaluations on held-out data; 0 for none before the last step.
    pub held_out_every: u64,
    /// Return the weights of the best evaluation instead of the last ones.
    pub keep_best: bool,
    /// Stop after so many evaluations in a row without a gain.
    pub patience: Option<u64>,
    /// Steps in a row that may fail to give a finite loss and gradient before the run stops.
    pub bad_steps: u64,
    /// Steps between two checkpoints.
    pub checkpoint_steps: Option<u64>,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: None,
            minutes: None,
            micro_batches: 1,
            learning_rate: 1e-3,
            warmup_steps: 100,
            min_lr_ratio: 0.1,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            clip: Some(1.0),
            average: Some(0.999),
            bf16: false,
            seed: 0,
            curve_every: 10,
            held_out_every: 100,
            keep_best: false,
            patience: None,
            bad_steps: 10,
            checkpoint_steps: None,
            checkpoint_seconds: Some(60.0),
        }
    }
}

/// What may change between a run and its resumption, because no number depends on it.
const FREE: [&str; 3] = ["checkpoint_steps", "checkpoint_seconds", "bad_steps"];

impl Options {
    /// The first option outside its range, as a one-line error.
    pub fn validate(&self) -> Result<()> {
        let above_zero = "above 0 and finite";
        let part = "from 0 up to, but not, 1";
        let checks: [(bool, &'static str, &'static str, String); 17] = [
            (self.steps.is_some() || self.minutes.is_some(), "steps or minutes", "given", "left out".into()),
            (self.steps != Some(0), "steps", "at least 1", "0".into()),
            (self.minutes.is_none_or(positive), "minutes", above_zero, show(self.minutes)),
            (self.micro_batches > 0, "micro_batches", "at least 1", "0".into()),
            (positive(self.learning_rate), "learning_rate", above_zero, self.learning_rate.to_string()),
            (
                (0.0..=1.0).contains(&self.min_lr_ratio),
                "min_lr_ratio",
                "from 0 to 1",
                self.min_lr_ratio.to_string(),
            ),
            (
                self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
                "weight_decay",
                "0 or more and finite",
                self.weight_decay.to_string(),
            ),
            ((0.0..1.0).contains(&self.beta1), "beta1", part, self.beta1.to_string()),
            ((0.0..1.0).contains(&self.beta2), "beta2", part, self.beta2.to_string()),
            (positive(self.eps), "eps", above_zero, self.eps.to_string()),
            (self.clip.is_none_or(positive), "clip", above_zero, show(self.clip)),
            (self.average.is_none_or(|d| (0.0..1.0).contains(&d)), "average", part, show(self.average)),
            (self.curve_every > 0, "curve_every", "at least 1", "0".into()),
            (self.patience != Some(0), "patience", "at least 1", "0".into()),
            (self.bad_steps > 0, "bad_steps", "at least 1", "0".into()),
            (self.checkpoint_steps != Some(0), "checkpoint_steps", "at least 1", "0".into()),
            (
                self.checkpoint_seconds.is_none_or(|s| s >= 0.0),
                "checkpoint_seconds",
                "0 or more",
                show(self.checkpoint_seconds),
            ),
        ];
        for (holds, name, wanted, given) in checks {
            if !holds {
                return Err(Error::Option { name, wanted, given });
            }
        }
        Ok(())
    }

    /// The first option (name, there, here) that another run has differently, where numbers depend on it.
    pub(crate) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |options: &Self| match serde_json::to_value(options) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (here, there) = (fields(self), fields(other));
        here.into_iter().filter(|(name, _)| !FREE.contains(&name.as_str())).find_map(|(name, value)| {
            let before = there.get(&name).cloned().unwrap_or_default();
            (before != value).then(|| (name, word(&before), word(&value)))
        })
    }
}

fn word(value: &serde_json::Value) -> String {
    if value.is_null() { "none".into() } else { value.to_string() }
}

fn positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

fn show(x: Option<f64>) -> String {
    x.map_or("none".into(), |x| x.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut Options), expected: &str) {
        let mut options = Options { steps: Some(10), ..Options::default() };
        change(&mut options);
        let said = options.validate().err().map_or(String::new(), |e| e.to_string());
        assert_eq!(said, expected);
    }

    #[test]
    fn ranges() {
        check(|_| {}, "");
        check(|o| o.steps = None, "steps or minutes must be given, not left out");
        check(|o| o.steps = Some(0), "steps must be at least 1, not 0");
        check(|o| o.minutes = Some(-1.0), "minutes must be above 0 and finite, not -1");
        check(|o| o.minutes = Some(f64::NAN), "minutes must be above 0 and finite, not NaN");
        check(|o| o.learning_rate = f64::INFINITY, "learning_rate must be above 0 and finite, not inf");
        check(|o| o.micro_batches = 0, "micro_batches must be at least 1, not 0");
        check(|o| o.beta2 = 1.0, "beta2 must be from 0 up to, but not, 1, not 1");
        check(|o| o.average = Some(1.5), "average must be from 0 up to, but not, 1, not 1.5");
        check(|o| o.clip = Some(0.0), "clip must be above 0 and finite, not 0");
        check(|o| o.patience = Some(0), "patience must be at least 1, not 0");
    }

    #[test]
    fn difference_names_what_matters() {
        let here = Options { steps: Some(10), ..Options::default() };
        let often = Options { checkpoint_steps: Some(1), ..here.clone() };
        assert_eq!(here.difference(&often), None);
        let other = Options { clip: None, ..here.clone() };
        assert_eq!(here.difference(&other), Some(("clip".into(), "none".into(), "1.0".into())));
    }
}
