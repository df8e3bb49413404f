//! Histories in, lists out.

use std::path::Path;

use crate::{done, fed, folder, golden, ids, lines, recommend};

#[test]
fn help_is_as_it_was() {
    for (words, name) in [(&["--help"][..], "help.txt"), (&["train", "--help"], "help_train.txt")] {
        let help = done(&recommend(&folder("help"), words));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recommend").join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &help).unwrap();
        }
        assert_eq!(
            help,
            std::fs::read_to_string(&path).unwrap(),
            "UPDATE=1 writes tests/recommend/{name} anew"
        );
    }
}

/// A list of the golden model.
fn list(name: &str, words: &[&str]) -> serde_json::Value {
    let model = golden("post");
    let words = [&["--model", &model, "--json", "-q"], words].concat();
    lines(&done(&recommend(&folder(name), &words))).remove(0)
}

#[test]
fn what_was_had_is_left_out_or_not() {
    let plain = list("seen", &["--history-ids", "a3", "a7", "--top", "41"]);
    let all = list("seen", &["--history-ids", "a3", "a7", "--top", "41", "--seen"]);
    assert_eq!((ids(&plain).len(), ids(&all).len()), (39, 41));
    assert!(!ids(&plain).contains(&"a3".into()) && ids(&all).contains(&"a3".into()));
    let without: Vec<String> = ids(&all).into_iter().filter(|id| id != "a3" && id != "a7").collect();
    assert_eq!(ids(&plain), without);
    let scores: Vec<f64> =
        plain["items"].as_array().unwrap().iter().map(|item| item["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]));
    assert_eq!(plain["history"][1]["title"], "Thing, the 7th");
}

#[test]
fn titles_ids_and_stdin_are_one() {
    let folder = folder("ways");
    let model = golden("pre");
    let words = ["--model", &model, "--json", "-q"];
    let said = |more: &[&str]| ids(&lines(&done(&recommend(&folder, &[&words, more].concat())))[0]);
    let by_ids = said(&["--history-ids", "a3", "a7"]);
    assert_eq!(said(&["--history", "thing the 3th", "Thing, The 7TH"]), by_ids);
    assert_eq!(said(&["--history", "a3", "a7"]), by_ids);
    let piped = fed(&folder, &words, b"thing, the 3th\n\nthing, the 7th\n");
    assert_eq!(ids(&lines(&done(&piped))[0]), by_ids);
    assert_ne!(said(&["--history-ids", "a7", "a3"]), by_ids, "the order counts");
}

#[test]
fn lists_are_drawn_filtered_varied_and_explained() {
    let history = ["--history-ids", "a3", "a7", "a9"];
    let with = |more: &[&str]| list("kinds", &[&history, more].concat());
    let best = ids(&with(&[]));
    let drawn = |seed: &str| ids(&with(&["--temperature", "3", "--seed", seed]));
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    assert_eq!(ids(&with(&["--temperature", "0.0001", "--seed", "1"])), best);
    let some = ids(&with(&["--filter", "the 1", "--top", "50"]));
    assert_eq!(some.len(), 11);
    assert!(some.iter().all(|id| id.starts_with("a1")));
    let varied = ids(&with(&["--diverse", "0.9"]));
    assert_eq!((varied.len(), &varied[0]), (10, &best[0]));
    assert_ne!(varied, best);
    let told = with(&["--explain"]);
    let because = told["items"][0]["because"].as_array().unwrap();
    assert!(!because.is_empty() && because.len() <= 3);
    let weights: Vec<f64> = because.iter().map(|reason| reason["weight"].as_f64().unwrap()).collect();
    assert!(weights.windows(2).all(|pair| pair[0] >= pair[1]) && weights.iter().all(|&weight| weight > 0.));
    assert_eq!(ids(&told), best);
}

#[test]
fn what_is_like_an_item() {
    let found = list("like", &["--like", "Thing, the 5th", "--top", "4"]);
    assert_eq!(found["like"]["id"], "a5");
    assert!(!ids(&found).contains(&"a5".into()) && ids(&found).len() <= 4);
}

#[test]
fn many_people_at_once_are_as_each_alone() {
    let (folder, model) = (folder("many"), golden("post"));
    let table = "who,what,when\nann,a3,2\nbob,a9,1\nann,a1,1\n\"c, \"\"d\"\" 🎬\",a4,1\nbob,nothing,2\n";
    std::fs::write(folder.join("new.csv"), table).unwrap();
    let columns = ["--user-column", "who", "--item-column", "what", "--time-column", "when"];
    let words = [&["--model", &model, "--users", "new.csv", "--top", "3"], &columns[..]].concat();
    let output = recommend(&folder, &[&words[..], &["-o", "lists.jsonl"]].concat());
    done(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 rows have items"));
    let found = lines(&std::fs::read_to_string(folder.join("lists.jsonl")).unwrap());
    let people: Vec<&str> = found.iter().map(|line| line["user"].as_str().unwrap()).collect();
    assert_eq!(people, ["ann", "bob", "c, \"d\" 🎬"]);
    let alone = list("many-alone", &["--history-ids", "a1", "a3", "--top", "3"]);
    assert_eq!(ids(&found[0]), ids(&alone));
    let csv = done(&recommend(&folder, &[&words[..], &["-q"]].concat()));
    assert_eq!(csv.lines().count(), 1 + 3 * 3);
    assert!(csv.contains("\"c, \"\"d\"\" 🎬\",1,"), "{csv}");
    // what is piped is read once; a row that comes again counts for nothing
    let piped = fed(&folder, &["--model", &model, "--users", "-", "--top", "3", "--explain"], {
        "user,item\nann,a1\nann,a3\nann,a1\n"
    });
    let rows = done(&piped);
    let rows: Vec<Vec<&str>> = rows.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["user", "rank", "id", "title", "score", "because"]);
    assert_eq!(rows[1..].iter().map(|row| row[2].to_string()).collect::<Vec<_>>(), ids(&alone));
    // nothing known of somebody: the others have their lists
    std::fs::write(folder.join("some.csv"), "user,item\nann,a3\nbob,nothing\n").unwrap();
    let output = recommend(&folder, &["--model", &model, "--users", "some.csv", "-q"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 11);
}
