//! Command lines: what they mean, and what is refused with which line.

use std::path::PathBuf;

use clap::CommandFactory;
use cli::{Device, Dtype, Exit, ModelsVerb, OutputArgs, Target};

use crate::dummy::{Dummy, Verb, parsed};

fn dummy(words: &[&str]) -> Dummy {
    parsed(words).unwrap_or_else(|(text, _)| panic!("{words:?}: {text}"))
}

/// The one line that a wrong command line gives; its end is always the same.
fn refused(words: &[&str], expected: &str) {
    let (text, exit) = parsed(words).err().unwrap_or_else(|| panic!("{words:?} was taken"));
    assert_eq!(exit, Exit::Usage, "{words:?}");
    assert_eq!(text, format!("error: {expected}; see --help\n"));
}

#[test]
fn every_flag_has_a_word_of_help() {
    fn check(command: &clap::Command, path: &str) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
        }
        for verb in command.get_subcommands() {
            assert!(verb.get_about().is_some(), "{path} {} has no help", verb.get_name());
            check(verb, &format!("{path} {}", verb.get_name()));
        }
    }
    let command = Dummy::command();
    command.clone().debug_assert();
    check(&command, "dummy");
}

#[test]
fn a_verb_comes_first_and_shared_flags_after_it() {
    let is_train = |words: &[&str]| matches!(dummy(words).verb, Some(Verb::Train { .. }));
    let train = ["train", "--data", "in", "--out", "model"];
    assert!(is_train(&train));
    let more = [&train[..], &["--seed", "7", "--device", "cpu", "-q", "--steps", "5"]].concat();
    let Some(Verb::Train { train, compute }) = dummy(&more).verb else { panic!("no verb") };
    assert_eq!(
        (compute.seed, compute.device, train.talk.quiet, train.steps),
        (Some(7), Device::Cpu, true, Some(5))
    );
    assert_eq!((train.base, train.minutes, train.held_out), (None, None, None));

    let all = |words: &[&str]| match dummy(words).verb {
        Some(Verb::Models(command)) => matches!(command.verb, ModelsVerb::List { all: true, .. }),
        _ => false,
    };
    assert!(all(&["models", "list", "--all", "--json"]));
    refused(&["models", "list", "--seed", "1"], "unexpected argument '--seed' found");
}

