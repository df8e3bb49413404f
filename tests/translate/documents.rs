//! Files of every kind: the same structure in another language, killed and resumed, with every line in its place.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{done, fed, folder, golden, program, translate};

const WORDS: [&str; 8] = ["--from", "en", "--to", "fr", "--beam", "1", "--max-tokens", "6"];

fn model() -> String {
    golden("madlad")
}

/// A document in French, or so.
#[track_caller]
fn translated(name: &str, text: &str, more: &[&str]) -> String {
    let folder = folder(&format!("document-{}", name.replace('.', "-")));
    std::fs::write(folder.join(name), text).unwrap();
    let out = format!("out.{}", name.rsplit('.').next().unwrap());
    let model = model();
    let words = [&["--model", &model, "-o", &out, "-q", name][..], &WORDS, more].concat();
    assert_eq!(done(&translate(&folder, &words)).trim(), out);
    let found = std::fs::read_to_string(folder.join(&out)).unwrap();
    assert_ne!(found, text, "nothing was translated");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    found
}

#[test]
fn a_text_keeps_its_lines() {
    let text = "Where is the library?\n\n  It is here. We open at nine.  \r\n\t\n12:45\nlast line";
    let found = translated("a.txt", text, &[]);
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (found.split('\n').collect(), text.split('\n').collect());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let white = |text: &str| {
            let start = text.len() - text.trim_start().len();
            (text[..start].to_string(), text[text.trim_end().len()..].to_string())
        };
        if theirs.trim().is_empty() || *theirs == "12:45" {
            assert_eq!(ours, theirs);
        } else {
            assert_eq!(white(ours), white(theirs));
        }
    }
}

