//! The options of sampling, and the sampler that carries them out.

use super::{
    DecodeError, LogitFilter, MinP, RepetitionPenalty, Temperature, TopK, TopP, check, greedy, softmax,
};
use crate::random::Generator;
use serde::{Deserialize, Serialize};

/// How the next token is chosen. The names are transformers' and the terminal's; the defaults change nothing, which
/// differs from transformers' top-k of 50.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 takes the most probable token, whatever the other filters and the seed are.
    pub temperature: f64,
    /// 0 keeps every token.
    pub top_k: usize,
    /// 1 keeps every token.
    pub top_p: f64,
    /// 0 keeps every token.
    pub min_p: f64,
    /// 1 changes nothing; it counts at temperature 0 too.
    pub repetition_penalty: f64,
    /// As `torch.manual_seed` takes it.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses what no sampler can carry out, naming the option, its value and what it must be.
    pub fn validate(&self) -> Result<(), DecodeError> {
        let require = |holds: bool, option, value, expected| {
            if holds { Ok(()) } else { Err(DecodeError::Option { option, value, expected }) }
        };
        let temperature = self.temperature;
        // a smaller one would carry ordinary logits out of f32's range
        let fits = temperature == 0.0 || (1e-6..=1e6).contains(&temperature);
        require(fits, "temperature", temperature, "0 (greedy) or between 0.000001 and 1000000")?;
        require((0.0..=1.0).contains(&self.top_p), "top_p", self.top_p, "between 0 and 1")?;
        require((0.0..=1.0).contains(&self.min_p), "min_p", self.min_p, "between 0 and 1")?;
        let penalty = self.repetition_penalty;
        let fits = (1e-6..=1e6).contains(&penalty);
        require(fits, "repetition_penalty", penalty, "above 0: between 0.000001 and 1000000")
    }
}

/// Draws tokens as transformers' `generate` does with the same options, seed and logits.
pub struct Sampler {
    /// The caller's own filters (a grammar, banned tokens): they come after the repetition penalty, before temperature.
    pub filters: Vec<Box<dyn LogitFilter + Send>>,
    /// Where the draws come from; its state makes a run resumable.
    pub generator: Generator,
    options: Sampling,
    repetition: RepetitionPenalty,
    top_k: TopK,
    top_p: TopP,
    min_p: MinP,
    probabilities: Vec<f32>,
}

impl Sampler {
    /// A sampler at the start of its seed's stream. Refuses options that [`Sampling::validate`] refuses.
    pub fn new(options: &Sampling) -> Result<Self, DecodeError> {
        options.validate()?;
        Ok(Self {
            filters: Vec::new(),
            generator: Generator::new(options.seed),
            options: options.clone(),
            repetition: RepetitionPenalty::new(options.repetition_penalty),
            top_k: TopK::new(options.top_k),
            top_p: TopP::new(options.top_p),
            min_p: MinP::new(options.min_p),
            probabilities: Vec::new(),
        })
    }

    /// The options it was made with.
    pub fn options(&self) -> &Sampling {
        &self.options
    }

