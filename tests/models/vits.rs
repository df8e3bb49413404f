//! VITS: every stage and the samples that transformers computes from the same seed.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::nets::vits::{Config, Options, Vits, frames};
use models::random::Generator;
use models::vars::Format;

use super::golden::{assert_close, expected, folder};

/// The folder, the speaker, and how much faster than by itself the model spoke; what the weights' norms are called there.
const GOLDEN: [(&str, Option<u32>, f64, &str); 4] = [
    ("vits/mms", None, 1., "weight_g"),
    ("vits/speakers", Some(3), 1.25, "parametrizations.weight.original0"),
    ("vits/phonemes", Some(1), 1., "weight_g"),
    ("vits/plain", None, 1., "parametrizations.weight.original0"),
];
/// scripts/golden/vits.py
const SEED: u64 = 7;
const TOLERANCE: f32 = 1e-4;

fn open(name: &str, format: Format) -> Result<(Config, Vits, Checkpoint)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    let net = Vits::new(&config, checkpoint.vb(DType::F32, &Device::Cpu).with_format(format))?;
    Ok((config, net, checkpoint))
}

#[test]
fn every_stage_and_the_samples_are_transformers() -> Result<()> {
    for (name, speaker, faster, spelling) in GOLDEN {
        for format in [Format::Plain, Format::Packed] {
            let (config, net, checkpoint) = open(name, format)?;
            assert!(checkpoint.tensors().any(|(name, _)| name.ends_with(spelling)), "{name}");
            let expected = expected(name)?;
            let close = |found: &Tensor, stage: &str| {
                assert_close(found, &expected[stage], TOLERANCE, &format!("{name}: {stage}"));
            };
            let usual = Options::of(&config);
            let options = Options { speaker, rate: usual.rate * faster, ..usual };
            let mut random = Generator::new(SEED);
            let vector = net.speaker(speaker)?;
            let encoded = net.encode(&expected["ids"].to_dtype(DType::U32)?)?;
            close(&encoded.states, "states");
            close(&encoded.means, "means");
            close(&encoded.log_spreads, "log_spreads");
            let logarithms = net.log_durations(&encoded, vector.as_ref(), &options, &mut random)?;
            close(&logarithms, "log_durations");
            let frames = frames(&logarithms, options.rate)?;
            let wanted = expected["frames"].to_dtype(DType::U32)?.to_vec1::<u32>()?;
            assert_eq!(frames, wanted, "{name}");
            let latents = net.latents(&encoded, &frames, vector.as_ref(), &options, &mut random)?;
            close(&latents, "latents");
            close(&net.decode(&latents, vector.as_ref())?, "samples");
            let speech =
                net.forward(&expected["ids"].to_dtype(DType::U32)?, &options, &mut Generator::new(SEED))?;
            close(&speech.samples, "samples");
            assert_eq!(speech.frames, wanted, "{name}");
        }
    }
    Ok(())
}

#[test]
fn noise_is_drawn_even_where_it_is_not_heard() -> Result<()> {
    let (config, net, _) = open(GOLDEN[0].0, Format::Plain)?;
    let ids = Tensor::new(&[[3u32, 1, 4, 1, 5]], &Device::Cpu)?;
    let options = Options { noise: 0., noise_duration: 0., ..Options::of(&config) };
    let [mut one, mut other] = [Generator::new(1), Generator::new(2)];
    let (a, b) = (net.forward(&ids, &options, &mut one)?, net.forward(&ids, &options, &mut other)?);
    assert_eq!(a.samples.to_vec2::<f32>()?, b.samples.to_vec2::<f32>()?);
    let mut alike = Generator::new(1);
    alike.randn(2 * 5);
    alike.randn_serial(a.frames.iter().sum::<u32>() as usize * config.flow_size);
    assert_eq!(one.state(), alike.state());
    Ok(())
}

#[test]
fn a_net_of_several_speakers_speaks_without_one_too() -> Result<()> {
    let (config, net, _) = open("vits/speakers", Format::Plain)?;
    let ids = Tensor::new(&[[3u32, 1, 4]], &Device::Cpu)?;
    let said = |speaker| {
        let options = Options { speaker, ..Options::of(&config) };
        net.forward(&ids, &options, &mut Generator::new(1))?.samples.to_vec2::<f32>()
    };
    assert_ne!(said(None)?, said(Some(0))?);
    assert_ne!(said(Some(0))?, said(Some(4))?);
    assert!(said(Some(5)).unwrap_err().to_string().contains("no speaker 5: there are 0 to 4"));
    let (config, net, _) = open("vits/plain", Format::Plain)?;
    let options = Options { speaker: Some(0), ..Options::of(&config) };
    let refused = net.forward(&ids, &options, &mut Generator::new(1));
    assert!(refused.err().unwrap().to_string().contains("one voice"));
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_in_one_line() -> Result<()> {
    let (config, net, _) = open("vits/speakers", Format::Plain)?;
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = config.clone();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(&|c| c.model_type = "bark".into(), "model_type `bark`");
    refused(&|c| c.hidden_act = "mish".into(), "hidden_act `mish`");
    refused(&|c| c.hidden_size = 0, "hidden_size 0");
    refused(&|c| c.num_attention_heads = 5, "num_attention_heads 5");
    refused(&|c| c.window_size = Some(0), "window_size 0");
    refused(&|c| c.flow_size = 7, "flow_size 7");
    refused(&|c| c.depth_separable_channels = 4, "depth_separable_channels 4");
    refused(&|c| c.duration_predictor_flow_bins = 1000, "duration_predictor_flow_bins 1000");
    refused(&|c| c.wavenet_kernel_size = 4, "wavenet_kernel_size 4");
    refused(&|c| (c.wavenet_dilation_rate, c.prior_encoder_num_wavenet_layers) = (16, 40), "reaches too far");
    refused(&|c| c.speaker_embedding_size = 0, "num_speakers 5");
    refused(&|c| c.speaking_rate = 0., "speaking_rate 0");
    refused(&|c| c.noise_scale = f64::NAN, "noise_scale NaN");
    refused(&|c| c.upsample_rates = vec![0, 3], "upsample_rates 0");
    let empty = Tensor::zeros((1, 0), DType::U32, &Device::Cpu)?;
    assert!(net.encode(&empty).is_err());
    assert!(net.encode(&Tensor::new(&[[40u32]], &Device::Cpu)?).is_err());
    let endless = Tensor::new(&[1f32, 30.], &Device::Cpu)?;
    assert!(frames(&endless, 1.).unwrap_err().to_string().contains("frames"));
    assert!(frames(&Tensor::new(&[f32::NAN], &Device::Cpu)?, 1.).is_err());
    Ok(())
}
