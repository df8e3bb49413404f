//! MusicGen: what transformers computes of prompts, melodies and beginnings, and the codes it makes.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::decoding::{Sampler, Sampling};
use models::features::chroma::Chroma;
use models::nets::musicgen::{Codec, Config, Generation, MusicGen};
use models::tokens::Tokens;
use models::vars::{Format, VarBuilder};
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

/// From scripts/golden/musicgen.py, whose seeds were chosen by the tolerance.
const GOLDEN: [&str; 5] = ["mono", "wide", "stereo", "melody", "stereo-melody"];
const TOLERANCE: f32 = 2e-5;
const FRAMES: usize = 60;

struct Golden {
    name: String,
    net: MusicGen,
    codec: Codec,
    tensors: HashMap<String, Tensor>,
}

fn load(name: &str, format: Format) -> Result<Golden> {
    let name = format!("musicgen/{name}");
    let checkpoint = Checkpoint::open(Files::Dir(folder(&name)))?;
    let config: Config = checkpoint.config()?;
    let vb = checkpoint.vb(DType::F32, &Device::Cpu).with_format(format);
    let codec = Codec::new(&config.audio_encoder, config.decoder.audio_channels, vb.pp("audio_encoder"))?;
    Ok(Golden { net: MusicGen::new(&config, vb)?, codec, tensors: expected(&name)?, name })
}

impl Golden {
    fn rows(&self, name: &str) -> Result<Vec<Vec<u32>>> {
        self.tensors[name].to_dtype(DType::U32)?.to_vec2()
    }

    fn ids(&self) -> Result<Vec<u32>> {
        self.tensors["ids"].to_dtype(DType::U32)?.to_vec1()
    }

    fn melody(&self) -> Result<Option<Vec<u32>>> {
        self.tensors.get("melody").map(|melody| melody.to_dtype(DType::U32)?.to_vec1()).transpose()
    }

    fn generate(
        &self,
        ids: &[u32],
        given: &[Vec<u32>],
        guidance: f64,
        sampling: Sampling,
    ) -> Result<Vec<Vec<u32>>> {
        let cache = self.net.start(ids, self.melody()?.as_deref(), guidance > 1.)?;
        let asked = Generation { given, frames: FRAMES, guidance };
        self.net.generate(cache, &asked, &mut Sampler::new(&sampling).unwrap(), &mut || true)
    }
}

fn greedy() -> Sampling {
    Sampling { temperature: 0., ..Sampling::default() }
}

/// As in the script.
fn drawn() -> Sampling {
    Sampling { temperature: 1.2, top_k: 20, top_p: 0.9, seed: 7, ..Sampling::default() }
}

#[test]
fn transformers_states_and_logits_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let golden = load(name, Format::Packed)?;
        let (ids, tensors) = (golden.ids()?, &golden.tensors);
        let tokens = Tokens::open(&Files::Dir(folder(&golden.name)))?;
        assert_eq!(tokens.encode("a slow piano waltz", true)?, ids, "{name}");
        let states = golden.net.read(&Tensor::new(ids.as_slice(), &Device::Cpu)?.unsqueeze(0)?)?;
        assert_close(&states, &tensors["states"], TOLERANCE, name);
        let mut cache = golden.net.start(&ids, golden.melody()?.as_deref(), true)?;
        let codes = tensors["codes"].to_dtype(DType::U32)?;
        let logits = golden.net.forward_last(&Tensor::stack(&[&codes, &codes], 0)?, &mut cache)?;
        assert_close(&logits.get(0)?, &tensors["logits"], TOLERANCE, name);
        let (told, untold) = (logits.get(0)?, logits.get(1)?);
        let guided = ((told - &untold)? * 3.)? + untold;
        assert_close(&guided?, &tensors["guided"], 3. * TOLERANCE, name);
        // a step at a time, and without guidance
        let mut cache = golden.net.start(&ids, golden.melody()?.as_deref(), false)?;
        let codes = codes.unsqueeze(0)?;
        let whole =
            golden.net.forward(&codes, &mut golden.net.start(&ids, golden.melody()?.as_deref(), false)?)?;
        for step in 0..codes.dim(2)? {
            let logits = golden.net.forward_last(&codes.narrow(2, step, 1)?, &mut cache)?;
            assert_close(&logits, &whole.narrow(2, step, 1)?.squeeze(2)?, TOLERANCE, name);
        }
    }
    Ok(())
}

