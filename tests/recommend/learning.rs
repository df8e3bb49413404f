//! Learning at the terminal: every method, people who come later, a training that is killed.

use std::time::{Duration, Instant};

use crate::{done, fed, folder, ids, lines, program, recommend, rings};

const METHODS: [&str; 6] = ["ease", "ials", "itemknn", "multvae", "sasrec", "gsasrec"];

#[test]
fn every_method_tells_two_tastes_apart_for_people_who_come_later() {
    let folder = folder("tastes");
    rings(&folder, 120);
    for method in METHODS {
        let mut words =
            vec!["train", "--data", "rings.csv", "--out", method, "--method", method, "-q", "--seed", "3"];
        words.extend(["--json", "--regularisation", "2"]);
        if ["sasrec", "gsasrec", "multvae"].contains(&method) {
            words.extend([
                "--epochs",
                "40",
                "--width",
                "32",
                "--dropout",
                "0.1",
                "--learning-rate",
                "0.005",
                "--batch",
                "16",
            ]);
        }
        let said = lines(&done(&recommend(&folder, &words))).remove(0);
        assert_eq!(said["method"], method);
        // nobody has this history alone
        let model = format!("./{method}");
        let words = ["--model", &model, "--history-ids", "red1", "red2", "--top", "5", "--json", "-q"];
        let list = ids(&lines(&done(&recommend(&folder, &words)))[0]);
        // what follows at once is all that SASRec is sure of; the others tell the whole taste
        let sequence = method.ends_with("sasrec");
        let right = list.iter().filter(|id| id.starts_with("red")).count();
        assert!(list[0].starts_with("red") && right >= if sequence { 1 } else { 3 }, "{method}: {list:?}");
        // somebody of the table has a list by id, and what was had is not in it
        let words = ["--model", &model, "--user", "p1", "--top", "3", "--json", "-q"];
        let line = lines(&done(&recommend(&folder, &words))).remove(0);
        assert_eq!(line["history"].as_array().unwrap().len(), 8);
        assert!(ids(&line)[0].starts_with("blue"), "{method}: {line}");
        let words = ["--model", &model, "--like", "red3", "--top", "3", "--json", "-q"];
        let like = ids(&lines(&done(&recommend(&folder, &words)))[0]);
        assert!(sequence || like[0].starts_with("red"), "{method}: {like:?}");
        assert!(!like.contains(&"red3".to_string()), "{method}: {like:?}");
    }
}

#[test]
fn order_is_learned() {
    let folder = folder("order");
    rings(&folder, 200);
    let words =
        ["train", "--data", "rings.csv", "--out", "model", "-q", "--method", "sasrec", "--epochs", "40"];
    let more = [
        "--width",
        "32",
        "--dropout",
        "0.1",
        "--learning-rate",
        "0.005",
        "--batch",
        "16",
        "--seed",
        "1",
        "--json",
    ];
    let said = lines(&done(&recommend(&folder, &[&words[..], &more].concat()))).remove(0);
    assert!(said["metrics"]["hr@5"].as_f64().unwrap() > 0.9, "{said}");
    let words = ["--model", "./model", "--history-ids", "blue2", "blue3", "blue4", "--json", "-q"];
    assert_eq!(ids(&lines(&done(&recommend(&folder, &words)))[0])[0], "blue5");
    assert!(folder.join("model/curve.png").exists());
}

