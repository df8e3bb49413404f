//! Bytes that come well, in pieces, wrong, or not at all.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hub::Env;

use crate::server::{Answer, Request};
use crate::{REPO, World, check_error, fetch, files};

const HALF: usize = 150_000;

fn is_weights(request: &Request) -> bool {
    request.is_file() && request.path.ends_with("model.safetensors")
}

/// Resolves under a fault and expects the whole model and these Range starts of the large file.
fn check_recovers(
    fault: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    expected: &[Option<usize>],
) {
    let world =
        World::new(move |request, answer| if is_weights(request) { fault(request, answer) } else { answer });
    world.check_whole(&world.resolve().unwrap());
    let seen = world.server.seen();
    let ranges: Vec<_> = seen.iter().filter(|r| is_weights(r)).map(Request::range).collect();
    assert_eq!(ranges, expected);
}

#[test]
fn a_model_comes_once() {
    let world = World::honest();
    let steps = Mutex::new(Vec::new());
    let options = hub::Options { offline: false, wants: crate::WANTS };
    let resolved = hub::resolve(REPO, None, &options, &world.env(), &mut |file, done, total| {
        steps.lock().unwrap().push((file.to_owned(), done, total));
    });
    world.check_whole(&resolved.unwrap());
    assert!(steps.lock().unwrap().contains(&("model.safetensors".to_owned(), 300_000, 300_000)));
    assert_eq!(world.server.file_requests(), [None, None, None]);
    world.check_whole(&world.resolve().unwrap());
    assert_eq!(world.server.seen().len(), 5, "the second time only the listing is asked");
}

#[test]
fn a_cut_connection_is_resumed() {
    check_recovers(
        |request, answer| Answer { cut: (request.earlier == 0).then_some(HALF), ..answer },
        &[None, Some(HALF)],
    );
}

#[test]
fn a_length_told_too_long_is_not_waited_for() {
    check_recovers(|_, answer| Answer { told: Some(300_100), ..answer }, &[None]);
}

#[test]
fn bytes_after_the_end_are_not_taken() {
    check_recovers(|_, answer| Answer { body: [answer.body, vec![7; 5000]].concat(), ..answer }, &[None]);
}

#[test]
fn a_length_told_too_short_is_asked_on() {
    let short = |request: &Request, answer: Answer| match request.earlier {
        0 => Answer { told: Some(HALF), cut: Some(HALF), ..answer },
        _ => answer,
    };
    check_recovers(short, &[None, Some(HALF)]);
}

#[test]
fn a_200_where_206_was_asked_starts_anew() {
    let whole = files()[1].bytes.clone();
    let deaf = move |request: &Request, answer: Answer| match request.earlier {
        0 => Answer { cut: Some(HALF), ..answer },
        _ => Answer::new(200, whole.clone()),
    };
    check_recovers(deaf, &[None, Some(HALF)]);
}

#[test]
fn a_206_from_another_place_starts_anew() {
    let wrong = |request: &Request, answer: Answer| match request.earlier {
        0 => Answer { cut: Some(HALF), ..answer },
        1 => Answer::new(206, "zzzz").with("Content-Range", "bytes 10-13/300000"),
        _ => answer,
    };
    check_recovers(wrong, &[None, Some(HALF), None]);
}

#[test]
fn a_416_starts_anew() {
    let refuses = |request: &Request, answer: Answer| match request.earlier {
        0 => Answer { cut: Some(HALF), ..answer },
        1 => Answer::new(416, ""),
        _ => answer,
    };
    check_recovers(refuses, &[None, Some(HALF), None]);
}

