//! Checkpoints: what is written is read, and what is damaged or hostile is refused in one line.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files, save};
use models::nets::llama::{Cache, Config, Llama};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn folder(weights: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.safetensors"), weights).unwrap();
    folder
}

fn open(folder: &Path) -> Result<Checkpoint> {
    Checkpoint::open(Files::Dir(folder.to_path_buf()))
}

fn one_line_with(error: &str, parts: &[&str]) {
    assert!(error.lines().count() == 1 && !error.ends_with('.'), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

fn refused(weights: &[u8], parts: &[&str]) {
    let folder = folder(weights);
    let Err(error) = open(folder.path()) else { panic!("accepted, without {parts:?}") };
    one_line_with(&error.to_string(), &[&["model.safetensors"], parts].concat());
}

#[test]
fn damaged_headers_are_refused() {
    let data = [0u8; 16];
    let whole = r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    assert!(open(folder(&file(whole, &data)).path()).is_ok());
    refused(b"", &["0 bytes"]);
    refused(b"1234567", &["7 bytes"]);
    refused(&u64::MAX.to_le_bytes(), &["18446744073709551615", "truncated"]);
    refused(&100_000_000u64.to_le_bytes(), &["100000000"]);
    refused(&file(whole, &data)[..40], &["truncated"]);
    refused(&file(whole, &data[..15]), &["\"a\"", "16", "15", "truncated"]);
    refused(&file(whole, &[0; 17]), &["1 bytes after the last tensor"]);
    refused(&file("{", &data), &["header"]);
    refused(&file("[]", &data), &["header"]);
    refused(&file(&"[".repeat(100_000), &data), &["header"]);
    refused(&file("{\"a\":\u{1}}", &data), &["header"]);
}

#[test]
fn hostile_tensors_are_refused() {
    let refused = |entries: &str, parts: &[&str]| refused(&file(&format!("{{{entries}}}"), &[0; 16]), parts);
    let entry = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    refused(&entry("a", "F32", "[5]", "[0,16]"), &["\"a\"", "F32", "[5]", "16 bytes"]);
    refused(&entry("a", "F32", "[4611686018427387904]", "[0,0]"), &["does not fit"]);
    refused(&entry("a", "F32", "[4294967296,4294967296,4]", "[0,16]"), &["does not fit"]);
    refused(&entry("a", "F32", "[4]", "[16,0]"), &["begins"]);
    refused(&entry("a", "F32", "[4]", "[0,18446744073709551615]"), &["18446744073709551615"]);
    refused(&entry("a", "F32", "[4]", "[-1,15]"), &["header"]);
    refused(&entry("a", "F32", "[1e3]", "[0,16]"), &["header"]);
    refused(&entry("a", "Q9", "[4]", "[0,16]"), &["Q9"]);
    let half = entry("a", "F32", "[2]", "[0,8]");
    refused(&half, &["8 bytes after"]);
    refused(&[half.clone(), half.clone()].join(","), &["twice"]);
    refused(&[half.clone(), entry("b", "F32", "[3]", "[4,16]")].join(","), &["overlaps"]);
    refused(&[half, entry("b", "F32", "[1]", "[12,16]")].join(","), &["hole"]);
}

fn get(weights: &[u8], shape: &[usize], dtype: DType) -> Result<Tensor> {
    open(folder(weights).path())?.vb(dtype, &Device::Cpu).get(shape, "a")
}

#[test]
fn every_float_is_read_as_every_other() -> Result<()> {
    let values = [1f32, -2.5, 0., f32::NAN];
    let stored: [(&str, Vec<u8>); 4] = [
        ("F32", values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        ("F64", values.iter().flat_map(|x| (*x as f64).to_le_bytes()).collect()),
        ("F16", values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect()),
        ("BF16", values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect()),
    ];
    for (spelling, data) in stored {
        let header = json!({ "a": { "dtype": spelling, "shape": [2, 2], "data_offsets": [0, data.len()] } });
        // an odd header puts the values at odd addresses
        let header = format!("{header}{}", " ".repeat(header.to_string().len() % 2 + 1));
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            let tensor = get(&file(&header, &data), &[2, 2], dtype)?;
            assert_eq!(tensor.dtype(), dtype);
            let read = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            assert_eq!(read[..3], values[..3], "{spelling} as {dtype:?}");
            assert!(read[3].is_nan());
        }
    }
    Ok(())
}

#[test]
fn a_tensor_that_does_not_fit_the_net_is_named() {
    let refused = |weights: &[u8], parts: &[&str]| {
        one_line_with(&get(weights, &[2, 2], DType::F32).unwrap_err().to_string(), parts);
    };
    let header = |name: &str, dtype: &str, shape: &str, bytes: usize| {
        format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{bytes}]}}}}"#)
    };
    refused(&file(&header("b", "F32", "[2,2]", 16), &[0; 16]), &["no tensor `a`", "model.safetensors"]);
    refused(&file(&header("a", "F32", "[4]", 16), &[0; 16]), &["`a` is [4]", "[2, 2]", "model.safetensors"]);
    refused(&file(&header("a", "I32", "[2,2]", 16), &[0; 16]), &["`a`", "I32"]);
    refused(&file(&header("a", "F32", "[0,2]", 0), &[]), &["[0, 2]", "[2, 2]"]);
}

