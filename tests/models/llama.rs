//! The Llama net: its passes agree with each other, and every variable learns.

use candle_core::{DType, Device, Result, Tensor, Var};
use models::checkpoint::{Checkpoint, Files, save};
use models::gradients::record;
use models::layers::dropout::Dropout;
use models::layers::init::{seeded, sorted, trainable};
use models::layers::loss::{IGNORED, cross_entropy};
use models::nets::llama::{Cache, Config, Llama};
use models::vars::Format;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn small() -> Config {
    Config {
        vocab_size: 50,
        hidden_size: 32,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        initializer_range: 0.3,
        ..Config::default()
    }
}

// bias, tied, head width and grouping in turn
fn variants() -> Vec<Config> {
    vec![
        small(),
        Config { tie_word_embeddings: false, num_key_value_heads: None, ..small() },
        Config { attention_bias: true, mlp_bias: true, head_dim: Some(10), ..small() },
        Config { num_key_value_heads: Some(1), num_hidden_layers: 1, rope_theta: Some(500_000.), ..small() },
    ]
}

fn ids(batch: usize, time: usize) -> Tensor {
    let ids: Vec<u32> = (0..batch * time).map(|i| (i * i * 7 + i * 3 + i / time) as u32 % 50).collect();
    Tensor::from_vec(ids, (batch, time), &Device::Cpu).unwrap()
}

fn assert_close(a: &Tensor, b: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let largest =
        |t: Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    let (difference, scale) = (largest((a - b).unwrap()), largest(b.clone()));
    assert!(difference <= tolerance * scale.max(1.), "{what}: {difference} of {scale}");
}

#[test]
fn whole_pass_and_training_pass_agree() -> Result<()> {
    for cfg in variants() {
        let (net, _) = Llama::init(&cfg, 1, &Device::Cpu)?;
        for (batch, time) in [(1, 1), (2, 9), (1, 150)] {
            let ids = ids(batch, time);
            let trained = net.forward_train(&ids, &Dropout::NONE)?;
            let whole = net.forward(&ids, &mut Cache::new(&cfg))?;
            assert_close(&whole, &trained, 1e-5, &format!("{batch} x {time}"));
        }
    }
    Ok(())
}

#[test]
fn steps_with_a_cache_equal_the_whole_pass() -> Result<()> {
    for cfg in variants() {
        let (net, _) = Llama::init(&cfg, 2, &Device::Cpu)?;
        let (ids, mut cache) = (ids(2, 140), Cache::new(&cfg));
        let whole = net.forward(&ids, &mut Cache::new(&cfg))?;
        let mut start = 0;
        for time in [3, 1, 1, 130, 1, 4] {
            let part = net.forward(&ids.narrow(1, start, time)?, &mut cache)?;
            assert_close(&part, &whole.narrow(1, start, time)?, 1e-5, &format!("{time} from {start}"));
            start += time;
            assert_eq!(cache.len(), start);
        }
    }
    Ok(())
}

#[test]
fn a_truncated_or_cloned_cache_goes_on_as_if_nothing_had_followed() -> Result<()> {
    let cfg = small();
    let (net, _) = Llama::init(&cfg, 3, &Device::Cpu)?;
    let (ids, mut cache) = (ids(1, 20), Cache::new(&cfg));
    let whole = net.forward(&ids, &mut Cache::new(&cfg))?;
    net.forward(&ids.narrow(1, 0, 10)?, &mut cache)?;
    let mut clone = cache.clone();
    net.forward(&ids.narrow(1, 3, 9)?, &mut cache)?;
    cache.truncate(10);
    for cache in [&mut cache, &mut clone] {
        let last = net.forward_last(&ids.narrow(1, 10, 10)?, cache)?;
        assert_close(&last, &whole.narrow(1, 19, 1)?.squeeze(1)?, 1e-5, "last");
    }
    cache.truncate(0);
    assert_close(&net.forward(&ids, &mut cache)?, &whole, 1e-5, "emptied");
    Ok(())
}

#[test]
fn empty_and_foreign_ids_are_errors() -> Result<()> {
    let cfg = small();
    let (net, _) = Llama::init(&cfg, 1, &Device::Cpu)?;
    for ids in [Tensor::zeros((1, 0), DType::U32, &Device::Cpu)?, Tensor::new(&[[50u32]], &Device::Cpu)?] {
        let mut cache = Cache::new(&cfg);
        assert!(net.forward(&ids, &mut cache).is_err() && net.forward_last(&ids, &mut cache).is_err());
        assert!(net.forward_train(&ids, &Dropout::NONE).is_err() && cache.is_empty());
    }
    Ok(())
}

