//! Marian, M2M100 and mBART: what transformers computes, caches that agree with whole passes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::gradients::record;
use models::layers::dropout::Dropout;
use models::layers::init::{sorted, trainable};
use models::layers::loss::cross_entropy;
use models::nets::seq2seq::{Cache, Config, Seq2Seq, Source};
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

/// From scripts/golden/seq2seq.py, whose seeds were chosen by the tolerance.
const GOLDEN: [&str; 5] =
    ["seq2seq/marian", "seq2seq/marian-apart", "seq2seq/m2m100", "seq2seq/m2m100-plain", "seq2seq/mbart"];
const TOLERANCE: f32 = 1e-4;

fn load(name: &str) -> Result<(Seq2Seq, Config, HashMap<String, Tensor>)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    let net = Seq2Seq::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
    Ok((net, config, expected(name)?))
}

fn encode(net: &Seq2Seq, golden: &HashMap<String, Tensor>) -> Result<Source> {
    net.encode(&golden["source"], Some(&golden["mask"]))
}

#[test]
fn transformers_logits_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let (target, logits) = (&golden["target"], &golden["logits"]);
        let source = encode(&net, &golden)?;
        assert_close(&net.forward(target, &mut net.start(&source)?)?, logits, TOLERANCE, name);
        let mask = Some(&golden["mask"]);
        let trained = net.forward_train(&golden["source"], mask, target, &Dropout::NONE)?;
        assert_close(&trained, logits, TOLERANCE, name);
    }
    Ok(())
}

#[test]
fn transformers_greedy_ids_are_reproduced_step_by_step() -> Result<()> {
    for name in GOLDEN {
        let (net, config, golden) = load(name)?;
        let greedy = golden["greedy"].to_dtype(DType::U32)?.to_vec2::<u32>()?;
        let mut cache = net.start(&encode(&net, &golden)?)?;
        let start = config.decoder_start_token_id.unwrap();
        assert_eq!(golden["start"].to_vec1::<i64>()?, [start as i64]);
        let mut ids = vec![start; greedy.len()];
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
fn transformers_attention_weights_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, config, golden) = load(name)?;
        let source = encode(&net, &golden)?;
        let count = config.decoder_attention_heads;
        let heads: Vec<_> =
            (0..config.decoder_layers).flat_map(|layer| (0..count).map(move |head| (layer, head))).collect();
        let (logits, weights) = net.forward_watched(&golden["target"], &source, &heads)?;
        assert_close(&logits, &golden["logits"], TOLERANCE, name);
        for (i, (layer, head)) in heads.into_iter().enumerate() {
            let expected = golden["weights"].get(layer)?.narrow(1, head, 1)?;
            assert_close(&weights.narrow(1, i, 1)?, &expected, TOLERANCE, name);
        }
        let error = net.forward_watched(&golden["target"], &source, &[(9, 0)]).unwrap_err().to_string();
        assert!(error.contains("layer 9"), "{error}");
        assert!(net.forward_watched(&golden["target"], &source, &[(0, 99)]).is_err());
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
        for (start, time) in [(0, 3), (3, 1), (4, 5), (9, 1)] {
            let part = net.forward(&target.narrow(1, start, time)?, &mut cache)?;
            assert_close(&part, &whole.narrow(1, start, time)?, TOLERANCE, name);
            clone = clone.or_else(|| Some(cache.clone()));
        }
        cache.truncate(3);
        let mut clone: Cache = clone.unwrap();
        for cache in [&mut cache, &mut clone] {
            assert_eq!(cache.len(), 3);
            let part = net.forward(&target.narrow(1, 3, 10)?, cache)?;
            assert_close(&part, &whole.narrow(1, 3, 10)?, TOLERANCE, name);
        }
        cache.truncate(0);
        assert_close(&net.forward(target, &mut cache)?, whole, TOLERANCE, name);
    }
    Ok(())
}

/// The sequence that row `row` of a cache stands for goes on as it does alone.
fn check_rows(name: &str, orders: &[&[usize]]) -> Result<()> {
    let (net, _, golden) = load(name)?;
    let (target, whole) = (&golden["target"], &golden["logits"]);
    let pick = |xs: &Tensor, rows: &[usize]| {
        let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        xs.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)
    };
    let mut cache = net.start(&encode(&net, &golden)?)?;
    let mut rows: Vec<usize> = (0..3).collect();
    for (step, order) in orders.iter().enumerate() {
        let part = net.forward(&pick(target, &rows)?.narrow(1, step, 1)?.contiguous()?, &mut cache)?;
        assert_close(&part, &pick(whole, &rows)?.narrow(1, step, 1)?, TOLERANCE, name);
        cache.reorder(order)?;
        rows = order.iter().map(|row| rows[*row]).collect();
        assert_eq!(cache.rows(), rows.len());
    }
    Ok(())
}