/// A JSON value with every string the same.
fn shape(value: &Value) -> Value {
    match value {
        Value::String(_) => "s".into(),
        Value::Array(all) => all.iter().map(shape).collect(),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(key, value)| (key.clone(), shape(value))).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn json_keeps_its_shape() {
    let text = "{\n  \"title\": \"The market\",\n  \"price\": 12.50, \"tags\": [\"tea\", null, {\"id\": \"Water\"}]\n}\n";
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let found = translated("a.json", text, &[]);
    assert_eq!(shape(&parse(&found)), shape(&parse(text)));
    assert_ne!(parse(&found)["title"], parse(text)["title"]);
    let chosen = translated("b.json", text, &["--keys", "title"]);
    assert_eq!(parse(&chosen)["tags"], parse(text)["tags"]);
}

#[test]
fn subtitles_keep_their_times() {
    let text = "1\n00:00:01,000 --> 00:00:02,500\nWhere is the\n\n2\n00:00:03,000 --> 00:00:04,000\nold library?\n\n3\n00:00:05,000 --> 00:00:06,000\nIt is here.\n";
    let found = translated("a.srt", text, &[]);
    let (ours, theirs) =
        (media::subtitles::parse_srt(&found).unwrap(), media::subtitles::parse_srt(text).unwrap());
    let times =
        |cues: &[media::subtitles::Cue]| cues.iter().map(|cue| (cue.start, cue.end)).collect::<Vec<_>>();
    assert_eq!(times(&ours), times(&theirs));
    let vtt = format!("WEBVTT\n\n{}", text.replace(',', "."));
    let found = translated("a.vtt", &vtt, &[]);
    assert_eq!(times(&media::subtitles::parse_vtt(&found).unwrap()), times(&theirs));
}

#[test]
fn tables_markdown_and_html_keep_what_is_no_text() {
    let csv = translated("a.csv", "id,text\n1,\"The water, cold\"\n2,A boat\n", &["--columns", "text"]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!((rows.len(), rows[0]), (3, "id,text"));
    assert!(rows[1].starts_with("1,") && rows[2].starts_with("2,"));
    let md = translated(
        "a.md",
        "# The market\n\nSee `code` and [the page](http://x.org/a b).\n\n```\nlet x;\n```\n",
        &[],
    );
    assert!(md.starts_with("# ") && md.contains("`code`") && md.ends_with("```\nlet x;\n```\n"), "{md}");
    let html = translated(
        "a.html",
        "<p class=\"a\">The <b>old</b> market<br>is here</p><!-- note --><script>var a;</script>",
        &[],
    );
    for part in ["<p class=\"a\">", "<b>", "</b>", "<br>", "</p><!-- note --><script>var a;</script>"] {
        assert_eq!(html.matches(part).count(), 1, "{part}: {html}");
    }
}

#[test]
fn placeholders_survive() {
    let found =
        translated("c.txt", "Hello {name}, you have %d letters.\nSee https://example.org now.\n", &[]);
    let lines: Vec<&str> = found.lines().collect();
    assert!(lines[0].contains("{name}") && lines[0].contains("%d"), "{found}");
    assert!(lines[1].contains("https://example.org"), "{found}");
}

#[test]
fn a_long_file_that_is_killed_goes_on() {
    let folder = folder("killed");
    // more than one window, all different
    let text: String = (0..700).map(|i| format!("line {i} of the market\n")).collect();
    std::fs::write(folder.join("long.txt"), &text).unwrap();
    let model = model();
    let words = [&["--model", &model, "-q", "--batch", "8", "long.txt"][..], &WORDS].concat();
    let whole = done(&translate(&folder, &words));
    assert_eq!(whole.lines().count(), 700);
    let to_file = [&words[..], &["-o", "out.txt"]].concat();
    let partial = folder.join("out.txt.partial");
    let mut kills = 0;
    for wait in [0, 64, 192] {
        let mut child = program(&folder, &to_file).spawn().unwrap();
        let began = Instant::now();
        // killed when so many lines are on disk
        let lines = || std::fs::read_to_string(&partial).map_or(0, |text| text.lines().count());
        while lines() <= wait
            && began.elapsed() < Duration::from_secs(60)
            && child.try_wait().unwrap().is_none()
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        assert!(!folder.join("out.txt").exists());
    }
    assert!(kills >= 2, "it was over before it could be killed");
    done(&translate(&folder, &to_file));
    assert_eq!(std::fs::read_to_string(folder.join("out.txt")).unwrap(), whole);
    assert!(!partial.exists());
}

#[test]
fn a_long_file_of_a_folder_inside_and_stdin_go_into_a_folder() {
    let folder = folder("inside");
    std::fs::create_dir_all(folder.join("in/sub")).unwrap();
    let text: String = (0..200).map(|i| format!("line {i}\n")).collect();
    std::fs::write(folder.join("in/sub/long.txt"), text).unwrap();
    std::fs::write(folder.join("in/README"), "The market.\n").unwrap();
    let model = model();
    let always = [&["--model", &model, "-q", "--batch", "8"][..], &WORDS].concat();
    let run = |words: &[&str]| done(&translate(&folder, &[words, &always].concat()));
    run(&["in/sub", "in/README", "-o", "in/fr/"]);
    assert!(folder.join("in/fr/long.txt").exists() && folder.join("in/fr/README.txt").exists());
    // what came out is no input, where it lies among the inputs
    run(&["in", "--recursive", "-o", "in/fr/"]);
    assert!(folder.join("in/fr/sub/long.txt").exists() && !folder.join("in/fr/fr").exists());
    let piped = |text: &str| {
        done(&fed(&folder, &[&["-", "-o", "out/"], &always[..]].concat(), text));
        std::fs::read_to_string(folder.join("out/text-1.txt")).unwrap()
    };
    let first = piped("The market.");
    assert_ne!(piped("The boat."), first);
}

#[test]
fn a_folder_is_done_once() {
    let folder = folder("batch");
    std::fs::create_dir(folder.join("in")).unwrap();
    std::fs::write(folder.join("in/a.txt"), "The market.\n").unwrap();
    std::fs::write(folder.join("in/b.md"), "# The boat\n").unwrap();
    std::fs::write(folder.join("in/c.srt"), "1\n00:00:01,000 --> nine\nHello\n").unwrap();
    let model = model();
    let words = [&["--model", &model, "in", "-o", "out/"][..], &WORDS].concat();
    let output = translate(&folder, &words);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("line 2") && said.contains("2 written, 0 done before, 1 failed"), "{said}");
    std::fs::remove_file(folder.join("in/c.srt")).unwrap();
    let output = translate(&folder, &words);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("0 written, 2 done before"));
}

