//! Learning from one's own pictures.

use std::path::Path;

use super::{folder, model, must, pictures, read};
use image_gen::corpus;

#[test]
fn a_training_writes_diffusers_layout_with_a_curve_and_samples() {
    let out = Path::new(model());
    for name in [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
        "curve.csv",
        "curve.png",
        "samples.png",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    assert!(!out.join("training.safetensors").exists());
    // two samples of 32 pixels, each twice as large, with gaps of 4
    assert_eq!(read(out.join("samples.png")).width, 2 * 64 + 3 * 4);
    let curve = std::fs::read_to_string(out.join("curve.csv")).unwrap();
    assert!(curve.lines().count() > 2, "{curve}");
}

#[test]
fn a_training_goes_on_from_a_base_and_lowers_the_loss() {
    let folder = folder("base");
    pictures(&folder.join("data"));
    let words =
        ["train", "--data", "data", "--out", "next", "--base", model(), "--steps", "30", "--batch", "4"];
    let more =
        ["--learning-rate", "0.002", "--held-out", "0.2", "--seed", "2", "--samples", "red square", "--json"];
    let line = must(&folder, &[&words[..], &more].concat());
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    let csv = std::fs::read_to_string(folder.join("next/curve.csv")).unwrap();
    let held_out: Vec<f64> =
        csv.lines().skip(1).filter_map(|line| line.split(',').nth(2)?.parse().ok()).collect();
    assert!(held_out.len() > 2, "{csv}");
    assert!(held_out[held_out.len() - 1] < 0.9 * held_out[0], "{held_out:?}");
    assert_eq!(said["steps"], 30);
}

#[test]
fn captions_come_from_metadata_a_text_beside_or_names() {
    let folder = folder("captions");
    pictures(&folder.join("things"));
    std::fs::write(folder.join("things/bar/red_0.txt"), "a  long\nred bar").unwrap();
    let lines = "{\"file_name\": \"blue_1.png\", \"text\": \"sea\"}\n{\"file_name\": \"blue_1.png\", \"text\": \"sky\"}\n";
    std::fs::write(folder.join("things/bar/metadata.jsonl"), lines).unwrap();
    std::fs::copy(folder.join("things/bar/red_1.png"), folder.join("things/IMG_0042.png")).unwrap();
    std::fs::write(folder.join("things/bar/broken.png"), "x").unwrap();
    let corpus = corpus::read(&[folder.join("things")], 32, 0.).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let named = |path: &Path| path.ends_with(name);
        corpus.train.iter().filter(|one| named(&one.path)).map(|one| one.caption.as_str()).collect()
    };
    assert_eq!(of("bar/red_0.png"), ["a long red bar"]);
    assert_eq!(of("bar/blue_1.png"), ["sea", "sky"]);
    assert_eq!(of("square/green_5.png"), ["green square"]);
    assert_eq!(of("IMG_0042.png"), ["things"]);
    assert_eq!(corpus.skipped.len(), 1);
    assert_eq!(corpus.train.len(), 38);
    let kept = corpus::read(&[folder.join("things")], 32, 0.5).unwrap();
    assert!(kept.held_out.len() > 3 && kept.train.len() + kept.held_out.len() == 38);
    assert!(kept.held_out.iter().all(|one| kept.train.iter().all(|other| other.path != one.path)));
}
