//! T5: what transformers computes, caches that agree with whole passes, files of every kind, and gradients for every
//! variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::gguf::Gguf;
use models::checkpoint::{Checkpoint, Files};
use models::gradients::record;
use models::layers::dropout::Dropout;
use models::layers::init::{sorted, trainable};
use models::layers::loss::cross_entropy;
use models::nets::t5::{Cache, Config, Source, T5, gguf};
use models::vars::Format;
use std::collections::HashMap;
use std::sync::Arc;

use super::golden::{assert_close, expected, folder};

/// From scripts/golden/t5.py, whose seeds were chosen by the tolerance.
const GOLDEN: [&str; 3] = ["t5/plain", "t5/gated", "t5/madlad"];
const TOLERANCE: f32 = 1e-4;

fn load(name: &str) -> Result<(T5, Config, HashMap<String, Tensor>)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    let net = T5::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
    Ok((net, config, expected(name)?))
}

fn encode(net: &T5, golden: &HashMap<String, Tensor>) -> Result<Source> {
    net.encode(&golden["source"], Some(&golden["mask"]))
}

fn logits(net: &T5, golden: &HashMap<String, Tensor>) -> Result<Tensor> {
    net.forward(&golden["target"], &mut net.start(&encode(net, golden)?)?)
}

#[test]
fn transformers_states_and_logits_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let mask = golden["mask"].to_dtype(DType::F32)?.unsqueeze(2)?;
        let states = encode(&net, &golden)?.states.broadcast_mul(&mask)?;
        assert_close(&states, &golden["states"], TOLERANCE, name);
        assert_close(&logits(&net, &golden)?, &golden["logits"], TOLERANCE, name);
        let (source, mask, target) = (&golden["source"], Some(&golden["mask"]), &golden["target"]);
        let trained = net.forward_train(source, mask, target, &Dropout::NONE)?;
        assert_close(&trained, &golden["logits"], TOLERANCE, name);
    }
    Ok(())
}

#[test]
fn transformers_greedy_ids_are_reproduced_step_by_step() -> Result<()> {
    for name in GOLDEN {
        let (net, config, golden) = load(name)?;
        let greedy = golden["greedy"].to_dtype(DType::U32)?.to_vec2::<u32>()?;
        let mut cache = net.start(&encode(&net, &golden)?)?;
        assert_eq!(golden["start"].to_vec1::<i64>()?, [config.start() as i64]);
        let mut ids = vec![config.start(); greedy.len()];
        for step in 0..greedy[0].len() {
            let column = Tensor::from_vec(ids, (greedy.len(), 1), &Device::Cpu)?;
            let logits = net.forward_last(&column, &mut cache)?.to_vec2::<f32>()?;
            let next = |(row, logits): (usize, &Vec<f32>)| {
                let new = |id: &u32| *id != config.pad_token_id && !greedy[row][..step].contains(id);
                let ids = (0..logits.len() as u32).filter(new);
                ids.max_by(|a, b| logits[*a as usize].total_cmp(&logits[*b as usize])).unwrap()
            };
            ids = logits.iter().enumerate().map(next).collect();
            let expected: Vec<u32> = greedy.iter().map(|row| row[step]).collect();
            assert_eq!(ids, expected, "{name}: step {step}");
        }
    }
    Ok(())
}

#[test]
fn steps_clones_and_truncated_caches_agree_with_the_whole_pass() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let (target, whole) = (&golden["target"], &golden["logits"]);
        let mut cache = net.start(&encode(&net, &golden)?)?;
        let mut clone = None;
        for (start, time) in [(0, 3), (3, 1), (4, 5), (9, 1), (10, 19)] {
            let part = net.forward(&target.narrow(1, start, time)?, &mut cache)?;
            assert_close(&part, &whole.narrow(1, start, time)?, TOLERANCE, name);
            clone = clone.or_else(|| Some(cache.clone()));
        }
        cache.truncate(3);
        let mut clone: Cache = clone.unwrap();
        for cache in [&mut cache, &mut clone] {
            let part = net.forward(&target.narrow(1, 3, 10)?, cache)?;
            assert_close(&part, &whole.narrow(1, 3, 10)?, TOLERANCE, name);
        }
    }
    Ok(())
}