#[test]
fn a_model_without_histories_serves_new_people_alone() {
    let folder = folder("private");
    rings(&folder, 40);
    let words = ["train", "--data", "rings.csv", "--out", "m", "--method", "popular", "--no-histories", "-q"];
    done(&recommend(&folder, &words));
    assert!(!folder.join("m/histories.csv").exists());
    let output = recommend(&folder, &["--model", "./m", "--user", "p1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("keeps no histories"));
    done(&recommend(&folder, &["--model", "./m", "--history-ids", "red1", "-q"]));
    // a model that exists is not replaced unless that is asked
    assert_eq!(recommend(&folder, &words).status.code(), Some(1));
    done(&recommend(&folder, &[&words[..], &["--force"]].concat()));
    // nor does what an older one kept stay behind
    let kept: Vec<&str> = words.into_iter().filter(|word| *word != "--no-histories").collect();
    done(&recommend(&folder, &[&kept[..], &["--force"]].concat()));
    assert!(folder.join("m/histories.csv").exists());
    done(&recommend(&folder, &[&words[..], &["--force"]].concat()));
    assert!(!folder.join("m/histories.csv").exists());
}

#[test]
fn tables_of_many_forms_are_one() {
    let folder = folder("forms");
    let table = rings(&folder, 40);
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let write = |name: &str, row: &dyn Fn(&[&str]) -> String| {
        let text: String = rows.iter().map(|cells| row(cells) + "\n").collect();
        std::fs::write(folder.join(name), text).unwrap();
    };
    write("a.dat", &|cells| format!("{}::{}::5::{}", cells[0], cells[1], cells[2]));
    write("b.tsv", &|cells| format!("{}\t{}\t5\t{}", cells[0], cells[1], cells[2]));
    write("c.csv", &|cells| format!("\"{}\";{};3.5;{}", cells[0], cells[1], cells[2]));
    let counts = |words: &[&str]| {
        let words =
            [&["train", "--method", "popular", "--json", "-q", "--force", "--out", "m"], words].concat();
        let said = lines(&done(&recommend(&folder, &words))).remove(0);
        ["people", "items", "rows"].map(|name| said[name].as_u64().unwrap())
    };
    let plain = counts(&["--data", "rings.csv"]);
    assert_eq!(plain, [40, 24, 320]);
    for name in ["a.dat", "b.tsv"] {
        assert_eq!(counts(&["--data", name]), plain, "{name}");
    }
    let named = ["--user-column", "1", "--item-column", "2", "--time-column", "4", "--no-header"];
    assert_eq!(counts(&[&["--data", "c.csv"], &named[..]].concat()), plain);
    // twice the same rows are once the same things had
    assert_eq!(counts(&["--data", "rings.csv", "rings.csv"]), plain);
    assert_eq!(counts(&["--data", "rings.csv", "rings.csv", "--repeats"]), [40, 24, 640]);
    assert_eq!(counts(&["--data", "rings.csv", "--min-item", "13"])[0], 40);
}

#[test]
fn a_training_that_is_killed_ends_with_the_same_weights() {
    let folder = folder("killed");
    rings(&folder, 200);
    let train = |out: &'static str| {
        let words =
            ["train", "--data", "rings.csv", "--method", "sasrec", "--epochs", "30", "--width", "32", "-q"];
        [&words[..], &["--seed", "5", "--checkpoint", "0.05", "--batch", "16", "--out", out]].concat()
    };
    done(&recommend(&folder, &train("whole")));
    let mut kills = 0;
    while kills < 3 && !folder.join("cut/model.safetensors").exists() {
        let mut child = program(&folder, &train("cut")).spawn().unwrap();
        let began = Instant::now();
        while !folder.join("cut/checkpoint.safetensors").exists() && began.elapsed() < Duration::from_secs(60)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        kills += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(kills > 0, "it was over before it could be killed");
    // on a quick machine the last kill may come too late
    if !folder.join("cut/model.safetensors").exists() {
        done(&recommend(&folder, &train("cut")));
    }
    let weights = |name: &str| std::fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"));
}

#[test]
fn a_parquet_file_is_the_table_that_it_was_made_of() {
    let folder = folder("parquet");
    let tables = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/tables");
    let learned = |name: &str, words: &[&str]| {
        let data = format!("{tables}/{name}");
        let words =
            [&["train", "--data", &data, "--out", name, "--seed", "1", "--json", "-q"], words].concat();
        let said = lines(&done(&recommend(&folder, &words))).remove(0);
        let files =
            ["items.csv", "histories.csv"].map(|file| std::fs::read_to_string(folder.join(name).join(file)));
        (said["held_out"].clone(), files.map(Result::unwrap), said["people"].clone())
    };
    let words = ["--method", "itemknn", "--min-rating", "4"];
    let expected = learned("rows.csv", &words);
    assert!(expected.1[1].contains("115") && expected.1[0].contains("of them"), "{expected:?}");
    for codec in ["snappy", "zstd", "gzip", "lz4"] {
        assert_eq!(learned(&format!("{codec}.parquet"), &words), expected, "{codec}");
    }
    // columns by number count those that are plain: the fourth is that of the ratings
    let by_number =
        ["--user-column", "1", "--item-column", "2", "--rating-column", "4", "--time-column", "5"];
    let found =
        learned("zstd.parquet", &[&words[..], &by_number, &["--title-column", "3", "--force"]].concat());
    assert_eq!(found, expected);
    // from stdin, and what is torn
    let whole = std::fs::read(format!("{tables}/snappy.parquet")).unwrap();
    let words = ["train", "--data", "-", "--out", "piped", "--method", "popular", "-q"];
    done(&fed(&folder, &words, &whole));
    std::fs::write(folder.join("torn.csv"), &whole[..whole.len() / 2]).unwrap();
    let torn = recommend(&folder, &["train", "--data", "torn.csv", "--out", "torn", "-q"]);
    let said = String::from_utf8_lossy(&torn.stderr).into_owned();
    assert_eq!((torn.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("Parquet") && !folder.join("torn").exists(), "{said}");
}
