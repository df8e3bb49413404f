//! The voice of our own: gradients for every variable, sentences that do not hear their neighbours, what is refused.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarMap;
use kernels::loss::{absolute_error, squared_error};
use models::layers::init::{seeded, sorted};
use models::nets::voice::{Config, Phone, Voice};

fn config() -> Config {
    Config {
        model_type: Config::TYPE.into(),
        symbols: ["pau", "a", "b", "c"].map(String::from).to_vec(),
        sampling_rate: 16_000,
        hop_length: 200,
        window_length: 800,
        mel_bands: 6,
        pitch_range: [60., 400.],
        mean: vec![0.; 8],
        deviation: vec![1.; 8],
        width: 16,
        taps: 5,
        encoder_blocks: 2,
        duration_blocks: 1,
        flow_blocks: 2,
        filter_blocks: 2,
        text_expansion: 2,
        sound_expansion: 3,
        steps: 4,
    }
}

fn phones(symbols: &[u32]) -> Vec<Phone> {
    symbols.iter().enumerate().map(|(i, &symbol)| Phone { symbol, begins: i % 2 == 0 }).collect()
}

fn net() -> Result<(Voice, VarMap)> {
    let vars = VarMap::new();
    Ok((Voice::new(&config(), seeded(&vars, 1, &Device::Cpu))?, vars))
}

fn values(count: usize, size: usize) -> Result<Tensor> {
    let values = (0..count * size).map(|i| ((i * 37 % 101) as f32 / 50.) - 1.).collect();
    Tensor::from_vec::<_, f32>(values, (count, size), &Device::Cpu)
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    let (voice, vars) = net()?;
    let (first, second) = (phones(&[0, 1, 2, 0]), phones(&[3, 1]));
    let states = voice.acoustic.encode(&[&first, &second])?;
    let durations = voice.acoustic.durations(&states, &[4, 2])?;
    let spread = voice.acoustic.spread(&states, &[1, 3, 2, 1, 2, 4])?;
    let guess = voice.acoustic.guess(&spread)?;
    let (frames, lengths) = (values(13, 8)?, [7, 6]);
    let velocity = voice.acoustic.velocity(&frames, &spread, &guess, &[0.2, 0.7], &lengths)?;
    let amplitudes = voice.filters.forward(&frames, &lengths)?;
    let levels = amplitudes.levels(&values(13, config().bins())?)?;
    let losses = [
        squared_error(&durations, &values(6, 1)?, &[1.; 6])?,
        squared_error(&guess, &frames, &[1.; 13])?,
        squared_error(&velocity, &frames, &[1.; 13])?,
        absolute_error(&levels, &levels.affine(1., 0.1)?, &[1.; 13])?,
    ];
    let loss = losses
        .into_iter()
        .try_fold(Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?, |a, b| a + b)?;
    let grads = loss.backward()?;
    for (name, var) in sorted(&vars) {
        let Some(grad) = grads.get(&var) else { panic!("{name} has no gradient") };
        assert!(grad.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{name}: a gradient of zeros");
    }
    Ok(())
}

#[test]
fn a_sentence_is_spoken_alike_alone_and_among_others() -> Result<()> {
    let (voice, _) = net()?;
    let (first, second) = (phones(&[0, 1, 2, 0, 3]), phones(&[3, 1]));
    let lasting = [vec![1, 3, 2, 1, 5], vec![2, 4]];
    let noise = values(18, 8)?;
    let speak = |sentences: &[&[Phone]], lasting: &[usize], lengths: &[usize], noise: &Tensor| {
        let states = voice.acoustic.encode(sentences)?;
        let spread = voice.acoustic.spread(&states, lasting)?;
        let frames = voice.acoustic.sound(noise, &spread, lengths, 3)?;
        voice.filters.forward(&frames, lengths)?.noise.to_vec2::<f32>()
    };
    let together = speak(&[&first, &second], &lasting.concat(), &[12, 6], &noise)?;
    let alone = [
        speak(&[&first], &lasting[0], &[12], &noise.narrow(0, 0, 12)?)?,
        speak(&[&second], &lasting[1], &[6], &noise.narrow(0, 12, 6)?)?,
    ]
    .concat();
    for (i, (a, b)) in together.iter().zip(&alone).enumerate() {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "frame {i}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_in_one_line() -> Result<()> {
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = config();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(&|config| config.taps = 4, "taps 4 is even");
    refused(&|config| config.width = 0, "width 0");
    refused(&|config| config.mean.truncate(3), "mean is not 8 numbers");
    refused(&|config| config.deviation[2] = 0., "deviation 0");
    refused(&|config| config.pitch_range = [400., 60.], "pitch_range");
    refused(&|config| config.model_type = "vits".into(), "model_type `vits`");
    let (voice, _) = net()?;
    assert!(voice.acoustic.encode(&[&phones(&[4])]).is_err());
    assert!(voice.acoustic.spread(&voice.acoustic.encode(&[&phones(&[1, 2])])?, &[1]).is_err());
    Ok(())
}
