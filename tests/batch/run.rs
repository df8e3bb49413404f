//! Runs: what is done is skipped, what changed is done again, what fails does not stop the rest.

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use batch::{
    Choice, Content, Event, Item, Job, Journal, JournalError, Recipe, Shard, Summary, run, status,
    write_bytes,
};

use crate::names_in;

fn item(id: &str, text: &str) -> Item<()> {
    Item { id: id.into(), content: Content::Bytes(text.into()), payload: () }
}

fn recipe() -> Recipe {
    Recipe::new("model@1", &serde_json::json!({ "bars": 8 }), 1).unwrap()
}

/// Writes the content in capitals; "bad" fails, "panic" panics.
fn work(job: &Job<'_, ()>) -> Result<Option<Vec<std::path::PathBuf>>, String> {
    let Content::Bytes(bytes) = &job.item.content else { return Err("no bytes".into()) };
    match &bytes[..] {
        b"bad" => Err("bad input\nat byte 0".into()),
        b"panic" => panic!("on purpose"),
        _ => {
            let path = job.output("txt");
            write_bytes(&path, &bytes.to_ascii_uppercase(), job.replace)
                .map_err(|error| error.to_string())?;
            Ok(Some(vec![path]))
        }
    }
}

fn run_all(folder: &Path, items: &[Item<()>], recipe: &Recipe, force: bool) -> Summary {
    let mut journal = Journal::open(folder, None).unwrap();
    run(items, recipe, &mut journal, Choice { force, ..Choice::default() }, work, |_| ()).unwrap()
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
    let mut journal = Journal::open(&out, None).unwrap();
    let mut events = Vec::new();
    let summary = run(&items, &recipe(), &mut journal, Choice::default(), work, |event| {
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
    assert_eq!(reasons[1], "another item of this run has the same name");
    assert!(reasons[2].starts_with(&format!("cannot read {}: No such file", missing.display())));
    assert_eq!(reasons[3], "internal error, please report it: on purpose");
    // what is next is looked for while one is at work
    let expected = ["begun a 0/6", "failed a", "begun b 1/6", "begun c 2/6"];
    assert_eq!(events[..4], expected);
    assert_eq!(events[4..], ["failed b", "failed d", "done b 1", "failed c", "begun e 5/6", "done e 1"]);
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
    // nor does a second run, which finds the first one's journal, nor one that tries what failed
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), false)), (0, 1, 1));
    let again = Choice { failed_only: true, ..Choice::default() };
    assert_eq!(counts(&choose(folder.path(), &items, again)), (0, 0, 1));
    // nor one after a kill
    Journal::open(folder.path(), None).unwrap().begin("a", "k", true).unwrap();
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), false)), (0, 1, 1));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"mine");
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), true)), (1, 1, 0));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"ONE");
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), true)), (0, 2, 0));
}

#[test]
fn what_another_file_of_the_same_name_became_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let file = |place: &str, text: &str| {
        let path = folder.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        Item { id: "n".into(), content: Content::File(path), payload: () }
    };
    let copy = |job: &Job<'_, ()>| {
        let Content::File(path) = &job.item.content else { panic!() };
        let (text, to) = (std::fs::read(path).unwrap(), job.output("txt"));
        write_bytes(&to, &text, job.replace).map(|_| Some(vec![to])).map_err(|error| error.to_string())
    };
    let copied = |item: &Item<()>, force: bool| {
        let mut journal = Journal::open(&out, None).unwrap();
        let choice = Choice { force, ..Choice::default() };
        run(std::slice::from_ref(item), &recipe(), &mut journal, choice, copy, |_| ()).unwrap()
    };
    let (x, y) = (file("x/n.txt", "one"), file("y/n.txt", "two"));
    assert_eq!(counts(&copied(&x, false)), (1, 0, 0));
    let refused = copied(&y, false);
    assert_eq!(counts(&refused), (0, 0, 1));
    assert!(refused.failed[0].1.contains("x/n.txt") && refused.failed[0].1.contains("--force"));
    assert_eq!(std::fs::read(out.join("n.txt")).unwrap(), b"one");
    assert_eq!(counts(&copied(&x, false)), (0, 1, 0));
    // the same file, changed, is done again
    assert_eq!(counts(&copied(&file("x/n.txt", "three"), false)), (1, 0, 0));
    assert_eq!(counts(&copied(&y, true)), (1, 0, 0));
    assert_eq!(std::fs::read(out.join("n.txt")).unwrap(), b"two");
}

