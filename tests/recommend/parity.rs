//! A checkpoint of the reference SASRec, as a user would load it: the scores that torch computes.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use crate::{GOLDEN, done, folder, golden, lines, recommend};

const MODELS: [&str; 4] = ["query", "query-padding", "pre", "post"];

fn expected(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(format!("{GOLDEN}/{name}/expected.safetensors"), &Device::Cpu).unwrap()
}

#[test]
fn scores_at_the_terminal_are_those_of_torch() {
    let folder = folder("parity");
    for name in MODELS {
        let expected = expected(name);
        let histories = expected["histories"].to_vec2::<i64>().unwrap();
        let scores = expected["scores"].to_vec2::<f32>().unwrap();
        for (history, scores) in histories.iter().zip(&scores) {
            let ids: Vec<String> =
                history.iter().filter(|&&item| item > 0).map(|item| format!("a{item}")).collect();
            let count = scores.len().to_string();
            let model = golden(name);
            let mut words =
                vec!["--model", &model, "--json", "-q", "--seen", "--top", &count, "--history-ids"];
            words.extend(ids.iter().map(String::as_str));
            let found = lines(&done(&recommend(&folder, &words))).remove(0);
            let items = found["items"].as_array().unwrap();
            assert_eq!(items.len(), scores.len());
            for item in items {
                let place: usize = item["id"].as_str().unwrap()[1..].parse().unwrap();
                let score = item["score"].as_f64().unwrap();
                let largest = scores.iter().fold(0f32, |most, x| most.max(x.abs()));
                let apart = (score - f64::from(scores[place - 1])).abs();
                assert!(
                    apart <= 1e-5 * f64::from(largest),
                    "{name}, a{place}: {score} for {}",
                    scores[place - 1]
                );
            }
        }
    }
}

#[test]
fn a_configuration_without_a_norm_is_refused() {
    let folder = folder("no-norm");
    for file in ["items.csv", "model.safetensors", "config.json"] {
        std::fs::copy(format!("{GOLDEN}/query/{file}"), folder.join(file)).unwrap();
    }
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let change = |from: &str, to: &str| {
        let changed = config.replace(from, to);
        assert_ne!(changed, config);
        std::fs::write(folder.join("config.json"), changed).unwrap();
        let output = recommend(&folder, &["--model", ".", "--history-ids", "a1"]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = change(",\n  \"norm\": \"query\"", "");
    assert!(said.contains("norm") && said.contains("`query`") && said.lines().count() == 1, "{said}");
    assert!(change("\"query\"", "\"middle\"").contains("middle"));
    assert!(change("\"item_num\": 30", "\"item_num\": 31").contains("item_emb"));
    // the same items, one fewer
    std::fs::write(folder.join("config.json"), &config).unwrap();
    let items = std::fs::read_to_string(folder.join("items.csv")).unwrap();
    std::fs::write(folder.join("items.csv"), items.rsplit_once("a30").unwrap().0).unwrap();
    let output = recommend(&folder, &["--model", ".", "--history-ids", "a1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("29 items") && said.contains("30"), "{said}");
}
