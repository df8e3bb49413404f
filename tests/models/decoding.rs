//! Filters and samplers against transformers': results from scripts/golden/torch_random.py.

use crate::random::{checksum, golden, seed, size};
use models::decoding::{
    Banned, LogitFilter, MinP, RepetitionPenalty, Sampler, Sampling, Temperature, TopK, TopP,
    log_probability, top_log_probs,
};
use models::random::Generator;
use serde_json::Value;

/// The golden script's peaked logits: 24 u^3 - 8, each step rounded to f32.
fn logits_table(seed: u64, rows: usize, vocab: usize) -> Vec<f32> {
    let uniform = Generator::new(seed).rand(rows * vocab);
    uniform.into_iter().map(|u| u * u * u * 24.0 - 8.0).collect()
}

fn filter(case: &Value) -> Box<dyn LogitFilter> {
    let value = case["value"].as_f64().unwrap();
    match case["filter"].as_str().unwrap() {
        "temperature" => Box::new(Temperature(value)),
        "top_k" => Box::new(TopK::new(value as usize)),
        "top_p" => Box::new(TopP::new(value)),
        "min_p" => Box::new(MinP::new(value)),
        "repetition_penalty" => Box::new(RepetitionPenalty::new(value)),
        "banned" => Box::new(Banned(vec![0, 3, 5])),
        other => panic!("the golden file has an unknown filter {other}"),
    }
}

#[test]
fn each_filter_leaves_the_same_bits_as_transformers() {
    let cases = golden("decoding.json", "filters");
    assert!(cases.len() > 300);
    for case in cases {
        let vocab = size(&case, "vocab");
        let mut logits = logits_table(seed(&case), 1, vocab);
        let tokens = Generator::new(seed(&case)).randint(0, vocab as i64 + 3, 12).unwrap();
        let tokens: Vec<u32> = tokens.into_iter().map(|token| token as u32).collect();
        filter(&case).apply(&tokens, &mut logits).unwrap();
        let kept = logits.iter().filter(|value| **value > f32::NEG_INFINITY).count();
        assert_eq!(kept, size(&case, "kept"), "{case}");
        let sum = checksum(logits.iter().map(|value| u64::from(value.to_bits())));
        assert_eq!(sum, case["checksum"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn the_same_seed_and_logits_give_the_ids_of_generate() {
    for case in golden("decoding.json", "generate") {
        let seed = seed(&case);
        let options: Sampling = serde_json::from_value(case["options"].clone()).unwrap();
        let mut sampler = Sampler::new(&Sampling { seed, ..options }).unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let mut tokens: Vec<u32> = serde_json::from_value(case["prompt"].clone()).unwrap();
        let vocab = size(&case, "vocab");
        let mut table = logits_table(seed.wrapping_add(1), ids.len(), vocab);
        for (step, (row, expected)) in table.chunks_exact_mut(vocab).zip(&ids).enumerate() {
            let token = sampler.sample(&tokens, row).unwrap();
            assert_eq!(token, *expected, "step {step} of vocabulary {vocab} and {}", case["options"]);
            tokens.push(token);
        }
    }
}

#[test]
fn log_probabilities_are_those_of_log_softmax() {
    for case in golden("decoding.json", "log_probs") {
        let row = logits_table(seed(&case), 1, size(&case, "vocab"));
        let top = top_log_probs(&row, 5).unwrap();
        for (place, best) in top.iter().enumerate() {
            assert_eq!(u64::from(best.id), case["ids"][place].as_u64().unwrap());
            let expected = case["log_probs"][place].as_f64().unwrap();
            assert!((f64::from(best.logprob) - expected).abs() < 2e-6, "{best:?} for {expected}");
            assert_eq!(log_probability(&row, best.id).unwrap(), best.logprob);
        }
    }
}

/// Whatever the options and the logits, the answer is a token that the filters left, or an error.
#[test]
fn every_draw_is_an_allowed_token() {
    let rounds: usize = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let mut source = Generator::new(5);
    for _ in 0..rounds {
        let vocab = 1 + source.next_u32() as usize % 12;
        let options = Sampling {
            temperature: [0.0, 1e-6, 0.3, 1.0, 4.0, 1e6][source.next_u32() as usize % 6],
            top_k: source.next_u32() as usize % 14,
            top_p: [0.0, 1e-12, 0.3, 0.9, 1.0][source.next_u32() as usize % 5],
            min_p: [0.0, 1e-9, 0.2, 1.0][source.next_u32() as usize % 4],
            repetition_penalty: [1.0, 1e-6, 0.5, 1.5, 1e6][source.next_u32() as usize % 5],
            seed: source.next_u64(),
        };
        let special = [f32::NEG_INFINITY, 0.0, -0.0, 1e-40, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY];
        let kinds = if source.next_u32().is_multiple_of(4) { special.len() } else { 4 };
        let mut logits: Vec<f32> = (0..vocab).map(|_| source.normal() as f32 * 9.0).collect();
        for value in &mut logits {
            if source.next_u32().is_multiple_of(3) {
                *value = special[source.next_u32() as usize % kinds];
            }
        }
        let before = logits.clone();
        let tokens: Vec<u32> = (0..3).map(|_| source.next_u32() % 14).collect();
        if let Ok(token) = Sampler::new(&options).unwrap().sample(&tokens, &mut logits) {
            assert!(logits[token as usize] > f32::NEG_INFINITY, "{options:?} {before:?}");
        }
    }
}
