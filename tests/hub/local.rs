//! What needs no network: folders, embedded bytes, the cache, and the verbs of `models`.

use std::fs;
use std::path::Path;

use hub::{Env, Location, Options, list, pull, remove, resolve, show};

use crate::server::{Answer, COMMIT};
use crate::{REPO, WANTS, World, check_error, env, fetch};

const NOWHERE: &str = "http://127.0.0.1:9";

fn offline(name: &str, cache: &Path) -> hub::Result<hub::Resolved> {
    let env = Env { offline: true, ..env(NOWHERE, cache) };
    resolve(name, None, &Options { offline: false, wants: WANTS }, &env, &mut |_, _, _| {})
}

/// A snapshot as huggingface_hub leaves it: relative links, the ref without a newline, a .no_exist folder.
fn python_made(cache: &Path, files: &[(&str, &str)]) {
    let root = cache.join("models--owner--name");
    let snapshot = root.join("snapshots").join(COMMIT);
    fs::create_dir_all(root.join("blobs")).unwrap();
    fs::create_dir_all(root.join("refs")).unwrap();
    fs::create_dir_all(root.join(".no_exist").join(COMMIT)).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(root.join("refs/main"), COMMIT).unwrap();
    for (at, (name, text)) in files.iter().enumerate() {
        fs::write(root.join(format!("blobs/{at:040}")), text).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(format!("../../blobs/{at:040}"), snapshot.join(name)).unwrap();
        #[cfg(not(unix))]
        fs::write(snapshot.join(name), text).unwrap();
    }
}

#[test]
fn a_snapshot_of_python_is_read_offline() {
    let cache = tempfile::tempdir().unwrap();
    python_made(cache.path(), &[("config.json", "{}"), ("model.safetensors", "w")]);
    for name in [REPO, "owner/name@main", &format!("owner/name@{COMMIT}")] {
        let resolved = offline(name, cache.path()).unwrap();
        let Location::Dir(folder) = resolved.location else { panic!("{name}") };
        assert_eq!(fs::read_to_string(folder.join("model.safetensors")).unwrap(), "w");
        assert_eq!(resolved.revision.as_deref(), Some(COMMIT));
    }
}

#[test]
fn offline_says_what_is_missing() {
    let check = |files: &[(&str, &str)], name: &str, words: &[&str]| {
        let cache = tempfile::tempdir().unwrap();
        if !files.is_empty() {
            python_made(cache.path(), files);
        }
        check_error(offline(name, cache.path()), words);
    };
    check(
        &[],
        REPO,
        &["it is not in the cache", "network is off", "models pull owner/name", "HF_HUB_OFFLINE"],
    );
    check(&[], "musicgen-small", &["models pull musicgen-small"]);
    check(
        &[("config.json", "{}")],
        REPO,
        &["no file model*.safetensors or pytorch_model*.bin is in the cache"],
    );
    check(&[("config.json", "{}")], "owner/name@v2", &["revision v2 is not, though @0123456789"]);
}

#[test]
fn offline_counts_the_shards() {
    let cache = tempfile::tempdir().unwrap();
    let index = r#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#;
    let files =
        [("config.json", "{}"), ("model-1.safetensors", "w"), ("model.safetensors.index.json", index)];
    python_made(cache.path(), &files);
    let wants = [hub::Want::required(&["model*.safetensors"]), hub::Want::optional(&["*.index.json"])];
    let env = env(NOWHERE, cache.path());
    let result = resolve(REPO, None, &Options { offline: true, wants: &wants }, &env, &mut |_, _, _| {});
    check_error(result, &["model-2.safetensors, which model.safetensors.index.json names, is not"]);
}

#[test]
fn offline_asks_nobody() {
    let world = World::honest();
    let offline = Env { offline: true, ..world.env() };
    check_error(fetch(REPO, &offline), &["network is off"]);
    world.resolve().unwrap();
    let before = world.server.seen().len();
    world.check_whole(&fetch(REPO, &offline).unwrap());
    assert_eq!(world.server.seen().len(), before);
}

#[test]
fn a_hub_that_does_not_answer_gives_way_to_the_cache_and_says_so() {
    let world = World::honest();
    world.resolve().unwrap();
    for status in [503, 401] {
        let down = World::new(move |_, _| Answer::new(status, ""));
        let env = env(&down.server.url, world.home.path());
        let resolved = fetch(REPO, &env).unwrap();
        world.check_whole(&resolved);
        let note = resolved.note.unwrap();
        assert!(note.contains(&status.to_string()) && note.contains("cached copy"), "{note}");
        assert_eq!(down.server.seen().len(), 1);
    }
    let gone = World::new(|_, _| Answer::new(404, "").with("X-Error-Code", "RevisionNotFound"));
    check_error(fetch(REPO, &env(&gone.server.url, world.home.path())), &["no revision"]);
}

