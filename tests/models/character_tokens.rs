//! Letters and phonemes to ids, as transformers' VitsTokenizer does it, over a thousand lines of many scripts.

use candle_core::{DType, Result, Tensor};
use models::checkpoint::Files;
use models::tokens::{CharacterTokens, Writing};

use super::golden::{expected, folder};

const GOLDEN: [&str; 9] =
    ["mms", "accents", "capitals", "romanian", "cyrillic", "greek", "asis", "noblank", "phonemes"];

fn lines(name: &str) -> Vec<String> {
    serde_json::from_slice(&std::fs::read(folder(name)).unwrap()).unwrap()
}

#[test]
fn ids_are_those_of_transformers() -> Result<()> {
    let mut lines = [lines("tokens/lines.json"), lines("character_tokens/more.json")].concat();
    assert!(lines.len() > 1000);
    for name in GOLDEN {
        let name = format!("character_tokens/{name}");
        let tokens = CharacterTokens::open(&Files::Dir(folder(&name)))?;
        let writing = tokens.writing();
        assert_eq!(writing == Writing::Phonemes, name.ends_with("phonemes"));
        let expected = expected(&name)?;
        let numbers = |t: &Tensor| t.to_dtype(DType::U32)?.to_vec1::<u32>();
        let (ids, lengths) = (numbers(&expected["ids"])?, numbers(&expected["lengths"])?);
        let mut rest = &ids[..];
        for (line, length) in lines.iter_mut().zip(lengths) {
            let wanted = rest.split_off(..length as usize).unwrap();
            let found = tokens.encode(line, writing)?;
            assert_eq!(found.ids, wanted, "{name}: {line:?}");
            assert_eq!(found.ids.len(), found.places.len());
            assert!(found.places.iter().flatten().is_sorted(), "{name}: {line:?}");
            assert!(found.places.iter().flatten().all(|place| line.is_char_boundary(*place)));
        }
        assert!(rest.is_empty());
    }
    Ok(())
}

#[test]
fn what_is_no_such_tokenizer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |vocabulary: &str, config: &str, words: &str| {
        std::fs::write(folder.path().join("vocab.json"), vocabulary).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let why = CharacterTokens::open(&Files::Dir(folder.path().into())).unwrap_err().to_string();
        assert!(why.contains(words) && !why.contains('\n'), "{why}");
    };
    refused("[]", "{}", "vocab.json");
    refused(r#"{"a": 1}"#, "{}", "no id 0");
    refused(r#"{"a": -1}"#, "{}", "vocab.json");
    refused(r#"{"a": 0}"#, r#"{"tokenizer_class": "T5Tokenizer"}"#, "T5Tokenizer");
    refused(r#"{"a": 0}"#, r#"{"add_blank": 3}"#, "add_blank");
    let strip = r#"{"added_tokens_decoder": {"0": {"content": "a", "lstrip": true}}}"#;
    refused(r#"{"a": 0}"#, strip, "lstrip");
}
