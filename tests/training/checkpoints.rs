//! Going on from a checkpoint, and refusing the ones that do not fit or are not whole.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use training::{Ending, Fitted, Options, Progress, Rng, checkpoint, fit};

use crate::{onward, simple, task, values, variables};

fn options() -> Options {
    Options {
        micro_batches: 2,
        warmup_steps: 3,
        average: Some(0.9),
        held_out_every: 4,
        curve_every: 3,
        keep_best: true,
        ..crate::options(20)
    }
}

/// Fits a small net in the folder until `on_step` stops it.
fn run(
    folder: Option<&Path>,
    options: &Options,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> training::Result<Fitted> {
    let vars = variables(&[("in", &[3, 5]), ("out", &[5, 1])])?;
    let net = |xs: &Tensor| xs.matmul(&vars[0].1)?.tanh()?.matmul(&vars[1].1);
    let loss = |rng: &mut Rng| {
        let xs = rng.normal_tensor((4, 3), &Device::Cpu)?;
        (net(&xs)? - xs.sum_keepdim(1)?)?.sqr()?.mean_all()
    };
    let mut task = simple(
        "sum of three",
        |rng: &mut Rng, _, _| loss(rng),
        || Ok(Some(f64::from(loss(&mut Rng::new(8))?.to_scalar::<f32>()?))),
    );
    fit(&vars, options, folder, &mut task, on_step)
}

fn until(step: u64) -> impl FnMut(&Progress) -> ControlFlow<()> {
    move |progress| if progress.step == step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn same(a: &Fitted, b: &Fitted) {
    let weights = |fitted: &Fitted| fitted.weights.values().flat_map(values).collect::<Vec<_>>();
    assert_eq!(weights(a), weights(b));
    assert_eq!((&a.curve, a.best, a.held_out, a.steps), (&b.curve, b.best, b.held_out, b.steps));
}

#[test]
fn goes_on_where_it_stood() -> training::Result<()> {
    let undisturbed = run(None, &options(), &mut onward)?;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".checkpoint.safetensors.tmp"), "half of one").unwrap();
    for stop in [1, 2, 7, 8, 19] {
        let mut first = None;
        let fitted = run(Some(folder.path()), &options(), &mut |progress| {
            first.get_or_insert(progress.step);
            until(stop)(progress)
        })?;
        assert_eq!((fitted.ending, fitted.steps), (Ending::Interrupted, stop));
        assert!(first.unwrap() <= stop);
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(files, ["checkpoint.safetensors"]);
    }
    let resumed = run(Some(folder.path()), &options(), &mut onward)?;
    assert_eq!(resumed.ending, Ending::Finished);
    same(&resumed, &undisturbed);

    // a run that has ended comes back without a step
    let again = run(Some(folder.path()), &options(), &mut |_| panic!("a step"))?;
    same(&again, &undisturbed);

    checkpoint::remove(folder.path())?;
    checkpoint::remove(folder.path())?;
    same(&run(Some(folder.path()), &options(), &mut onward)?, &undisturbed);
    Ok(())
}

#[test]
fn the_steps_of_minutes_are_kept() -> training::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let minutes = Options { steps: None, minutes: Some(0.005), ..options() };
    let mut total = None;
    run(Some(folder.path()), &minutes, &mut |progress| {
        total = progress.total;
        if total.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let resumed = run(Some(folder.path()), &minutes, &mut |progress| {
        assert_eq!(progress.total, total);
        ControlFlow::Continue(())
    })?;
    assert_eq!(Some(resumed.steps), total);
    Ok(())
}

fn refused(folder: &Path, options: &Options) -> String {
    let said = run(Some(folder), options, &mut onward).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    said.replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn another_run_is_refused() -> training::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    run(Some(folder.path()), &options(), &mut until(2))?;
    let way_out = "give another folder or remove it to start anew";
    let check = |change: &dyn Fn(&mut Options), expected: &str| {
        let mut options = options();
        change(&mut options);
        let said = refused(folder.path(), &options);
        assert_eq!(said, format!("FOLDER/checkpoint.safetensors: made with {expected}; {way_out}"));
    };
    check(&|o| o.steps = Some(30), "steps 20, this run has 30");
    check(&|o| o.seed = 5, "seed 0, this run has 5");
    check(&|o| o.average = None, "average 0.9, this run has none");

    let vars = variables(&[("in", &[3, 5]), ("out", &[5, 1])])?;
    let mut other = task(|_, _, _| vars[0].1.sum_all());
    let said = fit(&vars, &options(), Some(folder.path()), &mut other, &mut onward).unwrap_err().to_string();
    assert!(said.contains("made with data or net sum of three, this run has simple;"), "{said}");

    // the same words for another net
    let vars = variables(&[("in", &[3, 6])])?;
    let mut liar = task(|_, _, _| vars[0].1.sum_all());
    liar.fingerprint = "sum of three";
    let said = fit(&vars, &options(), Some(folder.path()), &mut liar, &mut onward).unwrap_err().to_string();
    assert!(said.contains("in is F32 [3, 5], the net has F32 [3, 6]; remove it to start anew"), "{said}");

    // how often it is written may change
    let often = Options { checkpoint_steps: Some(1), checkpoint_seconds: None, ..options() };
    assert_eq!(run(Some(folder.path()), &often, &mut onward)?.steps, 20);
    Ok(())
}

#[test]
fn two_runs_do_not_share_a_folder() -> training::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    run(Some(folder.path()), &options(), &mut |_| {
        let said = refused(folder.path(), &options());
        assert!(
            said.starts_with("FOLDER/.training.lock: another training is running in this folder"),
            "{said}"
        );
        ControlFlow::Break(())
    })?;
    Ok(())
}

#[test]
fn damage_is_seen() -> training::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    run(Some(folder.path()), &options(), &mut until(5))?;
    let path = checkpoint::path(folder.path());
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let said = refused(folder.path(), &options());
        assert!(said.starts_with("FOLDER/checkpoint.safetensors: "), "{said}");
        assert!(said.contains(expected) && said.ends_with("; remove it to start anew"), "{said}");
    };
    check(b"", "not a whole checkpoint");
    check(b"PK\x03\x04 something else entirely", "not a whole checkpoint");
    check(&whole[..whole.len() - 1], "not a whole checkpoint");
    check(&[&whole[..], b"x"].concat(), "not a whole checkpoint");
    for length in (0..whole.len()).step_by(37) {
        check(&whole[..length], "not a whole checkpoint");
    }
    let model = Tensor::new(&[1f32], &Device::Cpu)?;
    candle_core::safetensors::save(&[("in".to_string(), model)].into(), &path)?;
    check(&fs::read(&path).unwrap(), "a safetensors file, but not of a training");
    Ok(())
}