#[test]
fn an_index_names_files_of_its_own_folder() {
    let whole = file(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, &[0; 16]);
    let open_index = |index: Value| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.safetensors"), &whole).unwrap();
        fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        open(folder.path())
    };
    assert!(open_index(json!({ "weight_map": { "a": "x.safetensors" } })).is_ok());
    for name in [
        "../x.safetensors",
        "/x.safetensors",
        "..\\x.safetensors",
        ".safetensors",
        "x.pt",
        "../x.bin",
        "",
        ".",
    ] {
        let Err(error) = open_index(json!({ "weight_map": { "a": name } })) else { panic!("{name}") };
        one_line_with(&error.to_string(), &["index.json", "plain name"]);
    }
    let Err(error) = open_index(json!({ "weight_map": { "b": "x.safetensors" } })) else { panic!() };
    one_line_with(&error.to_string(), &["x.safetensors", "\"b\""]);
    let Err(error) = open_index(json!({ "weight_map": { "a": "y.safetensors" } })) else { panic!() };
    one_line_with(&error.to_string(), &["y.safetensors", "no such file"]);
    assert!(open_index(json!({})).is_err() && open_index(json!([])).is_err());
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = open(folder.path()) else { panic!() };
    one_line_with(&error.to_string(), &["model.safetensors", "model.safetensors.index.json"]);
    fs::write(folder.path().join("model.safetensors"), file("{}", &[])).unwrap();
    let checkpoint = open(folder.path()).unwrap();
    let error = checkpoint.config::<Config>().unwrap_err().to_string();
    one_line_with(&error, &["config.json", "no such file"]);
    fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    one_line_with(&checkpoint.config::<Config>().unwrap_err().to_string(), &["config.json", "vocab_size"]);
    let Err(error) = Checkpoint::open(Files::Static(Vec::new().into())) else { panic!() };
    one_line_with(&error.to_string(), &["model.safetensors (embedded)"]);
}

#[test]
fn saving_is_deterministic_and_leaves_no_other_files() -> Result<()> {
    let tensor = |value: f32| Tensor::new(&[[value, 1.], [2., 3.]], &Device::Cpu);
    let (a, b) = (("a".to_string(), tensor(0.1)?), ("b".to_string(), tensor(0.2)?));
    let bytes = |tensors: &[(String, Tensor)], dtype| -> Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        save(&folder.path().join("model"), &json!({ "x": 1, "torch_dtype": "?" }), tensors, dtype)?;
        let mut names: Vec<_> =
            fs::read_dir(folder.path().join("model"))?.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["config.json", "model.safetensors"]);
        Ok(fs::read(folder.path().join("model/model.safetensors"))?)
    };
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let first = bytes(&[a.clone(), b.clone()], dtype)?;
        assert_eq!(first, bytes(&[b.clone(), a.clone()], dtype)?);
        let read = get(&first, &[2, 2], DType::F32)?;
        assert_eq!(read.to_vec2::<f32>()?, a.1.to_dtype(dtype)?.to_dtype(DType::F32)?.to_vec2::<f32>()?);
    }
    let error = bytes(&[a.clone(), a.clone()], DType::F32).unwrap_err().to_string();
    one_line_with(&error, &["two tensors", "`a`"]);
    let error = bytes(&[("big".to_string(), tensor(1e6)?)], DType::F16).unwrap_err().to_string();
    one_line_with(&error, &["`big`", "1000000", "BF16"]);
    assert!(bytes(&[a], DType::U32).is_err());
    Ok(())
}

