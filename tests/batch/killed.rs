//! `kill -9` at any moment: the next run goes on, and at the end nothing is missing, doubled or half there.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use batch::{Choice, Content, FileSet, Item, Journal, Recipe, WriteError, run};

use crate::names_in;

const FOLDER: &str = "BATCH_TEST_FOLDER";
const ITEMS: usize = 120;
const KILLS: u32 = 25;

fn content(id: &str, part: &str) -> Vec<u8> {
    format!("{part} of {id}\n").repeat(3000).into_bytes()
}

/// The process that is killed: this very test, started with a folder in its environment.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let items: Vec<Item<()>> = (0..ITEMS)
        .map(|n| {
            let id = format!("{}/item{n}", n % 3);
            Item { content: Content::Bytes(id.clone().into()), id, payload: () }
        })
        .collect();
    let recipe = Recipe::new("m", &(), 1).unwrap();
    let mut journal = Journal::open(Path::new(&folder), None).unwrap();
    let work = |job: &batch::Job<'_, ()>| -> Result<_, WriteError> {
        let mut set = FileSet::new(job.replace);
        let mut paths = Vec::new();
        for part in ["txt", "bin"] {
            let path = job.output(part);
            set.add(&path, |file| {
                // In pieces, so that a kill may fall between them.
                content(&job.item.id, part).chunks(1000).try_for_each(|piece| file.write_all(piece))
            })?;
            paths.push(path);
        }
        set.commit()?;
        Ok(Some(paths))
    };
    let summary = run(&items, &recipe, &mut journal, Choice::default(), work, |_| ()).unwrap();
    assert_eq!((summary.done + summary.skipped, summary.failed), (ITEMS, vec![]));
}

fn start(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["killed::child", "--exact", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_batch_goes_on_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let began = Instant::now();
    assert!(start(&whole).wait().unwrap().success());
    let whole_run = began.elapsed();

    let cut = folder.path().join("cut");
    let mut random = 20_u64;
    for _ in 0..KILLS {
        let mut child = start(&cut);
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // Short enough that most fall into a run that still has work.
        let share = (random >> 40) as f64 / (1u64 << 24) as f64;
        std::thread::sleep(Duration::from_millis(1) + whole_run.mul_f64(share * 0.2));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start(&cut).wait().unwrap().success(), "the last run, which nobody killed");

    let mut expected = vec!["journal.jsonl".to_string()];
    for n in 0..ITEMS {
        for part in ["txt", "bin"] {
            let id = format!("{}/item{n}", n % 3);
            assert_eq!(std::fs::read(cut.join(format!("{id}.{part}"))).unwrap(), content(&id, part));
            expected.push(format!("{id}.{part}"));
        }
    }
    expected.sort();
    assert_eq!(names_in(&cut), expected);

    let (begun, done) = lines(&cut);
    assert_eq!(done.len(), ITEMS);
    assert!(done.values().all(|&times| times == 1), "{done:?}");
    let repeated = begun.values().sum::<usize>() - ITEMS;
    assert!(repeated <= KILLS as usize, "{repeated} items begun again after {KILLS} kills");
}

/// How often each item was begun, and done, by the journal.
fn lines(folder: &Path) -> (HashMap<String, usize>, HashMap<String, usize>) {
    let (mut begun, mut done) = (HashMap::new(), HashMap::new());
    let text = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    for line in text.lines().skip(1) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(item) = line["item"].as_str() else { continue };
        let counts = if line["outputs"].is_null() { &mut begun } else { &mut done };
        *counts.entry(item.to_string()).or_insert(0) += 1;
    }
    (begun, done)
}

#[test]
fn what_a_dead_process_left_is_swept_and_what_is_alive_stays() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join(".atelier-dead.part");
    let live = folder.path().join(".atelier-live.part");
    let other = folder.path().join(".somebody-elses.part");
    for path in [&dead, &live, &other] {
        std::fs::write(path, "half").unwrap();
    }
    let held = std::fs::File::options().write(true).open(&live).unwrap();
    held.lock().unwrap();
    batch::write_bytes(&folder.path().join("a"), b"x", false).unwrap();
    assert_eq!(names_in(folder.path()), [".atelier-live.part", ".somebody-elses.part", "a"]);
}
