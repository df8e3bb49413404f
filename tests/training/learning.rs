//! What a run learns, returns and tells.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{D, DType, Device, Result, Tensor};
use training::{Ending, Options, Rng, assert_gradients, fit};

use crate::{onward, options, simple, task, values, variables};

#[test]
fn a_line_is_found() -> training::Result<()> {
    let vars = variables(&[("slope", &[3, 1]), ("start", &[1])])?;
    let (slope, start) = (vars[0].1.clone(), vars[1].1.clone());
    let truth = Tensor::new(&[[1f32], [-2.], [0.5]], &Device::Cpu)?;
    let mut line = task(|rng, _, _| {
        let xs = rng.normal_tensor((16, 3), &Device::Cpu)?;
        let ys = (xs.matmul(&truth)? + 3.0)?;
        (xs.matmul(&slope)?.broadcast_add(&start)? - ys)?.sqr()?.mean_all()
    });
    let options = Options { learning_rate: 0.1, min_lr_ratio: 0.0, weight_decay: 0.0, ..options(300) };
    let fitted = fit(&vars, &options, None, &mut line, &mut onward)?;
    assert_eq!((fitted.ending, fitted.steps, fitted.skipped), (Ending::Finished, 300, 0));
    assert_eq!(fitted.curve.points.len(), 30);
    let found = [values(&fitted.weights["slope"]), values(&fitted.weights["start"])].concat();
    for (found, wanted) in found.iter().zip([1.0, -2.0, 0.5, 3.0]) {
        assert!((found - wanted).abs() < 1e-3, "{found}, not {wanted}");
    }
    Ok(())
}

/// Points of two interleaved half circles, and which of them each is of.
fn moons(rng: &mut Rng, count: usize) -> Result<(Tensor, Tensor)> {
    let mut points = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..count {
        let label = rng.below(2);
        let angle = rng.uniform() * std::f64::consts::PI;
        let (x, y) =
            if label == 0 { (angle.cos(), angle.sin()) } else { (1.0 - angle.cos(), 0.5 - angle.sin()) };
        points.extend([(x + 0.1 * rng.normal()) as f32, (y + 0.1 * rng.normal()) as f32]);
        labels.push(label as u32);
    }
    Ok((Tensor::from_vec(points, (count, 2), &Device::Cpu)?, Tensor::from_vec(labels, count, &Device::Cpu)?))
}

#[test]
fn a_net_tells_two_moons_apart() -> training::Result<()> {
    let vars = variables(&[("a", &[2, 24]), ("b", &[24]), ("c", &[24, 2]), ("d", &[2])])?;
    let net = |xs: &Tensor| {
        let hidden = xs.matmul(&vars[0].1)?.broadcast_add(&vars[1].1)?.relu()?;
        hidden.matmul(&vars[2].1)?.broadcast_add(&vars[3].1)
    };
    let loss = |xs: &Tensor, labels: &Tensor| {
        let logits = net(xs)?;
        let log_sum = logits.exp()?.sum_keepdim(1)?.log()?;
        logits.broadcast_sub(&log_sum)?.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
    };
    let (unseen, classes) = moons(&mut Rng::new(99), 1000)?;
    let (xs, labels) = moons(&mut Rng::new(1), 8)?;
    assert_eq!(assert_gradients(&vars, &loss(&xs, &labels)?)?, [""; 0]);

    let mut task = simple(
        "moons",
        |rng: &mut Rng, _, _| {
            let (xs, labels) = moons(rng, 32)?;
            loss(&xs, &labels)
        },
        || Ok(Some(f64::from(loss(&unseen, &classes)?.to_scalar::<f32>()?))),
    );
    let options = Options {
        learning_rate: 0.02,
        warmup_steps: 20,
        weight_decay: 0.01,
        average: Some(0.98),
        held_out_every: 50,
        ..options(500)
    };
    let mut told = Vec::new();
    let fitted = fit(&vars, &options, None, &mut task, &mut |progress| {
        told.push(progress.clone());
        ControlFlow::Continue(())
    })?;

    assert_eq!(told.len(), 500);
    assert!(told.iter().all(|p| p.items_per_second > 0.0 && p.total == Some(500) && p.loss.is_some()));
    assert!(told[499].eta_seconds == Some(0.0) && told[400].eta_seconds > Some(0.0));
    let evaluated: Vec<u64> = fitted.curve.held_out().map(|(step, _)| step).collect();
    assert_eq!(evaluated, [0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500]);
    let first_ten: f64 = told[..10].iter().filter_map(|p| p.loss).sum::<f64>() / 10.0;
    assert!((fitted.curve.points[1].loss.unwrap() - first_ten).abs() < 1e-12);

    for (name, var) in &vars {
        var.set(&fitted.weights[name])?;
    }
    let right = net(&unseen)?.argmax(D::Minus1)?.eq(&classes)?.to_dtype(DType::F32)?.mean_all()?;
    assert!(right.to_scalar::<f32>()? > 0.985, "{right}");
    // the last evaluation was of the weights that were returned
    let again = f64::from(loss(&unseen, &classes)?.to_scalar::<f32>()?);
    assert_eq!(fitted.held_out, Some(again));
    assert!(again < 0.07 && fitted.curve.points[0].held_out.unwrap() > 0.5);
    Ok(())
}

