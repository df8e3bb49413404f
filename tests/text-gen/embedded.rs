//! The built-in model: it writes in two languages at once, without a network, and keeps to a schema.

use crate::{fed, folder, must, objects};

/// Words of a text that are among the commonest of a language.
fn common(text: &str, words: &[&str]) -> usize {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| words.contains(&word.to_lowercase().as_str()))
        .count()
}

const ENGLISH: &[&str] =
    &["the", "and", "of", "to", "in", "was", "that", "his", "he", "it", "with", "as", "had", "her"];
const PORTUGUESE: &[&str] =
    &["de", "que", "não", "os", "um", "uma", "era", "se", "do", "da", "com", "mas", "para", "ao"];

#[test]
fn each_language_goes_on_in_itself() {
    let folder = folder("embedded");
    for (prompt, own, other) in
        [("The old house", ENGLISH, PORTUGUESE), ("A casa velha", PORTUGUESE, ENGLISH)]
    {
        for seed in ["1", "2", "3"] {
            let text = must(&folder, &[prompt, "--seed", seed, "--max-tokens", "120"]);
            assert!(text.starts_with(prompt), "{text}");
            let (own, other) = (common(&text, own), common(&text, other));
            assert!(own >= 12 && own > 4 * other, "{own} and {other} common words in {text}");
        }
    }
}

#[test]
fn nothing_asked_for_still_makes_something_that_a_seed_brings_back() {
    let folder = folder("nothing");
    let once = must(&folder, &["--seed", "5", "--max-tokens", "60"]);
    assert!(once.trim().len() > 60, "{once}");
    assert_eq!(once, must(&folder, &["--seed", "5", "--max-tokens", "60"]));
    assert_ne!(once, must(&folder, &["--seed", "6", "--max-tokens", "60"]));
}

#[test]
fn sense_is_likelier_than_none() {
    let folder = folder("sense");
    let bits = |text: &str| {
        let output = fed(&folder, &["score", "-", "--json"], text);
        objects(&String::from_utf8(output.stdout).unwrap())[0]["bits_per_byte"].as_f64().unwrap()
    };
    for (sense, none) in [
        (
            "He looked at her for a moment, and then went out of the room.",
            "Room the of out went then and, moment a for her at looked he.",
        ),
        (
            "Ela não disse nada; olhou para ele e saiu da sala.",
            "Sala da saiu e ele para olhou; nada disse não ela.",
        ),
    ] {
        let (sense, none) = (bits(sense), bits(none));
        assert!(sense < 2.5 && sense < none - 0.3, "{sense} and {none} bits a byte");
    }
}

#[test]
fn the_model_is_shown_with_its_licence() {
    let shown = must(&folder("shown"), &["models", "show", "embedded"]);
    assert!(shown.contains("cc0-1.0") && shown.contains("model.safetensors"), "{shown}");
}

/// `SEEDS=200` asks for more.
#[test]
fn schemas_are_kept_by_every_seed() {
    let seeds = std::env::var("SEEDS").unwrap_or("20".into());
    let folder = folder("schemas");
    let check = |schema: &str, good: &dyn Fn(&serde_json::Value) -> bool| {
        std::fs::write(folder.join("s.json"), schema).unwrap();
        let words =
            ["A man of the town:", "--json-schema", "s.json", "--count", &seeds, "--seed", "1", "--json"];
        let lines =
            objects(&must(&folder, &[&words, &["--temperature", "1.2", "--max-tokens", "200"][..]].concat()));
        assert_eq!(lines.len().to_string(), seeds);
        for line in lines {
            let made = serde_json::from_str(line["text"].as_str().unwrap()).unwrap();
            assert!(good(&made), "{made}");
            assert_eq!(line["finish"], "stop");
        }
    };
    let person = r#"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 16}, "age": {"type":
        "integer", "minimum": 0, "maximum": 120}, "rich": {"type": "boolean"}}, "required": ["name", "age", "rich"],
        "additionalProperties": false}"#;
    check(person, &|made| {
        made.as_object().is_some_and(|object| object.len() == 3)
            && made["name"].as_str().is_some_and(|name| name.chars().count() <= 16)
            && made["age"].as_i64().is_some_and(|age| (0..=120).contains(&age))
            && made["rich"].is_boolean()
    });
    let list = r#"{"type": "array", "minItems": 1, "maxItems": 3, "items": {"enum": ["house", "garden", "rua", "céu"]}}"#;
    check(list, &|made| {
        made.as_array().is_some_and(|list| {
            (1..=3).contains(&list.len())
                && list
                    .iter()
                    .all(|item| ["house", "garden", "rua", "céu"].contains(&item.as_str().unwrap_or("")))
        })
    });
}