/// A small generator, so that every run tries the same inputs.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const WORDS: [&str; 14] = [
            "0",
            "-1",
            "1e999",
            "18446744073709551615",
            "9223372036854775807",
            "4294967296",
            "null",
            "[]",
            "{}",
            "\"F32\"",
            "\"F64\"",
            "[0,0]",
            "true",
            "\"\"",
        ];
        for _ in 0..1 + self.below(3) {
            let (at, kind) = (self.below(bytes.len()), self.below(8));
            let word = WORDS[self.below(WORDS.len())];
            match kind {
                _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.below(256) as u8),
                4 => drop(bytes.remove(at)),
                5 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => self.replace_word(bytes, word),
            }
        }
    }

    // a number or string of the JSON gives way to another
    fn replace_word(&mut self, bytes: &mut Vec<u8>, word: &str) {
        let start = self.below(bytes.len().min(900));
        let Some(first) = bytes[start..].iter().position(|b| b.is_ascii_digit() || *b == b'"') else {
            return;
        };
        let first = start + first;
        let length = bytes[first + 1..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        bytes.splice(first..(first + 1 + length).min(bytes.len()), word.bytes());
    }
}

#[test]
fn mutated_checkpoints_neither_panic_nor_hang() -> Result<()> {
    let count: usize = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let cfg = Config {
        vocab_size: 5,
        hidden_size: 4,
        intermediate_size: 3,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        ..Config::default()
    };
    let (_, vars) = Llama::init(&cfg, 1, &Device::Cpu)?;
    let tensors: Vec<_> = models::layers::init::sorted(&vars)
        .into_iter()
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    let source = tempfile::tempdir()?;
    save(source.path(), &cfg, &tensors, DType::BF16)?;
    let weights = fs::read(source.path().join("model.safetensors"))?;
    let config = fs::read(source.path().join("config.json"))?;
    let map: serde_json::Map<_, _> =
        tensors.iter().map(|(name, _)| (name.clone(), "x.safetensors".into())).collect();
    let index = json!({ "metadata": {}, "weight_map": map }).to_string().into_bytes();

    // a folder for each file that is mutated, with the others intact
    let whole = ("model.safetensors", weights.clone());
    let config = ("config.json", config);
    let folders = [
        (tempfile::tempdir()?, vec![whole.clone(), config.clone()]),
        (tempfile::tempdir()?, vec![config.clone(), whole]),
        (
            tempfile::tempdir()?,
            vec![("model.safetensors.index.json", index), config, ("x.safetensors", weights)],
        ),
    ];
    for (folder, files) in &folders {
        files.iter().try_for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes))?;
    }
    let mut random = Random(0x2545f4914f6cdd1d);
    let mut read = 0;
    for i in 0..count {
        let (folder, files) = &folders[[0, 0, 1, 2][i % 4]];
        let mut mutated = files[0].1.clone();
        random.mutate(&mut mutated);
        let path = folder.path().join(files[0].0);
        fs::remove_file(&path)?;
        fs::write(&path, mutated)?;
        match load_and_run(folder.path()) {
            Ok(()) => read += 1,
            Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
        }
    }
    // a changed weight is still a weight
    assert!(read > count / 50 && read < count * 4 / 5, "{read} of {count} were read");
    Ok(())
}

fn load_and_run(folder: &Path) -> Result<()> {
    let checkpoint = open(folder)?;
    let cfg: Config = checkpoint.config()?;
    let net = Llama::new(&cfg, checkpoint.vb(DType::F32, &Device::Cpu))?;
    net.forward(&Tensor::zeros((1, 2), DType::U32, &Device::Cpu)?, &mut Cache::new(&cfg))?;
    Ok(())
}
