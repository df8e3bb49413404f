//! Whole processes: exit codes, a panic, Ctrl-C, a reader that goes away, threads.
//!
//! The process is this very test, started again with the name of a scene in its environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cli::{ComputeArgs, Exit, Progress, TalkArgs, print_json, print_line, usage};

use crate::dummy::{Dummy, Verb, parsed};

const SCENE: &str = "CLI_TEST_SCENE";
const FOLDER: &str = "CLI_TEST_FOLDER";
/// Marks where the scene's own output begins: the test harness speaks before it.
const CURTAIN: &str = "--curtain--";

#[test]
fn child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    cli::start();
    let exit = cli::report(play(&scene));
    // `ExitCode` cannot be read, only returned from main; its Debug form holds the number.
    let number: String = format!("{exit:?}").chars().filter(char::is_ascii_digit).collect();
    std::process::exit(number.parse().unwrap())
}

fn play(scene: &str) -> anyhow::Result<Exit> {
    if scene != "threads" {
        print_line(CURTAIN)?;
    }
    let talk = |quiet, verbose| TalkArgs { json: false, quiet, verbose };
    match scene {
        "done" => print_json(&serde_json::json!({ "a": "1\n" }))?,
        "some failed" => return Ok(Exit::SomeFailed),
        "failed" => Err::<(), _>(anyhow::anyhow!("no such\nthing")).context("a.mid")?,
        "usage" => return Err(usage("--bars must be 1 or more")),
        "panic" => panic!("boom\n{}", 7),
        "panic on a thread" => std::thread::spawn(|| panic!("boom")).join().unwrap_or(()),
        "endless" => loop {
            print_line("more")?;
        },
        "endless println" => loop {
            println!("more");
        },
        "talk" => {
            for (quiet, verbose) in [(false, false), (true, false), (false, true)] {
                let progress = Progress::new(&talk(quiet, verbose));
                let bar = progress.bar(10, "steps");
                bar.tick();
                progress.status("status\nline");
                progress.detail("detail");
                bar.finish();
            }
        }
        "writing" | "writing gently" => {
            if scene == "writing gently" {
                cli::stop_gently();
            }
            let mut set = batch::FileSet::new(false);
            let path = Path::new(&std::env::var_os(FOLDER).context("no folder")?).join("a");
            set.add(&path, |file| file.write_all(b"half"))?;
            print_line("ready")?;
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(5));
                if cli::interrupted() {
                    set.commit()?;
                    return Ok(Exit::Interrupted);
                }
            }
        }
        "threads" => {
            let compute = ComputeArgs { threads: std::num::NonZero::new(3), ..ComputeArgs::default() };
            compute.apply()?;
            print_line(CURTAIN)?;
            let told = std::env::var("RAYON_NUM_THREADS").unwrap_or_default();
            print_line(format!("{told} {} {}", rayon::current_num_threads(), std::process::id()))?;
        }
        "clock" => {
            std::thread::sleep(Duration::from_millis(100));
            print_line(format!("{}", cli::seconds_since_start()))?;
        }
        words => return say(words),
    }
    Ok(Exit::Done)
}

/// Any other scene is a command line of the dummy app.
fn say(words: &str) -> anyhow::Result<Exit> {
    let words: Vec<&str> = words.split(' ').collect();
    let Ok(dummy) = parsed(&words) else { bail!("no scene {words:?}") };
    match dummy.verb {
        Some(Verb::Models(command)) => command.run("music-gen", Some(EMBEDDED), &[])?,
        Some(Verb::Completions(command)) => command.run::<Dummy>()?,
        Some(Verb::Man(command)) => command.run::<Dummy>()?,
        _ => {
            let progress = Progress::new(&dummy.say.output.talk);
            let found = dummy.say.model.resolve(Some(EMBEDDED), &[], &progress)?;
            print_line(found.name)?;
        }
    }
    Ok(Exit::Done)
}

const EMBEDDED: hub::Embedded = &[("LICENSE", b"MIT\n"), ("config.json", b"{}")];

