//! Learning at the terminal: killed and resumed, from a base, and better than before.

use std::path::Path;
use std::process::Stdio;

use crate::{folder, licence, model, must, objects, program, text_gen};

const SMALL: [&str; 12] =
    ["--batch", "4", "--context", "64", "--layers", "1", "--width", "64", "--seed", "2", "--held-out", "0.2"];

fn words<'a>(data: &'a str, out: &'a str, steps: &'a str) -> Vec<&'a str> {
    [&["train", "--data", data, "--out", out, "--steps", steps, "-q"], &SMALL[..]].concat()
}

fn bits(folder: &Path, model: &str, file: &str) -> f64 {
    objects(&must(folder, &["score", "--model", model, file, "--json"]))[0]["bits_per_byte"].as_f64().unwrap()
}

#[test]
fn more_steps_foretell_better_and_a_base_goes_on() {
    let folder = folder("better");
    let data = licence();
    let data = data.to_str().unwrap();
    must(&folder, &words(data, "few", "5"));
    must(&folder, &words(data, "many", "80"));
    let few = bits(&folder, "few", "few/held-out.txt");
    let many = bits(&folder, "many", "few/held-out.txt");
    assert!(many < 0.8 * few, "{many} after 80 steps, {few} after 5");
    assert_eq!(
        std::fs::read(folder.join("few/held-out.txt")).unwrap(),
        std::fs::read(folder.join("many/held-out.txt")).unwrap()
    );
    let on = [
        "train",
        "--data",
        data,
        "--out",
        "on",
        "--base",
        "few",
        "--steps",
        "60",
        "--batch",
        "4",
        "--seed",
        "2",
        "--held-out",
        "0.2",
        "--learning-rate",
        "0.002",
        "-q",
    ];
    must(&folder, &on);
    assert!(bits(&folder, "on", "few/held-out.txt") < few);
    assert_eq!(
        std::fs::read(folder.join("few/tokenizer.json")).unwrap(),
        std::fs::read(folder.join("on/tokenizer.json")).unwrap()
    );
    for file in ["curve.csv", "curve.png", "generation_config.json", "tokenizer_config.json"] {
        assert!(folder.join("on").join(file).exists(), "{file}");
    }
    let refused = text_gen(&folder, &on);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is a model already"));
}

#[test]
fn a_model_is_measured_beside_ngrams() {
    let folder = folder("measured");
    let data = licence();
    let data = data.to_str().unwrap();
    must(&folder, &words(data, "model", "20"));
    let evaluate = ["evaluate", "--data", data, "--held-out", "0.2", "--model", "model"];
    let report = &objects(&must(&folder, &[&evaluate[..], &["--json"]].concat()))[0];
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["this model", "order-5 Kneser-Ney", "unigram"]);
    let of_row: Vec<f64> = rows.iter().map(|row| row["bits_per_byte"].as_f64().unwrap()).collect();
    // the split is that of the training, and the order of words tells something
    assert_eq!(of_row[0], bits(&folder, "model", "model/held-out.txt"));
    assert!(0.5 < of_row[1] && of_row[1] < of_row[2] && of_row[2] < 8., "{of_row:?}");
    let table = must(&folder, &evaluate);
    assert_eq!(table.lines().count(), 5);
    let nothing = text_gen(&folder, &["evaluate", "--data", data, "--held-out", "0", "--model", "model"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing is held out"));
}

#[test]
fn a_killed_run_ends_with_the_same_weights() {
    let folder = folder("killed");
    let data = licence();
    let data = data.to_str().unwrap();
    let once = [words(data, "once", "100"), vec!["--checkpoint", "0.01", "--threads", "2"]].concat();
    let began = std::time::Instant::now();
    must(&folder, &once);
    let whole = began.elapsed();
    let cut = [words(data, "cut", "100"), vec!["--checkpoint", "0.01", "--threads", "2"]].concat();
    let mut kills = 0;
    for part in [0.4, 0.5, 0.6, 0.7] {
        let mut child = program(&folder, &cut).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(part));
        if child.try_wait().unwrap().is_none() {
            kills += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if folder.join("cut/config.json").exists() {
            break;
        }
    }
    if !folder.join("cut/config.json").exists() {
        must(&folder, &cut);
    }
    assert!(kills > 0, "every run ended before it was killed");
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        let read = |run: &str| std::fs::read(folder.join(run).join(file)).unwrap();
        assert!(read("once") == read("cut"), "{file}");
    }
}

#[test]
fn what_was_learned_is_written_in_the_layout_of_the_hub() {
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(Path::new(model()).join(name)).unwrap()).unwrap()
    };
    let config = read("config.json");
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(config["model_type"], "llama");
    assert_eq!(config["dtype"], "float16");
    assert_eq!((&config["bos_token_id"], &config["eos_token_id"]), (&0.into(), &1.into()));
    assert_eq!(read("tokenizer_config.json")["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(read("tokenizer.json")["model"]["type"], "BPE");
    assert_eq!(read("generation_config.json")["do_sample"], true);
}