#[test]
fn a_batch_equals_its_rows() -> Result<()> {
    let cfg = small();
    let (net, _) = Llama::init(&cfg, 4, &Device::Cpu)?;
    let ids = ids(3, 17);
    let together = net.forward(&ids, &mut Cache::new(&cfg))?;
    for row in 0..3 {
        let alone = net.forward(&ids.narrow(0, row, 1)?, &mut Cache::new(&cfg))?;
        assert_close(&alone, &together.narrow(0, row, 1)?, 1e-5, "row");
    }
    Ok(())
}

#[test]
fn every_variable_has_a_gradient() -> Result<()> {
    for cfg in variants() {
        let (net, vars) = Llama::init(&cfg, 5, &Device::Cpu)?;
        let ids = ids(2, 12);
        let dropout = Dropout { rate: 0.1, seed: 1, step: 0 };
        let grads = cross_entropy(&net.forward_train(&ids, &dropout)?, &ids)?.backward()?;
        let vars = sorted(&vars);
        assert!(vars.len() >= 2 + 9 * cfg.num_hidden_layers);
        for (name, var) in vars {
            let grad = grads.get(&var).unwrap_or_else(|| panic!("{name} has no gradient"));
            let norm = grad.sqr()?.sum_all()?.to_scalar::<f32>()?;
            assert!(norm > 0. && norm.is_finite(), "{name}: {norm}");
        }
    }
    Ok(())
}

#[test]
fn gradients_equal_finite_differences() -> Result<()> {
    for cfg in variants() {
        let (net, vars) = Llama::init(&cfg, 6, &Device::Cpu)?;
        let (ids, targets) = (ids(2, 11), ids(2, 11).affine(1., 0.)?);
        let dropout = Dropout { rate: 0.2, seed: 9, step: 4 };
        let loss = || cross_entropy(&net.forward_train(&ids, &dropout)?, &targets);
        let grads = loss()?.backward()?;
        for (name, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name} has no gradient") };
            let direction = seeded_like(&var, &name)?;
            let slope = (grad * &direction)?.sum_all()?.to_scalar::<f32>()? as f64;
            let kept = var.as_tensor().copy()?;
            let at = |h: f64| -> Result<f64> {
                var.set(&(&kept + (&direction * h)?)?)?;
                Ok(loss()?.to_scalar::<f32>()? as f64)
            };
            let h = 2e-3;
            let measured = (8. * (at(h)? - at(-h)?) - (at(2. * h)? - at(-2. * h)?)) / (12. * h);
            var.set(&kept)?;
            let scale = grad.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt() as f64;
            assert!((slope - measured).abs() < 1e-2 * scale + 1e-3, "{name}: {slope} against {measured}");
        }
    }
    Ok(())
}

fn seeded_like(var: &Var, name: &str) -> Result<Tensor> {
    let vb = seeded(&candle_nn::VarMap::new(), 11, &Device::Cpu);
    let drawn =
        vb.get_with_hints(var.shape(), name, candle_nn::Init::Randn { mean: 0., stdev: 1. })?.detach();
    let norm = drawn.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt();
    drawn / norm as f64
}

#[test]
fn recorded_gradients_are_those_of_candles_backward_pass() -> Result<()> {
    for cfg in variants() {
        let (net, vars) = Llama::init(&cfg, 12, &Device::Cpu)?;
        let (ids, dropout) = (ids(2, 70), Dropout { rate: 0.2, seed: 3, step: 1 });
        let loss = || cross_entropy(&net.forward_train(&ids, &dropout)?, &ids);
        let (recorded, record) = record(loss);
        let (found, expected) = (record.backward(&recorded?)?, loss()?.backward()?);
        for (name, var) in sorted(&vars) {
            let (Some(a), Some(b)) = (found.get(&var), expected.get(&var)) else { panic!("{name}") };
            let largest = b.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            assert_close(&(a / largest as f64)?, &(b / largest as f64)?, 1e-5, &name);
        }
    }
    Ok(())
}

#[test]
fn fresh_weights_depend_on_the_seed_alone() -> Result<()> {
    let values = |seed| -> Result<Vec<Vec<f32>>> {
        let (_, vars) = Llama::init(&small(), seed, &Device::Cpu)?;
        sorted(&vars).iter().map(|(_, var)| var.flatten_all()?.to_vec1()).collect()
    };
    assert_eq!(values(1)?, values(1)?);
    assert_ne!(values(1)?, values(2)?);
    Ok(())
}

