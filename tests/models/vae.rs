//! The autoencoders: the latents and pictures that diffusers computes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::layers::init::{seeded, sorted};
use models::nets::vae::tiny::{self, Tiny};
use models::nets::vae::{Config, Vae};

use super::golden::{assert_close, expected, folder};

const GOLDEN: [&str; 3] = ["vae/sd1", "vae/plain", "vae/bare"];
const TINY: &str = "vae/taesd";

fn read(name: &str) -> Result<Vae> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    Vae::new(&checkpoint.config()?, checkpoint.vb(DType::F32, &Device::Cpu))
}

fn read_tiny() -> Result<Tiny> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(TINY)))?;
    Tiny::new(&checkpoint.config()?, checkpoint.vb(DType::F32, &Device::Cpu))
}

#[test]
fn diffusers_latents_and_pictures_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let (net, golden) = (read(name)?, expected(name)?);
        let found = net.encode(&golden["picture"])?;
        assert_close(&found.mean, &golden["mean"], 1e-5, name);
        assert_close(&found.logvar, &golden["logvar"], 1e-5, name);
        assert_close(&net.decode(&golden["latents"])?, &golden["decoded"], 1e-5, name);
        let scaled = net.scale(&golden["latents"])?;
        assert_close(&scaled, &golden["scaled"], 1e-6, name);
        assert_close(&net.unscale(&scaled)?, &golden["latents"], 1e-6, name);
    }
    Ok(())
}

#[test]
fn latents_are_drawn_from_their_moments() -> Result<()> {
    let distribution = read(GOLDEN[0])?.encode(&expected(GOLDEN[0])?["picture"])?;
    let zeros = distribution.mean.zeros_like()?;
    assert_close(&distribution.sample(&zeros)?, &distribution.mean, 0., "the most likely");
    let spread = (distribution.sample(&zeros.ones_like()?)? - &distribution.mean)?;
    // of two numbers that differ by much, so of its own size only to what f32 keeps of their sum
    assert_close(&(spread.log()? * 2.)?, &distribution.logvar, 1e-4, "deviations");
    Ok(())
}

#[test]
fn taesd_is_reproduced() -> Result<()> {
    let (net, golden) = (read_tiny()?, expected(TINY)?);
    assert_close(&net.encode(&golden["picture"])?, &golden["encoded"], 1e-5, "encoded");
    assert_close(&net.decode(&golden["latents"])?, &golden["decoded"], 1e-5, "decoded");
    let scaled = net.scale(&golden["latents"])?;
    assert_close(&scaled, &golden["scaled"], 1e-6, "scaled");
    assert_close(&net.unscale(&scaled)?, &golden["latents"], 1e-6, "unscaled");
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for name in GOLDEN.into_iter().chain([TINY]) {
        let (checkpoint, golden) = (Checkpoint::open(Files::Dir(folder(name)))?, expected(name)?);
        let vars = candle_nn::VarMap::new();
        let vb = seeded(&vars, 1, &Device::Cpu);
        let squares = |xs: &Tensor| xs.sqr()?.sum_all();
        let (picture, latents) = (&golden["picture"], &golden["latents"]);
        let loss = if name == TINY {
            let net = Tiny::new(&checkpoint.config()?, vb)?;
            (squares(&net.encode(picture)?)? + squares(&net.decode(latents)?)?)?
        } else {
            let net = Vae::new(&checkpoint.config()?, vb)?;
            let found = net.encode(picture)?;
            let decoded = squares(&net.decode(latents)?)?;
            ((squares(&found.mean)? + squares(&found.logvar)?)? + decoded)?
        };
        let grads = loss.backward()?;
        for (variable, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name}: {variable} has no gradient") };
            // what is added to all keys alike changes no weight of the attention
            let is_free = variable.ends_with("to_k.bias");
            let size = squares(grad)?.to_scalar::<f32>()?;
            assert!(size > 0. || is_free, "{name}: {variable}: a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn what_the_net_does_not_do_is_refused_by_name() -> Result<()> {
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = Config::stable_diffusion();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    assert!(Config::default().validate().is_ok() && Config::stable_diffusion().validate().is_ok());
    refused(&|c| c.down_block_types[1] = "AttnDownEncoderBlock2D".into(), "AttnDownEncoderBlock2D");
    refused(&|c| c.up_block_types[0] = "AttnUpDecoderBlock2D".into(), "up_block_types");
    refused(&|c| c.up_block_types.truncate(2), "2 up_block_types");
    refused(&|c| c.block_out_channels = vec![], "block_out_channels");
    refused(&|c| c.block_out_channels[0] = 30, "block_out_channels 30");
    refused(&|c| c.layers_per_block = 0, "layers_per_block");
    refused(&|c| c.latent_channels = 0, "latent_channels");
    refused(&|c| c.act_fn = "mish".into(), "mish");
    refused(&|c| c.scaling_factor = 0., "scaling_factor");
    refused(&|c| c.latents_mean = Some(vec![0.; 4]), "latents_mean");
    let normalised = |c: &mut Config, std| {
        c.latents_mean = Some(vec![0.; 4]);
        c.latents_std = Some(vec![std; 4]);
    };
    refused(&|c| normalised(c, -1.), "latents_std");
    refused(&|c| (normalised(c, 1.), c.shift_factor = Some(0.1)).1, "shift_factor");

    let refused = |change: &dyn Fn(&mut tiny::Config), words: &str| {
        let mut config = tiny::Config::default();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    assert!(tiny::Config::default().validate().is_ok());
    refused(&|c| c.encoder_block_out_channels[2] = 32, "encoder_block_out_channels");
    refused(&|c| c.num_decoder_blocks.truncate(1), "decoder_block_out_channels");
    refused(&|c| c.act_fn = "gelu".into(), "act_fn `gelu`");
    refused(&|c| c.upsample_fn = "bilinear".into(), "upsample_fn `bilinear`");
    refused(&|c| c.upsampling_scaling_factor = 4, "upsampling_scaling_factor 4");
    refused(&|c| c.latent_channels = 0, "latent_channels 0");
    refused(&|c| c.scaling_factor = f64::NAN, "scaling_factor NaN");

    let error = |result: Result<Tensor>| result.unwrap_err().to_string();
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu);
    let (net, tiny) = (read(GOLDEN[0])?, read_tiny()?);
    let encode = |picture: Tensor| error(net.encode(&picture).map(|found| found.mean));
    assert!(encode(zeros(&[1, 4, 16, 16])?).contains("4 channels for an autoencoder of 3"));
    assert!(encode(zeros(&[1, 3, 16, 3])?).contains("3x16"));
    assert!(error(net.decode(&zeros(&[1, 3, 4, 4])?)).contains("latents of 3 channels"));
    assert!(error(net.scale(&zeros(&[1, 3, 4, 4])?)).contains("latents of 3 channels"));
    assert!(error(tiny.encode(&zeros(&[1, 4, 8, 8])?)).contains("picture of 4 channels"));
    assert!(error(tiny.decode(&zeros(&[1, 5, 8, 8])?)).contains("latents of 5 channels"));
    Ok(())
}
