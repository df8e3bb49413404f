//! Fits a voice to recordings: phones to frames by flow matching, with their durations, and frames to amplitudes.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use kernels::loss::{absolute_error, squared_error};
use kernels::sum::sum;
use models::checkpoint::{Checkpoint, Files, save};
use models::layers::init;
use models::nets::voice::{Amplitudes, Analysis, Config, Phone, Voice, align, fluctuation};
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use super::corpus::{Clip, Corpus};
use super::{ENGLISH, NOISE, names};

/// The configuration of a new voice of so many samples a second, whose frames are not yet measured.
pub fn config(rate: u32) -> Config {
    let mel_bands = 80;
    // a frame is a hundredth of a second, and three of them are a window: a longer one blurs where a stop opens
    let hop = (rate as usize / 100).max(2);
    Config {
        model_type: Config::TYPE.into(),
        symbols: names(),
        sampling_rate: rate,
        hop_length: hop,
        window_length: 3 * hop,
        mel_bands,
        pitch_range: [60., 400.],
        mean: vec![0.; mel_bands + 2],
        deviation: vec![1.; mel_bands + 2],
        width: 256,
        taps: 7,
        encoder_blocks: 5,
        duration_blocks: 2,
        flow_blocks: 6,
        filter_blocks: 3,
        text_expansion: 2,
        sound_expansion: 3,
        steps: 4,
    }
}

/// Mean and standard deviation of each of the values of frames; a value that never changes has deviation 1.
pub fn measure(config: &mut Config, clips: &[Clip]) {
    let size = config.frame_size();
    let frames = || clips.iter().flat_map(|clip| clip.frames.chunks_exact(size));
    let count = frames().count().max(1) as f64;
    for i in 0..size {
        let mean = frames().map(|frame| f64::from(frame[i])).sum::<f64>() / count;
        let variance = frames().map(|frame| (f64::from(frame[i]) - mean).powi(2)).sum::<f64>() / count;
        config.mean[i] = mean as f32;
        config.deviation[i] = if variance > 1e-8 { variance.sqrt() as f32 } else { 1. };
    }
}

/// What a training is asked to do, beside how long (`options`).
pub struct Plan {
    /// The voice, its frames measured.
    pub config: Config,
    /// Frames of a micro-batch, about.
    pub batch: usize,
    /// What the weights to start from hash to, where there are any.
    pub base: Option<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// A held-out recording on the way: as it was recorded, and as the voice speaks it.
pub struct Look<'a> {
    /// The recording.
    pub clip: &'a Clip,
    /// Frames of each of its symbols, by labels or as the net aligns them.
    pub durations: Vec<usize>,
    /// What the voice makes of the text.
    pub samples: Vec<f32>,
}

/// Takes what a training shows on the way.
pub type OnLook<'a> = dyn FnMut(&Look) -> candle_core::Result<()> + Sync + 'a;

/// Fits a voice to recordings, going on from the checkpoint in `folder` where there is one. `base` holds the weights to
/// start from; `on_look` gets a held-out recording whenever the held-out loss is looked at.
///
/// # Errors
/// What `training::fit` refuses, and shapes that do not fit the base.
pub fn train(
    corpus: &Corpus,
    plan: &Plan,
    base: Option<&Files>,
    folder: &Path,
    device: &Device,
    on_look: &mut OnLook<'_>,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    let vars = VarMap::new();
    let vb = match base {
        Some(files) => {
            let stored = Checkpoint::open(files.clone())?.vb(DType::F32, device);
            init::trainable(&vars, stored)
        }
        None => init::seeded(&vars, plan.options.seed, device),
    };
    let net = Voice::new(&plan.config, vb)?;
    let analysis = Analysis::new(&plan.config)?;
    let mut task = Speech { net: &net, analysis, corpus, plan, device, on_look };
    Ok(fit(&init::sorted(&vars), &plan.options, Some(folder), &mut task, on_step)?)
}

struct Speech<'a> {
    net: &'a Voice,
    analysis: Analysis,
    corpus: &'a Corpus,
    plan: &'a Plan,
    device: &'a Device,
    on_look: &'a mut OnLook<'a>,
}

/// Steps at whose end a net without labels is asked which frames are whose: before, each phone has as many.
const EVEN: u64 = 200;
/// Frames of a stretch that the filters are taught, and of sound beside it that its spectra need.
const STRETCH: usize = 128;
const BESIDE: usize = 3;
/// Held-out recordings that a look at the loss takes, and frames of a batch of them.
const LOOKED_AT: usize = 24;