#[test]
fn reordered_caches_go_on_as_the_chosen_sequences() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let pick = |xs: &Tensor, rows: &[usize]| {
            let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
            xs.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)
        };
        let mut cache = net.start(&encode(&net, &golden)?)?;
        let mut rows: Vec<usize> = (0..3).collect();
        let beams: Vec<usize> = (0..12).map(|i| i / 4).collect();
        let among = [1, 1, 0, 3, 4, 4, 4, 5, 11, 10, 9, 8];
        let orders: [&[usize]; 5] = [&beams, &among, &[8, 9, 10, 11, 0, 1, 2, 3], &[4, 5, 5, 7], &[0]];
        for (step, order) in orders.into_iter().enumerate() {
            let ids = pick(&golden["target"], &rows)?.narrow(1, step, 1)?.contiguous()?;
            let part = net.forward(&ids, &mut cache)?;
            assert_close(&part, &pick(&golden["logits"], &rows)?.narrow(1, step, 1)?, TOLERANCE, name);
            cache.reorder(order)?;
            rows = order.iter().map(|row| rows[*row]).collect();
        }
    }
    Ok(())
}

#[test]
fn padded_texts_are_answered_as_they_are_alone() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        for (row, length) in [(0, 27), (1, 9), (2, 18)] {
            let ids = golden["source"].narrow(0, row, 1)?.narrow(1, 0, length)?;
            let mut cache = net.start(&net.encode(&ids, None)?)?;
            let logits = net.forward(&golden["target"].narrow(0, row, 1)?, &mut cache)?;
            assert_close(&logits, &golden["logits"].narrow(0, row, 1)?, 2. * TOLERANCE, name);
        }
    }
    Ok(())
}

#[test]
fn files_of_llama_cpp_and_of_candle_give_the_same_net() -> Result<()> {
    for (name, file) in [("t5/plain", "llama.gguf"), ("t5/gated", "llama.gguf"), ("t5/madlad", "hub.gguf")] {
        let (checkpoint, golden) = (Checkpoint::open(Files::Dir(folder(name)))?, expected(name)?);
        let mut config: Config = checkpoint.config()?;
        let gguf = Arc::new(Gguf::open(&Files::Dir(folder(name)), file)?);
        let beside = (file == "hub.gguf").then(|| config.clone());
        if beside.is_none() {
            // llama.cpp's files do not tell it
            config.relative_attention_max_distance = 128;
            let found = gguf::config(&gguf)?;
            let (architectures, other) = (found.architectures.clone(), found.other.clone());
            // they have it in f32
            let layer_norm_epsilon = found.layer_norm_epsilon;
            assert_eq!(layer_norm_epsilon as f32, config.layer_norm_epsilon as f32);
            assert_eq!(found, Config { architectures, other, layer_norm_epsilon, ..config.clone() });
        } else {
            let error = gguf::load(gguf.clone(), None, false, &Device::Cpu).err().unwrap().to_string();
            assert!(error.contains("config.json") && !error.contains('\n'), "{error}");
        }
        let plain = T5::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
        for packed in [false, true] {
            let (_, net) = gguf::load(gguf.clone(), beside.clone(), packed, &Device::Cpu)?;
            assert_close(&logits(&net, &golden)?, &logits(&plain, &golden)?, 1e-6, name);
        }
    }
    Ok(())
}

