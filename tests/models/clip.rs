//! CLIP's text encoder: the states that transformers computes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::layers::init::{seeded, sorted};
use models::nets::clip::{ClipText, Config};
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

const GOLDEN: [&str; 2] = ["clip/sd1", "clip/sdxl-2"];

fn read(name: &str) -> Result<ClipText> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    ClipText::new(&checkpoint.config()?, checkpoint.vb(DType::F32, &Device::Cpu))
}

fn assert_reproduced(net: &ClipText, golden: &HashMap<String, Tensor>, name: &str) -> Result<()> {
    let found = net.forward(&golden["ids"])?;
    assert_close(&Tensor::stack(&found.hidden_states, 0)?, &golden["hidden"], 1e-5, name);
    assert_close(&found.last_hidden_state, &golden["last"], 1e-5, name);
    assert_close(&found.pooled, &golden["pooled"], 1e-5, name);
    assert_eq!(found.text_embeds.is_some(), golden.contains_key("embeds"));
    if let Some(embeds) = &found.text_embeds {
        assert_close(embeds, &golden["embeds"], 1e-5, name);
    }
    Ok(())
}

#[test]
fn transformers_states_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, golden) = (read(name)?, expected(name)?);
        assert_reproduced(&net, &golden, name)?;
        // a text alone, and up to its end, is encoded as with others and what fills it up
        let (first, last) = (golden["ids"].narrow(0, 0, 1)?.narrow(1, 0, 4)?, &golden["last"]);
        let alone = net.forward(&first.to_dtype(DType::I64)?)?.last_hidden_state;
        assert_close(&alone, &last.narrow(0, 0, 1)?.narrow(1, 0, 4)?.contiguous()?, 1e-5, name);
        let states = net.forward(&golden["ids"])?.hidden_states;
        assert_close(&net.normalise(&states[states.len() - 1])?, last, 1e-5, name);
    }
    Ok(())
}

#[test]
fn names_without_their_prefix_are_read() -> Result<()> {
    let name = GOLDEN[0];
    let tensors = candle_core::safetensors::load(folder(name).join("model.safetensors"), &Device::Cpu)?;
    let strip = |name: &str| name.strip_prefix("text_model.").unwrap_or(name).to_string();
    let tensors = tensors.into_iter().map(|(name, tensor)| (strip(&name), tensor)).collect();
    let vb = models::vars::VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let config: Config = Checkpoint::open(Files::Dir(folder(name)))?.config()?;
    assert_reproduced(&ClipText::new(&config, vb)?, &expected(name)?, name)
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for name in GOLDEN {
        let config: Config = Checkpoint::open(Files::Dir(folder(name)))?.config()?;
        let vars = candle_nn::VarMap::new();
        let found =
            ClipText::new(&config, seeded(&vars, 1, &Device::Cpu))?.forward(&expected(name)?["ids"])?;
        // all states alike would give their norm no gradient
        let first = found.last_hidden_state.narrow(2, 0, 3)?.sqr()?.sum_all()?;
        let pooled = found.text_embeds.unwrap_or(found.pooled).sqr()?.sum_all()?;
        let grads = (first + pooled)?.backward()?;
        for (variable, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name}: {variable} has no gradient") };
            // what is added to all keys alike changes no weight of the attention
            let is_free = variable.ends_with("k_proj.bias");
            let size = grad.sqr()?.sum_all()?.to_scalar::<f32>()?;
            assert!(size > 0. || is_free, "{name}: {variable}: a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn what_the_net_does_not_do_is_refused_by_name() -> Result<()> {
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = Config::default();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    assert!(Config::default().validate().is_ok());
    refused(&|c| c.architectures = vec!["CLIPVisionModel".into()], "CLIPVisionModel");
    refused(&|c| c.num_hidden_layers = 0, "num_hidden_layers 0");
    refused(&|c| c.num_attention_heads = 7, "num_attention_heads 7");
    refused(&|c| c.max_position_embeddings = 0, "max_position_embeddings 0");
    refused(&|c| c.hidden_act = "relu".into(), "hidden_act `relu`");

    let net = read(GOLDEN[0])?;
    let error = |ids: Vec<u32>| {
        let ids = Tensor::from_vec(ids.clone(), (1, ids.len()), &Device::Cpu).unwrap();
        net.forward(&ids).unwrap_err().to_string()
    };
    assert!(error(vec![1; 13]).contains("13 tokens for an encoder of 1 to 12"));
    assert!(error(vec![]).contains("0 tokens"));
    assert!(error(vec![40]).contains("id 40 is not in a table of 40"));
    Ok(())
}
