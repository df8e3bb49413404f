//! Tokenizers of translators give the ids and texts of transformers, from scripts/golden/translation.py.

use crate::golden::folder;
use candle_core::{DType, Device, Result};
use models::checkpoint::Files;
use models::checkpoint::gguf::Gguf;
use models::tokens::translation::TranslationTokens;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    folder("translation").join(name)
}

fn texts(name: &str) -> Vec<String> {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// A model's folder, made of a golden one and vocabularies that several share, as (golden, there).
fn model(name: &str, shared: &[(&str, &str)]) -> tempfile::TempDir {
    let made = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| std::fs::copy(from, made.path().join(to)).map(drop).unwrap();
    for file in std::fs::read_dir(path(name)).unwrap() {
        let file = file.unwrap();
        copy(file.path(), file.file_name().to_str().unwrap());
    }
    shared.iter().for_each(|(from, to)| copy(path(from), to));
    made
}

const MARIAN: [(&str, &str); 2] = [("unigram.spm", "source.spm"), ("plain.spm", "target.spm")];
const BPE: [(&str, &str); 1] = [("bpe.spm", "sentencepiece.bpe.model")];
const MBART: [(&str, &str); 1] = [("plain.spm", "sentencepiece.bpe.model")];
const T5: [(&str, &str); 1] = [("t5.spm", "spiece.model")];

fn open(name: &str, model_type: &str, shared: &[(&str, &str)]) -> Result<TranslationTokens> {
    TranslationTokens::open(&Files::Dir(model(name, shared).path().into()), model_type)
}

fn check(tokens: &TranslationTokens, name: &str, source: Option<&str>, target: Option<&str>) -> Result<()> {
    let expected = candle_core::safetensors::load(path(name).join("expected.safetensors"), &Device::Cpu)?;
    let rows = |side: &str| -> Result<Vec<Vec<u32>>> {
        let numbers = |key: &str| expected[key].to_dtype(DType::U32)?.to_vec1::<u32>();
        let (ids, mut at) = (numbers(side)?, 0);
        let row = |count: u32| {
            at += count as usize;
            ids[at - count as usize..at].to_vec()
        };
        Ok(numbers(&format!("{side}_counts"))?.into_iter().map(row).collect())
    };
    let (sources, targets, lines) = (rows("source")?, rows("target")?, texts("lines.json"));
    assert_eq!([sources.len(), targets.len()], [lines.len(); 2]);
    for (line, (of_source, of_target)) in lines.iter().zip(sources.iter().zip(&targets)) {
        assert_eq!(&tokens.encode_source(line, source, None)?, of_source, "{name}: {line:?}");
        assert_eq!(&tokens.encode_target(line, target)?, of_target, "{name}: target {line:?}");
    }
    let decoded = texts(&format!("{name}/decoded.json"));
    assert!(decoded.len() >= 250);
    for (ids, text) in targets.iter().zip(decoded) {
        assert_eq!(tokens.decode(ids)?, text, "{name}: {ids:?}");
    }
    Ok(())
}

#[test]
fn marian_reads_and_writes_as_transformers_does() -> Result<()> {
    for name in ["marian", "marian-apart"] {
        check(&open(name, "marian", &MARIAN)?, name, None, None)?;
    }
    let tokens = open("marian", "marian", &MARIAN)?;
    let codes: Vec<&str> = tokens.languages().iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["fra", "por"]);
    let told = tokens.encode_source("the house", None, Some("por"))?;
    assert_eq!(told, tokens.encode_source(">>por<<the house", None, None)?);
    assert_eq!(tokens.forced_first("por")?, None);
    let error = tokens.encode_source("the house", None, Some("eng")).unwrap_err().to_string();
    assert!(error.contains("\"eng\"") && error.contains("fra, por") && !error.contains('\n'), "{error}");
    Ok(())
}

#[test]
fn m2m100_has_languages_after_its_vocabulary() -> Result<()> {
    let tokens = open("m2m100", "m2m_100", &BPE)?;
    check(&tokens, "m2m100", Some("pt"), Some("fr"))?;
    assert_eq!(tokens.languages().len(), 100);
    let first = tokens.forced_first("af")?.unwrap();
    assert_eq!(tokens.forced_first("zu")?, Some(first + 99));
    assert!(tokens.encode_source("x", None, Some("fr")).unwrap_err().to_string().contains("source"));
    assert!(tokens.encode_target("x", None).unwrap_err().to_string().contains("target"));
    assert!(tokens.forced_first("tlh").is_err());
    Ok(())
}

#[test]
fn nllb_and_mbart_have_the_ids_of_fairseq() -> Result<()> {
    for (name, files) in [("nllb", &BPE[..]), ("nllb-legacy", &BPE[..]), ("nllb-json", &[][..])] {
        let tokens = open(name, "m2m_100", files)?;
        check(&tokens, name, Some("por_Latn"), Some("fra_Latn"))?;
        assert_eq!(tokens.languages().len(), 202);
        assert!(tokens.forced_first("fra_Latn")?.is_some());
    }
    let tokens = open("mbart50", "mbart", &MBART)?;
    check(&tokens, "mbart50", Some("en_XX"), Some("fr_XX"))?;
    assert_eq!(tokens.languages().len(), 52);
    Ok(())
}