#[test]
fn stdin_is_a_text() {
    let folder = folder("stdin");
    let model = model();
    let words = [&["--model", &model, "-q"][..], &WORDS].concat();
    let found = done(&fed(&folder, &words, b"Where is it?\n\nHere.\n"));
    assert_eq!(found.matches('\n').count(), 3);
    assert_eq!(done(&fed(&folder, &[&words[..], &["-"]].concat(), b"Where is it?\n\nHere.\n")), found);
    assert_eq!(done(&fed(&folder, &words, b"")), "");
}

#[test]
fn a_list_says_what_is_translated_and_what_it_is_called() {
    let folder = folder("list");
    std::fs::create_dir(folder.join("in")).unwrap();
    for name in ["a.txt", "b.txt", "c.md"] {
        std::fs::write(folder.join("in").join(name), "The market.\n").unwrap();
    }
    std::fs::create_dir_all(folder.join("deep/x")).unwrap();
    std::fs::write(folder.join("deep/x/page.md"), "# The boat\n").unwrap();
    let model = model();
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.join("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    };
    let run = |words: &[&str], stdin: &str| {
        let _ = std::fs::remove_dir_all(folder.join("out"));
        let words = [&["--model", &model, "-o", "out/"][..], words, &WORDS].concat();
        let output = fed(&folder, &words, stdin.as_bytes());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // lines are what could be typed, patterns too
    assert_eq!(run(&["--list", "-"], "in/*.txt\nThe boat.\n").0, Some(0));
    assert_eq!(names(), ["a.txt", "b.txt", "journal.jsonl", "text-1.txt"]);
    // what lay in folders below a folder still does
    assert_eq!(run(&["deep", "--recursive", "in/[bc].*"], "").0, Some(0));
    assert_eq!(names(), ["b.txt", "c.md", "journal.jsonl", "x"]);
    assert!(folder.join("out/x/page.md").exists());
    // objects name their results, and a file that is not there fails alone
    let jobs = "{\"text\": \"The boat.\", \"id\": \"boats/1\"}\n{\"text\": \"Hello.\"}\n{\"input\": \"in/a.txt\"}\n\
                {\"input\": \"in/gone.txt\"}\n";
    let (code, said) = run(&["--list", "-", "--jobs-in-flight", "3"], jobs);
    assert!(code == Some(3) && said.contains("3 written, 0 done before, 1 failed"), "{said}");
    assert_eq!(names(), ["a.txt", "boats", "failed.jsonl", "journal.jsonl", "text-1.txt"]);
    assert_eq!(std::fs::read_dir(folder.join("out/boats")).unwrap().count(), 1);
    for (jobs, reason) in [
        (
            "{\"text\": \"a\", \"id\": \"a\"}\n{\"text\": \"b\", \"id\": \"a\"}\n",
            "line 2: the id \"a\" is that of line 1",
        ),
        (
            "{\"text\": \"a\", \"id\": \"a\"}\n{\"input\": \"in/a.txt\"}\n",
            "the name of another input's result",
        ),
        ("in/gone.txt\n", "line 1: in/gone.txt: there is no such file"),
    ] {
        let (code, said) = run(&["--list", "-"], jobs);
        assert!(code == Some(2) && said.contains(reason) && said.lines().count() == 1, "{said}");
    }
    let (code, said) = run(&["-", "--list", "-"], "");
    assert!(code == Some(2) && said.contains("once only"), "{said}");
}
