//! Whatever is wrong gives one line and an exit code, and writes nothing.

use crate::{fed, folder, golden, recommend, refused, rings};

#[test]
fn flags() {
    let (folder, model) = (folder("flags"), golden("pre"));
    for words in [
        &["--top", "0", "--history", "x"][..],
        &["--temperature", "0", "--history", "x"],
        &["--diverse", "2", "--history", "x"],
        &["--history", "x", "--user", "y"],
        &["--explain", "--like", "x"],
        &["--temperature", "1", "--like", "x"],
        &["--seen", "--like", "x"],
        &["--history", "x", "-o", "list.csv"],
        &["--users", "x.csv", "-o", "folder/"],
        &[],
    ] {
        let said = refused(&folder, &[words, &["--model", &model]].concat(), 2);
        assert!(!said.contains("panic"), "{said}");
    }
    let said = refused(&folder, &["--model", &model], 2);
    assert!(said.contains("recommend --history \"Toy Story\""), "{said}");
    refused(&folder, &["train", "--data", "x.csv", "--out", "m", "--method", "magic"], 2);
    refused(&folder, &["train", "--data", "x.csv", "--out", "m", "--base", "embedded"], 2);
    refused(&folder, &["train", "--data", "x.csv", "--out", "m", "--min-rating", "much"], 2);
    refused(&folder, &["compare", "--data", "x.csv", "--methods", "popular", "-o", "-"], 2);
    rings(&folder, 10);
    let words = ["train", "--data", "rings.csv", "--out", "m", "--method", "sasrec", "--heads", "3", "-q"];
    assert!(refused(&folder, &words, 2).contains("--heads 3"));
    let words = ["evaluate", "--data", "rings.csv", "--protocol", "strong", "--held-out", "0", "-q"];
    assert!(refused(&folder, &words, 2).contains("--held-out 0"));
}

#[test]
fn histories() {
    let (folder, model) = (folder("histories"), golden("pre"));
    let with = |words: &[&str]| refused(&folder, &[&["--model", &model, "-q"], words].concat(), 1);
    let said = with(&["--history", "Thing the 3rd of all"]);
    assert!(said.contains("perhaps Thing, the 3th"), "{said}");
    assert!(with(&["--history-ids", "a33"]).contains("near are"));
    assert!(with(&["--history-ids", ""]).contains("no item"));
    assert!(with(&["--history", ""]).contains("no title"));
    assert!(with(&["--user", "somebody"]).contains("keeps no histories"));
    assert!(with(&["--filter", "genres=Comedy", "--history-ids", "a1"]).contains("no columns"));
    let output = fed(&folder, &["--model", &model, "--history", "-"], b"\n \n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn tables() {
    let folder = folder("tables");
    let cases: [(&str, &str, &[&str]); 17] = [
        ("empty.csv", "", &["empty"]),
        ("heading.csv", "user,item\n", &["no rows"]),
        ("column.csv", "userid,thing\n1,2\n", &["--item", "thing"]),
        ("strange.csv", "alice,spoon\nbob,fork\n", &["--no-header"]),
        ("third.csv", "1,2,3\n4,5,6\n", &["--rating-column 3"]),
        ("one_item.csv", "user,item\na,x\nb,x\nc,x\n", &["one item"]),
        ("rating.csv", "user,item,rating\na,x,4\na,y,good\n", &["line 3", "good"]),
        ("nan.csv", "user,item,rating\na,x,4\na,y,NaN\n", &["line 3", "NaN"]),
        ("time.csv", "user,item,time\na,x,4\n\na,y,late\n", &["line 4", "late"]),
        ("clock.csv", "user,item,time\na,x,2026-01-31 02:30\na,y,2026-01-31 2:99 PM\n", &["line 3", "2:99"]),
        ("short.csv", "user,item\na,x\nb\n", &["line 3", "1 columns"]),
        ("blank.csv", "user,item\na,x\n,y\n", &["line 3", "person"]),
        ("quote.csv", "user,item\na,\"x\nb,y\n", &["line 2", "not closed"]),
        ("p.parquet", "PAR1", &["p.parquet", "Parquet"]),
        ("hidden.csv", "PAR1xxxx", &["Parquet"]),
        ("t.feather", "ARROW1", &["feather", "CSV"]),
        ("bytes.csv", "user,item\na\0,b\n", &["not a table"]),
    ];
    for (name, text, words) in cases {
        std::fs::write(folder.join(name), text).unwrap();
        let said = refused(&folder, &["train", "--data", name, "--out", "m", "-q"], 1);
        for word in words {
            assert!(said.contains(word), "{name}: {said}");
        }
        assert!(!folder.join("m/config.json").exists(), "{name}");
    }
    rings(&folder, 10);
    let with = |words: &[&str]| {
        refused(&folder, &[&["train", "--data", "rings.csv", "--out", "m", "-q"], words].concat(), 1)
    };
    assert!(with(&["--user-column", "usr"]).contains("perhaps user"));
    assert!(with(&["--item-column", "7"]).contains("3 columns"));
    assert!(with(&["--min-user", "99"]).contains("nothing is left"));
    assert!(with(&["--min-rating", "3"]).contains("--rating"));
    std::fs::write(folder.join("others.csv"), "id,title\n9,Nine\n").unwrap();
    assert!(with(&["--items", "others.csv"]).contains("none of its items"));
    assert!(
        refused(&folder, &["train", "--data", "nowhere.csv", "--out", "m", "-q"], 1).contains("nowhere.csv")
    );
    assert!(refused(&folder, &["train", "--data", ".", "--out", "m", "-q"], 1).contains("folder"));
}

#[test]
fn few_people_are_no_reason_to_fail() {
    let folder = folder("few");
    // one person: nothing is held out, and the rest is learned
    std::fs::write(folder.join("one.csv"), "user,item\na,x\na,y\na,z\n").unwrap();
    let words = ["train", "--data", "one.csv", "--out", "m", "-q"];
    assert_eq!(recommend(&folder, &words).status.code(), Some(0));
    let output = recommend(&folder, &["--model", "./m", "--history-ids", "x", "-q"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    // each had one item: nothing follows anything
    std::fs::write(folder.join("single.csv"), "user,item\na,x\nb,y\nc,z\n").unwrap();
    let said =
        refused(&folder, &["train", "--data", "single.csv", "--out", "n", "--method", "sasrec", "-q"], 1);
    assert!(said.contains("two items"), "{said}");
    let said = refused(&folder, &["evaluate", "--data", "single.csv", "--method", "popular", "-q"], 1);
    assert!(said.contains("--protocol full"), "{said}");
}

#[test]
fn models() {
    let folder = folder("models");
    for (name, text) in
        [("none", ""), ("odd", "{\"model_type\": \"llama\"}"), ("new", "{\"method\": \"magic\"}")]
    {
        std::fs::create_dir(folder.join(name)).unwrap();
        if !text.is_empty() {
            std::fs::write(folder.join(name).join("config.json"), text).unwrap();
        }
        refused(&folder, &["--model", &format!("./{name}"), "--history", "x"], 1);
    }
    refused(&folder, &["--model", "./nowhere", "--history", "x"], 1);
    let weights = format!("{}/model.safetensors", golden("pre"));
    assert!(refused(&folder, &["--model", &weights, "--history", "x"], 1).contains("items.csv"));
}