#[test]
fn t5_has_marks_for_languages_and_masks() -> Result<()> {
    for (name, files) in [("t5", &T5[..]), ("t5-json", &[][..])] {
        let tokens = open(name, "t5", files)?;
        check(&tokens, name, None, None)?;
        assert_eq!(tokens.languages().len(), 2);
        let told = tokens.encode_source("the house", None, Some("pt"))?;
        assert_eq!(told, tokens.encode_source("<2pt> the house", None, None)?, "{name}");
        assert_eq!(tokens.forced_first("pt")?, None);
    }
    let gguf = Gguf::open(&Files::Dir(path("t5")), "model.gguf")?;
    let tokens = TranslationTokens::from_gguf(&gguf)?;
    assert_eq!(tokens.languages().len(), 2);
    check(&tokens, "t5", None, None)
}

#[test]
fn what_is_missing_or_damaged_is_refused_in_one_line() -> Result<()> {
    let refused = |result: Result<TranslationTokens>, words: &str| {
        let error = result.err().expect("refused").to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(open("marian", "marian", &MARIAN[1..]), "source.spm");
    refused(open("marian", "bart", &MARIAN), "`bart`");
    refused(open("nllb", "m2m_100", &[]), "sentencepiece.bpe.model");
    refused(open("t5", "t5", &[]), "spiece.model");
    let change = |file: &str, content: &str, words: &str| {
        let made = model("marian", &MARIAN);
        std::fs::write(made.path().join(file), content).unwrap();
        refused(TranslationTokens::open(&Files::Dir(made.path().into()), "marian"), words);
    };
    change("vocab.json", "{}", "</s>");
    change("vocab.json", r#"{"</s>": 0}"#, "<unk>");
    change("vocab.json", r#"{"</s>": 0, "<unk>": 4000000000}"#, "4000000000");
    change("vocab.json", "[", "vocab.json");
    change("source.spm", "PK", "source.spm");
    change("tokenizer_config.json", "x", "tokenizer_config.json");
    let made = model("m2m100", &BPE);
    std::fs::write(made.path().join("tokenizer_config.json"), r#"{"language_codes": "klingon"}"#)?;
    refused(TranslationTokens::open(&Files::Dir(made.path().into()), "m2m_100"), "klingon");
    Ok(())
}

/// Changes bytes of vocabularies; none may panic, or be refused in more than a line.
#[test]
fn mutated_vocabularies_never_panic() {
    let whole = std::fs::read(path("unigram.spm")).unwrap();
    let (made, mut state, mut read) = (model("marian", &MARIAN), 5u64, 0);
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below.max(1)
    };
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random(40) {
            let place = random(bytes.len());
            bytes[place] = random(256) as u8;
        }
        std::fs::write(made.path().join("source.spm"), &bytes).unwrap();
        match TranslationTokens::open(&Files::Dir(made.path().into()), "marian") {
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            Ok(tokens) => {
                read += 1;
                for text in ["The naïve 日本 ① ﬁne  ｘ\0y ½ Å", "\u{1f468}\u{200d}\u{1f469} e\u{301}"]
                {
                    let _ = tokens.encode_source(text, None, None);
                }
            }
        }
    }
    assert!(read > 0, "every change was refused");
}

#[derive(serde::Deserialize)]
struct Real {
    lines: Vec<String>,
    source: Vec<Vec<u32>>,
    target: Vec<Vec<u32>>,
    decoded: Vec<String>,
}

/// `REAL_MARIAN` is a checkpoint's folder, `REAL_EXPECTED` what scripts/golden/translation.py wrote for it.
#[test]
#[ignore = "needs a real vocabulary, which is too large to lie here"]
fn a_real_marian_reads_and_writes_as_in_transformers() -> Result<()> {
    let path = |name: &str| PathBuf::from(std::env::var(name).unwrap());
    let tokens = TranslationTokens::open(&Files::Dir(path("REAL_MARIAN")), "marian")?;
    let real: Real = serde_json::from_slice(&std::fs::read(path("REAL_EXPECTED"))?).unwrap();
    let (mut other, mut shown) = ([0; 3], 0);
    for (i, line) in real.lines.iter().enumerate() {
        let same = [
            tokens.encode_source(line, None, None)? == real.source[i],
            tokens.encode_target(line, None)? == real.target[i],
            tokens.decode(&real.target[i])? == real.decoded[i],
        ];
        same.iter().zip(&mut other).for_each(|(same, other)| *other += usize::from(!same));
        if same != [true; 3] && shown < 20 {
            shown += 1;
            eprintln!("{same:?} {line:?}\n  {:?}\n  {:?}", tokens.decode(&real.target[i])?, real.decoded[i]);
        }
    }
    assert_eq!(other, [0; 3], "of {} lines", real.lines.len());
    Ok(())
}
