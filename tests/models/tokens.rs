//! Tokenizers and chat templates: what the references of scripts/golden/tokens.py made, and files that are damaged.

use crate::golden::folder;
use candle_core::Result;
use models::checkpoint::Files;
use models::checkpoint::gguf::Gguf;
use models::tokens::chat::{Message, Template};
use models::tokens::{Stream, Tokens};
use serde::Deserialize;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    folder("tokens").join(name)
}

fn lines() -> Vec<String> {
    serde_json::from_slice(&std::fs::read(path("lines.json")).unwrap()).unwrap()
}

/// The ids of every line.
fn expected(name: &str) -> Vec<Vec<u32>> {
    let bytes = std::fs::read(path(&format!("{name}.safetensors"))).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<u32> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]) as u32).collect()
    };
    let (ids, mut at) = (numbers("ids"), 0);
    let row = |count: u32| {
        at += count as usize;
        ids[at - count as usize..at].to_vec()
    };
    numbers("counts").into_iter().map(row).collect()
}

fn check(tokens: &Tokens, name: &str, what: &str) {
    let lines = lines();
    assert_eq!(lines.len(), 1000);
    for (line, ids) in lines.iter().zip(expected(name)) {
        assert_eq!(tokens.encode(line, true).unwrap(), ids, "{what}: {line:?}");
    }
}

#[test]
fn files_give_the_ids_of_the_reference() -> Result<()> {
    for name in ["gpt2", "llama3", "bpe", "unigram"] {
        check(&Tokens::open(&Files::Dir(path(name)))?, name, name);
    }
    Ok(())
}

#[test]
fn vocabularies_in_gguf_files_give_the_ids_of_the_reference() -> Result<()> {
    for name in ["gpt2", "llama3", "qwen2", "digits", "bpe"] {
        let gguf = Gguf::open(&Files::Dir(path(name)), "model.gguf")?;
        check(&Tokens::from_gguf(&gguf)?, name, &format!("{name}.gguf"));
    }
    Ok(())
}

#[test]
fn text_comes_back_and_streams_as_a_whole() -> Result<()> {
    for name in ["gpt2", "llama3", "bpe"] {
        let tokens = Tokens::open(&Files::Dir(path(name)))?;
        for line in lines() {
            let ids = tokens.encode(&line, false)?;
            let whole = tokens.decode(&ids)?;
            // pieces have one sign for a space and for that sign itself
            let kept = if name == "bpe" { line.replace('▁', " ") } else { line };
            assert_eq!(whole, kept, "{name}");
            let (mut stream, mut text) = (Stream::new(&tokens, &[]), String::new());
            for id in ids {
                text += &stream.push(id)?;
            }
            text += &stream.finish()?;
            assert_eq!(text, whole, "{name}");
        }
    }
    Ok(())
}

#[test]
fn bytes_that_are_no_character_come_at_the_end() -> Result<()> {
    let tokens = Tokens::open(&Files::Dir(path("gpt2")))?;
    // the first three bytes of four, in ids of one byte each
    let ids: Vec<u32> = ["ð", "Ł", "ĺ"].map(|token| tokens.id(token).unwrap()).to_vec();
    let mut stream = Stream::new(&tokens, &[]);
    for id in ids {
        assert_eq!(stream.push(id)?, "");
    }
    assert!(stream.finish()?.contains('\u{fffd}'));
    Ok(())
}

#[derive(Deserialize)]
struct Talk {
    name: String,
    template: String,
    messages: Vec<Message>,
    answer: bool,
    text: String,
}

#[test]
fn conversations_are_written_as_transformers_does() -> Result<()> {
    let talks: Vec<Talk> = serde_json::from_slice(&std::fs::read(path("chat.json"))?).unwrap();
    assert!(talks.len() > 40);
    for talk in talks {
        let template = Template::new(&talk.template, &[("bos_token", "<s>"), ("eos_token", "</s>")]);
        assert_eq!(template.render(&talk.messages, talk.answer)?, talk.text, "{}", talk.name);
    }
    Ok(())
}

#[track_caller]
fn refused(template: &str, words: &str) {
    let message = [Message::new("user", "hello")];
    let error = Template::new(template, &[]).render(&message, true).unwrap_err().to_string();
    assert!(error.contains(words) && !error.contains('\n'), "{error}");
}

#[test]
fn templates_that_do_harm_are_stopped() {
    refused("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "");
    refused("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "");
    refused("{{ 'a' * 1000000000 }}", "");
    refused(
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
        "",
    );
    refused("{{ raise_exception('no such role') }}", "no such role");
    refused("{% if %}", "line 1");
    refused("{{ messages[0].content.nothing() }}", "nothing");
}

#[test]
fn damaged_tokenizers_are_refused_in_one_line() -> Result<()> {
    let whole = std::fs::read(path("llama3").join("tokenizer.json"))?;
    let refused = |bytes: &[u8], what: &str| {
        let error = Tokens::from_json(bytes, "tokenizer.json").err().expect(what).to_string();
        assert!(error.starts_with("tokenizer.json: ") && !error.contains('\n'), "{error}");
    };
    for part in 1..20 {
        refused(&whole[..whole.len() * part / 20], "cut");
    }
    refused(b"", "empty");
    refused(b"{}", "no model");
    refused(
        br#"{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]}}"#,
        "a merge of what is not there",
    );
    refused(br#"{"model":{"type":"Unigram","vocab":[],"unk_id":5}}"#, "unk outside");
    let model = std::fs::read(path("bpe").join("tokenizer.model"))?;
    let folder = tempfile::tempdir()?;
    for part in 0..50 {
        std::fs::write(folder.path().join("tokenizer.model"), &model[..model.len() * part / 50])?;
        // a cut between two pieces leaves a smaller vocabulary, which is a valid one
        if let Err(error) = Tokens::open(&Files::Dir(folder.path().into())) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    Ok(())
}

/// Changes bytes of a `.model`, on all threads; none may panic.
#[test]
fn mutated_vocabularies_never_panic() {
    let tries: u64 = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let read: u64 = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || mutate(9 + thread, tries.div_ceil(threads))))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert!(read > 0, "every change was refused");
}

/// Tries so many changes from a seed, and gives how many could be read.
fn mutate(seed: u64, tries: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let seeds =
        [path("bpe"), path("unigram")].map(|path| std::fs::read(path.join("tokenizer.model")).unwrap());
    let mut state = seed;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below.max(1)
    };
    let mut read = 0;
    for i in 0..tries {
        let mut bytes = seeds[i as usize % 2].clone();
        for _ in 0..1 + random(6) {
            // half of the changes in the last fields, which say how a text is prepared
            let place = if random(2) == 0 {
                random(bytes.len())
            } else {
                bytes.len() - 1 - random(200.min(bytes.len()))
            };
            match random(3) {
                0 => bytes[place] = random(256) as u8,
                1 => bytes[place] ^= 1 << random(8),
                _ => drop(bytes.drain(place..(place + random(9)).min(bytes.len()))),
            }
            if bytes.len() < 300 {
                break;
            }
        }
        std::fs::write(folder.path().join("tokenizer.model"), &bytes).unwrap();
        let Ok(tokens) = Tokens::open(&Files::Dir(folder.path().into())) else { continue };
        if let Ok(ids) = tokens.encode("The naïve 日本 <|user|>  x\0y", true) {
            let _ = tokens.decode(&ids);
            read += 1;
        }
    }
    read
}

#[test]
fn a_folder_without_a_tokenizer_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let error = Tokens::open(&Files::Dir(folder.path().into())).err().unwrap().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("tokenizer.model"), "{error}");
    Ok(())
}