impl Speech<'_> {
    /// Normalised frames of recordings, one after the other.
    fn frames(&self, clips: &[&Clip]) -> Vec<f32> {
        clips.iter().flat_map(|clip| self.analysis.normalised(&clip.frames)).collect()
    }

    /// Which frames are whose.
    fn durations(&self, clip: &Clip, guesses: &[f32], step: u64) -> candle_core::Result<Vec<usize>> {
        if let Some(durations) = &clip.durations {
            return Ok(durations.clone());
        }
        let (phones, count) = (clip.spelling.signs.len(), clip.pitch.len());
        if step < EVEN {
            return Ok((0..phones).map(|i| (i + 1) * count / phones - i * count / phones).collect());
        }
        let frames = self.analysis.normalised(&clip.frames);
        align(guesses, &frames, self.plan.config.frame_size())
    }

    /// The durations' loss, that of the first guess, and that of the flow.
    fn acoustic(&self, clips: &[&Clip], rng: &mut Rng, step: u64) -> candle_core::Result<Tensor> {
        let (net, size) = (&self.net.acoustic, self.plan.config.frame_size());
        let signs: Vec<&[Phone]> = clips.iter().map(|clip| clip.spelling.signs.as_slice()).collect();
        let lengths: Vec<usize> = signs.iter().map(|signs| signs.len()).collect();
        let counts: Vec<usize> = clips.iter().map(|clip| clip.pitch.len()).collect();
        let (phones, count) = (lengths.iter().sum::<usize>(), counts.iter().sum::<usize>());
        let states = net.encode(&signs)?;
        let labelled = clips.iter().all(|clip| clip.durations.is_some());
        let guessed = if labelled { None } else { Some(net.guess(&states)?) };
        let values = match &guessed {
            Some(guess) => guess.detach().flatten_all()?.to_vec1::<f32>()?,
            None => Vec::new(),
        };
        let (mut durations, mut first) = (Vec::with_capacity(phones), 0);
        for (clip, length) in clips.iter().zip(&lengths) {
            let own = values.get(first * size..(first + length) * size).unwrap_or_default();
            durations.extend(self.durations(clip, own, step)?);
            first += length;
        }
        let frames = self.frames(clips);
        let sound = Tensor::from_vec(frames.clone(), (count, size), self.device)?;

        let logarithms: Vec<f32> = durations.iter().map(|frames| (*frames as f32).ln()).collect();
        let logarithms = Tensor::from_vec(logarithms, (phones, 1), self.device)?;
        let said = net.durations(&states.detach(), &lengths)?;
        let mut loss = squared_error(&said, &logarithms, &vec![1.; phones])?;
        if let Some(guess) = &guessed {
            let (means, weights) = means(&frames, &durations, size);
            let means = Tensor::from_vec(means, (phones, size), self.device)?;
            loss = sum(&loss, &squared_error(guess, &means, &weights)?)?;
        }

        let spread = net.spread(&states, &durations)?;
        let guess = net.guess(&spread)?;
        loss = sum(&loss, &squared_error(&guess, &sound, &vec![1.; count])?)?;
        // times that are spread over all of them, whatever the batch
        let first = rng.uniform();
        let times: Vec<f32> =
            (0..clips.len()).map(|i| (first + i as f64 / clips.len() as f64).fract() as f32).collect();
        let noise = rng.normal_tensor((count, size), self.device)?;
        let parts = times.iter().zip(&counts).flat_map(|(time, frames)| std::iter::repeat_n(*time, *frames));
        let parts = Tensor::from_iter(parts, self.device)?.reshape((count, 1))?;
        let way = (&sound - &noise)?;
        let between = (&noise + way.broadcast_mul(&parts)?)?;
        let velocity = net.velocity(&between, &spread, &guess, &times, &counts)?;
        sum(&loss, &squared_error(&velocity, &way, &vec![1.; count])?)
    }

    /// The filters' loss on stretches of recordings.
    fn filters(&self, clips: &[&Clip], rng: &mut Rng) -> candle_core::Result<Tensor> {
        let Config { hop_length: hop, .. } = self.plan.config;
        let (size, bins) = (self.plan.config.frame_size(), self.plan.config.bins());
        let (mut frames, mut levels, mut pulses, mut lengths) = (vec![], vec![], vec![], vec![]);
        for clip in clips {
            let count = clip.pitch.len();
            let length = STRETCH.min(count);
            let first = rng.below(count - length + 1);
            let (from, to) = (first.saturating_sub(BESIDE), (first + length + BESIDE).min(count));
            let kept = (first - from) * bins..(first - from + length) * bins;
            frames.extend(self.analysis.normalised(&clip.frames[first * size..(first + length) * size]));
            levels.extend(&self.analysis.levels(&clip.samples[from * hop..to * hop])[kept.clone()]);
            let source = self.analysis.pulses(&clip.pitch[from..to]);
            pulses.extend(&self.analysis.levels(&source)[kept]);
            lengths.push(length);
        }
        let count = lengths.iter().sum::<usize>();
        let tensor = |values: Vec<f32>, width| Tensor::from_vec(values, (count, width), self.device);
        let Amplitudes { harmonic, noise } = self.net.filters.forward(&tensor(frames, size)?, &lengths)?;
        // noise is never as loud as foretold: were it, a net would rather be hoarse than miss a pitch by a little
        let fluctuations = (0..count * bins).map(|_| fluctuation(rng.uniform())).collect();
        let noise = sum(&noise, &tensor(fluctuations, bins)?)?;
        let made = Amplitudes { harmonic, noise }.levels(&tensor(pulses, bins)?)?;
        absolute_error(&made, &tensor(levels, bins)?, &vec![1.; count])
    }

    fn loss_of(&self, clips: &[&Clip], rng: &mut Rng, step: u64) -> candle_core::Result<Tensor> {
        let acoustic = self.acoustic(clips, rng, step)?;
        sum(&acoustic, &self.filters(clips, rng)?)
    }

    /// A held-out recording and what the voice makes of its text.
    fn look(&self, clip: &'_ Clip) -> Result<(Vec<usize>, Vec<f32>)> {
        let guess = self.net.acoustic.guess(&self.net.acoustic.encode(&[&clip.spelling.signs])?)?;
        let durations = self.durations(clip, &guess.detach().flatten_all()?.to_vec1::<f32>()?, EVEN)?;
        let mut rng = Rng::new(self.plan.options.seed);
        let mut normal = |count: usize, scale: f64| -> Vec<f32> {
            (0..count).map(|_| (scale * rng.normal()) as f32).collect()
        };
        let hop = self.plan.config.hop_length;
        let (samples, _) = super::say(
            self.net,
            &self.analysis,
            &self.plan.config,
            &clip.spelling.signs,
            1.,
            |frames, size| (normal(frames * size, NOISE), normal(frames * hop, 1.)),
        )?;
        Ok((durations, samples))
    }
}

