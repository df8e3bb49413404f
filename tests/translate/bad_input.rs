//! Whatever is wrong gives one line and an exit code, and writes nothing.

use crate::{folder, golden, refused, translate};

#[test]
fn flags() {
    let (folder, model) = (folder("flags"), golden("m2m100"));
    for words in [
        &["--beam", "0", "x"][..],
        &["--max-tokens", "0", "x"],
        &["--length-penalty", "wide", "x"],
        &["--on-loop", "sing", "x"],
        &["--via", "en", "x"],
        &["--format", "docx", "x"],
        &["-", "-"],
        &["none.txt"],
        &["no/such/file"],
        &[],
    ] {
        refused(&folder, &[words, &["--model", &model, "--from", "en", "--to", "fr"]].concat(), 2);
    }
}

#[test]
fn languages() {
    let (folder, model) = (folder("languages"), golden("m2m100"));
    let said = refused(&folder, &["--model", &model, "--from", "en", "--to", "frenhc", "x y"], 1);
    assert!(said.contains("perhaps french"), "{said}");
    let said = refused(&folder, &["--model", &model, "--from", "en", "x y"], 1);
    assert!(said.contains("--to"), "{said}");
    let said = refused(&folder, &["--model", &model, "--to", "fr", "x y"], 1);
    assert!(said.contains("--from"), "{said}");
    let said = refused(&folder, &["--model", &golden("marian"), "--to", "de", "x y"], 1);
    assert!(said.contains("fra") && said.contains("por"), "{said}");
    let said = refused(&folder, &["--from", "de", "--to", "fr", "x y"], 1);
    assert!(said.contains("opus-mt-de-en --then opus-mt-en-fr"), "{said}");
    let said = refused(&folder, &["--from", "klingon", "--to", "fr", "x y"], 2);
    assert!(said.contains("klingon"), "{said}");
}

#[test]
fn files() {
    let (folder, model) = (folder("files"), golden("madlad"));
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("latin.txt", b"one\ntwo caf\xe9\n");
    write("broken.json", b"{\"a\": \"b\"");
    write("broken.srt", b"1\n00:00:01,000 --> never\nx\n");
    write("wide.txt", b"\xff\xfeh\0i\0");
    let words = ["--model", &model, "--from", "en", "--to", "fr"];
    for (name, place) in
        [("latin.txt", "line 2"), ("broken.json", "line 1"), ("broken.srt", "line 2"), ("wide.txt", "UTF-16")]
    {
        let said = refused(&folder, &[&words[..], &[name]].concat(), 1);
        assert!(said.contains(place) && said.contains(name), "{said}");
        refused(&folder, &[&words[..], &[name, "-o", "out.txt"]].concat(), 1);
        assert!(!folder.join("out.txt").exists() && !folder.join("out.txt.partial").exists());
    }
    write("empty.txt", b"");
    assert_eq!(translate(&folder, &[&words[..], &["empty.txt"]].concat()).status.code(), Some(0));
    assert_eq!(
        translate(&folder, &[&words[..], &["--lossy", "--max-tokens", "3", "latin.txt"]].concat())
            .status
            .code(),
        Some(0)
    );
    let said = refused(&folder, &[&words[..], &["--alternatives", "2", "latin.txt"]].concat(), 2);
    assert!(said.contains("--alternatives"), "{said}");
}

#[test]
fn models() {
    let folder = folder("models");
    for (name, text) in [("none", ""), ("odd", "{\"model_type\": \"llama\"}"), ("cut", "{\"model_type\":")] {
        std::fs::create_dir(folder.join(name)).unwrap();
        if !text.is_empty() {
            std::fs::write(folder.join(name).join("config.json"), text).unwrap();
        }
        refused(&folder, &["--model", &format!("./{name}"), "--from", "en", "--to", "fr", "x y"], 1);
    }
    refused(&folder, &["--model", "./nowhere", "--from", "en", "--to", "fr", "x y"], 1);
}

#[test]
fn data_to_learn_from() {
    let folder = folder("data");
    std::fs::write(folder.join("none.tsv"), "alone\n").unwrap();
    std::fs::write(folder.join("a.txt"), "one\ntwo\n").unwrap();
    std::fs::write(folder.join("b.txt"), "un\n").unwrap();
    let words = ["train", "--from", "en", "--to", "fr", "--out", "m", "-q", "--data"];
    for (data, said) in [
        (&["none.tsv"][..], "no line has"),
        (&["a.txt", "b.txt"], "has 2 lines"),
        (&["nowhere.tsv"], "nowhere"),
        (&["a.txt"], "no line has"),
    ] {
        let found = refused(&folder, &[&words[..], data].concat(), 1);
        assert!(found.contains(said), "{found}");
    }
    assert!(!folder.join("m").exists());
}
