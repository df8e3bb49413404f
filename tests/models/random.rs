//! The generator against PyTorch's: numbers from scripts/golden/torch_random.py.

use models::random::{Generator, RandomError, STATE_BYTES};
use serde_json::Value;
use std::path::Path;

/// Two of PyTorch's own paths (AVX2 and plain) differ by this much.
const NORMAL: f64 = 2e-6;

/// One list of a file in shared/golden/random.
pub fn golden(file: &str, list: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/random").join(file);
    let whole: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    match &whole[list] {
        Value::Array(entries) => entries.clone(),
        entry => vec![entry.clone()],
    }
}

/// Seeds are strings, since JSON's numbers end at 2^53 in some readers.
pub fn seed(case: &Value) -> u64 {
    case["seed"].as_str().unwrap().parse().unwrap()
}

pub fn size(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

/// The sum of (i + 1) * bits[i] modulo 2^64.
pub fn checksum(bits: impl IntoIterator<Item = u64>) -> String {
    let weighted = bits.into_iter().zip(1u64..).map(|(bits, place)| bits.wrapping_mul(place));
    weighted.fold(0, u64::wrapping_add).to_string()
}

fn float_bits(values: Vec<f32>) -> impl Iterator<Item = u64> {
    values.into_iter().map(|value| u64::from(value.to_bits()))
}

fn check_exact(case: &Value, key: &str, bits: impl IntoIterator<Item = u64>) {
    assert_eq!(checksum(bits), case[key].as_str().unwrap(), "{case}");
}

/// Compares the samples that were kept, at a tolerance and a relative one (the rounding of 16 bits).
fn check_close(case: &Value, values: impl IntoIterator<Item = f64>, absolute: f64, relative: f64) {
    let values: Vec<f64> = values.into_iter().collect();
    assert_eq!(values.len(), size(case, "n"));
    for sample in case["values"].as_array().unwrap() {
        let (index, expected) = (sample[0].as_u64().unwrap() as usize, sample[1].as_f64().unwrap());
        let off = (values[index] - expected).abs();
        assert!(
            off <= absolute + relative * expected.abs(),
            "{index}: {} for {expected}, {case}",
            values[index]
        );
    }
}

fn widen(values: Vec<f32>) -> impl Iterator<Item = f64> {
    values.into_iter().map(f64::from)
}

#[test]
fn uniform_numbers_are_exact() {
    for case in golden("random.json", "rand") {
        check_exact(&case, "checksum", float_bits(Generator::new(seed(&case)).rand(size(&case, "n"))));
    }
}

#[test]
fn integers_are_exact_from_32_and_from_64_bits() {
    for case in golden("random.json", "randint") {
        let (low, high) = (case["low"].as_i64().unwrap(), case["high"].as_i64().unwrap());
        let values = Generator::new(seed(&case)).randint(low, high, size(&case, "n")).unwrap();
        assert_eq!(values.last().copied(), case["last"].as_i64(), "{case}");
        check_exact(&case, "checksum", values.into_iter().map(|value| value as u64));
    }
    let error = Generator::new(0).randint(3, 3, 1).unwrap_err();
    assert_eq!(error, RandomError::EmptyRange { low: 3, high: 3 });
}

#[test]
fn normal_numbers_in_blocks_and_one_by_one() {
    for case in golden("random.json", "randn") {
        check_close(&case, widen(Generator::new(seed(&case)).randn(size(&case, "n"))), NORMAL, 0.0);
    }
    for case in golden("random.json", "randn_serial") {
        check_close(&case, widen(Generator::new(seed(&case)).randn_serial(size(&case, "n"))), 1e-9, 1e-7);
    }
}

#[test]
fn normal_numbers_of_other_formats() {
    for case in golden("random.json", "randn_dtypes") {
        let (mut generator, n) = (Generator::new(seed(&case)), size(&case, "n"));
        match case["dtype"].as_str().unwrap() {
            "float64" => check_close(&case, generator.randn_f64(n), 1e-12, 1e-8),
            "bfloat16" => check_close(&case, widen(generator.randn_half(n)), NORMAL, 1.0 / 256.0),
            _ => check_close(&case, widen(generator.randn_half(n)), NORMAL, 1.0 / 2048.0),
        }
    }
}

#[test]
fn exponential_numbers_and_permutations_are_exact() {
    for case in golden("random.json", "exponential") {
        check_exact(&case, "checksum", float_bits(Generator::new(seed(&case)).exponential(size(&case, "n"))));
    }
    for case in golden("random.json", "randperm") {
        let order = Generator::new(seed(&case)).randperm(size(&case, "n"));
        check_exact(&case, "checksum", order.into_iter().map(|index| index as u64));
    }
    assert_eq!(Generator::new(1).randperm(0), [0; 0]);
}

/// As the golden script makes them: cubes of uniform numbers, the last fifth zero.
fn probabilities(generator: &mut Generator, n: usize) -> Vec<f32> {
    let mut values: Vec<f32> = generator.rand(n).iter().map(|u| u * u * u).collect();
    values[n - n / 5..].fill(0.0);
    values
}

#[test]
fn multinomial_draws_the_same_indices() {
    for case in golden("random.json", "multinomial") {
        let mut generator = Generator::new(seed(&case));
        let weights = probabilities(&mut generator, size(&case, "n"));
        let drawn = generator.multinomial(&weights, size(&case, "count")).unwrap();
        check_exact(&case, "checksum", drawn.into_iter().map(|index| index as u64));
    }
    for case in golden("random.json", "multinomial_sequence") {
        let mut generator = Generator::new(seed(&case));
        let weights = probabilities(&mut generator, size(&case, "n"));
        for expected in case["ids"].as_array().unwrap() {
            assert_eq!(generator.categorical(&weights).unwrap() as u64, expected.as_u64().unwrap());
        }
    }
}

#[test]
fn multinomial_refuses_what_cannot_be_drawn_from() {
    let check = |weights: &[f32], samples, expected: &str| {
        let error = Generator::new(0).multinomial(weights, samples).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&[0.5, -0.1], 1, "probability 1 of 2 is -0.1");
    check(&[0.5, f32::NAN], 2, "probability 1 of 2 is NaN");
    check(&[f32::INFINITY], 1, "is inf");
    check(&[0.0, 0.0], 1, "there are 0");
    check(&[], 1, "there are 0");
    check(&[0.5, 0.0, 0.5], 3, "there are 2");
    assert_eq!(Generator::new(0).multinomial(&[1.0], 0).unwrap(), [0; 0]);
}

#[test]
fn many_kinds_of_call_share_one_stream() {
    for case in golden("random.json", "mixed") {
        let mut generator = Generator::new(seed(&case));
        for step in case["steps"].as_array().unwrap() {
            let n = size(step, "n");
            let integers = |values: Vec<i64>| values.into_iter().map(|value| value as f64).collect();
            let indices = |values: Vec<usize>| values.into_iter().map(|value| value as f64).collect();
            let (values, tolerance): (Vec<f64>, f64) = match step["call"].as_str().unwrap() {
                "randn" => (widen(generator.randn(n)).collect(), NORMAL),
                "randn_f64" => (generator.randn_f64(n), 1e-8),
                "rand" => (widen(generator.rand(n)).collect(), 1e-9),
                "randint" => (integers(generator.randint(0, 100, n).unwrap()), 0.0),
                // nine digits of sixteen are kept
                "randint64" => (integers(generator.randint(0, 1 << 53, n).unwrap()), 1e7),
                "multinomial" => (indices(generator.multinomial(&[1.0; 10], n).unwrap()), 0.0),
                "randperm" => (indices(generator.randperm(n)), 0.0),
                other => panic!("the golden file has an unknown call {other}"),
            };
            check_close(step, values, tolerance, 0.0);
        }
    }
}

#[test]
fn a_state_is_pytorchs_byte_for_byte_and_goes_on() {
    for case in golden("random.json", "states") {
        let mut generator = Generator::new(seed(&case));
        let words = |generator: &Generator| {
            let state = generator.state();
            state.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect::<Vec<_>>()
        };
        generator.rand(size(&case, "calls"));
        check_exact(&case, "state", words(&generator));
        // an odd number of serial draws leaves one waiting
        generator.randn(3);
        check_exact(&case, "with_normal", words(&generator));

        let mut resumed = Generator::from_state(&generator.state()).unwrap();
        assert_eq!(resumed.seed(), generator.seed());
        assert_eq!(resumed.randn(5), generator.randn(5));
        assert_eq!(resumed.rand(1000), generator.rand(1000));
    }
}

#[test]
fn a_damaged_state_is_refused() {
    let good = Generator::new(7).state();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let error = Generator::from_state(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|bytes| bytes.truncate(100), "it has 100 bytes, not 5056");
    check(&|bytes| bytes[8] = 0, "the counters 0, 1 and 0 cannot occur");
    check(&|bytes| bytes[12] = 0, "cannot occur");
    check(&|bytes| bytes[16..18].copy_from_slice(&[255, 255]), "cannot occur");
    check(&|bytes| bytes[28] = 1, "word 0 is");
    check(&|bytes| bytes[STATE_BYTES - 16] = 2, "with flag 2");
}

/// Any bytes of the right length give an error or a generator that draws.
#[test]
fn mutated_states_never_panic() {
    let rounds: usize = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let mut source = Generator::new(1);
    let good = Generator::new(7).state();
    for _ in 0..rounds {
        let mut bytes = good.clone();
        for _ in 0..1 + source.next_u32() % 4 {
            // the counters and the tail hold all that is checked
            let place = source.next_u32() as usize % 80;
            let place = if place < 40 { place } else { STATE_BYTES - 80 + place };
            bytes[place] = source.next_u32() as u8;
        }
        if let Ok(mut generator) = Generator::from_state(&bytes) {
            generator.next_u64();
            assert!(generator.normal().is_finite());
        }
    }
}
