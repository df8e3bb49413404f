//! HiFi-GAN: the samples that transformers computes, and gradients for every variable.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::layers::init::{seeded, sorted};
use models::nets::hifi_gan::{Config, HifiGan, Kind};

use super::golden::{assert_close, expected, folder};

const GOLDEN: [(&str, Kind); 2] =
    [("hifi_gan/vits-speakers", Kind::Vits), ("hifi_gan/vocoder", Kind::Vocoder)];

#[test]
fn transformers_samples_are_reproduced() -> Result<()> {
    for (name, kind) in GOLDEN {
        let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
        let config: Config = checkpoint.config()?;
        let net = HifiGan::new(&config, kind, checkpoint.vb(DType::F32, &Device::Cpu))?;
        let expected = expected(name)?;
        let samples = net.forward(&expected["frames"], expected.get("speaker"))?;
        assert_close(&samples, &expected["samples"], 2e-6, name);
    }
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient_and_training_computes_the_same() -> Result<()> {
    for (name, kind) in GOLDEN {
        let config: Config = Checkpoint::open(Files::Dir(folder(name)))?.config()?;
        let vars = candle_nn::VarMap::new();
        let net = HifiGan::new(&config, kind, seeded(&vars, 1, &Device::Cpu))?;
        let expected = expected(name)?;
        let samples = net.forward(&expected["frames"], expected.get("speaker"))?;
        let grads = samples.sqr()?.sum_all()?.backward()?;
        for (name, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{name} has no gradient") };
            assert!(grad.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{name}: a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_in_one_line() -> Result<()> {
    let config: Config = Checkpoint::open(Files::Dir(folder(GOLDEN[0].0)))?.config()?;
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = config.clone();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(&|c| c.upsample_rates = vec![], "upsample_rates");
    refused(&|c| c.upsample_rates = vec![0, 3], "upsample_rates 0");
    refused(&|c| c.upsample_kernel_sizes = vec![3, 7], "upsample_kernel_sizes 3");
    refused(&|c| c.resblock_kernel_sizes = vec![4, 5, 7], "resblock_kernel_sizes 4");
    refused(&|c| c.resblock_dilation_sizes.truncate(1), "resblock_dilation_sizes");
    refused(&|c| c.resblock_dilation_sizes[0] = vec![0], "resblock_dilation_sizes 0");
    refused(&|c| c.upsample_initial_channel = 3, "upsample_initial_channel 3");
    refused(&|c| c.model_in_dim = 0, "flow_size 0");
    let vb = models::vars::VarBuilder::zeros(DType::F32, &Device::Cpu);
    let one = HifiGan::new(&Config { speaker_embedding_size: 0, ..config }, Kind::Vits, vb)?;
    let frames = Tensor::zeros((1, 10, 2), DType::F32, &Device::Cpu)?;
    assert!(one.forward(&frames, Some(&frames)).unwrap_err().to_string().contains("one speaker"));
    Ok(())
}
