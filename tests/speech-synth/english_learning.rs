//! Learning letters to phones, from a dictionary to a model that says its words.

use std::ops::ControlFlow;
use std::path::Path;

use models::checkpoint::Files;
use speech_synth::english::g2p::corpus::{Split, read_cmudict};
use speech_synth::english::g2p::train::{Plan, train, write};
use speech_synth::english::g2p::{Config, LettersToPhones};
use speech_synth::english::phones::to_arpabet;
use training::{Ending, Options};

const WORDS: &str = "cat K AE1 T\ncats K AE1 T S\nbat B AE1 T\nbox B AA1 K S\nchat CH AE1 T\nthe DH AH0\nthis DH IH1 S\n\
                     banana B AH0 N AE1 N AH0\nbee B IY1\nquick K W IH1 K\n";

#[test]
fn a_small_dictionary_is_learned() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech-synth/g2p");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let entries = read_cmudict(WORDS).unwrap();
    let split = Split { train: entries.clone(), held_out: entries[..3].to_vec() };
    let options = Options {
        steps: Some(300),
        learning_rate: 0.005,
        warmup_steps: 20,
        average: None,
        ..Options::default()
    };
    let plan = Plan { config: Config::default(), batch: 64, dropout: 0., options };
    let fitted = train(&split, &plan, &folder, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(fitted.ending, Ending::Finished);
    write(&folder, &plan, &fitted).unwrap();
    let model = LettersToPhones::open(Files::Dir(folder)).unwrap();
    let words: Vec<&str> = entries.iter().map(|entry| entry.word.as_str()).collect();
    for (entry, said) in entries.iter().zip(model.say(&words).unwrap()) {
        assert_eq!(to_arpabet(&said), to_arpabet(&stressed(&entry.variants[0])), "{}", entry.word);
    }
    // nothing to say, and more than is looked at
    assert_eq!(model.say(&["", "123", "文"]).unwrap(), [vec![], vec![], vec![]]);
    assert_eq!(model.say(&[&"a".repeat(1000), &"a".repeat(64)]).unwrap().iter().map(Vec::len).max(), {
        let said = model.say(&[&"a".repeat(64)]).unwrap();
        Some(said[0].len())
    });
}

/// The net gives every word a main stress.
fn stressed(phones: &[speech_synth::english::phones::Phone]) -> Vec<speech_synth::english::phones::Phone> {
    match phones.iter().any(|phone| phone.stress() == Some(1)) {
        true => phones.to_vec(),
        false => phones.iter().map(|phone| phone.with_stress(1)).collect(),
    }
}

#[test]
fn what_is_no_such_model_is_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech-synth/g2p-wrong");
    std::fs::create_dir_all(&folder).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/speech-synth/g2p");
    std::fs::copy(golden.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    let config = std::fs::read_to_string(golden.join("config.json")).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        std::fs::write(folder.join("config.json"), config.replace(from, to)).unwrap();
        let error = LettersToPhones::open(Files::Dir(folder.clone())).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("letters_to_phones", "marian", "model_type `marian` is not supported");
    check(
        "\"num_attention_heads\": 4",
        "\"num_attention_heads\": 5",
        "num_attention_heads 5 does not divide",
    );
    check("\"hidden_size\": 64", "\"hidden_size\": 0", "hidden_size 0 is not in 1 to 4096");
    check("\"hidden_size\": 64", "\"hidden_size\": 32", "facts.weight");
}