#[test]
fn local_names_need_no_network() {
    let home = tempfile::tempdir().unwrap();
    let env = env(NOWHERE, home.path());
    let find = |name: &str, embedded| resolve(name, embedded, &Options::default(), &env, &mut |_, _, _| {});
    let folder = home.path().join("model");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("x.GGUF");
    fs::write(&file, "").unwrap();
    fs::write(folder.join("notes.txt"), "").unwrap();

    let found = find(folder.to_str().unwrap(), None).unwrap();
    assert!(matches!(found.location, Location::Dir(path) if path == folder));
    assert!(
        matches!(find(file.to_str().unwrap(), None).unwrap().location, Location::File(path) if path == file)
    );
    check_error(find(folder.join("notes.txt").to_str().unwrap(), None), &["neither .gguf nor .safetensors"]);
    check_error(find(folder.join("none").to_str().unwrap(), None), &["no such file or folder"]);

    let bytes: hub::Embedded = &[("config.json", b"{}")];
    assert!(
        matches!(find("embedded", Some(bytes)).unwrap().location, Location::Embedded(files) if files.len() == 1)
    );
    check_error(find("embedded", None), &["no embedded model"]);
}

#[test]
fn a_cache_that_cannot_be_written_is_one_line() {
    let world = World::honest();
    let blocked = world.home.path().join("file");
    fs::write(&blocked, "").unwrap();
    let env = Env { cache: blocked.join("hub"), ..world.env() };
    check_error(fetch(REPO, &env), &[&blocked.display().to_string()]);
}

#[test]
fn cached_and_known_models_are_listed() {
    let world = World::honest();
    world.resolve().unwrap();
    let listed = list(&world.env(), Some("music-gen"));
    assert_eq!(listed[0].repo, REPO);
    assert_eq!(listed[0].revisions, [(COMMIT.to_owned(), vec!["main".to_owned()])]);
    let expected: usize =
        crate::files().iter().filter(|f| f.name != "pytorch_model.bin").map(|f| f.bytes.len()).sum();
    assert_eq!(listed[0].bytes, expected as u64);
    let small = listed.iter().find(|model| model.repo == "facebook/musicgen-small").unwrap();
    assert!(small.bytes == 0 && small.entry.is_some_and(|entry| entry.licence == "CC-BY-NC-4.0"));
    assert!(listed.iter().all(|model| model.entry.is_none_or(|entry| entry.app == "music-gen")));
    assert!(list(&env(NOWHERE, Path::new("/no/such/cache")), None).iter().all(|model| model.bytes == 0));
}

#[test]
fn a_model_is_shown() {
    let cache = tempfile::tempdir().unwrap();
    python_made(cache.path(), &[("README.md", "---\nlicense: mit\n---\n"), ("config.json", "{}")]);
    let env = env(NOWHERE, cache.path());
    let shown = show(REPO, None, &env).unwrap();
    assert_eq!((shown.licence.as_deref(), shown.revision.as_deref()), (Some("mit"), Some(COMMIT)));
    assert_eq!(shown.files[1], ("config.json".to_owned(), 2));
    let known = show("musicgen-small", None, &env).unwrap();
    assert!(known.path.is_none() && known.files.is_empty());
    assert_eq!(known.licence.as_deref(), Some("CC-BY-NC-4.0"));
    let bytes: hub::Embedded = &[("LICENSE", b"\n# CC0 1.0\nmore"), ("x", b"123")];
    let shown = show("embedded", Some(bytes), &env).unwrap();
    assert_eq!((shown.licence.as_deref(), shown.files[1].1), (Some("CC0 1.0"), 3));
    check_error(show("nothing-like-that-here", None, &env), &["neither a folder here nor an alias"]);
}

#[test]
fn pull_takes_only_names_of_the_hub() {
    let world = World::honest();
    let options = Options { offline: false, wants: WANTS };
    world.check_whole(&pull(REPO, &options, &world.env(), &mut |_, _, _| {}).unwrap());
    let folder = world.home.path().display().to_string();
    check_error(pull(&folder, &options, &world.env(), &mut |_, _, _| {}), &["pull takes owner/name"]);
}

#[test]
fn remove_deletes_inside_the_cache_only() {
    let world = World::honest();
    world.resolve().unwrap();
    let env = world.env();
    let folder = world.home.path().display().to_string();
    check_error(remove(&folder, &env), &["not removed", "delete your own files yourself"]);
    check_error(remove("embedded", &env), &["part of the program"]);
    check_error(remove("owner/name@main", &env), &["leave the @ away"]);
    check_error(remove("owner/other", &env), &["not in the cache"]);
    check_error(remove("../x", &env), &["no such file or folder"]);

    let lock = world.home.path().join(".locks/models--owner--name/busy.lock");
    let held = fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    check_error(remove(REPO, &env), &["another process"]);
    drop(held);
    assert!(remove(REPO, &env).unwrap().bytes > 300_000);
    assert!(!world.shelf().exists() && !lock.exists() && world.home.path().exists());
}

#[cfg(unix)]
#[test]
fn remove_follows_no_link() {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join("mine"), "").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), home.path().join("models--owner--name")).unwrap();
    check_error(remove(REPO, &env(NOWHERE, home.path())), &["no folder of the cache"]);
    assert!(elsewhere.path().join("mine").exists());
}
