//! Learning from recordings and their words: a new net with a tokenizer of its own, or one that goes on from another.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use models::checkpoint::{Checkpoint, Files, save};
use models::features::log_mel::LogMel;
use models::layers::ctc::ctc;
use models::layers::dropout::Dropout;
use models::layers::init;
use models::layers::linear::Linear;
use models::layers::loss::{IGNORED, between, cross_entropy};
use models::nets::whisper::{Config, Whisper};
use models::tokens::learn_with_marks;
use rayon::prelude::*;
use serde_json::json;
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::{Clip, Corpus, by_list};
use crate::draw::{Drawer, Window};
use crate::score::{Errors, errors};
use crate::sound::{HOP, RATE, Sound};
use crate::vocabulary::Vocabulary;
use crate::{Model, Request, languages, transcribe};

/// Values of a frame of a new net.
const BANDS: usize = 80;
/// Ids of a new net's decoder for a second of sound: fast speech in small pieces, told what came before.
const IDS_A_SECOND: usize = 30;
/// What the encoder's own output layer is called; it is left out of the model.
const CTC: &str = "ctc";

/// Size of a new net.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks of encoder and decoder.
    pub layers: [usize; 2],
    /// Seconds that it hears at once.
    pub window: usize,
}

impl Shape {
    /// The net's configuration for a number of ids, of which `start` begins and `end` ends a text.
    pub fn config(&self, count: usize, (start, end): (u32, u32)) -> Config {
        let heads = (self.width / 64).max(1);
        Config {
            vocab_size: count,
            num_mel_bins: BANDS,
            d_model: self.width,
            encoder_layers: self.layers[0],
            decoder_layers: self.layers[1],
            encoder_attention_heads: heads,
            decoder_attention_heads: heads,
            encoder_ffn_dim: 4 * self.width,
            decoder_ffn_dim: 4 * self.width,
            max_source_positions: self.window * 50,
            max_target_positions: self.window * IDS_A_SECOND,
            // what a map gives is as large as what it is given, so that attention differs from the beginning on
            init_std: 1. / (self.width as f64).sqrt(),
            decoder_start_token_id: Some(start),
            eos_token_id: Some(end),
            other: json!({ "pad_token_id": end, "bos_token_id": end })
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..Config::default()
        }
    }
}

