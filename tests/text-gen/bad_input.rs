//! Whatever is wrong gives one line and an exit code, and writes nothing.

use crate::{fed, folder, golden, licence, model, refused, text_gen};

#[test]
fn flags() {
    let folder = folder("flags");
    for words in [
        &["--max-tokens", "0"][..],
        &["--temperature", "-1"],
        &["--top-p", "2"],
        &["--beam", "0"],
        &["--logprobs", "3", "x"],
        &["--length-penalty", "2", "x"],
        &["--frequency-penalty", "nan"],
        &["--chat", "x"],
        &["--raw", "--system", "x", "y"],
        &["--messages", "a.json", "x"],
        &["-o", "a.txt", "x", "y"],
        &["score"],
        &["score", "--stride", "0", "a.txt"],
        &["train", "--out", "m"],
        &["train", "--data", "x", "--out", "m", "--width", "100"],
        &["train", "--data", "x", "--out", "m", "--vocabulary", "100"],
        &["train", "--data", "x", "--out", "m", "--dtype", "q8"],
        &["missing.txt"],
        &["folder/words"],
    ] {
        refused(
            &folder,
            &[words, &["--model", model()][..if words[0] == "train" { 0 } else { 2 }]].concat(),
            2,
        );
    }
}

#[test]
fn prompts() {
    let folder = folder("prompts");
    std::fs::write(folder.join("odd.txt"), [0xc3, 0x28]).unwrap();
    std::fs::write(folder.join("talk.json"), "[{\"role\": \"user\"}]").unwrap();
    std::fs::write(folder.join("talk2.json"), "[]").unwrap();
    let long = "word ".repeat(200);
    let said = refused(&folder, &["--model", model(), "--text", &long], 1);
    assert!(said.contains("64 at once") && said.contains("tokens"), "{said}");
    assert!(refused(&folder, &["--model", model(), "odd.txt"], 1).contains("odd.txt: not UTF-8"));
    assert!(refused(&folder, &["--model", model(), "--messages", "talk.json"], 1).contains("content"));
    assert!(
        refused(&folder, &["--model", model(), "--messages", "talk2.json"], 1).contains("no chat template")
    );
    assert!(refused(&folder, &["--model", model(), "--messages", "none.json"], 1).contains("none.json"));
    assert!(refused(&folder, &["--model", model(), "--system", "x", "y"], 1).contains("--system"));
    assert!(refused(&folder, &["score", "--model", model(), "none.txt"], 1).contains("none.txt"));
    let empty = fed(&folder, &["score", "--model", model(), "-"], "");
    assert_eq!(empty.status.code(), Some(1));
}

