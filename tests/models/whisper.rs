//! Whisper: what transformers computes, caches that agree with whole passes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::layers::dropout::Dropout;
use models::layers::init::{sorted, trainable};
use models::layers::loss::cross_entropy;
use models::nets::whisper::{Config, Whisper};
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

/// From scripts/golden/whisper.py, whose seeds were chosen by the tolerance.
const GOLDEN: [&str; 2] = ["whisper/small", "whisper/distil"];
const TOLERANCE: f32 = 1e-4;

fn load(name: &str) -> Result<(Whisper, Config, HashMap<String, Tensor>)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    let net = Whisper::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
    Ok((net, config, expected(name)?))
}

#[test]
fn transformers_states_logits_and_weights_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, config, golden) = load(name)?;
        let (ids, logits) = (&golden["ids"], &golden["logits"]);
        let source = net.encode(&golden["mel"])?;
        assert_close(&source.states, &golden["states"], TOLERANCE, name);
        assert_close(&net.forward(ids, &mut net.start(&source)?)?, logits, TOLERANCE, name);
        let trained = net.forward_train(&golden["mel"], ids, &Dropout::NONE)?;
        assert_close(&trained, logits, TOLERANCE, name);
        // heads in any order
        let count = config.decoder_attention_heads;
        let all = (0..config.decoder_layers).flat_map(|layer| (0..count).map(move |head| (layer, head)));
        let heads: Vec<_> = all.rev().collect();
        let (watched, weights) = net.forward_watched(ids, &source, &heads)?;
        assert_close(&watched, logits, TOLERANCE, name);
        for (i, (layer, head)) in heads.into_iter().enumerate() {
            let expected = golden["weights"].get(layer)?.narrow(1, head, 1)?;
            assert_close(&weights.narrow(1, i, 1)?, &expected, TOLERANCE, name);
        }
    }
    Ok(())
}

#[test]
fn transformers_greedy_ids_are_reproduced_step_by_step() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let greedy = golden["greedy"].to_dtype(DType::U32)?.to_vec2::<u32>()?;
        let mut cache = net.start(&net.encode(&golden["mel"])?)?;
        let mut ids = golden["prompt"].unsqueeze(0)?.repeat((greedy.len(), 1))?.to_dtype(DType::U32)?;
        for step in 0..greedy[0].len() {
            let logits = net.forward_last(&ids, &mut cache)?.to_vec2::<f32>()?;
            let next = |(row, logits): (usize, &Vec<f32>)| {
                let ids = (0..logits.len() as u32).filter(|id| !greedy[row][..step].contains(id));
                ids.max_by(|a, b| logits[*a as usize].total_cmp(&logits[*b as usize])).unwrap()
            };
            let found: Vec<u32> = logits.iter().enumerate().map(next).collect();
            let expected: Vec<u32> = greedy.iter().map(|row| row[step]).collect();
            assert_eq!(found, expected, "{name}: step {step}");
            ids = Tensor::from_vec(found, (greedy.len(), 1), &Device::Cpu)?;
        }
    }
    Ok(())
}