/// The files beside config and weights that make a model of a tokenizer: in the layout of the hub's.
///
/// # Errors
/// A count that has no room for every byte.
pub fn new_files(
    texts: &[&str],
    count: usize,
    language: &str,
    window: usize,
) -> Result<Vec<(String, Vec<u8>)>> {
    let times = (0..=window * 50).map(|tick| format!("<|{:.2}|>", tick as f64 / 50.));
    let first = ["<|endoftext|>", "<|startoftranscript|>"].map(String::from);
    let tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
    let marks: Vec<String> = (first.into_iter().chain([format!("<|{language}|>")]))
        .chain(tasks.map(|name| format!("<|{name}|>")))
        .chain(times)
        .collect();
    let texts: Vec<String> = texts.iter().map(|text| format!(" {text}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let tokenizer = learn_with_marks(&texts, count, &marks).context("the tokenizer")?;
    let tokens = models::tokens::Tokens::from_json(&tokenizer, "tokenizer.json")?;
    let id = |name: &str| tokens.id(name);
    let end = id("<|endoftext|>");
    let generation = json!({
        "cut_at_pauses": true, "condition_on_prev_tokens": false,
        "begin_suppress_tokens": [tokens.encode(" ", false)?.first(), end],
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end,
        "decoder_start_token_id": id("<|startoftranscript|>"),
        "is_multilingual": true, "lang_to_id": { format!("<|{language}|>"): id(&format!("<|{language}|>")) },
        "max_initial_timestamp_index": 50, "max_length": window * IDS_A_SECOND,
        "no_timestamps_token_id": id("<|notimestamps|>"), "prev_sot_token_id": id("<|startofprev|>"),
        "return_timestamps": false, "suppress_tokens": [],
        "task_to_id": { "transcribe": id("<|transcribe|>"), "translate": id("<|translate|>") },
    });
    let preprocessor = json!({
        "chunk_length": window, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": BANDS,
        "hop_length": HOP, "n_fft": 400, "n_samples": window * RATE as usize, "nb_max_frames": window * 100,
        "padding_side": "right", "padding_value": 0.0, "processor_class": "WhisperProcessor",
        "return_attention_mask": false, "sampling_rate": RATE,
    });
    let config = json!({
        "tokenizer_class": "WhisperTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "processor_class": "WhisperProcessor",
        "model_max_length": window * IDS_A_SECOND, "clean_up_tokenization_spaces": false,
    });
    let text = |value: serde_json::Value| format!("{value:#}\n").into_bytes();
    Ok(vec![
        ("tokenizer.json".into(), tokenizer),
        ("tokenizer_config.json".into(), text(config)),
        ("generation_config.json".into(), text(generation)),
        ("preprocessor_config.json".into(), text(preprocessor)),
    ])
}

/// The files beside config and weights that a model's folder holds, to travel with what is learned from it.
///
/// # Errors
/// A file that cannot be read.
pub fn files_beside(files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    const NAMES: [&str; 9] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "normalizer.json",
        "added_tokens.json",
        "special_tokens_map.json",
        "generation_config.json",
        "preprocessor_config.json",
    ];
    let there = NAMES.into_iter().filter(|name| files.has(name));
    there.map(|name| Ok((name.to_string(), files.read(name, 256 << 20)?))).collect()
}

/// What a training is asked to do, beside how long (`options`).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The net; that of the base where there is one.
    pub config: Config,
    /// The language that is spoken.
    pub language: &'static str,
    /// Windows in a micro-batch.
    pub batch: usize,
    /// Share of activations that are dropped.
    pub dropout: f32,
    /// Share of windows that are heard as if from another place (`augment`).
    pub changed: f64,
    /// How much the encoder's own output counts beside the decoder's: it teaches the net early where words are (Watanabe
    /// et al., 2017). 0 where there is a base.
    pub ctc: f64,
    /// What the weights to start from hash to, where there are any.
    pub base: Option<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// Fits a net to clips, going on from the checkpoint in `folder` where there is one. `base` holds the weights to start
/// from.
///
/// # Errors
/// What `training::fit` refuses, shapes that do not fit the base, and clips that cannot be read any more.
pub fn train(
    corpus: &Corpus,
    vocabulary: &Vocabulary,
    plan: &Plan,
    base: Option<&Files>,
    folder: &Path,
    device: &Device,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    let (config, seed) = (&plan.config, plan.options.seed);
    let (net, vars) = match base {
        Some(files) => {
            let (vars, checkpoint) = (VarMap::new(), Checkpoint::open(files.clone())?);
            let vb = init::trainable(&vars, checkpoint.vb(DType::F32, device));
            (Whisper::new(config, vb)?, vars)
        }
        None => Whisper::init(config, seed, device)?,
    };
    let classes = vocabulary.end as usize + 1;
    let ctc = match plan.ctc > 0. {
        true => {
            let vb = init::seeded(&vars, seed, device).pp(CTC);
            Some(Linear::new(config.d_model, classes, true, config.init_std, vb)?)
        }
        false => None,
    };
    let most = corpus.train.iter().map(|clip| clip.list).max().map_or(0, |most| most + 1);
    let mut lists = vec![Vec::new(); most];
    by_list(&corpus.train).into_iter().for_each(|(list, places)| lists[list] = places);
    let drawer = Drawer {
        vocabulary,
        language: vocabulary.language(plan.language),
        frames: 2 * config.max_source_positions,
        positions: config.max_target_positions,
        bands: config.num_mel_bins,
        changed: plan.changed,
        mel: LogMel::new(config.num_mel_bins)?,
    };
    let held_out = corpus.held_out.iter().step_by((corpus.held_out.len() / HELD_OUT).max(1)).take(HELD_OUT);
    let held_out = held_out.map(|clip| drawer.plain(clip)).collect::<Result<_>>()?;
    let mut task = Speech { net: &net, ctc, corpus, lists, drawer, held_out, plan, device };
    Ok(fit(&init::sorted(&vars), &plan.options, Some(folder), &mut task, on_step)?)
}

/// Clips that a look at the held-out loss takes.
const HELD_OUT: usize = 48;

struct Speech<'a> {
    net: &'a Whisper,
    ctc: Option<Linear>,
    corpus: &'a Corpus,
    lists: Vec<Vec<usize>>,
    drawer: Drawer<'a>,
    held_out: Vec<Window>,
    plan: &'a Plan,
    device: &'a Device,
}

impl Speech<'_> {
    fn batch_loss(
        &self,
        windows: &[Window],
        dropout: &Dropout,
        ctc: Option<&Linear>,
    ) -> candle_core::Result<Tensor> {
        let count = windows.len();
        let mel: Vec<f32> = windows.iter().flat_map(|window| &window.mel).copied().collect();
        let (bands, frames) = (self.drawer.bands, self.drawer.frames);
        let mel = Tensor::from_vec(mel, (count, bands, frames), self.device)?;
        let longest = windows.iter().map(|window| window.ids.len()).max().unwrap_or(0);
        let rows = |row: fn(&Window) -> &[u32], rest: u32| {
            let padded = windows.iter().flat_map(|window| {
                let row = row(window);
                row.iter().copied().chain(std::iter::repeat_n(rest, longest - row.len()))
            });
            Tensor::from_vec(padded.collect::<Vec<_>>(), (count, longest), self.device)
        };
        let ids = rows(|window| &window.ids, self.drawer.vocabulary.end)?;
        let targets = rows(|window| &window.targets, IGNORED)?;
        let source = self.net.encode_train(&mel, dropout)?;
        let loss = cross_entropy(&self.net.decode_train(&ids, &source, dropout)?, &targets)?;
        let Some(head) = ctc else { return Ok(loss) };
        let labels: Vec<Vec<u32>> = windows.iter().map(|window| window.labels.clone()).collect();
        let lengths = vec![frames / 2; count];
        let aligned = ctc_loss(head, &source.states, (&labels, &lengths), self.drawer.vocabulary.end)?;
        between(&loss, &aligned, self.plan.ctc)
    }
}