#[test]
fn an_output_that_was_not_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), None).unwrap();
    let lie = |job: &Job<'_, ()>| Ok::<_, String>(Some(vec![job.output("txt")]));
    let summary = run(&[item("a", "x")], &recipe(), &mut journal, Choice::default(), lie, |_| ()).unwrap();
    assert_eq!(counts(&summary), (0, 0, 1));
}

#[test]
fn an_output_whose_journal_line_was_cut_off_is_ours_to_replace() {
    let folder = tempfile::tempdir().unwrap();
    Journal::open(folder.path(), None).unwrap().begin("a", "any", false).unwrap();
    std::fs::write(folder.path().join("a.txt"), "in place, but killed before the journal said so").unwrap();
    assert_eq!(counts(&run_all(folder.path(), &[item("a", "one")], &recipe(), false)), (1, 0, 0));
    assert_eq!(std::fs::read(folder.path().join("a.txt")).unwrap(), b"ONE");
}

fn choose(folder: &Path, items: &[Item<()>], choice: Choice) -> Summary {
    let mut journal = Journal::open(folder, choice.shard).unwrap();
    run(items, &recipe(), &mut journal, choice, work, |_| ()).unwrap()
}

#[test]
fn what_failed_is_listed_and_can_be_tried_alone() {
    let folder = tempfile::tempdir().unwrap();
    let list = || std::fs::read_to_string(folder.path().join("failed.jsonl")).unwrap_or_default();
    let items = [item("a", "one"), item("b", "bad"), item("c", "panic"), item("d", "two")];
    assert_eq!(counts(&choose(folder.path(), &items[..3], Choice::default())), (1, 0, 2));
    assert_eq!(
        list(),
        "{\"item\":\"b\",\"reason\":\"bad input\\nat byte 0\"}\n\
         {\"item\":\"c\",\"reason\":\"internal error, please report it: on purpose\"}\n"
    );
    let found = status(folder.path()).unwrap();
    assert_eq!((found.items, found.done, found.failed, found.running), (3, 1, 2, 0));
    assert_eq!(found.failures[0], ("b".to_string(), "bad input\nat byte 0".to_string()));
    // b is mended; d, which is new, is not done yet
    let mended = [item("a", "one"), item("b", "good"), item("c", "panic"), item("d", "two")];
    let again = Choice { failed_only: true, ..Choice::default() };
    assert_eq!(counts(&choose(folder.path(), &mended, again)), (1, 0, 1));
    assert!(list().contains("\"c\"") && !list().contains("\"b\"") && !folder.path().join("d.txt").exists());
    // killed while it was tried again: it is tried once more
    Journal::open(folder.path(), None).unwrap().begin("c", "k", false).unwrap();
    assert_eq!(counts(&choose(folder.path(), &mended, again)), (0, 0, 1));
    let whole = [item("a", "one"), item("b", "good"), item("c", "three"), item("d", "two")];
    assert_eq!(counts(&choose(folder.path(), &whole, Choice::default())), (2, 2, 0));
    assert!(!folder.path().join("failed.jsonl").exists());
    std::fs::remove_file(folder.path().join("a.txt")).unwrap();
    let found = status(folder.path()).unwrap();
    assert_eq!((found.items, found.done, found.failed, found.gone), (4, 3, 0, 1));
    assert!(status(&folder.path().join("nowhere")).is_err());
}

