//! How well a method foretells: protocols, intervals, the table and the chart.

use crate::{done, folder, lines, recommend, rings};

#[test]
fn three_protocols_are_told_apart() {
    let folder = folder("protocols");
    rings(&folder, 120);
    let judged = |protocol: &str| {
        let words = ["evaluate", "--data", "rings.csv", "--method", "itemknn", "--protocol", protocol];
        lines(&done(&recommend(&folder, &[&words[..], &["--json", "-q"]].concat()))).remove(0)
    };
    let (full, sampled, strong) = (judged("full"), judged("sampled100"), judged("strong"));
    for line in [&full, &sampled, &strong] {
        let metrics = &line["metrics"];
        let of = |name: &str| metrics[name].as_f64().unwrap();
        assert!(of("hr@5") <= of("hr@10") && of("hr@10") <= of("hr@20"), "{line}");
        let [low, high] = [0, 1].map(|i| line["intervals"]["ndcg@10"][i].as_f64().unwrap());
        // sums in another order differ in their last digits
        let (low, high) = (low - 1e-9, high + 1e-9);
        assert!(low <= of("ndcg@10") && of("ndcg@10") <= high, "{line}");
    }
    assert_eq!((full["people"].as_u64(), strong["people"].as_u64()), (Some(120), Some(12)));
    assert_eq!(full["protocol"], "full");
    // one target: it is found or not, whichever way that is counted
    assert_eq!(full["metrics"]["hr@10"], full["metrics"]["recall@10"]);
    assert!(full["metrics"]["coverage@10"].as_f64().unwrap() > 0.9);
    assert!(sampled["metrics"]["coverage@10"].is_null());
    let text = done(&recommend(
        &folder,
        &["evaluate", "--data", "rings.csv", "--method", "popular", "--protocol", "sampled100", "-q"],
    ));
    assert!(text.contains("not comparable"), "{text}");
}

#[test]
fn a_model_that_has_learned_is_judged_by_other_data() {
    let folder = folder("learned");
    rings(&folder, 120);
    // what comes last is not learned from
    let table = std::fs::read_to_string(folder.join("rings.csv")).unwrap();
    let some: String =
        table.lines().filter(|line| !line.ends_with("1007")).map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join("some.csv"), some).unwrap();
    done(&recommend(
        &folder,
        &["train", "--data", "some.csv", "--out", "m", "--method", "ease", "-q", "--regularisation", "2"],
    ));
    let words = ["evaluate", "--data", "rings.csv", "--model", "./m", "--json", "-q"];
    let line = lines(&done(&recommend(&folder, &words))).remove(0);
    assert!(line["metrics"]["hr@10"].as_f64().unwrap() > 0.9, "{line}");
    // items that it does not know are misses
    std::fs::write(
        folder.join("new.csv"),
        table.replace("1007", "1007\npx,odd,1\n").replace("red10", "green"),
    )
    .unwrap();
    let words = ["evaluate", "--data", "new.csv", "--model", "./m", "--json", "-q", "--min-user", "3"];
    let line = lines(&done(&recommend(&folder, &words))).remove(0);
    assert!(line["unknown_targets"].as_u64().unwrap() > 0, "{line}");
}

/// More items than a matrix of them is made for.
fn wide() -> String {
    let rows = (0..40_001).map(|item| format!("p{},i{item}\n", item / 4000));
    std::iter::once(String::from("user,item\n")).chain(rows).collect()
}

#[test]
fn methods_stand_in_one_table_and_one_chart() {
    let folder = folder("table");
    rings(&folder, 80);
    let words =
        ["compare", "--data", "rings.csv", "--methods", "popular,itemknn,ease,ials", "-o", "chart.png", "-q"];
    let table = done(&recommend(&folder, &words));
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].contains("all items"), "{table}");
    for (row, name) in rows[2..].iter().zip(["popular", "itemknn", "ease", "ials"]) {
        assert!(row.starts_with(name), "{table}");
    }
    assert!(rows[3].contains(" to +"), "{table}");
    let chart = std::fs::read(folder.join("chart.png")).unwrap();
    assert!(chart.starts_with(b"\x89PNG"));
    assert_eq!(recommend(&folder, &words).status.code(), Some(1), "a chart that exists");
    // one that fails leaves the others their rows
    std::fs::write(folder.join("wide.csv"), wide()).unwrap();
    let words = ["compare", "--data", "wide.csv", "--methods", "popular,ease", "-q"];
    let output = recommend(&folder, &words);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("ease: EASE needs"), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2 + 1 + 1);
    let words = words.map(|word| if word == "popular,ease" { "ease" } else { word });
    crate::refused(&folder, &words, 1);
    let words =
        ["compare", "--data", "rings.csv", "--methods", "popular,itemknn,ease,ials", "-o", "chart.png", "-q"];
    let again = recommend(&folder, &[&words[..], &["--force", "--json"]].concat());
    let found = lines(&done(&again));
    assert_eq!(found.len(), 4);
    assert!(found[0]["beyond_first"].is_null() && found[1]["beyond_first"][0].as_f64().unwrap() > 0.);
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let folder = folder("seeds");
    rings(&folder, 60);
    let words = [
        "evaluate",
        "--data",
        "rings.csv",
        "--method",
        "multvae",
        "--epochs",
        "3",
        "--width",
        "16",
        "--json",
        "-q",
    ];
    let metrics = |seed: &str| {
        lines(&done(&recommend(&folder, &[&words[..], &["--seed", seed]].concat())))[0]["metrics"].clone()
    };
    assert_eq!(metrics("1"), metrics("1"));
    assert_ne!(metrics("1"), metrics("2"));
}