#[test]
fn transformers_greedy_codes_and_their_sound_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let golden = load(name, Format::Packed)?;
        let ids = golden.ids()?;
        assert_eq!(golden.generate(&ids, &[], 1., greedy())?, golden.rows("plain")?, "{name}");
        let codes = golden.generate(&ids, &[], 3., greedy())?;
        assert_eq!(codes, golden.rows("greedy")?, "{name}");
        let pieces = golden.codec.pieces(&codes, 25)?.collect::<Result<Vec<_>>>()?;
        let wave = Tensor::cat(&pieces, 2)?.squeeze(1)?;
        assert_close(&wave, &golden.tensors["wave"], 1e-4, name);
    }
    Ok(())
}

#[test]
fn transformers_draws_are_reproduced_from_the_same_seed() -> Result<()> {
    for name in GOLDEN {
        let golden = load(name, Format::Packed)?;
        assert_eq!(golden.generate(&golden.ids()?, &[], 3., drawn())?, golden.rows("sampled")?, "{name}");
        if golden.tensors.contains_key("free") {
            assert_eq!(golden.generate(&[], &[], 1., drawn())?, golden.rows("free")?, "{name}");
        }
    }
    Ok(())
}

#[test]
fn transformers_continuations_are_reproduced() -> Result<()> {
    for name in &GOLDEN[..3] {
        let golden = load(name, Format::Packed)?;
        let heard = golden.codec.encode(&golden.tensors["sound"].to_vec2()?, None)?;
        assert_eq!(heard, golden.rows("heard")?, "{name}");
        let codes = golden.generate(&golden.ids()?, &heard, 3., greedy())?;
        assert_eq!(codes, golden.rows("goes_on")?, "{name}");
    }
    Ok(())
}

#[test]
fn transformers_melodies_are_heard() -> Result<()> {
    for name in &GOLDEN[3..] {
        let golden = load(name, Format::Plain)?;
        let chroma: Chroma = Files::Dir(folder(&golden.name)).json("preprocessor_config.json")?;
        assert_eq!(chroma.n_fft, 1024);
        let heard = chroma.classes(&golden.tensors["sung"].to_vec1::<f32>()?)?;
        assert_eq!(Some(heard), golden.melody()?, "{name}");
    }
    Ok(())
}

#[test]
fn fewer_bits_make_nearly_the_same_logits() -> Result<()> {
    for (format, tolerance) in [(Format::Plain, TOLERANCE), (Format::Bf16, 0.05), (Format::Int8, 0.05)] {
        let golden = load("mono", format)?;
        let mut cache = golden.net.start(&golden.ids()?, None, false)?;
        let codes = golden.tensors["codes"].to_dtype(DType::U32)?.unsqueeze(0)?;
        let logits = golden.net.forward_last(&codes, &mut cache)?;
        assert_close(&logits.get(0)?, &golden.tensors["logits"], tolerance, &format!("{format:?}"));
    }
    Ok(())
}

#[test]
fn stereo_is_two_sounds() -> Result<()> {
    let golden = load("stereo", Format::Packed)?;
    let mut sound: Vec<Vec<f32>> = golden.tensors["sound"].to_vec2()?;
    let both = golden.codec.encode(&sound, None)?;
    let right = sound.pop();
    let left = golden.codec.encode(&sound, None)?;
    assert!(left.chunks(2).all(|pair| pair[0] == pair[1]));
    assert!((0..both.len()).step_by(2).all(|row| both[row] == left[row]));
    let right = golden.codec.encode(&right.into_iter().collect::<Vec<_>>(), None)?;
    assert!((1..both.len()).step_by(2).all(|row| both[row] == right[row]));
    assert!(golden.codec.encode(&[vec![0.; 9], vec![0.; 9], vec![0.; 9]], None).is_err());
    assert!(golden.codec.pieces(&both[1..], 9).is_err());
    Ok(())
}