#[test]
fn ignored_targets_do_not_count() -> Result<()> {
    let logits = Tensor::new(&[[[1f32, 2., 3.], [0., 0., 9.]], [[3., 1., 0.], [5., 5., 5.]]], &Device::Cpu)?;
    let loss = |targets: [[u32; 2]; 2]| -> Result<f32> {
        cross_entropy(&logits, &Tensor::new(&targets, &Device::Cpu)?)?.to_scalar()
    };
    let log_sum = |row: [f32; 3]| row.iter().map(|x| x.exp()).sum::<f32>().ln();
    let (first, third) = (log_sum([1., 2., 3.]) - 2., log_sum([3., 1., 0.]) - 3.);
    let (a, b) = (loss([[1, IGNORED], [0, IGNORED]])?, (first + third) / 2.);
    assert!((a - b).abs() < 1e-6, "{a} {b}");
    assert_eq!(loss([[IGNORED; 2]; 2])?, 0.);
    Ok(())
}

fn refused(change: impl Fn(&mut Config), names: &str) {
    let mut cfg = small();
    change(&mut cfg);
    let vb = models::vars::VarBuilder::zeros(DType::F32, &Device::Cpu);
    let Err(error) = Llama::new(&cfg, vb) else { panic!("{names} was accepted") };
    let error = error.to_string();
    assert!(error.contains(names) && error.lines().count() == 1, "{error}");
}