#[test]
fn several_texts_of_one_sound_share_it() -> Result<()> {
    for name in GOLDEN {
        let (net, _, golden) = load(name)?;
        let source = net.encode(&golden["mel"])?;
        let rows = Tensor::new(&[0u32, 0, 0, 1, 1, 1], &Device::Cpu)?;
        let (ids, whole) = (golden["ids"].index_select(&rows, 0)?, golden["logits"].index_select(&rows, 0)?);
        let mut cache = net.start(&source)?;
        for (start, time) in [(0, 1), (1, 9), (10, 1)] {
            let part = net.forward(&ids.narrow(1, start, time)?.contiguous()?, &mut cache)?;
            assert_close(&part, &whole.narrow(1, start, time)?, TOLERANCE, name);
            cache.reorder(&[2, 0, 0, 5, 3, 4])?;
        }
        // the same source anew, and one sound of the two
        cache.truncate(0);
        assert_close(&net.forward(&golden["ids"], &mut cache)?, &golden["logits"], TOLERANCE, name);
        cache.reorder(&[1, 1])?;
        cache.truncate(0);
        let part = net.forward(&golden["ids"].narrow(0, 1, 1)?, &mut cache)?;
        assert_close(&part, &golden["logits"].narrow(0, 1, 1)?, TOLERANCE, name);
    }
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for name in GOLDEN {
        let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
        let config: Config = checkpoint.config()?;
        let (golden, vars) = (expected(name)?, candle_nn::VarMap::new());
        let net = Whisper::new(&config, trainable(&vars, checkpoint.vb(DType::F32, &Device::Cpu)))?;
        assert_eq!(sorted(&vars).len(), checkpoint.tensors().count(), "{name}");
        let (fresh, fresh_vars) = Whisper::init(&config, 3, &Device::Cpu)?;
        for (net, vars) in [(net, vars), (fresh, fresh_vars)] {
            let dropout = Dropout { rate: 0.1, seed: 1, step: 0 };
            let logits = net.forward_train(&golden["mel"], &golden["ids"], &dropout)?;
            let grads = cross_entropy(&logits, &golden["ids"].to_dtype(DType::U32)?)?.backward()?;
            for (key, var) in sorted(&vars) {
                let Some(grad) = grads.get(&var) else { panic!("{name}: {key} has no gradient") };
                let norm = grad.sqr()?.sum_all()?.to_scalar::<f32>()?;
                assert!(norm > 0. && norm.is_finite(), "{name}: {key}: {norm}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_fresh_encoder_tells_positions_half_as_loud_as_the_checkpoints_do() -> Result<()> {
    let config = Config { max_source_positions: 6, vocab_size: 9, d_model: 12, ..Config::default() };
    let (_, vars) = Whisper::init(&config, 1, &Device::Cpu)?;
    let (_, table) = sorted(&vars).into_iter().find(|(key, _)| key.contains("encoder.embed_pos")).unwrap();
    // transformers.models.whisper.modeling_whisper.sinusoids(6, 12)[5]
    let row = [-0.958924, 0.712073, 0.125264, 0.019904, 0.003155, 0.000500];
    let row = [row, [0.283662, 0.702105, 0.992123, 0.999802, 0.999995, 1.000000]].concat();
    assert_close(
        &(table.get(5)? * 2.)?,
        &Tensor::new(row.as_slice(), &Device::Cpu)?.to_dtype(DType::F32)?,
        2e-6,
        "row",
    );
    // a convolution of 3 keeps the power of what it is given (He et al., 2015)
    let (_, weight) = sorted(&vars).into_iter().find(|(key, _)| key.ends_with("conv1.weight")).unwrap();
    let inputs = 3 * config.num_mel_bins;
    let power = weight.sqr()?.mean_all()?.to_scalar::<f32>()? * inputs as f32;
    assert!((power - 2.).abs() < 0.2, "{power}");
    Ok(())
}

#[test]
fn what_the_net_does_not_do_is_refused_by_name() -> Result<()> {
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = Config::default();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    };
    assert!(Config::default().validate().is_ok());
    refused(&|c| c.model_type = "moonshine".into(), "moonshine");
    refused(&|c| c.activation_function = "tanh".into(), "tanh");
    refused(&|c| c.encoder_attention_heads = 5, "encoder_attention_heads 5");
    refused(&|c| c.d_model = 7, "d_model 7 is odd");
    refused(&|c| c.num_mel_bins = 0, "num_mel_bins");
    refused(&|c| c.max_target_positions = usize::MAX, "max_target_positions");
    refused(&|c| drop(c.other.insert("quantization_config".into(), 8.into())), "quantization_config");
    let (net, config, golden) = load(GOLDEN[0])?;
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let long = Tensor::zeros((1, config.num_mel_bins, 60), DType::F32, &Device::Cpu)?;
    assert!(error(net.encode(&long).map(drop)).contains("30 positions, and the net has 25"));
    assert!(net.encode(&golden["mel"].narrow(1, 0, 3)?).is_err());
    // a part of the window is enough
    let source = net.encode(&golden["mel"].narrow(2, 0, 20)?.contiguous()?)?;
    assert_eq!(source.states.dims(), [2, 10, config.d_model]);
    let ids = Tensor::zeros((2, 41), DType::U32, &Device::Cpu)?;
    assert!(error(net.forward(&ids, &mut net.start(&source)?).map(drop)).contains("41 positions"));
    Ok(())
}
