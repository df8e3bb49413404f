//! Log-mel frames agree with openai/whisper's, and a stream's with the whole.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor};
use models::features::log_mel::{Frames, LogMel, scale};

use crate::golden::{assert_close, folder};

fn load(name: &str) -> HashMap<String, Tensor> {
    let path = folder("log_mel").join(name).with_extension("safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn samples() -> Vec<f32> {
    let samples = load("samples")["samples"].to_vec1::<i16>().unwrap();
    samples.into_iter().map(|sample| f32::from(sample) / 32768.0).collect()
}

fn tensor(frames: Frames) -> Tensor {
    let shape = (frames.values.len() / frames.bands, frames.bands);
    Tensor::from_vec(frames.values, shape, &Device::Cpu).unwrap()
}

/// Frames of a stream of blocks of these sizes, over and over.
fn streamed(log_mel: &LogMel, samples: &[f32], sizes: &[usize]) -> Result<Vec<f32>> {
    let (mut stream, mut values, mut rest) = (log_mel.stream(), Vec::new(), samples);
    for size in sizes.iter().cycle() {
        let (block, after) = rest.split_at((*size).min(rest.len()));
        values.extend(stream.push(block));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let (last, maximum) = stream.finish()?;
    values.extend(last);
    scale(&mut values, maximum);
    Ok(values)
}

#[test]
fn frames_are_those_of_the_reference() {
    let samples = samples();
    for bands in [80, 128] {
        let (log_mel, expected) = (LogMel::new(bands).unwrap(), load(&bands.to_string()));
        let check = |name: &str, samples: &[f32], padding: usize| {
            let found = log_mel.compute(samples, padding).unwrap();
            assert_eq!(found.values.len(), (samples.len() + padding) / 160 * bands, "{name}");
            // the largest value is 1 to 1.5: the tolerance is 1e-4
            assert_close(&tensor(found), &expected[name], 6e-5, &format!("{name} of {bands}"));
        };
        check("frames", &samples, 0);
        for count in [0, 1, 100, 1000] {
            check(&format!("padded_{count}"), &samples[..count], 1600);
        }
    }
}

#[test]
fn a_stream_gives_the_same_numbers_however_it_is_cut() {
    let samples = samples();
    let log_mel = LogMel::new(80).unwrap();
    let sizes: [&[usize]; 7] = [&[1], &[159, 161], &[400], &[7, 1000, 3], &[200, 1], &[201], &[0, 30_000]];
    for length in [201, 202, 320, 399, 400, 401, 560, 5_000, 5_119, 48_000] {
        let expected = log_mel.compute(&samples[..length], 0).unwrap().values;
        assert_eq!(expected.len(), length / 160 * 80);
        for sizes in sizes {
            assert_eq!(
                streamed(&log_mel, &samples[..length], sizes).unwrap(),
                expected,
                "{length} by {sizes:?}"
            );
        }
    }
}

#[test]
fn padding_is_zeros_after_the_samples() {
    let log_mel = LogMel::new(80).unwrap();
    let mut samples = samples();
    let expected = log_mel.compute(&samples, 70_000).unwrap();
    samples.extend([0.0; 70_000]);
    assert_eq!(log_mel.compute(&samples, 0).unwrap(), expected);
}

#[test]
fn silence_is_the_least_there_is() {
    let frames = LogMel::new(80).unwrap().compute(&[], 480_000).unwrap();
    assert!(frames.values.len() == 3000 * 80 && frames.values.iter().all(|value| *value == -1.5));
}

#[test]
fn what_cannot_be_reflected_is_refused_in_one_line() {
    let log_mel = LogMel::new(80).unwrap();
    for length in [0, 1, 100, 200] {
        let error = log_mel.compute(&vec![0.5; length], 0).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{length} samples make no log-mel frame, expected at least 201; add zeros")
        );
    }
    for bands in [0, 1025] {
        let error = LogMel::new(bands).err().unwrap().to_string();
        assert_eq!(error, format!("{bands} mel bands, expected 1 to 1024"));
    }
}