/// The mean of the frames of each phone, and how much it counts.
fn means(frames: &[f32], durations: &[usize], size: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut means, mut first) = (Vec::with_capacity(durations.len() * size), 0);
    for &count in durations {
        let own = &frames[first * size..(first + count) * size];
        means.extend((0..size).map(|i| own.iter().skip(i).step_by(size).sum::<f32>() / count.max(1) as f32));
        first += count;
    }
    let usual = first as f32 / durations.len().max(1) as f32;
    (means, durations.iter().map(|count| *count as f32 / usual).collect())
}

impl Task for Speech<'_> {
    fn fingerprint(&self) -> String {
        let bytes = self.corpus.train.iter().flat_map(|clip| {
            let count = clip.samples.len().to_le_bytes();
            clip.id.bytes().chain(clip.text.bytes()).chain(count).collect::<Vec<u8>>()
        });
        let hash = training::hash(bytes);
        let config = &self.plan.config;
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {base:.12}"));
        format!(
            "{} recordings {hash:016x}, width {}, blocks {:?}, {} Hz, batch {}{base}",
            self.corpus.train.len(),
            config.width,
            [config.encoder_blocks, config.duration_blocks, config.flow_blocks, config.filter_blocks],
            config.sampling_rate,
            self.plan.batch,
        )
    }

    fn loss(&self, rng: &mut Rng, step: u64, _: usize) -> candle_core::Result<Loss> {
        let all = &self.corpus.train;
        let (mut clips, mut frames): (Vec<&Clip>, usize) = (Vec::new(), 0);
        while frames < self.plan.batch {
            let clip = &all[rng.below(all.len())];
            frames += clip.pitch.len();
            clips.push(clip);
        }
        Ok(Loss { value: self.loss_of(&clips, rng, step)?, items: frames })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let all = &self.corpus.held_out;
        let Some(shown) = all.first() else { return Ok(None) };
        let (durations, samples) =
            self.look(shown).map_err(|error| candle_core::Error::Msg(format!("{error:#}")))?;
        (self.on_look)(&Look { clip: shown, durations, samples })?;
        let (mut sum, mut count) = (0., 0);
        for (i, clip) in (0u64..).zip(all.iter().step_by(all.len().div_ceil(LOOKED_AT))) {
            let mut rng = Rng::at(self.plan.options.seed, &[u64::MAX, i]);
            let loss = self.loss_of(&[clip], &mut rng, EVEN)?.detach().to_scalar::<f32>()?;
            sum += f64::from(loss) * clip.pitch.len() as f64;
            count += clip.pitch.len();
        }
        Ok(Some(sum / count.max(1) as f64))
    }
}

/// Writes what a training gave as a voice's folder; weights in f16. `english` is the files that spell English.
///
/// # Errors
/// A disk that cannot be written, weights beyond f16.
pub fn write(folder: &Path, plan: &Plan, fitted: &Fitted, english: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in english {
        batch::write_bytes(&folder.join(ENGLISH).join(name), bytes, true)?;
    }
    let tensors: Vec<(String, Tensor)> =
        fitted.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(save(folder, &plan.config, &tensors, DType::F16)?)
}
