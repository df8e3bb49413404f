//! The optimiser against PyTorch, gradient accumulation, and what the average does.

use std::ops::ControlFlow;

use candle_core::{Device, Result, Tensor, Var};
use serde::Deserialize;
use training::{Options, Rng, average_decay, fit};

use crate::{onward, options, simple, task, values, variables};

#[derive(Deserialize)]
struct Golden {
    xs: Vec<f32>,
    ys: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    options: Given,
    steps: Vec<Step>,
    kept: Weights,
}

#[derive(Deserialize)]
struct Given {
    learning_rate: f64,
    warmup_steps: u64,
    min_lr_ratio: f64,
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    clip: Option<f64>,
    average: Option<f64>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
    #[serde(flatten)]
    weights: Weights,
}

#[derive(Deserialize)]
struct Weights {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn check(got: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = f64>, tolerance: f64) {
    for (index, (got, expected)) in got.into_iter().zip(expected).enumerate() {
        assert!((got - expected).abs() < tolerance, "{index}: {got}, not {expected}");
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

// scripts/golden/adamw.py:
//     groups = [dict(params=[weight], weight_decay=case["weight_decay"]), dict(params=[bias], weight_decay=0.0)]
//     adamw = torch.optim.AdamW(groups, betas=(case["beta1"], case["beta2"]), eps=case["eps"])
//     loss = ((xs @ weight + bias).tanh() - ys).square().mean()
//     norm = torch.nn.utils.clip_grad_norm_([weight, bias], case["clip"] or math.inf)
//     decay = min(case["average"], (1 + step) / (10 + step))
//     averages = [decay * a + (1 - decay) * p.detach() for a, p in zip(averages, (weight, bias))]
#[test]
fn equals_torch() -> training::Result<()> {
    let text = include_str!("../../shared/golden/adamw/steps.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let cpu = &Device::Cpu;
    let xs = Tensor::from_vec(golden.xs, (8, 3), cpu)?;
    let ys = Tensor::from_vec(golden.ys, (8, 4), cpu)?;
    for case in golden.cases {
        let weight = Var::from_vec(golden.weight.clone(), (3, 4), cpu)?;
        let bias = Var::from_vec(golden.bias.clone(), 4, cpu)?;
        let vars = [("weight".to_string(), weight.clone()), ("bias".to_string(), bias.clone())];
        let given = case.options;
        let options = Options {
            learning_rate: given.learning_rate,
            warmup_steps: given.warmup_steps,
            min_lr_ratio: given.min_lr_ratio,
            weight_decay: given.weight_decay,
            beta1: given.beta1,
            beta2: given.beta2,
            eps: given.eps,
            clip: given.clip,
            average: given.average,
            ..options(case.steps.len() as u64)
        };
        let mut task = task(|_, _, _| {
            let out = xs.matmul(&weight)?.broadcast_add(&bias)?.tanh()?;
            (out - &ys)?.sqr()?.mean_all()
        });
        let mut steps = case.steps.iter();
        let fitted = fit(&vars, &options, None, &mut task, &mut |progress| {
            let expected = steps.next().unwrap();
            check(progress.loss, [expected.loss], 1e-6);
            check([progress.gradient_norm], [expected.gradient_norm], 1e-6);
            check([progress.learning_rate], [expected.learning_rate], 1e-12);
            check(wide(&values(&weight)), wide(&expected.weights.weight), 2e-6);
            check(wide(&values(&bias)), wide(&expected.weights.bias), 2e-6);
            ControlFlow::Continue(())
        })?;
        assert!(steps.next().is_none());
        check(wide(&values(&fitted.weights["weight"])), wide(&case.kept.weight), 2e-6);
        check(wide(&values(&fitted.weights["bias"])), wide(&case.kept.bias), 2e-6);
    }
    Ok(())
}

/// Weights after five steps of four examples each, in so many micro-batches.
fn in_parts(micro_batches: usize) -> training::Result<Vec<f32>> {
    let vars = variables(&[("a", &[6, 10]), ("b", &[10, 3])])?;
    let mut task = task(|_, step, micro| {
        let mut rng = Rng::at(5, &[step]);
        let xs = rng.normal_tensor((4, 6), &Device::Cpu)?;
        let ys = rng.normal_tensor((4, 3), &Device::Cpu)?;
        let size = 4 / micro_batches;
        let part = |t: &Tensor| t.narrow(0, micro * size, size);
        (part(&xs)?.matmul(&vars[0].1)?.tanh()?.matmul(&vars[1].1)? - part(&ys)?)?.sqr()?.mean_all()
    });
    // an eps above the rounding of the gradients, which Adam else blows up where they are near zero
    let options = Options { micro_batches, learning_rate: 0.01, eps: 1e-3, clip: Some(0.5), ..options(5) };
    let fitted = fit(&vars, &options, None, &mut task, &mut onward)?;
    Ok(fitted.weights.values().flat_map(values).collect())
}

#[test]
fn four_micro_batches_equal_one_batch() -> training::Result<()> {
    let whole = in_parts(1)?;
    for parts in [2, 4] {
        check(wide(&in_parts(parts)?), wide(&whole), 1e-6);
    }
    let other = variables(&[("a", &[6, 10])])?;
    assert!((values(&other[0].1)[0] - whole[0]).abs() > 1e-3, "nothing moved");
    Ok(())
}

/// The sums do not depend on how many micro-batches are computed at a time, nor on which of them is done first.
#[test]
fn threads_change_no_bit() -> training::Result<()> {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| in_parts(4))
    };
    let alone = on(1)?;
    for threads in [2, 3, 9] {
        assert_eq!(on(threads)?, alone, "{threads} threads");
    }
    Ok(())
}

#[test]
fn a_loss_that_is_not_finite_skips_the_step_whichever_part_it_is() -> training::Result<()> {
    for bad in 0..3 {
        let vars = variables(&[("w", &[2])])?;
        let w = vars[0].1.clone();
        let mut task = task(|_, step, micro| match (step, micro) {
            (1, micro) if micro == bad => Tensor::new(f32::NAN, &Device::Cpu)?.broadcast_mul(&w.sum_all()?),
            _ => w.sqr()?.sum_all(),
        });
        let mut losses = Vec::new();
        let fitted = fit(&vars, &Options { micro_batches: 3, ..options(3) }, None, &mut task, &mut |seen| {
            losses.push(seen.loss.is_some());
            ControlFlow::Continue(())
        })?;
        assert_eq!((losses, fitted.skipped), (vec![true, false, true], 1));
    }
    Ok(())
}

#[test]
fn the_average_is_evaluated_and_returned() -> training::Result<()> {
    let vars = variables(&[("w", &[2])])?;
    let w = vars[0].1.clone();
    let seen = std::sync::Mutex::new(Vec::new());
    let mut raw = Vec::new();
    let mut average = values(&w);
    let mut task = simple(
        "average",
        |_: &mut Rng, _, _| w.sqr()?.sum_all(),
        || -> Result<Option<f64>> {
            seen.lock().unwrap().push(values(&w));
            Ok(Some(0.0))
        },
    );
    let options = Options { average: Some(0.9), held_out_every: 1, learning_rate: 0.1, ..options(6) };
    let fitted = fit(&vars, &options, None, &mut task, &mut |_| {
        raw.push(values(&w));
        ControlFlow::Continue(())
    })?;
    let seen = seen.into_inner().unwrap();
    check(wide(&seen[0]), wide(&average), 1e-9);
    for (step, (raw, seen)) in raw.iter().zip(&seen[1..]).enumerate() {
        let decay = average_decay(0.9, step as u64) as f32;
        for (average, raw) in average.iter_mut().zip(raw) {
            *average = decay * *average + (1.0 - decay) * raw;
        }
        check(wide(seen), wide(&average), 1e-6);
    }
    assert_eq!(values(&fitted.weights["w"]), seen[6]);
    // the variables themselves are where the last step left them
    assert_eq!(values(&w), raw[5]);
    assert_ne!(raw[5], seen[6]);
    Ok(())
}
