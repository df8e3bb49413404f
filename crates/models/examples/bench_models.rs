//! Times nets for scripts/bench: for nets.py a net's name a line in, the seconds of the fastest run out, with random weights at
//! the shapes of public checkpoints; for text.py a checkpoint's path in, JSON out.

use std::io::{BufRead, Write};
use std::time::Instant;

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use models::layers::transformer::Cache;
use models::nets::clip::{self, ClipText};
use models::nets::hifi_gan::{self, HifiGan, Kind};
use models::nets::seq2seq::{self, Seq2Seq};
use models::nets::unet::{self, Conditions, Each, UNet};
use models::nets::vae::{self, Vae};
use models::nets::whisper::{self, Whisper};
use models::vars::{Format, Source, VarBuilder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weights of any shape, of the size that keeps a signal's.
struct Random(Vec<f32>);

impl Source for Random {
    fn get(&self, shape: Shape, _: &str, _: Init, _: DType, device: &Device) -> Result<Tensor> {
        let met: usize = shape.dims()[1..].iter().product();
        let scale = if shape.rank() > 1 { (met as f32).sqrt().recip() } else { 1. };
        let values = self.0.iter().cycle().take(shape.elem_count()).map(|x| x * scale).collect();
        Tensor::from_vec(values, shape, device)
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}

fn rand(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1., shape, &Device::Cpu)
}

fn make(net: &str) -> Result<Box<dyn Fn() -> Result<()>>> {
    // a prime count, so that no two rows are alike
    let weights = Random(rand(&[65_521])?.to_vec1()?);
    let (net, format) = match net.rsplit_once('@') {
        Some((net, "packed")) => (net, Format::Packed),
        Some((net, "bf16")) => (net, Format::Bf16),
        Some((net, _)) => (net, Format::Int8),
        None => (net, Format::Plain),
    };
    let vb = VarBuilder::new(weights, DType::F32, &Device::Cpu).with_format(format);
    Ok(match net {
        "hifi_gan" => {
            let config = hifi_gan::Config {
                model_in_dim: 192,
                upsample_initial_channel: 512,
                upsample_rates: vec![8, 8, 2, 2],
                upsample_kernel_sizes: vec![16, 16, 4, 4],
                resblock_kernel_sizes: vec![3, 7, 11],
                resblock_dilation_sizes: vec![vec![1, 3, 5]; 3],
                leaky_relu_slope: 0.1,
                speaker_embedding_size: 0,
                normalize_before: false,
            };
            let (net, frames) = (HifiGan::new(&config, Kind::Vits, vb)?, rand(&[1, 192, 200])?);
            Box::new(move || net.forward(&frames, None).map(drop))
        }
        "unet" => {
            let config = unet::Config { cross_attention_dim: Each::One(768), ..unet::Config::default() };
            let net = UNet::new(&config, vb)?;
            let (noisy, context) = (rand(&[2, 4, 64, 64])?, rand(&[2, 77, 768])?);
            Box::new(move || {
                let conditions = Conditions { context: &context, added: None, guidance: None };
                net.forward(&noisy, &[500.], conditions).map(drop)
            })
        }
        "vae_decode" => {
            let (net, latents) = (Vae::new(&vae::Config::stable_diffusion(), vb)?, rand(&[1, 4, 64, 64])?);
            Box::new(move || net.decode(&latents).map(drop))
        }
        "clip" => {
            let config = clip::Config {
                hidden_size: 768,
                intermediate_size: 3072,
                num_attention_heads: 12,
                ..clip::Config::default()
            };
            let net = ClipText::new(&config, vb)?;
            let ids = Tensor::from_iter((0..2 * 77u32).map(|i| i * 317), &Device::Cpu)?.reshape((2, 77))?;
            Box::new(move || net.forward(&ids).map(drop))
        }
        "whisper_tiny_encoder" | "whisper_base_encoder" => {
            let config = match net {
                "whisper_tiny_encoder" => whisper(384, 4, 6),
                _ => whisper(512, 6, 8),
            };
            let (net, mel) = (Whisper::new(&config, vb)?, rand(&[1, 80, 3000])?);
            Box::new(move || net.encode(&mel).map(drop))
        }
        "whisper_tiny_decoder" => {
            let net = Whisper::new(&whisper(384, 4, 6), vb)?;
            let source = net.encode(&rand(&[1, 80, 3000])?)?;
            Box::new(move || {
                let (mut cache, ids) = (net.start(&source)?, [50_258u32, 50_259, 50_359, 50_363]);
                greedily(&ids, 1, 100, &mut cache, |ids, cache| net.forward_last(ids, cache))
            })
        }
        "marian" => {
            let config = seq2seq::Config {
                vocab_size: 65_001,
                pad_token_id: 65_000,
                d_model: 512,
                encoder_layers: 6,
                decoder_layers: 6,
                encoder_attention_heads: 8,
                decoder_attention_heads: 8,
                encoder_ffn_dim: 2048,
                decoder_ffn_dim: 2048,
                ..seq2seq::Config::default()
            };
            let net = Seq2Seq::new(&config, vb)?;
            let source =
                Tensor::from_vec((0..32 * 20).map(|i| i * 97 % 65_000).collect(), (32, 20), &Device::Cpu)?;
            Box::new(move || {
                let mut cache = net.start(&net.encode(&source, None)?)?;
                greedily(&[65_000], 32, 20, &mut cache, |ids, cache| net.forward_last(ids, cache))
            })
        }
        _ => return Err(candle_core::Error::Msg(format!("no net is called {net:?}"))),
    })
}

fn whisper(size: usize, layers: usize, heads: usize) -> whisper::Config {
    whisper::Config {
        d_model: size,
        encoder_layers: layers,
        decoder_layers: layers,
        encoder_attention_heads: heads,
        decoder_attention_heads: heads,
        encoder_ffn_dim: 4 * size,
        decoder_ffn_dim: 4 * size,
        ..whisper::Config::default()
    }
}

/// Tokens that follow the prompt in each row, `steps` of them.
fn greedily(
    prompt: &[u32],
    rows: usize,
    steps: usize,
    cache: &mut Cache,
    step: impl Fn(&Tensor, &mut Cache) -> Result<Tensor>,
) -> Result<()> {
    let mut ids = Tensor::new(prompt, &Device::Cpu)?.unsqueeze(0)?.repeat((rows, 1))?;
    for _ in 0..steps {
        ids = argmax(&step(&ids, cache)?)?;
    }
    Ok(())
}

// (rows, count) to (rows, 1)
fn argmax(logits: &Tensor) -> Result<Tensor> {
    logits.argmax_keepdim(1)
}

/// The fastest of at least two runs and a second of them.
fn seconds(run: &dyn Fn() -> Result<()>) -> Result<f64> {
    run()?;
    let (begin, mut best, mut count) = (Instant::now(), f64::INFINITY, 0);
    while count < 2 || begin.elapsed().as_secs_f64() < 1. {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
        count += 1;
    }
    Ok(best)
}

type Made = (String, Box<dyn Fn() -> Result<()>>);

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    // the last net is kept, so that rounds do not build it anew
    let mut made: Option<Made> = None;
    let mut text = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.contains(['/', '\\']) {
            writeln!(std::io::stdout(), "{}", text::run(&line, &mut text)?)?;
            continue;
        }
        let run = match made.take() {
            Some((name, run)) if name == line => run,
            other => {
                drop(other);
                make(&line)?
            }
        };
        writeln!(std::io::stdout(), "{}", seconds(&run)?)?;
        made = Some((line, run));
    }
    Ok(())
}