/// A copy of the small model with one file changed.
fn changed(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> String {
    let to = folder(&format!("changed-{name}"));
    for entry in std::fs::read_dir(model()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let path = to.join(file);
    let bytes = change(std::fs::read(&path).unwrap_or_default());
    match bytes {
        Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        None => std::fs::remove_file(&path).unwrap(),
    }
    to.to_str().unwrap().to_string()
}

#[test]
fn models() {
    let folder = folder("models");
    let check = |name: &str, file: &str, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>, words: &str| {
        let model = changed(name, file, change);
        let said = refused(&folder, &["--model", &model, "x"], 1);
        assert!(said.contains(words), "{name}: {said}");
    };
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from));
            Some(text.replace(from, to).into_bytes())
        }
    };
    check("no-config", "config.json", &|_| None, "config.json");
    check("no-weights", "model.safetensors", &|_| None, "model.safetensors");
    check("no-tokenizer", "tokenizer.json", &|_| None, "tokenizer.json");
    check("cut", "model.safetensors", &|bytes| Some(bytes[..bytes.len() / 2].to_vec()), "truncated");
    check(
        "random",
        "model.safetensors",
        &|bytes| Some(bytes.iter().map(|byte| byte ^ 0x5a).collect()),
        "model.safetensors",
    );
    check(
        "cut-tokenizer",
        "tokenizer.json",
        &|bytes| Some(bytes[..bytes.len() / 2].to_vec()),
        "tokenizer.json",
    );
    check("negative", "config.json", &replace("\"hidden_size\": 64", "\"hidden_size\": -64"), "config.json");
    check(
        "huge",
        "config.json",
        &replace("\"hidden_size\": 64", "\"hidden_size\": 64000000000"),
        "hidden_size",
    );
    check(
        "wrong",
        "config.json",
        &replace("\"hidden_size\": 64", "\"hidden_size\": 128"),
        "where config.json asks for",
    );
    check(
        "many-layers",
        "config.json",
        &replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 9"),
        "no tensor",
    );
    check("other", "config.json", &replace("\"llama\"", "\"mamba\""), "mamba");
    check(
        "nan",
        "config.json",
        &replace("\"rms_norm_eps\": 0.00001", "\"rms_norm_eps\": NaN"),
        "config.json",
    );
    check(
        "generation",
        "generation_config.json",
        &|_| Some(b"{\"temperature\": \"hot\"}".to_vec()),
        "generation_config.json",
    );
    check(
        "small-vocabulary",
        "config.json",
        &|bytes| {
            let mut config: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            config["vocab_size"] = 5.into();
            Some(config.to_string().into_bytes())
        },
        "where config.json asks for",
    );
    let endless = "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}";
    check("endless", "chat_template.jinja", &|_| Some(endless.as_bytes().to_vec()), "chat template");
    let huge = "{% for i in range(90000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 1000 }}{% endfor %}";
    check("long", "chat_template.jinja", &|_| Some(huge.as_bytes().to_vec()), "chat template");
    check("broken", "chat_template.jinja", &|_| Some(b"{% if %}".to_vec()), "line 1");
}

#[test]
fn files_that_are_no_models() {
    let folder = folder("files");
    std::fs::write(folder.join("empty.gguf"), "").unwrap();
    std::fs::write(folder.join("random.gguf"), (0..5000).map(|i| (i * 37 % 251) as u8).collect::<Vec<_>>())
        .unwrap();
    let whole = std::fs::read(golden("gguf/qwen3.gguf")).unwrap();
    std::fs::write(folder.join("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    std::fs::copy(golden("llama/qwen3/model.safetensors"), folder.join("a.safetensors")).unwrap();
    for (file, words) in [
        ("empty.gguf", "not such a file"),
        ("random.gguf", "not such a file"),
        ("cut.gguf", "truncated"),
        ("a.safetensors", "weights alone are no model"),
    ] {
        let said = refused(&folder, &["--model", file, "x"], 1);
        assert!(said.contains(words), "{file}: {said}");
    }
    assert!(refused(&folder, &["--model", "./nowhere", "x"], 1).contains("nowhere"));
}

#[test]
fn data_to_learn_from() {
    let folder = folder("data");
    std::fs::create_dir(folder.join("none")).unwrap();
    std::fs::write(folder.join("empty.txt"), "").unwrap();
    std::fs::write(folder.join("odd.txt"), [0xc3, 0x28]).unwrap();
    std::fs::write(folder.join("short.txt"), "A few words.").unwrap();
    for (data, words) in
        [("none", "no text"), ("empty.txt", "empty"), ("odd.txt", "UTF-8"), ("nowhere", "nowhere")]
    {
        let said = refused(&folder, &["train", "--data", data, "--out", "m", "-q"], 1);
        assert!(said.contains(words), "{data}: {said}");
    }
    let output = text_gen(&folder, &["train", "--data", "short.txt", "--out", "m", "-q"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("too few to learn from"));
    assert!(!folder.join("m").exists());
    let base = golden("gguf/qwen3.gguf");
    let licence = licence();
    let words =
        ["train", "--data", licence.to_str().unwrap(), "--out", "m2", "--base", base.to_str().unwrap(), "-q"];
    assert!(String::from_utf8_lossy(&text_gen(&folder, &words).stderr).contains("not from one file"));
}