fn start(scene: &str, folder: Option<&Path>) -> Child {
    let program = std::env::current_exe().unwrap();
    // Tests that run in the background inherit an ignored SIGINT, which an app would respect.
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .args(["process::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(SCENE, scene)
        .env(FOLDER, folder.unwrap_or(Path::new("")))
        .env("HF_HUB_CACHE", folder.unwrap_or(Path::new("no-such-folder")))
        .env("HF_HUB_OFFLINE", "1")
        .env_remove("RUST_BACKTRACE")
        .env_remove("RAYON_NUM_THREADS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Exit code, stdout behind the curtain, stderr.
fn ended(child: Child) -> (Option<i32>, String, String) {
    let out = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(out.stdout).unwrap();
    let own = stdout.split_once(&format!("{CURTAIN}\n")).map_or("", |(_, own)| own);
    (out.status.code(), own.to_string(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn exit_codes_and_lines() {
    let check = |scene: &str, code: i32, stdout: &str, stderr: &str| {
        let expected = (Some(code), stdout.to_string(), stderr.to_string());
        assert_eq!(ended(start(scene, None)), expected, "{scene}");
    };
    check("done", 0, "{\"a\":\"1\\n\"}\n", "");
    check("some failed", 3, "", "");
    check("failed", 1, "", "error: a.mid: no such\\nthing\n");
    check("usage", 2, "", "error: --bars must be 1 or more\n");
    // No bar, since stderr is no terminal; lines unless `-q`, more with `-v`.
    check("talk", 0, "", "status\\nline\nstatus\\nline\ndetail\n");
}

#[test]
fn a_panic_is_one_line_and_exit_1() {
    for (scene, text) in [("panic", "boom\\n7 at "), ("panic on a thread", "boom at ")] {
        let (code, _, stderr) = ended(start(scene, None));
        assert_eq!(code, Some(1), "{scene}");
        let start = format!("error: internal error, please report it: {text}");
        assert!(stderr.starts_with(&start) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for scene in ["endless", "endless println"] {
        let mut child = start(scene, None);
        let mut some = [0; 1000];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let (code, _, stderr) = ended(child);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{scene}");
    }
}

/// Starts a scene that writes a file, waits until it is at it, and sends SIGINT.
fn interrupted(scene: &str) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut child = start(scene, Some(folder.path()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    assert!(names().len() == 1 && names()[0].ends_with(".part"), "{:?}", names());
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let (code, _, stderr) = ended(child);
    assert_eq!(stderr, "");
    (code, names())
}

#[test]
fn control_c_leaves_nothing_half_written() {
    assert_eq!(interrupted("writing"), (Some(130), vec![]));
}

#[test]
fn an_app_may_finish_what_it_is_at() {
    assert_eq!(interrupted("writing gently"), (Some(130), vec!["a".to_string()]));
}

#[test]
fn the_thread_count_holds_for_rayon_and_candle_in_the_same_process() {
    let child = start("threads", None);
    let id = child.id();
    assert_eq!(ended(child), (Some(0), format!("3 3 {id}\n"), String::new()));
}

#[test]
fn the_clock_counts_from_the_start_of_the_process() {
    let began = Instant::now();
    let (code, text, _) = ended(start("clock", None));
    let seconds: f64 = text.trim().parse().unwrap();
    assert_eq!(code, Some(0));
    // The system counts in hundredths.
    assert!(seconds >= 0.1 && seconds <= began.elapsed().as_secs_f64() + 0.02, "{seconds}");
}

#[test]
fn models_are_listed_shown_found_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |words: &str| ended(start(words, Some(folder.path())));
    let good = |words: &str| {
        let (code, stdout, stderr) = said(words);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{words}");
        stdout
    };
    let list = good("models list");
    assert!(list.starts_with("NAME") && list.contains("\nembedded"), "{list}");
    let all = good("models list --all --json");
    let lines: Vec<serde_json::Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({ "repo": "embedded", "bytes": 6, "licence": "MIT" }));
    assert!(lines.len() >= list.lines().count() - 1);
    let shown = "name      embedded\nplace     built in\nlicence   MIT\n       4 B  LICENSE\n       2 B  config.json\n";
    assert_eq!(good("models show embedded"), shown);
    assert_eq!(good("--model embedded"), "embedded\n");
    for words in
        ["models remove owner/name", "models pull owner/name", "--model owner/name", "--model ./nothing"]
    {
        let (code, stdout, stderr) = said(words);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{words}: {stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
}

#[test]
fn manual_pages_are_for_man() {
    let (code, page, _) = ended(start("man", None));
    assert!(code == Some(0) && page.contains(".TH dummy 1") && page.contains("threads"), "{page}");
    let (code, page, _) = ended(start("man models", None));
    assert!(code == Some(0) && page.contains("dummy\\-models"), "{page}");
    assert_eq!(ended(start("man nothing", None)).0, Some(2));
}

#[test]
fn completions_are_a_script() {
    for (shell, word) in [("bash", "_dummy()"), ("zsh", "#compdef dummy"), ("fish", "complete -c dummy")] {
        let (code, script, _) = ended(start(&format!("completions {shell}"), None));
        assert!(code == Some(0) && script.contains(word), "{shell}");
    }
}