#[test]
fn a_word_like_a_verb_can_still_be_an_input() {
    let inputs = |words: &[&str]| {
        let dummy = dummy(words);
        assert!(dummy.verb.is_none(), "{words:?}");
        dummy.say.inputs.iter().map(|word| word.to_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(inputs(&["--", "train"]), ["train"]);
    assert_eq!(inputs(&["--", "train", "--force"]), ["train", "--force"]);
    assert_eq!(inputs(&["hello", "train"]), ["hello", "train"]);
    assert_eq!(inputs(&["--seed", "1", "train"]), ["train"]);
    assert_eq!(inputs(&["-"]), ["-"]);
    assert_eq!(inputs(&["help"]), ["help"]);
    assert_eq!(inputs(&[]), [""; 0]);
    let text = dummy(&["--text", "train"]);
    assert!(text.verb.is_none() && text.say.inputs.is_empty());
    assert_eq!(text.say.text.as_deref(), Some("train"));
}

#[test]
fn devices_and_formats() {
    let check = |text: &str, expected: Device| {
        let device = dummy(&["--device", text]).say.compute.device;
        assert_eq!((device, device.to_string().parse()), (expected, Ok(expected)), "{text}");
    };
    check("auto", Device::Auto);
    check("cpu", Device::Cpu);
    check("cuda", Device::Cuda(0));
    check("cuda:0", Device::Cuda(0));
    check("cuda:12", Device::Cuda(12));
    check("metal", Device::Metal);
    for text in
        ["gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda:99999999999999999999", "metal:0"]
    {
        let way = "use auto, cpu, cuda, cuda:N or metal";
        refused(&["--device", text], &format!("invalid value '{text}' for '--device <DEVICE>': {way}"));
    }
    for (text, expected) in [
        ("auto", Dtype::Auto),
        ("f32", Dtype::F32),
        ("bf16", Dtype::Bf16),
        ("f16", Dtype::F16),
        ("q8", Dtype::Q8),
    ] {
        let dtype = dummy(&["--dtype", text]).say.compute.dtype;
        assert_eq!((dtype, dtype.to_string().as_str()), (expected, text));
    }
    let way = "use auto, f32, bf16, f16 or q8";
    refused(&["--dtype", "int8"], &format!("invalid value 'int8' for '--dtype <FORMAT>': {way}"));
}

#[test]
fn ranges_are_checked_before_anything_else() {
    let good: &[&[&str]] = &[
        &["--temperature", "0"],
        &["--temperature", "1.5"],
        &["--top-k", "0"],
        &["--top-p", "1"],
        &["--min-p", "0"],
        &["--repetition-penalty", "1.1"],
        &["--seed", "18446744073709551615"],
        &["--threads", "1"],
    ];
    good.iter().for_each(|words| drop(dummy(words)));
    let wrong: &[&[&str]] = &[
        &["--temperature", "-0.1"],
        &["--temperature", "nan"],
        &["--temperature", "inf"],
        &["--top-k", "-1"],
        &["--top-p", "0"],
        &["--top-p", "1.01"],
        &["--min-p", "2"],
        &["--repetition-penalty", "0"],
        &["--seed", "-1"],
        &["--seed", "18446744073709551616"],
        &["--threads", "0"],
        &["--model", ""],
        &["-o", ""],
        &["-q", "-v"],
        &["train", "--data", "x"],
        &["train", "--data", "x", "--out", "y", "--steps", "0"],
        &["train", "--data", "x", "--out", "y", "--minutes", "0"],
        &["train", "--data", "x", "--out", "y", "--batch", "0"],
        &["train", "--data", "x", "--out", "y", "--held-out", "1"],
        &["completions", "tcl"],
        &["models"],
    ];
    for words in wrong {
        let (text, exit) = parsed(words).err().unwrap_or_else(|| panic!("{words:?} was taken"));
        assert_eq!(exit, Exit::Usage, "{words:?}: {text}");
    }
    let sampling = dummy(&[]).say.sampling;
    assert!(sampling.temperature.is_none() && sampling.top_k.is_none() && sampling.top_p.is_none());
}

#[test]
fn a_wrong_word_is_one_line() {
    refused(&["--top-p", "1.5"], "invalid value '1.5' for '--top-p <P>': a number above 0, up to 1");
    refused(&["--forse"], "unexpected argument '--forse' found; tip: a similar argument exists: '--force'");
    refused(&["train", "--data", "x"], "the following required arguments were not provided: --out <MODEL>");
    let (text, _) = parsed(&["--device", "a\n\u{1b}[2J\u{202e}"]).unwrap_err();
    assert!(text.ends_with('\n') && cli::one_line(text.trim_end()) == text.trim_end(), "{text}");
}

#[test]
fn help_and_version_are_no_errors() {
    for (words, start) in [(["--help"], "Says things again"), (["--version"], "dummy 0.1.0")] {
        let (text, exit) = parsed(&words).unwrap_err();
        assert!(exit == Exit::Done && text.starts_with(start), "{text}");
    }
}

#[test]
fn a_target_is_a_file_a_folder_or_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().to_str().unwrap().to_string();
    let check = |text: Option<&str>, expected: Target| {
        let output = OutputArgs { output: text.map(PathBuf::from), ..OutputArgs::default() };
        assert_eq!(output.target(), expected);
    };
    check(None, Target::Default);
    check(Some("-"), Target::Stdout);
    check(Some("out/"), Target::Folder("out/".into()));
    check(Some(&existing), Target::Folder(existing.clone().into()));
    check(Some("out/a.wav"), Target::File("out/a.wav".into()));
    check(Some("./-"), Target::File("./-".into()));
}

#[test]
fn a_seed_is_drawn_once_and_stays() {
    let compute = dummy(&[]).say.compute;
    let seed = compute.seed();
    assert_eq!((seed, seed >> 32), (compute.seed(), 0));
    assert_eq!(dummy(&["--seed", "18446744073709551615"]).say.compute.seed(), u64::MAX);
}

#[test]
fn paths_need_be_no_text() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let strange = OsString::from_vec(b"\xff\n.wav".to_vec());
    let words = ["dummy".into(), "-o".into(), strange.clone(), strange.clone()];
    let dummy: Dummy = cli::parse_from(words).unwrap();
    assert_eq!(dummy.say.output.output, Some(strange.clone().into()));
    assert_eq!(dummy.say.inputs, [strange]);
}