#[test]
fn what_the_net_does_not_do_is_refused_by_name() {
    let map = |text: &str| serde_json::from_str(text).ok();
    refused(|c| c.model_type = "mixtral".to_string(), "mixtral");
    refused(|c| c.hidden_act = "relu2".to_string(), "relu2");
    refused(|c| c.rope_scaling = map(r#"{"type": "linear"}"#), "factor");
    refused(|c| c.rope_scaling = map(r#"{"type": "linear", "factor": -2.0}"#), "factor -2");
    refused(|c| c.rope_scaling = map(r#"{"type": "ntk", "factor": 2.0}"#), "ntk");
    refused(|c| c.rope_scaling = map(r#"{"factor": 2.0}"#), "rope_scaling");
    refused(|c| c.rope_parameters = map(r#"{"rope_type": "llama3", "rope_theta": 1e4}"#), "low_freq_factor");
    refused(|c| c.rope_scaling = map(r#"{"type": "longrope", "short_factor": [1]}"#), "short_factor");
    refused(|c| c.partial_rotary_factor = Some(0.1), "partial_rotary_factor");
    refused(|c| c.use_bidirectional_attention = Some(true), "use_bidirectional_attention");
    refused(|c| c.sliding_window = Some(0), "sliding_window");
    refused(|c| c.layer_types = Some(vec!["full_attention".into()]), "1 layer_types");
    refused(|c| c.layer_types = Some(vec!["linear_attention".into(); 2]), "linear_attention");
    refused(
        |c| (c.model_type, c.query_pre_attn_scalar) = ("gemma2".into(), Some(0.)),
        "query_pre_attn_scalar",
    );
    refused(|c| c.final_logit_softcapping = Some(-1.), "final_logit_softcapping");
    refused(|c| c.rope_parameters = map(r#"{"rope_theta": "x"}"#), "rope_theta");
    refused(|c| c.quantization_config = Some(true.into()), "quantization_config");
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    refused(|c| c.vocab_size = usize::MAX, "vocab_size");
    refused(|c| c.hidden_size = 0, "hidden_size");
    refused(|c| c.num_attention_heads = 0, "num_attention_heads");
    refused(|c| c.num_attention_heads = 5, "hidden_size 32 is no multiple");
    refused(|c| c.num_key_value_heads = Some(3), "num_key_value_heads 3");
    refused(|c| c.head_dim = Some(7), "head_dim 7");
    refused(|c| c.num_hidden_layers = 1 << 40, "num_hidden_layers");
    refused(|c| c.rms_norm_eps = f64::NAN, "rms_norm_eps");
    refused(|c| c.rope_theta = Some(-1.), "rope_theta");
}

/// From scripts/golden/llama.py, and from llama_family.py.
const GOLDEN: [&str; 19] = [
    "grouped-tied",
    "sharded-bias",
    "full-f16",
    "grouped-bf16",
    "llama3-stretched",
    "linear-stretched",
    "dynamic",
    "mistral",
    "mistral-all",
    "qwen2",
    "qwen2-yarn",
    "qwen3",
    "qwen3-bias",
    "gemma2",
    "gemma2-loud",
    "gemma3",
    "gemma3-far",
    "phi3",
    "phi3-long",
];

/// Logits within 1e-4 of the largest, the tolerance that scripts/golden/llama.py chose its seeds by.
fn check_golden(files: Files, expected: &HashMap<String, Tensor>) -> Result<()> {
    let checkpoint = Checkpoint::open(files)?;
    let cfg: Config = checkpoint.config()?;
    let net = Llama::new(&cfg, checkpoint.vb(DType::F32, &Device::Cpu))?;
    let ids = expected["ids"].to_dtype(DType::U32)?;
    let words = format!("{} {:?}", cfg.model_type, checkpoint.files().describe(""));
    assert_close(&net.forward(&ids, &mut Cache::new(&cfg))?, &expected["logits"], 1e-4, &words);
    assert_close(&net.forward_train(&ids, &Dropout::NONE)?, &expected["logits"], 1e-4, &words);

    let (mut cache, mut ids) = (Cache::new(&cfg), expected["prompt"].to_dtype(DType::U32)?.unsqueeze(0)?);
    let mut greedy = Vec::new();
    for _ in 0..64 {
        ids = net.forward_last(&ids, &mut cache)?.argmax_keepdim(1)?;
        greedy.push(ids.flatten_all()?.to_vec1::<u32>()?[0] as i64);
    }
    assert_eq!(greedy, expected["greedy"].to_vec1::<i64>()?, "{words}");
    Ok(())
}

fn golden_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/llama").join(name)
}

#[test]
fn transformers_logits_and_greedy_ids_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let folder = golden_folder(name);
        let expected = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)?;
        check_golden(Files::Dir(folder), &expected)?;
    }
    Ok(())
}

/// The bound is on the norm of the error beside that of the logits: single values vary more in 8 bits of mantissa.
#[test]
fn linear_maps_in_bf16_give_nearly_the_same() -> Result<()> {
    for name in GOLDEN {
        let folder = golden_folder(name);
        let expected = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)?;
        let checkpoint = Checkpoint::open(Files::Dir(folder))?;
        let cfg: Config = checkpoint.config()?;
        let vb = checkpoint.vb(DType::F32, &Device::Cpu).with_format(Format::Bf16);
        let logits =
            Llama::new(&cfg, vb)?.forward(&expected["ids"].to_dtype(DType::U32)?, &mut Cache::new(&cfg))?;
        let norm = |tensor: &Tensor| tensor.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>();
        let relative = norm(&(logits - &expected["logits"])?)? / norm(&expected["logits"])?;
        assert!(relative < 2e-2, "{name}: {relative}");
    }
    Ok(())
}

#[test]
fn embedded_bytes_do_as_a_folder_does_at_any_alignment() -> Result<()> {
    for name in ["grouped-tied", "sharded-bias", "full-f16"] {
        let folder = golden_folder(name);
        let expected = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu)?;
        for shift in 0..4 {
            let mut files: Vec<(&'static str, &'static [u8])> = Vec::new();
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let mut bytes = vec![0; shift];
                bytes.extend(std::fs::read(entry.path())?);
                let name: String = entry.file_name().to_string_lossy().into_owned();
                files.push((name.leak(), &bytes.leak()[shift..]));
            }
            check_golden(Files::Static(files.into()), &expected)?;
        }
    }
    Ok(())
}

#[test]
fn a_trained_net_is_saved_and_read_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for cfg in variants() {
        let (net, vars) = Llama::init(&cfg, 8, &Device::Cpu)?;
        let tensors: Vec<_> =
            sorted(&vars).into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
        save(folder.path(), &cfg, &tensors, DType::F32)?;
        let checkpoint = Checkpoint::open(Files::Dir(folder.path().into()))?;
        let read: Config = checkpoint.config()?;
        assert_eq!(read, cfg);
        let vars = candle_nn::VarMap::new();
        let again = Llama::new(&read, trainable(&vars, checkpoint.vb(DType::F32, &Device::Cpu)))?;
        assert_eq!(sorted(&vars).len(), tensors.len());
        let ids = ids(1, 6);
        let logits = |net: &Llama| net.forward_train(&ids, &Dropout::NONE)?.flatten_all()?.to_vec1::<f32>();
        assert_eq!(logits(&again)?, logits(&net)?);
    }
    Ok(())
}
