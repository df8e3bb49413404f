//! A checkpoint of every family, as transformers saves it, gives transformers' greedy ids at the terminal.

use std::path::Path;

use serde_json::{Value, json};

use crate::{folder, golden, must, objects};

/// Numbers of a tensor of 64-bit integers.
fn numbers(file: &Path, name: &str) -> Vec<i64> {
    let bytes = std::fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let place = |end: usize| 8 + length + header[name]["data_offsets"][end].as_u64().unwrap() as usize;
    bytes[place(0)..place(1)].chunks(8).map(|eight| i64::from_le_bytes(eight.try_into().unwrap())).collect()
}

/// A tokenizer whose tokens are `t0`, `t1` and so on.
fn tokenizer(count: usize) -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        (0..count).map(|id| (format!("t{id}"), json!(id))).collect();
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "t0" },
    })
}

#[test]
fn greedy_ids_are_those_of_transformers() {
    let mut families = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(golden("llama")).unwrap() {
        let from = entry.unwrap().path();
        if !from.is_dir() {
            continue;
        }
        let name = from.file_name().unwrap().to_str().unwrap().to_string();
        let to = folder(&format!("family-{name}"));
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
        let config: Value = serde_json::from_slice(&std::fs::read(to.join("config.json")).unwrap()).unwrap();
        families.insert(config["model_type"].as_str().unwrap().to_string());
        let count = config["vocab_size"].as_u64().unwrap() as usize;
        std::fs::write(to.join("tokenizer.json"), tokenizer(count).to_string()).unwrap();
        let prompt = numbers(&to.join("expected.safetensors"), "prompt");
        let mut greedy = numbers(&to.join("expected.safetensors"), "greedy");
        // that loop knew no end
        let ends: Vec<i64> = match &config["eos_token_id"] {
            Value::Array(ids) => ids.iter().map(|id| id.as_i64().unwrap()).collect(),
            id => id.as_i64().into_iter().collect(),
        };
        if let Some(end) = greedy.iter().position(|id| ends.contains(id)) {
            greedy.truncate(end + 1);
        }
        // where the text turns, generate() reads it again and that loop did not
        let turn = config["original_max_position_embeddings"].as_i64().filter(|_| name == "phi3-long");
        if let Some(turn) = turn {
            greedy.truncate((turn - prompt.len() as i64) as usize);
        }
        // that loop went on beyond what the net is made for
        if name == "dynamic" {
            greedy.truncate(2 * 20 - prompt.len());
        }
        let words: Vec<String> = prompt.iter().map(|id| format!("t{id}")).collect();
        let most = greedy.len().to_string();
        let flags = [
            "--temperature",
            "0",
            "--json",
            "--dtype",
            "f32",
            "--max-tokens",
            &most,
            "--model",
            to.to_str().unwrap(),
        ];
        let line = objects(&must(&to, &[&flags, &["--text", &words.join(" ")][..]].concat())).remove(0);
        assert_eq!(line["prompt_ids"], json!(prompt), "{name}");
        assert_eq!(line["ids"], json!(greedy), "{name}");
    }
    assert_eq!(families.len(), 7, "{families:?}");
}