#[test]
fn what_cannot_be_made_is_refused() -> Result<()> {
    let golden = load("mono", Format::Plain)?;
    let refused = |said: String, part: &str| assert!(said.contains(part), "{said}");
    let Err(said) = golden.net.start(&golden.ids()?, Some(&[1, 2]), false) else {
        panic!("a melody was taken")
    };
    refused(said.to_string(), "takes no melody");
    assert!(golden.net.start(&[10_000], None, false).is_err());
    for given in [vec![vec![1; 3]; 3], vec![vec![1; 3], vec![1; 2], vec![1; 3], vec![1; 3]]] {
        refused(golden.generate(&[], &given, 1., greedy()).unwrap_err().to_string(), "4 rows");
    }
    refused(golden.generate(&[], &vec![vec![99; 3]; 4], 1., greedy()).unwrap_err().to_string(), "code 99");
    let melody = load("melody", Format::Plain)?;
    let Err(said) = melody.net.start(&[], Some(&[12]), false) else { panic!("a thirteenth class was taken") };
    refused(said.to_string(), "pitch class 12");
    // it stops when it is told to, with whole frames
    let cache = golden.net.start(&golden.ids()?, None, false)?;
    let (mut steps, asked) = (0, Generation { given: &[], frames: FRAMES, guidance: 1. });
    let mut sampler = Sampler::new(&greedy()).unwrap();
    let codes = golden.net.generate(cache, &asked, &mut sampler, &mut || {
        steps += 1;
        steps < 10
    })?;
    assert_eq!(codes.iter().map(Vec::len).collect::<Vec<_>>(), [7; 4]);
    Ok(())
}

#[test]
fn options_of_other_models_are_refused_by_name() -> Result<()> {
    let config: Config = Checkpoint::open(Files::Dir(folder("musicgen/stereo")))?.config()?;
    let refused = |change: &dyn Fn(&mut Config), part: &str| {
        let mut config = config.clone();
        change(&mut config);
        let said = match MusicGen::new(&config, VarBuilder::zeros(DType::F32, &Device::Cpu)) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{part} was not refused"),
        };
        assert!(said.contains(part), "{said}");
    };
    refused(&|c| c.model_type = "bark".into(), "model_type `bark`");
    refused(&|c| c.decoder.activation_function = "mish".into(), "activation_function `mish`");
    refused(&|c| c.decoder.num_attention_heads = 5, "num_attention_heads 5");
    refused(&|c| c.decoder.hidden_size = 0, "hidden_size 0");
    refused(&|c| c.decoder.num_codebooks = 6, "num_codebooks 6");
    refused(&|c| c.decoder.audio_channels = 3, "audio_channels 3");
    refused(&|c| c.decoder.vocab_size = 128, "vocab_size 128");
    refused(&|c| c.decoder.pad_token_id = 65, "pad_token_id 65");
    refused(&|c| c.decoder.cross_attention_hidden_size = Some(7), "cross_attention_hidden_size");
    refused(&|c| c.audio_encoder.normalize = true, "normalize");
    refused(&|c| c.audio_encoder.audio_channels = 2, "audio_channels");
    refused(&|c| c.text_encoder.feed_forward_proj = "maxout".into(), "maxout");
    // what transformers leaves away
    let bare =
        r#"{"model_type": "musicgen", "text_encoder": {"d_model": 768}, "audio_encoder": {}, "decoder": {}}"#;
    let bare: Config = serde_json::from_str(bare).unwrap();
    assert_eq!((bare.text_encoder.d_model, bare.text_encoder.vocab_size), (768, 32_128));
    assert_eq!((bare.decoder.vocab_size, bare.decoder.num_hidden_layers), (2048, 24));
    Ok(())
}