#[test]
fn parts_of_a_list_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..20).map(|i| format!("text {i}")).collect();
    let items: Vec<Item<()>> =
        texts.iter().enumerate().map(|(i, text)| item(&format!("i{i}"), text)).collect();
    let part = |number: usize| Choice { shard: Some(Shard { number, count: 3 }), ..Choice::default() };
    // one of them waits within its first item until the other two are done
    let mut journal = Journal::open(folder.path(), part(1).shard).unwrap();
    let first = std::sync::Once::new();
    let slow = |job: &Job<'_, ()>| {
        first.call_once(|| {
            assert_eq!(counts(&choose(folder.path(), &items, part(2))), (7, 0, 0));
            assert_eq!(counts(&choose(folder.path(), &items, part(3))), (6, 0, 0));
            assert_eq!(status(folder.path()).unwrap().running, 1);
            // no run of the whole list beside them, nor of other parts
            let busy = |shard| matches!(Journal::open(folder.path(), shard), Err(JournalError::Busy(_)));
            assert!(busy(None) && busy(Some(Shard { number: 2, count: 2 })));
        });
        work(job)
    };
    let summary = run(&items, &recipe(), &mut journal, part(1), slow, |_| ()).unwrap();
    drop(journal);
    assert_eq!(counts(&summary), (7, 0, 0));
    let found = status(folder.path()).unwrap();
    assert_eq!((found.items, found.done, found.running), (20, 20, 0));
    assert_eq!(counts(&choose(folder.path(), &items, part(2))), (0, 7, 0));
    // whoever runs there then, of whichever part, knows what all did
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), false)), (0, 20, 0));
    let longer: Vec<Item<()>> = [item("new", "new")].into_iter().chain(items).collect();
    let all: Vec<Summary> = (1..=3).map(|number| choose(folder.path(), &longer, part(number))).collect();
    assert_eq!(all.iter().map(|summary| summary.skipped).sum::<usize>(), 20);
    assert!(all.iter().all(|summary| summary.failed.is_empty()));
    let found = status(folder.path()).unwrap();
    assert_eq!((found.items, found.done, found.failed), (21, 21, 0));
}

#[test]
fn a_run_that_is_stopped_ends_there() {
    let folder = tempfile::tempdir().unwrap();
    let items = [item("a", "one"), item("b", "two"), item("c", "three")];
    let mut journal = Journal::open(folder.path(), None).unwrap();
    let stop = |job: &Job<'_, ()>| if job.item.id == "b" { Ok(None) } else { work(job) };
    let summary = run(&items, &recipe(), &mut journal, Choice::default(), stop, |_| ()).unwrap();
    drop(journal);
    assert!(summary.stopped && counts(&summary) == (1, 0, 0));
    let found = status(folder.path()).unwrap();
    assert_eq!((found.items, found.done, found.begun), (3, 1, 1));
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), false)), (2, 1, 0));
}

#[test]
fn several_are_at_work_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> =
        (0..50).map(|i| if i % 10 == 7 { "bad".into() } else { format!("text {i}") }).collect();
    let items: Vec<Item<()>> =
        texts.iter().enumerate().map(|(i, text)| item(&format!("i{i}"), text)).collect();
    let jobs = 3;
    let choice = Choice { jobs: jobs.try_into().unwrap(), ..Choice::default() };
    let at_work: Vec<AtomicBool> = (0..jobs).map(|_| AtomicBool::new(false)).collect();
    // the first three wait for each other
    let together = Barrier::new(jobs);
    let busy = |job: &Job<'_, ()>| {
        assert!(!at_work[job.lane].swap(true, Ordering::SeqCst), "two in a lane");
        if ["i0", "i1", "i2"].contains(&job.item.id.as_str()) {
            together.wait();
        }
        let result = work(job);
        at_work[job.lane].store(false, Ordering::SeqCst);
        result
    };
    let mut journal = Journal::open(folder.path(), None).unwrap();
    let summary = run(&items, &recipe(), &mut journal, choice, busy, |_| ()).unwrap();
    drop(journal);
    assert_eq!(counts(&summary), (45, 0, 5));
    assert_eq!(counts(&run_all(folder.path(), &items, &recipe(), false)), (0, 45, 5));
}