#[test]
fn reordered_caches_go_on_as_the_chosen_sequences() -> Result<()> {
    for name in GOLDEN {
        // four beams a sentence, then changes among them, then sentences that end
        let beams: Vec<usize> = (0..12).map(|i| i / 4).collect();
        let among = [1, 1, 0, 3, 4, 4, 4, 5, 11, 10, 9, 8];
        check_rows(name, &[&beams, &among, &among, &[8, 9, 10, 11, 0, 1, 2, 3], &[4, 5, 5, 7], &[0]])?;
        check_rows(name, &[&[2, 0, 1], &[1, 1, 2, 0], &[3, 0], &[1, 0], &[0, 1]])?;
    }
    let (net, _, golden) = load(GOLDEN[0])?;
    let mut cache = net.start(&encode(&net, &golden)?)?;
    // before the first step, too
    cache.reorder(&[0, 0, 2, 2])?;
    let ids = golden["target"].narrow(0, 0, 2)?.repeat((2, 1))?;
    assert_eq!(net.forward(&ids, &mut cache)?.dim(0)?, 4);
    assert!(
        cache.reorder(&[]).is_err() && cache.reorder(&[4]).unwrap_err().to_string().contains("sequence 4")
    );
    assert!(net.forward(&golden["target"].narrow(0, 0, 2)?, &mut cache).is_err());
    Ok(())
}

#[test]
fn padded_sentences_are_translated_as_they_are_alone() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        for (row, length) in [(0, 11), (1, 4), (2, 8)] {
            let ids = golden["source"].narrow(0, row, 1)?.narrow(1, 0, length)?;
            let mut cache = net.start(&net.encode(&ids, None)?)?;
            let logits = net.forward(&golden["target"].narrow(0, row, 1)?, &mut cache)?;
            assert_close(&logits, &golden["logits"].narrow(0, row, 1)?, 2. * TOLERANCE, name);
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
        let net = Seq2Seq::new(&config, trainable(&vars, checkpoint.vb(DType::F32, &Device::Cpu)))?;
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
            // keys' biases add the same to all scores of a query, which the softmax does not see
            assert!(norm.is_finite() && (norm > 0. || key.ends_with("k_proj.bias")), "{name}: {key}: {norm}");
            if !key.ends_with("k_proj.bias") {
                assert_close(grad, expected.get(&var).unwrap(), 1e-4, &key);
            }
        }
    }
    Ok(())
}

#[test]
fn fresh_nets_learn_from_a_seed() -> Result<()> {
    for model_type in ["marian", "m2m_100", "mbart"] {
        let config = Config { model_type: model_type.into(), d_model: 32, ..Config::default() };
        let (net, vars) = Seq2Seq::init(&config, 7, &Device::Cpu)?;
        let ids = Tensor::new(&[[5u32, 9, 3, 0], [4, 0, 255, 255]], &Device::Cpu)?;
        let logits = net.forward_train(&ids, Some(&ids.ne(255u32)?), &ids, &Dropout::NONE)?;
        let grads = cross_entropy(&logits, &ids)?.backward()?;
        for (name, var) in sorted(&vars) {
            assert!(grads.get(&var).is_some(), "{name} has no gradient");
        }
        assert_eq!(
            vars.data().lock().unwrap().len(),
            sorted(&Seq2Seq::init(&config, 7, &Device::Cpu)?.1).len()
        );
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
    refused(|c| c.model_type = "nllb-moe".into(), "nllb-moe");
    refused(|c| c.activation_function = "tanh".into(), "tanh");
    refused(|c| c.d_model = 0, "d_model 0");
    refused(|c| c.d_model = 255, "d_model 255 is odd");
    refused(|c| c.decoder_attention_heads = 3, "decoder_attention_heads 3");
    refused(|c| c.encoder_layers = 1 << 40, "encoder_layers");
    refused(|c| c.max_position_embeddings = 0, "max_position_embeddings");
    refused(|c| c.pad_token_id = 256, "pad_token_id 256");
    refused(|c| c.init_std = f64::NAN, "init_std");
    refused(|c| c.decoder_vocab_size = Some(9), "decoder_vocab_size");
    refused(
        |c| (c.model_type, c.share_encoder_decoder_embeddings) = ("m2m_100".into(), false),
        "share_encoder_decoder_embeddings",
    );
    for (name, value) in [
        ("static_position_embeddings", false),
        ("normalize_before", true),
        ("normalize_embedding", true),
        ("add_final_layer_norm", true),
    ] {
        refused(|c| drop(c.other.insert(name.into(), value.into())), name);
    }
    refused(|c| drop(c.other.insert("quantization_config".into(), 8.into())), "quantization_config");

    let (net, config, golden) = load(GOLDEN[0])?;
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let long = Tensor::zeros((1, config.max_position_embeddings + 1), DType::U32, &Device::Cpu)?;
    assert!(error(net.encode(&long, None).map(drop)).contains("65 positions"));
    let foreign = Tensor::new(&[[91u32]], &Device::Cpu)?;
    assert!(net.encode(&foreign, None).is_err() && net.encode(&foreign.narrow(1, 0, 0)?, None).is_err());
    assert!(error(net.encode(&foreign, Some(&long)).map(drop)).contains("mask"));
    let mut cache = net.start(&encode(&net, &golden)?)?;
    let pair = golden["target"].narrow(0, 0, 2)?;
    assert!(error(net.forward(&pair, &mut cache).map(drop)).contains("2 sequences for 3 sources"));
    Ok(())
}