    /// Chooses the next token. `tokens` are all tokens so far, the prompt's first; `logits` are left as the filters made
    /// them, so log-probabilities of the net's own row are taken before.
    pub fn sample(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<u32, DecodeError> {
        check(logits)?;
        if self.options.repetition_penalty != 1.0 {
            self.repetition.apply(tokens, logits)?;
        }
        for filter in &mut self.filters {
            filter.apply(tokens, logits)?;
        }
        if self.options.temperature == 0.0 {
            return greedy(logits);
        }
        if self.options.temperature != 1.0 {
            Temperature(self.options.temperature).apply(tokens, logits)?;
        }
        check(logits)?;
        self.top_k.apply(tokens, logits)?;
        self.top_p.apply(tokens, logits)?;
        self.min_p.apply(tokens, logits)?;
        softmax(logits, &mut self.probabilities);
        Ok(self.generator.categorical(&self.probabilities)? as u32)
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sampler({:?}, {:?}, {} filters)", self.options, self.generator, self.filters.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoding::Allowed;

    fn check_refused(options: Sampling, expected: &str) {
        assert_eq!(options.validate().unwrap_err().to_string(), expected);
        assert!(Sampler::new(&options).is_err());
    }

    #[test]
    fn options_out_of_range_are_named() {
        let base = Sampling::default;
        assert_eq!(base().validate(), Ok(()));
        check_refused(
            Sampling { temperature: -0.5, ..base() },
            "temperature is -0.5, it must be 0 (greedy) or between 0.000001 and 1000000",
        );
        check_refused(Sampling { top_p: 1.5, ..base() }, "top_p is 1.5, it must be between 0 and 1");
        check_refused(Sampling { min_p: f64::NAN, ..base() }, "min_p is NaN, it must be between 0 and 1");
        check_refused(
            Sampling { repetition_penalty: 0.0, ..base() },
            "repetition_penalty is 0, it must be above 0: between 0.000001 and 1000000",
        );
    }

    #[test]
    fn one_allowed_token_is_always_drawn() {
        let mut sampler =
            Sampler::new(&Sampling { temperature: 3.0, top_p: 0.1, ..Default::default() }).unwrap();
        sampler.filters.push(Box::new(Allowed::new(vec![2])));
        for _ in 0..50 {
            assert_eq!(sampler.sample(&[], &mut [9.0, 1.0, -30.0, 4.0]), Ok(2));
        }
    }

    #[test]
    fn bad_rows_are_errors() {
        for temperature in [0.0, 1.0] {
            let mut sampler = Sampler::new(&Sampling { temperature, ..Default::default() }).unwrap();
            assert_eq!(sampler.sample(&[], &mut []), Err(DecodeError::Empty));
            let none = f32::NEG_INFINITY;
            assert_eq!(sampler.sample(&[], &mut [none, none]), Err(DecodeError::NothingAllowed(2)));
            assert!(matches!(sampler.sample(&[], &mut [f32::NAN]), Err(DecodeError::NotFinite { .. })));
            sampler.filters.push(Box::new(Allowed::new(vec![])));
            assert_eq!(sampler.sample(&[], &mut [1.0, 2.0]), Err(DecodeError::NothingAllowed(2)));
        }
    }

    #[test]
    fn a_filter_may_be_a_closure_and_may_refuse() {
        let mut sampler = Sampler::new(&Sampling::default()).unwrap();
        sampler.filters.push(Box::new(|tokens: &[u32], logits: &mut [f32]| {
            if tokens.len() > 1 {
                return Err(DecodeError::Filter("the piece is over".to_owned()));
            }
            logits[0] = f32::NEG_INFINITY;
            Ok(())
        }));
        assert_eq!(sampler.sample(&[5], &mut [90.0, 1.0]), Ok(1));
        let error = sampler.sample(&[5, 6], &mut [90.0, 1.0]).unwrap_err();
        assert_eq!(error.to_string(), "the piece is over");
    }

    #[test]
    fn a_saved_generator_goes_on_where_it_stood() {
        let options = Sampling { seed: 1 << 40, ..Default::default() };
        let mut sampler = Sampler::new(&options).unwrap();
        let row = vec![0.0; 100];
        sampler.sample(&[], &mut row.clone()).unwrap();
        let state = sampler.generator.state();
        let went_on: Vec<_> = (0..20).map(|_| sampler.sample(&[], &mut row.clone()).unwrap()).collect();
        let mut again = Sampler::new(&options).unwrap();
        again.generator = Generator::from_state(&state).unwrap();
        let resumed: Vec<_> = (0..20).map(|_| again.sample(&[], &mut row.clone()).unwrap()).collect();
        assert_eq!(went_on, resumed);
    }
}