// attention without a scale makes much of little in nets so small: the mean of all logits is held against theirs
#[test]
fn fewer_bits_give_nearly_the_same() -> Result<()> {
    for (format, tolerance) in [(Format::Packed, 1e-5), (Format::Bf16, 0.03), (Format::Int8, 0.08)] {
        for name in GOLDEN {
            let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
            let vb = checkpoint.vb(DType::F32, &Device::Cpu).with_format(format);
            let net = T5::new(&checkpoint.config()?, vb)?;
            let golden = expected(name)?;
            let mean = |xs: &Tensor| -> Result<f32> { xs.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>() };
            let other = mean(&(logits(&net, &golden)? - &golden["logits"])?)? / mean(&golden["logits"])?;
            assert!(other < tolerance, "{name} {format:?}: {other}");
        }
    }
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for name in GOLDEN {
        let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
        let config: Config = checkpoint.config()?;
        let vars = candle_nn::VarMap::new();
        let net = T5::new(&config, trainable(&vars, checkpoint.vb(DType::F32, &Device::Cpu)))?;
        let (golden, dropout) = (expected(name)?, Dropout { rate: 0.1, seed: 1, step: 0 });
        let target = &golden["target"];
        let loss = || {
            let logits = net.forward_train(&golden["source"], Some(&golden["mask"]), target, &dropout)?;
            cross_entropy(&logits, &target.to_dtype(DType::U32)?)
        };
        let (recorded, record) = record(loss);
        let (grads, expected) = (record.backward(&recorded?)?, loss()?.backward()?);
        assert_eq!(sorted(&vars).len(), checkpoint.tensors().count(), "{name}");
        for (key, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name}: {key} has no gradient") };
            let norm = grad.sqr()?.sum_all()?.to_scalar::<f32>()?;
            assert!(norm.is_finite() && norm > 0., "{name}: {key}: {norm}");
            assert_close(grad, expected.get(&var).unwrap(), 1e-4, &key);
        }
    }
    Ok(())
}

#[test]
fn fresh_nets_learn_from_a_seed() -> Result<()> {
    for tied in [false, true] {
        let config = Config { d_model: 32, num_layers: 2, tie_word_embeddings: tied, ..Config::default() };
        let (net, vars) = T5::init(&config, 7, &Device::Cpu)?;
        let ids = Tensor::new(&[[5u32, 9, 3, 1], [4, 1, 0, 0]], &Device::Cpu)?;
        let logits = net.forward_train(&ids, Some(&ids.ne(0u32)?), &ids, &Dropout::NONE)?;
        let grads = cross_entropy(&logits, &ids)?.backward()?;
        for (name, var) in sorted(&vars) {
            assert!(grads.get(&var).is_some(), "{name} has no gradient");
        }
        assert_eq!(sorted(&vars).iter().any(|(name, _)| name == "lm_head.weight"), !tied);
    }
    Ok(())
}

fn refused(change: impl Fn(&mut Config), words: &str) {
    let mut config = Config::default();
    change(&mut config);
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains(words) && error.lines().count() == 1, "{error}");
}

#[test]
fn what_the_net_does_not_do_is_refused_by_name() -> Result<()> {
    assert!(Config::default().validate().is_ok());
    refused(|c| c.model_type = "umt5".into(), "umt5");
    refused(|c| c.feed_forward_proj = "gated-tanh".into(), "gated-tanh");
    refused(|c| c.d_model = 0, "d_model 0");
    refused(|c| c.num_layers = 1 << 40, "num_layers");
    refused(|c| c.num_decoder_layers = Some(0), "num_decoder_layers 0");
    refused(|c| c.relative_attention_num_buckets = 6, "relative_attention_num_buckets 6");
    refused(|c| c.relative_attention_max_distance = 16, "relative_attention_max_distance 16");
    refused(|c| c.layer_norm_epsilon = f64::NAN, "layer_norm_epsilon");
    refused(|c| c.decoder_start_token_id = Some(256), "decoder_start_token_id 256");
    refused(|c| drop(c.other.insert("is_encoder_decoder".into(), false.into())), "is_encoder_decoder");
    refused(|c| drop(c.other.insert("quantization_config".into(), 8.into())), "quantization_config");

    let (net, _, golden) = load(GOLDEN[0])?;
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let foreign = Tensor::new(&[[83u32]], &Device::Cpu)?;
    assert!(net.encode(&foreign, None).is_err() && net.encode(&foreign.narrow(1, 0, 0)?, None).is_err());
    assert!(error(net.encode(&foreign, Some(&golden["mask"])).map(drop)).contains("mask"));
    let mut cache = net.start(&encode(&net, &golden)?)?;
    let pair = golden["target"].narrow(0, 0, 2)?;
    assert!(error(net.forward(&pair, &mut cache).map(drop)).contains("2 sequences for 3 sources"));
    Ok(())
}
