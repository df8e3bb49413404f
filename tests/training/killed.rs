//! A training that is killed five times ends with the same bytes as one that is not.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candle_core::{Device, Tensor};
use training::{Ending, Options, Rng, fit};

use crate::{onward, options, simple, values, variables};

const FOLDER: &str = "TRAINING_TEST_FOLDER";

/// Does nothing as a test; with the variable set it is the process that gets killed.
#[test]
fn child() -> training::Result<()> {
    let Ok(folder) = std::env::var(FOLDER) else { return Ok(()) };
    let vars = variables(&[("a", &[8, 64]), ("b", &[64]), ("c", &[64, 8])])?;
    let net = |xs: &Tensor| xs.matmul(&vars[0].1)?.broadcast_add(&vars[1].1)?.gelu()?.matmul(&vars[2].1);
    let loss = |rng: &mut Rng| {
        let xs = rng.normal_tensor((16, 8), &Device::Cpu)?;
        (net(&xs)? - xs.sin()?)?.sqr()?.mean_all()
    };
    let mut task = simple(
        "sines",
        |rng: &mut Rng, _, _| {
            std::thread::sleep(Duration::from_millis(2));
            loss(rng)
        },
        || Ok(Some(f64::from(loss(&mut Rng::new(8))?.to_scalar::<f32>()?))),
    );
    let options = Options {
        micro_batches: 2,
        warmup_steps: 30,
        average: Some(0.99),
        held_out_every: 25,
        keep_best: true,
        checkpoint_steps: Some(2),
        ..options(400)
    };
    let folder = Path::new(&folder);
    let fitted = fit(&vars, &options, Some(folder), &mut task, &mut onward)?;
    assert_eq!(fitted.ending, Ending::Finished);
    let kept = fitted.weights.values().flat_map(values);
    let last = vars.iter().flat_map(|(_, var)| values(var));
    let bytes: Vec<u8> = kept.chain(last).flat_map(f32::to_le_bytes).collect();
    fs::write(folder.join("weights"), bytes).unwrap();
    fs::write(folder.join("curve.csv"), fitted.curve.to_csv()).unwrap();
    Ok(())
}

fn start(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["killed::child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn five_kills_change_nothing() {
    let undisturbed = tempfile::tempdir().unwrap();
    assert!(start(undisturbed.path()).wait().unwrap().success());

    let disturbed = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut rng = Rng::new(seed);
    for kill in 0..5 {
        let mut child = start(disturbed.path());
        std::thread::sleep(Duration::from_millis(20 + rng.below(280) as u64));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "kill {kill} of seed {seed} came too late: {status}");
    }
    assert!(!disturbed.path().join("weights").exists());
    assert!(start(disturbed.path()).wait().unwrap().success());

    for name in ["weights", "curve.csv"] {
        let read = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert!(read(undisturbed.path()) == read(disturbed.path()), "{name} differs, seed {seed}");
    }
    let csv = fs::read_to_string(disturbed.path().join("curve.csv")).unwrap();
    // a header, the evaluation before the first step, 40 points of which 8 are evaluations too, and 8 more
    assert_eq!(csv.lines().count(), 1 + 1 + 40 + 8, "{csv}");
}