fn ctc_loss(
    head: &Linear,
    states: &Tensor,
    (labels, lengths): (&[Vec<u32>], &[usize]),
    blank: u32,
) -> candle_core::Result<Tensor> {
    ctc(&head.forward(states)?, labels, lengths, blank)
}

impl Task for Speech<'_> {
    fn fingerprint(&self) -> String {
        let text = |clip: &Clip| format!("{} {} {}", clip.path.display(), clip.start, clip.text);
        let hash = training::hash(self.corpus.train.iter().map(text).flat_map(String::into_bytes));
        let cfg = &self.plan.config;
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {base:.12}"));
        format!(
            "{} clips {hash:016x}, {}, {} + {} layers of {}, {} ids, {} states, batch {}, dropout {}, changed {}, ctc {}{base}",
            self.corpus.train.len(),
            self.plan.language,
            cfg.encoder_layers,
            cfg.decoder_layers,
            cfg.d_model,
            cfg.vocab_size,
            cfg.max_source_positions,
            self.plan.batch,
            self.plan.dropout,
            self.plan.changed,
            self.plan.ctc
        )
    }

    fn loss(&self, rng: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        let seeds: Vec<u64> = (0..self.plan.batch).map(|_| rng.next_u64()).collect();
        let draw = |seed: u64| self.drawer.draw(&self.corpus.train, &self.lists, &mut Rng::new(seed));
        let windows: Vec<Window> = seeds
            .into_par_iter()
            .map(draw)
            .collect::<Result<_>>()
            .map_err(|error| candle_core::Error::Msg(format!("{error:#}")))?;
        let pass = step * self.plan.options.micro_batches as u64 + micro as u64;
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.options.seed, step: pass };
        let value = self.batch_loss(&windows, &dropout, self.ctc.as_ref())?;
        Ok(Loss { value, items: windows.len() })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let (mut sum, mut count) = (0., 0usize);
        for windows in self.held_out.chunks(self.plan.batch) {
            let targets =
                windows.iter().flat_map(|window| &window.targets).filter(|id| **id != IGNORED).count();
            let loss = self.batch_loss(windows, &Dropout::NONE, None)?.detach().to_scalar::<f32>()?;
            sum += f64::from(loss) * targets as f64;
            count += targets;
        }
        Ok((count > 0).then(|| sum / count as f64))
    }
}

/// Writes what a training gave as a folder that the hub's other programs read too; weights in f16.
///
/// # Errors
/// A disk that cannot be written, weights beyond f16.
pub fn write(folder: &Path, plan: &Plan, fitted: &Fitted, beside: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in beside {
        batch::write_bytes(&folder.join(name), bytes, true)?;
    }
    let own = fitted.weights.iter().filter(|(name, _)| !name.starts_with(CTC));
    let tensors: Vec<(String, Tensor)> = own.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(save(folder, &plan.config, &tensors, DType::F16)?)
}

/// What a model hears in a clip, greedily.
///
/// # Errors
/// A clip that cannot be read, and what the net refuses.
pub fn hear(model: &Model, clip: &Clip, language: &'static str) -> Result<String> {
    let samples = clip.samples().map_err(|why| anyhow::anyhow!(why))?;
    let mut sound = Sound::of(&samples, model.config.num_mel_bins, model.frames())?;
    let language = (!model.vocabulary.languages.is_empty()).then_some(language);
    let request = Request { language, temperatures: vec![0.], condition: false, ..Request::default() };
    Ok(transcribe(model, &mut sound, &request, &mut |_| ControlFlow::Continue(()))?.text)
}

/// Errors of a model on clips, in words and in characters, and what it heard in each.
///
/// # Errors
/// As `hear`.
pub fn measure(
    model: &Model,
    clips: &[Clip],
    language: &'static str,
    on_clip: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<(Errors, Errors, Vec<String>)> {
    let (mut words, mut characters, mut heard) = (Errors::default(), Errors::default(), Vec::new());
    for (i, clip) in clips.iter().enumerate() {
        let text = hear(model, clip, language)?;
        let (in_words, in_characters) = errors(&clip.text, &text);
        (words, characters) = (words.and(in_words), characters.and(in_characters));
        heard.push(text);
        if on_clip(i + 1).is_break() {
            break;
        }
    }
    Ok((words, characters, heard))
}

/// Whether a vocabulary can say a language.
///
/// # Errors
/// One line where it cannot.
pub fn speaks(vocabulary: &Vocabulary, language: &str) -> Result<()> {
    let known = vocabulary.languages.is_empty() && language == languages::LANGUAGES[0].0;
    if !known && vocabulary.language(language).is_none() {
        anyhow::bail!("the base has no token for the language {language}");
    }
    Ok(())
}