#[test]
fn a_silent_server_is_asked_again() {
    let world = World::new(|request, answer| match is_weights(request) && request.earlier == 0 {
        true => Answer { cut: Some(HALF), stall: Duration::from_secs(60), ..answer },
        false => answer,
    });
    let mut env = world.env();
    env.patience.silence = Duration::from_millis(700);
    let start = Instant::now();
    world.check_whole(&fetch(REPO, &env).unwrap());
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn endless_cuts_end_and_the_next_run_asks_for_the_rest_only() {
    let world = World::new(|request, answer| {
        let broken = is_weights(request) && request.earlier < 3;
        Answer { cut: broken.then_some(10_000), ..answer }
    });
    check_error(world.resolve(), &["127.0.0.1", "model.safetensors", "30000", "3 tries", "kept"]);
    assert_eq!(std::fs::metadata(world.partial()).unwrap().len(), 30_000);
    world.check_whole(&world.resolve().unwrap());
    let ranges = world.server.file_requests();
    let expected = [None, None, Some(10_000), Some(20_000), Some(30_000), None];
    assert_eq!(ranges, expected);
}

#[test]
fn wrong_bytes_are_an_error_and_leave_nothing() {
    for victim in [0, 1] {
        let world = World::new(move |request, mut answer| {
            if request.is_file() && request.path.ends_with(files()[victim].name) && request.earlier == 0 {
                answer.body[3] ^= 1;
            }
            answer
        });
        let sum = ["git sha1", "sha256"][victim];
        check_error(world.resolve(), &[files()[victim].name, sum, &files()[victim].etag(), "deleted"]);
        world.check_no_weights();
        world.check_whole(&world.resolve().unwrap());
    }
}

#[test]
fn a_spoiled_partial_file_is_found_out() {
    let world = World::honest();
    std::fs::create_dir_all(world.shelf().join("blobs")).unwrap();
    std::fs::write(world.partial(), vec![9; 1000]).unwrap();
    check_error(world.resolve(), &["sha256", "run it again"]);
    world.check_no_weights();
    world.check_whole(&world.resolve().unwrap());
}

#[test]
fn a_partial_file_longer_than_the_file_starts_anew() {
    let world = World::honest();
    std::fs::create_dir_all(world.shelf().join("blobs")).unwrap();
    std::fs::write(world.partial(), vec![9; 400_000]).unwrap();
    world.check_whole(&world.resolve().unwrap());
}

#[test]
fn a_whole_partial_file_asks_for_nothing() {
    let world = World::honest();
    std::fs::create_dir_all(world.shelf().join("blobs")).unwrap();
    std::fs::write(world.partial(), &files()[1].bytes).unwrap();
    world.check_whole(&world.resolve().unwrap());
    assert!(!world.server.seen().iter().any(is_weights));
}

#[test]
fn two_at_once_download_once() {
    let world = World::new(|request, answer| {
        // Slow enough that both are there before the first is done.
        std::thread::sleep(Duration::from_millis(if request.is_file() { 100 } else { 0 }));
        answer
    });
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| world.resolve())).collect();
        for run in runs {
            world.check_whole(&run.join().unwrap().unwrap());
        }
    });
    assert_eq!(world.server.file_requests().len(), 3);
}

/// Does nothing by itself: [`a_killed_download_resumes`] runs it in a process of its own.
#[test]
fn killed_child() {
    let Ok(place) = std::env::var("HUB_TEST_CHILD") else { return };
    let (url, cache) = place.split_once(' ').unwrap();
    let mut env: Env = crate::env(url, cache.as_ref());
    env.patience.silence = Duration::from_secs(60);
    let _ = fetch(REPO, &env);
}

#[test]
fn a_killed_download_resumes() {
    let world = World::new(|request, answer| match is_weights(request) && request.earlier == 0 {
        true => Answer { cut: Some(HALF), stall: Duration::from_secs(60), ..answer },
        false => answer,
    });
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "transfer::killed_child"])
        .env("HUB_TEST_CHILD", format!("{} {}", world.server.url, world.home.path().display()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let there = || std::fs::metadata(world.partial()).is_ok_and(|about| about.len() == HALF as u64);
    while !there() {
        assert!(start.elapsed() < Duration::from_secs(60), "the child never got half of the file");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.check_whole(&world.resolve().unwrap());
    let seen = world.server.seen();
    let weights: Vec<_> = seen.iter().filter(|r| is_weights(r)).map(Request::range).collect();
    assert_eq!(weights, [None, Some(HALF)], "only what is missing is asked for");
    assert_eq!(world.server.file_requests().len(), 4, "what was whole is not asked for again");
}

#[test]
fn progress_goes_up_to_the_whole_file() {
    let world = World::new(|request, answer| {
        let broken = is_weights(request) && request.earlier == 0;
        Answer { cut: broken.then_some(HALF), ..answer }
    });
    let steps = Arc::new(Mutex::new(Vec::new()));
    let options = hub::Options { offline: false, wants: crate::WANTS };
    let resolved = hub::resolve(REPO, None, &options, &world.env(), &mut |file, done, _| {
        if file == "model.safetensors" {
            steps.lock().unwrap().push(done);
        }
    });
    world.check_whole(&resolved.unwrap());
    let steps = steps.lock().unwrap();
    assert!(steps.is_sorted() && steps.first() == Some(&0) && steps.last() == Some(&300_000), "{steps:?}");
}