/// Decoder-only nets from files.
mod text {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    use candle_core::{DType, Device, Error, Result, Tensor};
    use models::checkpoint::gguf::Gguf;
    use models::checkpoint::{Checkpoint, Files};
    use models::nets::llama::{Cache, Config, Llama, gguf};
    use models::vars::Format;

    /// A net and what loading it took.
    pub struct Loaded {
        path: String,
        config: Config,
        net: Llama,
        seconds: f64,
    }

    const PROMPT: u32 = 512;
    const STEPS: u32 = 64;

    /// Seconds of a prompt, of a step after it and of loading, and the peak of memory, as JSON.
    pub fn run(path: &str, loaded: &mut Option<Loaded>) -> Result<String> {
        if loaded.as_ref().is_none_or(|loaded| loaded.path != path) {
            drop(loaded.take());
            let begin = Instant::now();
            let (config, net) = load(path)?;
            let seconds = begin.elapsed().as_secs_f64();
            *loaded = Some(Loaded { path: path.to_string(), config, net, seconds });
        }
        let Some(Loaded { config, net, seconds, .. }) = loaded else { return Ok(String::new()) };
        let mut cache = Cache::new(config);
        let id = |i: u32| (i * i * 7 + 13 * i + 1) % config.vocab_size as u32;
        let ids =
            Tensor::from_vec((0..PROMPT).map(id).collect::<Vec<_>>(), (1, PROMPT as usize), &Device::Cpu)?;
        let begin = Instant::now();
        net.forward_last(&ids, &mut cache)?;
        let prompt = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        for id in 0..STEPS {
            net.forward_last(&Tensor::new(&[[id]], &Device::Cpu)?, &mut cache)?;
        }
        let step = begin.elapsed().as_secs_f64() / STEPS as f64;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let peak = peak.and_then(|peak| peak.trim().parse::<f64>().ok()).unwrap_or(0.) / 1e6;
        Ok(format!(r#"{{"prompt": {prompt}, "step": {step}, "load": {seconds}, "peak": {peak}}}"#))
    }

    fn load(path: &str) -> Result<(Config, Llama)> {
        if path.ends_with(".gguf") {
            let folder = Path::new(path).parent().unwrap_or(Path::new(".")).to_path_buf();
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
            return gguf::load(Arc::new(Gguf::open(&Files::Dir(folder), &name)?), true, &Device::Cpu);
        }
        let Some((folder, dtype)) = path.rsplit_once(':') else { return Err(Error::Msg(path.to_string())) };
        let checkpoint = Checkpoint::open(Files::Dir(folder.into()))?;
        let format = if dtype == "bfloat16" { Format::Bf16 } else { Format::Plain };
        let config: Config = checkpoint.config()?;
        let net = Llama::new(&config, checkpoint.vb(DType::F32, &Device::Cpu).with_format(format))?;
        Ok((config, net))
    }
}
