//! The UNet: the predictions that diffusers computes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::gradients::record;
use models::layers::init::{seeded, sorted};
use models::layers::loss::squared_error;
use models::nets::unet::{Conditions, Config, Each, UNet};
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

const GOLDEN: [&str; 3] = ["unet/sd1", "unet/sdxl-lcm", "unet/pooled-text"];

fn predict(net: &UNet, golden: &HashMap<String, Tensor>) -> Result<Tensor> {
    let conditions = Conditions {
        context: &golden["context"],
        added: golden.get("pooled").map(|pooled| (pooled, &golden["sizes"])),
        guidance: golden.get("guidance"),
    };
    net.forward(&golden["noisy"], &golden["times"].to_vec1::<f32>()?, conditions)
}

#[test]
fn diffusers_predictions_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
        let config: Config = checkpoint.config()?;
        let net = UNet::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
        let golden = expected(name)?;
        assert_close(&predict(&net, &golden)?, &golden["prediction"], 1e-5, name);
    }
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for name in GOLDEN {
        let config: Config = Checkpoint::open(Files::Dir(folder(name)))?.config()?;
        let vars = candle_nn::VarMap::new();
        let net = UNet::new(&config, seeded(&vars, 1, &Device::Cpu))?;
        let grads = predict(&net, &expected(name)?)?.sqr()?.sum_all()?.backward()?;
        for (name, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name} has no gradient") };
            assert!(grad.sqr()?.sum_all()?.to_scalar::<f32>()? > 0., "{name}: a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn recorded_gradients_are_candles() -> Result<()> {
    for name in GOLDEN {
        let config: Config = Checkpoint::open(Files::Dir(folder(name)))?.config()?;
        let vars = candle_nn::VarMap::new();
        let net = UNet::new(&config, seeded(&vars, 1, &Device::Cpu))?;
        let golden = expected(name)?;
        let weights = [1f32, 0.5];
        let loss = || squared_error(&predict(&net, &golden)?, &golden["prediction"], &weights);
        let (found, record) = record(loss);
        let (found, expected) = (record.backward(&found?)?, loss()?.backward()?);
        for (name, var) in sorted(&vars) {
            let (Some(a), Some(b)) = (found.get(&var), expected.get(&var)) else {
                panic!("{name}: no gradient")
            };
            // a shift before a norm has a gradient of nothing but rounding
            let largest = |xs: &Tensor| xs.abs()?.max_all()?.to_scalar::<f32>();
            let apart = largest(&(a - b)?)?;
            assert!(apart <= 1e-4 * largest(b)?.max(1e-2), "{name}: {apart}");
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
    refused(&|c| c.down_block_types[1] = "AttnDownBlock2D".into(), "AttnDownBlock2D");
    refused(&|c| c.up_block_types.truncate(2), "2 up_block_types");
    refused(&|c| c.block_out_channels = vec![], "block_out_channels");
    refused(&|c| c.block_out_channels[0] = 30, "block_out_channels 30");
    refused(&|c| c.attention_head_dim = Each::Many(vec![8]), "attention_head_dim");
    refused(&|c| c.attention_head_dim = Each::One(7), "attention_head_dim 7");
    refused(&|c| c.layers_per_block = Each::One(0), "layers_per_block");
    refused(&|c| c.act_fn = "mish".into(), "mish");
    refused(&|c| c.addition_embed_type = Some("image".into()), "image");
    refused(&|c| c.addition_embed_type = Some("text_time".into()), "text_time");
    refused(
        &|c| {
            c.addition_embed_type = Some("text".into());
            c.addition_embed_type_num_heads = 7;
        },
        "7 addition_embed_type_num_heads",
    );
    refused(&|c| c.conv_in_kernel = 2, "conv_in_kernel 2");
    for (name, value) in [("class_embed_type", "\"timestep\""), ("only_cross_attention", "true")] {
        refused(&|c| drop(c.other.insert(name.into(), serde_json::from_str(value).unwrap())), name);
    }
    let name = GOLDEN[0];
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let net = UNet::new(&checkpoint.config()?, checkpoint.vb(DType::F32, &Device::Cpu))?;
    let golden = expected(name)?;
    let plain = Conditions { context: &golden["context"], added: None, guidance: None };
    let error = |result: Result<Tensor>| result.unwrap_err().to_string();
    assert!(error(net.forward(&golden["noisy"], &[1.; 3], plain)).contains("3 times for 2"));
    let guided = Conditions { guidance: Some(&golden["context"]), ..plain };
    assert!(error(net.forward(&golden["noisy"], &[1.], guided)).contains("guidance"));
    assert!(error(net.forward(&golden["context"].unsqueeze(0)?, &[1.], plain)).contains("channels"));
    Ok(())
}
