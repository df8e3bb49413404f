//! Runs: what is done is skipped, what changed is done again, what fails does not stop the rest.

use std::path::Path;

use batch::{Content, Event, Item, Job, Journal, Recipe, Summary, run, write_bytes};

use crate::names_in;

fn item(id: &str, text: &str) -> Item<()> {
    Item { id: id.into(), content: Content::Bytes(text.into()), payload: () }
}

fn recipe() -> Recipe {
    Recipe::new("model@1", &serde_json::json!({ "bars": 8 }), 1).unwrap()
}

/// Writes the content in capitals; "bad" fails, "panic" panics.
fn work(job: &Job<'_, ()>) -> Result<Vec<std::path::PathBuf>, String> {
    let Content::Bytes(bytes) = &job.item.content else { return Err("no bytes".into()) };
    match &bytes[..] {
        b"bad" => Err("bad input\nat byte 0".into()),
        b"panic" => panic!("on purpose"),
        _ => {
            let path = job.output("txt");
            write_bytes(&path, &bytes.to_ascii_uppercase(), job.replace)
                .map_err(|error| error.to_string())?;
            Ok(vec![path])
        }
    }
}

fn run_all(folder: &Path, items: &[Item<()>], recipe: &Recipe, force: bool) -> Summary {
    let mut journal = Journal::open(folder).unwrap();
    run(items, recipe, &mut journal, force, work, |_| ()).unwrap()
}

fn counts(summary: &Summary) -> (usize, usize, usize) {
    (summary.done, summary.skipped, summary.failed.len())
}

#[test]
fn only_what_changed_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let items = [item("a", "one"), item("b", "two"), item("x/c", "one")];
    let check = |items: &[Item<()>], recipe: &Recipe, expected| {
        assert_eq!(counts(&run_all(folder.path(), items, recipe, false)), expected);
    };
    check(&items, &recipe(), (3, 0, 0));
    assert_eq!(names_in(folder.path()), ["a.txt", "b.txt", "journal.jsonl", "x/c.txt"]);
    check(&items, &recipe(), (0, 3, 0));

    // An output that is gone or has another size, an input that changed.
    std::fs::remove_file(folder.path().join("a.txt")).unwrap();
    std::fs::write(folder.path().join("b.txt"), "longer").unwrap();
    check(&items, &recipe(), (2, 1, 0));
    check(&[item("a", "other")], &recipe(), (1, 0, 0));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"OTHER");

    // Another model, other options, another form of output.
    let options = serde_json::json!({ "bars": 8 });
    for recipe in [
        Recipe::new("model@2", &options, 1),
        Recipe::new("model@2", &serde_json::json!({ "bars": 9 }), 1),
        Recipe::new("model@2", &options, 2),
    ] {
        let recipe = recipe.unwrap();
        check(&items, &recipe, (3, 0, 0));
        check(&items, &recipe, (0, 3, 0));
    }
}

#[test]
fn failures_are_listed_and_the_rest_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.mid");
    let mut items = vec![item("a", "bad"), item("b", "ok"), item("c", "panic"), item("b", "again")];
    items.push(Item { id: "d".into(), content: Content::File(missing.clone()), payload: () });
    items.push(item("e", "ok"));
    let out = folder.path().join("out");
    let mut journal = Journal::open(&out).unwrap();
    let mut events = Vec::new();
    let summary = run(&items, &recipe(), &mut journal, false, work, |event| {
        events.push(match event {
            Event::Begun { id, index, total } => format!("begun {id} {index}/{total}"),
            Event::Skipped { id } => format!("skipped {id}"),
            Event::Done { id, outputs } => format!("done {id} {}", outputs.len()),
            Event::Failed { id, .. } => format!("failed {id}"),
        });
    });
    let summary = summary.unwrap();
    assert_eq!(counts(&summary), (2, 0, 4));
    let reasons: Vec<&str> = summary.failed.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons[0], "bad input\nat byte 0");
    assert_eq!(reasons[1], "internal error, please report it: on purpose");
    assert_eq!(reasons[2], "another item of this run has the same name");
    assert!(reasons[3].starts_with(&format!("cannot read {}: No such file", missing.display())));
    let expected = ["begun a 0/6", "failed a", "begun b 1/6", "done b 1", "begun c 2/6", "failed c"];
    assert_eq!(events[..6], expected);
    assert_eq!(events[6..], ["failed b", "failed d", "begun e 5/6", "done e 1"]);
    assert!(!batch::in_item());
    drop(journal);

    // The next run does the failed ones only.
    items.remove(3);
    items[0] = item("a", "good");
    assert_eq!(counts(&run_all(&out, &items, &recipe(), false)), (1, 2, 2));
}

#[test]
fn files_that_no_run_made_need_force() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "mine").unwrap();
    let items = [item("a", "one"), item("b", "two")];
    let summary = run_all(folder.path(), &items, &recipe(), false);
    assert_eq!(counts(&summary), (1, 0, 1));
    assert!(summary.failed[0].1.contains("--force"), "{}", summary.failed[0].1);
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"mine");
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), true)), (1, 1, 0));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"ONE");
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), true)), (0, 2, 0));
}

#[test]
fn an_output_that_was_not_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    let lie = |job: &Job<'_, ()>| Ok::<_, String>(vec![job.output("txt")]);
    let summary = run(&[item("a", "x")], &recipe(), &mut journal, false, lie, |_| ()).unwrap();
    assert_eq!(counts(&summary), (0, 0, 1));
}

#[test]
fn an_output_whose_journal_line_was_cut_off_is_ours_to_replace() {
    let folder = tempfile::tempdir().unwrap();
    Journal::open(folder.path()).unwrap().begin("a", "any").unwrap();
    std::fs::write(folder.path().join("a.txt"), "in place, but killed before the journal said so").unwrap();
    assert_eq!(counts(&run_all(folder.path(), &[item("a", "one")], &recipe(), false)), (1, 0, 0));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"ONE");
}