#[test]
fn variables_without_a_gradient_are_named() -> Result<()> {
    let vars = variables(&[("used", &[2]), ("unused", &[2]), ("cancelled", &[2])])?;
    let loss = (vars[0].1.sqr()? + (vars[2].1.as_tensor() * 0.0)?)?.sum_all()?;
    assert_eq!(assert_gradients(&vars, &loss)?, ["unused", "cancelled"]);
    Ok(())
}

#[test]
fn a_loss_of_nothing_is_refused() -> training::Result<()> {
    let vars = variables(&[("w", &[2])])?;
    let mut constant = task(|_, _, _| Tensor::new(1f32, &Device::Cpu));
    let said = fit(&vars, &options(5), None, &mut constant, &mut onward).unwrap_err().to_string();
    assert!(said.starts_with("the loss gives no variable a gradient"), "{said}");
    Ok(())
}

/// A loss whose gradient is 1, and a held-out loss after a script.
fn run_script(script: &[f64], options: &Options) -> training::Result<training::Fitted> {
    let vars = variables(&[("w", &[1])])?;
    let w = vars[0].1.clone();
    let mut told = script.iter().copied();
    let mut task = simple("script", |_: &mut Rng, _, _| w.sum_all(), || Ok(told.next()));
    let mut seen = Vec::new();
    let mut fitted = fit(&vars, options, None, &mut task, &mut |_| {
        seen.push(values(&w)[0]);
        ControlFlow::Continue(())
    })?;
    // how many steps the returned weights are behind
    let kept = values(&fitted.weights["w"])[0];
    fitted.skipped = seen.iter().rev().position(|&w| w == kept).unwrap_or(seen.len()) as u64;
    Ok(fitted)
}

#[test]
fn the_best_weights_are_kept_and_patience_ends() -> training::Result<()> {
    let script = [9.0, 5.0, 4.0, 4.5, f64::NAN, 4.2, 1.0];
    let often = Options { held_out_every: 2, ..options(10) };

    let patient = run_script(&script, &Options { patience: Some(3), ..often.clone() })?;
    assert_eq!((patient.ending, patient.steps, patient.skipped), (Ending::NoGain, 10, 6));
    assert_eq!((patient.best, patient.held_out), (Some((4, 4.0)), Some(4.2)));
    assert_eq!(patient.curve.held_out().map(|(_, loss)| loss).collect::<Vec<_>>(), [9.0, 5.0, 4.0, 4.5, 4.2]);

    let hasty = run_script(&script, &Options { patience: Some(1), ..often.clone() })?;
    assert_eq!((hasty.ending, hasty.steps, hasty.skipped), (Ending::NoGain, 6, 2));

    let best = run_script(&script, &Options { keep_best: true, ..often.clone() })?;
    assert_eq!((best.ending, best.steps, best.skipped), (Ending::Finished, 10, 6));

    let last = run_script(&script, &often)?;
    assert_eq!((last.ending, last.steps, last.skipped), (Ending::Finished, 10, 0));
    Ok(())
}

#[test]
fn steps_that_are_not_finite_are_skipped() -> training::Result<()> {
    let vars = variables(&[("w", &[2])])?;
    let w = vars[0].1.clone();
    let mut weights = Vec::new();
    // a loss of NaN, then a finite loss whose gradient is infinite
    let mut broken = task(|_, step, _| match step {
        3 => w.sum_all()? * f64::NAN,
        4 => (w.as_tensor() - w.as_tensor())?.sqrt()?.sum_all(),
        _ => w.sqr()?.sum_all(),
    });
    let fitted = fit(&vars, &options(8), None, &mut broken, &mut |progress| {
        weights.push(values(&w));
        assert_eq!(progress.loss.is_none(), [4, 5].contains(&progress.step));
        ControlFlow::Continue(())
    })?;
    assert_eq!((fitted.steps, fitted.skipped), (8, 2));
    assert!(weights[2] == weights[3] && weights[3] == weights[4] && weights[4] != weights[5]);
    assert!(weights[7].iter().all(|w| w.is_finite()));

    let mut hopeless = task(|_, step, _| w.sum_all()? * if step < 5 { 1.0 } else { f64::NAN });
    let said = fit(&vars, &options(100), None, &mut hopeless, &mut onward).unwrap_err().to_string();
    let wanted =
        "loss or gradient not finite 10 times in a row up to step 15; lower the learning rate (0.001)";
    assert!(said.starts_with(wanted), "{said}");
    Ok(())
}

#[test]
fn minutes_become_a_number_of_steps() -> training::Result<()> {
    let vars = variables(&[("w", &[2])])?;
    let w = vars[0].1.clone();
    let mut slow = task(|_, _, _| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        w.sqr()?.sum_all()
    });
    let began = Instant::now();
    let minutes = Options { steps: None, minutes: Some(0.01), ..options(1) };
    let mut totals = Vec::new();
    let fitted = fit(&vars, &minutes, None, &mut slow, &mut |progress| {
        totals.push(progress.total);
        ControlFlow::Continue(())
    })?;
    let known: Vec<u64> = totals.iter().flatten().copied().collect();
    assert!(totals[0].is_none() && known.iter().all(|&total| total == fitted.steps), "{totals:?}");
    assert!(began.elapsed().as_secs_f64() > 0.3, "ended after {:?}", began.elapsed());
    assert!((10..=120).contains(&fitted.steps), "{}", fitted.steps);

    // whichever ends first
    let both = Options { steps: Some(7), ..minutes };
    assert_eq!(fit(&vars, &both, None, &mut slow, &mut onward)?.steps, 7);
    Ok(())
}
