//! What the binary makes.

use std::path::Path;

use crate::{done, fed, folder, golden, model, must, objects, text_gen};

#[test]
fn help_is_as_it_was() {
    let help = must(&folder("help"), &["--help"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/text-gen/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    assert_eq!(help, std::fs::read_to_string(&path).unwrap(), "UPDATE=1 writes tests/text-gen/help.txt anew");
}

#[test]
fn words_go_on_and_a_seed_gives_its_text_again() {
    let folder = folder("words");
    let words = ["--model", model(), "You may", "--max-tokens", "12", "--seed", "3", "-q"];
    let text = must(&folder, &words);
    assert!(text.starts_with("You may") && text.ends_with('\n') && text.len() > 12, "{text:?}");
    assert_eq!(must(&folder, &words), text);
    let other = must(&folder, &["--model", model(), "You may", "--max-tokens", "12", "--seed", "4", "-q"]);
    assert_ne!(other, text);
}

#[test]
fn without_words_a_text_begins() {
    let text = must(&folder("none"), &["--model", model(), "--max-tokens", "8", "--seed", "1", "-q"]);
    assert!(text.trim().len() > 1, "{text:?}");
}

#[test]
fn words_come_from_files_and_stdin_and_never_from_what_is_no_file() {
    let folder = folder("inputs");
    std::fs::write(folder.join("note.txt"), "The Licensor\n").unwrap();
    std::fs::write(folder.join("train"), "Work").unwrap();
    let base = ["--model", model(), "--max-tokens", "4", "--temperature", "0", "-q"];
    let run = |words: &[&str]| must(&folder, &[&base, words].concat());
    assert_eq!(run(&["note.txt"]), run(&["--text", "The Licensor"]));
    assert!(run(&["--text", "note.txt"]).starts_with("note.txt"));
    assert!(run(&["--", "train"]).starts_with("Work"));
    let words = [&base, &["-"][..]].concat();
    assert_eq!(done(&fed(&folder, &words, "The Licensor\n")), run(&["note.txt"]));
    assert_eq!(done(&fed(&folder, &base, "The Licensor\n")), run(&["note.txt"]));
    let refused = text_gen(&folder, &[&base, &["other.txt"][..]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--text"));
}

#[test]
fn json_says_what_was_asked_and_what_came() {
    let folder = folder("json");
    let words = [
        "--model",
        model(),
        "--json",
        "--max-tokens",
        "6",
        "--seed",
        "5",
        "--logprobs",
        "3",
        "You may",
        "The Work",
    ];
    let lines = objects(&must(&folder, &words));
    assert_eq!(lines.len(), 2);
    for line in &lines {
        let ids = line["ids"].as_array().unwrap();
        assert!(line["model"] == model() && line["seed"] == 5 && !ids.is_empty() && ids.len() <= 6);
        assert_eq!(line["prompt_ids"][0], 0, "a text begins with the token for it");
        assert!(line["finish"] == "length" || line["finish"] == "stop");
        let steps = line["logprobs"].as_array().unwrap();
        assert_eq!(steps.len(), ids.len());
        for step in steps {
            let top: Vec<f64> =
                step["top"].as_array().unwrap().iter().map(|one| one["logprob"].as_f64().unwrap()).collect();
            assert!(top.len() == 3 && top[0] >= top[1] && top[1] >= top[2] && top[0] < 0.);
        }
        assert!(line["timings"]["tokens_per_s"].as_f64().unwrap() > 0.);
    }
    let greedy = [
        "--model",
        model(),
        "--json",
        "--max-tokens",
        "6",
        "--temperature",
        "0",
        "--logprobs",
        "1",
        "You may",
    ];
    let line = &objects(&must(&folder, &greedy))[0];
    let best: Vec<_> =
        line["logprobs"].as_array().unwrap().iter().map(|step| step["top"][0]["id"].clone()).collect();
    assert_eq!(line["ids"].as_array().unwrap(), &best);
}

#[test]
fn stops_end_an_answer() {
    let folder = folder("stops");
    let base = ["--model", model(), "--json", "--max-tokens", "30", "--temperature", "0", "You may"];
    let whole = objects(&must(&folder, &base)).remove(0);
    let text = whole["text"].as_str().unwrap();
    let stop: String = text.chars().skip(4).take(3).collect();
    let cut = objects(&must(&folder, &[&base, &["--stop", &stop][..]].concat())).remove(0);
    assert_eq!(cut["text"], text[..text.find(&stop).unwrap()], "{stop:?} in {text:?}");
    assert_eq!(cut["finish"], "stop");
    let third = whole["ids"][2].as_u64().unwrap();
    let ids: Vec<u64> = whole["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let first = ids.iter().position(|id| *id == third).unwrap();
    let cut = objects(&must(&folder, &[&base, &["--stop-id", &third.to_string()][..]].concat())).remove(0);
    assert_eq!(cut["ids"].as_array().unwrap().len(), first + 1);
    assert_eq!(cut["finish"], "stop");
}

#[test]
fn a_beam_search_is_at_least_as_likely_as_the_greedy_choice() {
    let folder = folder("beam");
    let base = ["--model", model(), "--json", "--max-tokens", "8", "You may"];
    let beam = objects(&must(&folder, &[&base, &["--beam", "6"][..]].concat())).remove(0);
    let greedy =
        objects(&must(&folder, &[&base, &["--temperature", "0", "--logprobs", "1"][..]].concat())).remove(0);
    let steps = greedy["logprobs"].as_array().unwrap();
    let sum: f64 = steps.iter().map(|step| step["top"][0]["logprob"].as_f64().unwrap()).sum();
    assert!(beam["score"].as_f64().unwrap() >= sum / steps.len() as f64 - 1e-4);
}

#[test]
fn penalties_change_what_is_chosen() {
    let folder = folder("penalties");
    let base = ["--model", model(), "--json", "--max-tokens", "24", "--temperature", "0", "The"];
    let ids = |more: &[&str]| objects(&must(&folder, &[&base, more].concat()))[0]["ids"].clone();
    let distinct = |ids: &serde_json::Value| {
        let mut ids: Vec<u64> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    let plain = distinct(&ids(&[]));
    for penalty in [["--repetition-penalty", "3"], ["--frequency-penalty", "9"], ["--presence-penalty", "20"]]
    {
        assert!(distinct(&ids(&penalty)) > plain, "{penalty:?}");
    }
    assert_ne!(ids(&["--frequency-penalty", "-5"]), ids(&["--frequency-penalty", "5"]));
}

#[test]
fn a_folder_takes_an_answer_a_file_and_goes_on_where_it_stopped() {
    let folder = folder("batch");
    for (name, text) in [("a.txt", "You may"), ("b.txt", "The Work"), ("bad.txt", "x")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("bad.txt"), [0xff, 0xfe]).unwrap();
    let words =
        ["--model", model(), "--max-tokens", "4", "--seed", "1", "-o", "out/", "a.txt", "b.txt", "bad.txt"];
    let first = text_gen(&folder, &words);
    assert_eq!(first.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&first.stderr).contains("bad.txt: not UTF-8"), "{:?}", first.stderr);
    let made = std::fs::read_to_string(folder.join("out/a.txt")).unwrap();
    assert!(made.starts_with("You may"));
    std::fs::write(folder.join("bad.txt"), "Now").unwrap();
    let again = text_gen(&folder, &words);
    assert_eq!(again.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&again.stderr).contains("1 written, 2 done before, 0 failed"));
    let counted =
        ["--model", model(), "--max-tokens", "4", "--seed", "1", "--count", "2", "-o", "more/", "a.txt"];
    must(&folder, &counted);
    assert!(folder.join("more/a-1.txt").exists() && folder.join("more/a-2.txt").exists());
    // the same by a list, several at a time
    let first = std::fs::read(folder.join("out/a.txt")).unwrap();
    std::fs::write(folder.join("jobs"), "{\"input\": \"a.txt\", \"id\": \"one\"}\n{\"text\": \"You may\"}\n")
        .unwrap();
    let listed = ["--list", "jobs", "--jobs-in-flight", "3", "-o", "listed/"];
    must(&folder, &[&["--model", model(), "--max-tokens", "4", "--seed", "1"][..], &listed].concat());
    for name in ["listed/one.txt", "listed/text-1.txt"] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), first, "{name}");
    }
}

#[test]
fn one_answer_goes_to_one_file() {
    let folder = folder("file");
    let words = ["--model", model(), "You may", "--max-tokens", "4", "--seed", "1", "-o", "x.txt"];
    assert_eq!(must(&folder, &words), "x.txt\n");
    assert!(std::fs::read_to_string(folder.join("x.txt")).unwrap().starts_with("You may"));
    assert_eq!(text_gen(&folder, &words).status.code(), Some(1), "it exists");
    must(&folder, &[&words, &["--force"][..]].concat());
}

#[test]
fn quantised_and_narrow_weights_write_nearly_the_same() {
    let folder = folder("dtypes");
    let top = |dtype: &str| {
        let words = [
            "--model",
            model(),
            "--json",
            "--max-tokens",
            "1",
            "--temperature",
            "0",
            "--logprobs",
            "1",
            "--dtype",
            dtype,
            "You may",
        ];
        objects(&must(&folder, &words))[0]["logprobs"][0]["top"][0]["logprob"].as_f64().unwrap()
    };
    let exact = top("f32");
    for (dtype, tolerance) in [("auto", 1e-6), ("q8", 0.05), ("bf16", 0.05)] {
        assert!((top(dtype) - exact).abs() <= tolerance, "{dtype}");
    }
}

/// The small model with a chat template.
fn taught(name: &str) -> String {
    let to = folder(name);
    for entry in std::fs::read_dir(model()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    std::fs::write(to.join("chat_template.jinja"), template).unwrap();
    to.to_str().unwrap().to_string()
}

#[test]
fn a_model_with_a_template_answers_and_one_without_goes_on() {
    let (folder, model) = (folder("template"), taught("taught"));
    let base = ["--model", &model, "--json", "--max-tokens", "3", "--temperature", "0"];
    let run = |words: &[&str]| objects(&must(&folder, &[&base, words].concat())).remove(0);
    let asked = run(&["You may"]);
    let conversation = r#"[{"role": "user", "content": "You may"}]"#;
    std::fs::write(folder.join("talk.json"), conversation).unwrap();
    assert_eq!(run(&["--messages", "talk.json"])["prompt_ids"], asked["prompt_ids"]);
    let raw = run(&["You may", "--raw"]);
    assert!(raw["prompt_ids"].as_array().unwrap().len() < asked["prompt_ids"].as_array().unwrap().len());
    assert_eq!(raw["prompt_ids"][0], 0);
    assert_ne!(asked["prompt_ids"][0], 0, "a template says itself what stands at the beginning");
    let told = run(&["You may", "--system", "Be brief"]);
    assert!(told["prompt_ids"].as_array().unwrap().len() > asked["prompt_ids"].as_array().unwrap().len());
    // an answer stands alone, a text goes on behind its own words
    let text =
        must(&folder, &["--model", &model, "You may", "--max-tokens", "3", "--temperature", "0", "-q"]);
    assert_eq!(text.trim_end_matches('\n'), asked["text"]);
}

#[test]
fn a_conversation_remembers_and_forgets_what_is_too_long() {
    let (folder, model) = (folder("chat"), taught("taught-chat"));
    let words =
        ["--model", &model, "--chat", "--max-tokens", "4", "--temperature", "0", "--system", "Be brief"];
    let output = fed(&folder, &words, "Who may?\n".repeat(12));
    assert!(done(&output).lines().count() >= 12);
    assert!(String::from_utf8_lossy(&output.stderr).contains("oldest turn is forgotten"));
    let without = fed(&folder, &["--model", crate::model(), "--chat"], "Hello\n");
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("no chat template"));
}

#[test]
fn scores_are_those_of_the_log_probabilities() {
    let folder = folder("score");
    std::fs::write(folder.join("a.txt"), "You may not use this file except in compliance with the License.")
        .unwrap();
    let line = objects(&must(&folder, &["score", "--model", model(), "a.txt", "--json"])).remove(0);
    let (bits, bytes) = (line["bits_per_byte"].as_f64().unwrap(), line["bytes"].as_f64().unwrap());
    let (sum, tokens) = (line["log_likelihood"].as_f64().unwrap(), line["tokens"].as_f64().unwrap());
    assert!((bits * bytes * std::f64::consts::LN_2 + sum).abs() < 1e-6);
    assert!((line["perplexity"].as_f64().unwrap().ln() + sum / tokens).abs() < 1e-9);
    // a text longer than the context: windows of any stride come near each other
    let long = std::fs::read_to_string(crate::licence()).unwrap();
    std::fs::write(folder.join("long.txt"), &long[..4000]).unwrap();
    let bits = |stride: &str| {
        let words = ["score", "--model", model(), "long.txt", "--json", "--stride", stride];
        objects(&must(&folder, &words))[0]["bits_per_byte"].as_f64().unwrap()
    };
    let (fine, coarse) = (bits("4"), bits("60"));
    assert!(fine < coarse * 1.02 && (fine - coarse).abs() < 0.3 * fine, "{fine} {coarse}");
    assert!(must(&folder, &["score", "--model", model(), "a.txt"]).contains("bits per byte"));
}

#[test]
fn a_gguf_file_is_a_model() {
    let folder = folder("gguf");
    let file = golden("gguf/qwen3.gguf");
    // its vocabulary is of the kind that has none
    let output = text_gen(&folder, &["--model", file.to_str().unwrap(), "x"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no_vocab") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_schema_is_kept_by_every_seed() {
    let folder = folder("schema");
    let schema = r#"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age":
        {"type": "integer", "minimum": 0, "maximum": 120}, "tags": {"type": "array", "maxItems": 2, "items":
        {"enum": ["old", "new", "bl\u00fce"]}}}, "required": ["name", "age", "tags"], "additionalProperties": false}"#;
    std::fs::write(folder.join("s.json"), schema).unwrap();
    let words = [
        "--model",
        model(),
        "A person:",
        "--json-schema",
        "s.json",
        "--count",
        "25",
        "--seed",
        "1",
        "--json",
        "--max-tokens",
        "60",
    ];
    for line in objects(&must(&folder, &[&words, &["--temperature", "1.3"][..]].concat())) {
        let made: serde_json::Value = serde_json::from_str(line["text"].as_str().unwrap()).unwrap();
        let object = made.as_object().unwrap();
        assert_eq!(object.len(), 3, "{made}");
        assert!(made["name"].as_str().unwrap().chars().count() <= 12, "{made}");
        assert!((0..=120).contains(&made["age"].as_i64().unwrap()), "{made}");
        let tags = made["tags"].as_array().unwrap();
        assert!(
            tags.len() <= 2
                && tags.iter().all(|tag| ["old", "new", "bl\u{fc}e"].contains(&tag.as_str().unwrap()))
        );
        assert_eq!(line["finish"], "stop");
    }
    let beam = [&words[..5], &["--json", "--beam", "3", "--max-tokens", "60"]].concat();
    let beam = objects(&must(&folder, &beam)).remove(0);
    serde_json::from_str::<serde_json::Value>(beam["text"].as_str().unwrap()).unwrap();
    let cut =
        text_gen(&folder, &["--model", model(), "--json-schema", schema, "x", "--max-tokens", "3", "-q"]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("cut after 3 tokens"));
}

#[test]
fn an_expression_is_matched_whole() {
    let folder = folder("regex");
    for seed in ["1", "2", "3"] {
        let words =
            ["--model", model(), "On", "--regex", "[0-9]{4}-[01][0-9] (am|pm)?!", "--json", "--seed", seed];
        let text = objects(&must(&folder, &words))[0]["text"].as_str().unwrap().to_string();
        let digits: Vec<char> = text.chars().collect();
        assert!(
            digits[..4].iter().all(char::is_ascii_digit) && digits[4] == '-' && text.ends_with('!'),
            "{text:?}"
        );
    }
    for (flags, words) in [
        (["--regex", "[a-"], "expression"),
        (["--json-schema", "{\"type\": \"nothing\"}"], "schema"),
        (["--json-schema", "{\"type\":"], "not JSON"),
        (["--json-schema", "missing.json"], "missing.json"),
    ] {
        let output = text_gen(&folder, &[&["--model", model(), "x"], &flags[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        assert!(said.contains(words) && said.lines().count() == 1, "{flags:?}: {said}");
    }
}
