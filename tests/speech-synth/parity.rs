//! What the binary writes is what transformers computes from the same text and seed.

use candle_core::safetensors::load;
use candle_core::{DType, Device};

use crate::{done, folder, golden, run, wav};

#[test]
fn samples_and_ids_are_those_of_transformers() {
    for (name, rate) in [("mms", 16_000), ("speakers", 22_050), ("phonemes", 22_050), ("plain", 8000)] {
        let (folder, voice) = (folder(&format!("parity-{name}")), golden(name));
        let text = std::fs::read_to_string(format!("{voice}/text.json")).unwrap();
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut words =
            vec!["--model", &voice, "--dtype", "f32", "--bits", "32", "--seed", "7", "--json", "-q"];
        if name == "phonemes" {
            words.push("--ipa");
        }
        words.extend(["--text", text["text"].as_str().unwrap()]);
        let told: serde_json::Value = serde_json::from_str(&done(&run(&folder, &words))).unwrap();
        assert_eq!(told["ids"], text["ids"], "{name}");
        let expected = load(format!("{voice}/say.safetensors"), &Device::Cpu).unwrap();
        let expected = expected["samples"].to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        let expected = expected.to_vec1::<f32>().unwrap();
        let (spec, found) = wav(&folder.join("speech.wav"));
        assert_eq!((spec.sample_rate, found.len()), (rate, expected.len()), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{name}: {found} for {expected}");
        }
        assert_eq!(told["samples"], found.len(), "{name}");
        assert_eq!(told["sample_rate"], rate, "{name}");
    }
}
