//! Samplers: what diffusers' schedulers make of a net that is a formula, step by step.

use candle_core::{Device, Result, Tensor};
use models::diffusion::{Config, NAMES, Sampler};
use models::random::Generator;
use serde::Deserialize;

use super::golden::{expected, folder};

#[derive(Deserialize)]
struct Case {
    steps: usize,
    config: Config,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(folder("diffusion").join("cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

const SHAPE: (usize, usize, usize) = (2, 3, 3);

fn draws(seed: u64) -> impl FnMut() -> Result<Tensor> {
    let mut generator = Generator::new(seed);
    move || Tensor::from_vec(generator.randn(18), SHAPE, &Device::Cpu)
}

fn net(xs: &Tensor, time: f64) -> Result<Tensor> {
    ((xs * 1.3)? + time / 97.)?.sin()? * 0.8 + (xs * 0.1)?
}

/// Everything that is sampled from a step on.
fn sampled(
    sampler: &mut Sampler,
    from: usize,
    begin: &Tensor,
    draw: &mut dyn FnMut() -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let mut after = vec![];
    sampler.run(from, begin, draw, &mut net, &mut |step| {
        after.push(step.made.clone());
        Ok(step.made)
    })?;
    Ok(after)
}

/// The largest difference, beside the largest value.
fn apart(found: &Tensor, expected: &Tensor) -> Result<f32> {
    if found.dims() != expected.dims() {
        return Ok(f32::INFINITY);
    }
    let largest = |xs: &Tensor| xs.abs()?.max_all()?.to_scalar::<f32>();
    Ok(largest(&(found - expected)?)? / largest(expected)?.max(1.))
}

#[test]
fn every_step_is_diffusers() -> Result<()> {
    let expected = expected("diffusion")?;
    let cases = cases();
    assert!(cases.len() >= 50);
    let mut wrong = vec![];
    for (number, Case { steps, config }) in cases.iter().enumerate() {
        let of = |name: &str| expected.get(&format!("{number}.{name}"));
        let mut check = |name: &str, found: &Tensor, expected: &Tensor, most: f32| -> Result<()> {
            let apart = apart(found, expected)?;
            if apart.is_nan() || apart > most {
                let class = config.class.as_deref().unwrap_or_default();
                wrong.push(format!("case {number}, {class}: {name} {apart} apart"));
            }
            Ok(())
        };
        let mut sampler = Sampler::new(config, *steps)?;
        let times: Vec<f32> = sampler.times().iter().map(|time| *time as f32).collect();
        check("times", &Tensor::new(times, &Device::Cpu)?, of("times").unwrap(), 1e-6)?;
        let (mut draw, begin) = (draws(7), of("begin").unwrap());
        check("begin", &(draw()? * sampler.first_noise())?, begin, 1e-6)?;
        let after = sampled(&mut sampler, 0, begin, &mut draw)?;
        check("steps", &Tensor::stack(&after, 0)?, of("steps").unwrap(), 5e-5)?;

        let Some(noised) = of("noised") else { continue };
        let mut sampler = Sampler::new(config, *steps)?;
        let (from, mut draw) = (sampler.begin(0.6), draws(7));
        let data = Tensor::arange(0f32, 18., &Device::Cpu)?.affine(2. / 17., -1.)?.reshape(SHAPE)?;
        let begin = sampler.noised(from, &data, &draw()?)?;
        let mut all = vec![begin.clone()];
        all.extend(sampled(&mut sampler, from, &begin, &mut draw)?);
        check("noised", &Tensor::stack(&all, 0)?, noised, 5e-5)?;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_sampler_by_name_keeps_what_is_written_and_takes_its_own_defaults_for_the_rest() {
    let stored: Config = serde_json::from_str(
        r#"{"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "steps_offset": 1, "skip_prk_steps": true}"#,
    )
    .unwrap();
    for name in NAMES {
        let config = stored.with_sampler(name).unwrap();
        assert_eq!((config.beta_schedule.as_deref(), config.steps_offset), (Some("scaled_linear"), Some(1)));
        let steps = Sampler::new(&config, 6).unwrap().times().len();
        assert_eq!(
            steps,
            match name {
                "heun" => 11,
                "pndm" => 7,
                _ => 6,
            }
        );
    }
    let karras = stored.with_sampler("dpmpp-2m-karras").unwrap();
    assert_eq!(
        (karras.use_karras_sigmas, karras.algorithm_type.as_deref()),
        (Some(true), Some("dpmsolver++"))
    );
    let said = stored.with_sampler("magic").unwrap_err().to_string();
    assert!(said.starts_with("magic: no sampler that is known; there are ddim, "), "{said}");
}

#[test]
fn what_cannot_be_sampled_is_refused_in_a_line() {
    let refused = |json: &str, steps: usize, words: &str| {
        let config: Config = serde_json::from_str(json).unwrap();
        let Err(error) = Sampler::new(&config, steps) else {
            panic!("{json} with {steps} steps is not refused")
        };
        let said = error.to_string();
        assert!(said.contains(words) && !said.contains('\n'), "{said}");
    };
    refused("{}", 0, "0 steps");
    refused("{}", 1_000_000_000, "1000000000 steps");
    refused(r#"{"_class_name": "KDPM2DiscreteScheduler"}"#, 4, "KDPM2DiscreteScheduler");
    refused(r#"{"prediction_type": "flow"}"#, 4, "prediction_type");
    refused(r#"{"beta_schedule": "laplace"}"#, 4, "beta_schedule");
    refused(r#"{"thresholding": true}"#, 4, "thresholding");
    refused(r#"{"num_train_timesteps": 1}"#, 1, "num_train_timesteps");
    refused(r#"{"_class_name": "LCMScheduler"}"#, 51, "distilled from 50");
    refused(
        r#"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}"#,
        4,
        "algorithm_type",
    );
    refused(r#"{"_class_name": "PNDMScheduler"}"#, 3, "at least 4");
}
