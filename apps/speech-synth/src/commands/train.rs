//! `speech-synth train`: learn a voice from recordings, and show how it goes.

use std::path::Path;

use ::speech_synth::own::corpus::{self, Clip, Corpus, Reader};
use ::speech_synth::own::train::{Look, Plan, config, measure, train, write};
use ::speech_synth::own::{ENGLISH, Symbols};
use anyhow::{Result, bail};
use cli::{Exit, Progress, print_json, print_path};
use media::picture::{Align, Color, Picture, Rect, TextStyle};
use models::checkpoint::Files;
use models::nets::voice::{Analysis, Config};
use speech_synth::english::lexicon::Lexicon;
use studio::learning::{self, Base};
use training::{Fitted, Options};

use crate::cli::Train;

/// Files that spell English, in the folder of that name.
const SPELLING: [&str; 5] = ["words.bin", "config.json", "model.safetensors", "README.md", "LICENSE"];
/// No such file is larger.
const LARGEST: u64 = 64 << 20;
/// Frames of a step.
const BATCH: usize = 1600;
/// Parts that they are computed in, side by side.
const PARTS: usize = 2;

/// Learns and writes the voice.
pub fn run(args: &Train) -> Result<Exit> {
    let progress = learning::begin(&args.train, &args.compute)?;
    let base = Base::<Config>::open(&args.train, crate::EMBEDDED, super::WANTS, &progress)?;
    let mut config = match &base {
        Some(base) => base.config.clone(),
        None => Config { width: args.width, ..config(args.sample_rate) },
    };
    config.validate()?;
    let spelling = spelling(base.as_ref().map(|base| &base.files))?;
    let lexicon = Lexicon::open(spelling.clone())?;
    let out = &args.train.out;
    let corpus = recordings(args, &config, &lexicon, &progress)?;
    if base.is_none() {
        measure(&mut config, &corpus.train);
    }
    let plan = plan(args, config, base.as_ref())?;
    let device = models::device::open(&args.compute.device.to_string())?;
    let weights = base.as_ref().map(|base| &base.files);
    let names = plan.config.symbols.clone();
    let analysis = Analysis::new(&plan.config)?;
    let mut on_look = |look: &Look| {
        show(out, &plan.config, &analysis, &names, look)
            .map_err(|why| candle_core::Error::Msg(format!("{why:#}")))
    };
    let fitted = learning::watch(&progress, &plan.options, "frames", |on_step| {
        train(&corpus, &plan, weights, out, &device, &mut on_look, on_step)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "sum of the parts' losses", || {
        write(out, &plan, &fitted, &files(&spelling)?)
    })?;
    tell(args, &corpus, &fitted, &progress)
}

/// What spells English: a base's own files, else those of the built-in voice.
fn spelling(base: Option<&Files>) -> Result<Files> {
    match (base, crate::EMBEDDED) {
        (Some(files), _) => Ok(files.below(ENGLISH)),
        (None, Some(voice)) => Ok(Files::Static(voice.into()).below(ENGLISH)),
        (None, None) => bail!("what spells English is not built in: give a voice with --base"),
    }
}

/// To travel with what is learned.
fn files(files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    let there = SPELLING.into_iter().filter(|name| files.has(name));
    there.map(|name| Ok((name.to_string(), files.read(name, LARGEST)?))).collect()
}

fn recordings(args: &Train, config: &Config, lexicon: &Lexicon, progress: &Progress) -> Result<Corpus> {
    let analysis = Analysis::new(config)?;
    let symbols = Symbols::new(&config.symbols)?;
    let reader = Reader {
        analysis: &analysis,
        rate: config.sampling_rate,
        hop: config.hop_length,
        lexicon,
        symbols: &symbols,
    };
    let spinner = progress.spinner("listening to the recordings");
    let corpus = corpus::read(&args.train.data, &reader, args.train.held_out.unwrap_or(0.02));
    spinner.finish();
    let corpus = corpus?;
    for why in &corpus.skipped {
        progress.detail(format!("left out: {why}"));
    }
    let frames = |clips: &[Clip]| clips.iter().map(|clip| clip.pitch.len()).sum::<usize>();
    let hours = (frames(&corpus.train) * config.hop_length) as f64 / f64::from(config.sampling_rate) / 3600.;
    let labelled = corpus.train.iter().filter(|clip| clip.durations.is_some()).count();
    progress.status(format!(
        "{} recordings ({hours:.2} hours, {labelled} with labels) to learn, {} held out, {} left out (-v names them)",
        corpus.train.len(),
        corpus.held_out.len(),
        corpus.skipped.len()
    ));
    Ok(corpus)
}

fn plan(args: &Train, config: Config, base: Option<&Base<Config>>) -> Result<Plan> {
    let options = learning::options(&args.train, &args.compute, [1e-3, 3e-4])?;
    let frames = args.train.batch.unwrap_or(BATCH);
    Ok(Plan {
        config,
        batch: frames.div_ceil(PARTS),
        base: base.map(Base::identity).transpose()?,
        options: Options {
            micro_batches: PARTS,
            weight_decay: 0.01,
            average: Some(0.999),
            keep_best: false,
            ..options
        },
    })
}

const PAPER: Color = Color(250, 250, 248);
const INK: Color = Color(20, 30, 60);
const EDGE: Color = Color(214, 91, 49);
/// Pixels of a frame and of a band, and around.
const WIDE: f32 = 4.;
const HIGH: f32 = 3.;
const MARGIN: f32 = 30.;

/// Writes the sound of a held-out text, and a picture: the recording with the edges of its phones, and below what the
/// voice makes of the text.
fn show(out: &Path, config: &Config, analysis: &Analysis, names: &[String], look: &Look) -> Result<()> {
    let rate = config.sampling_rate;
    batch::write_bytes(&out.join("sample.wav"), &media::wav::encode(&look.samples, 1, rate)?, true)?;
    let made = analysis.signal(&look.samples)?;
    let (size, bands) = (config.frame_size(), config.mel_bands);
    let rows = [&look.clip.frames, &made.frames];
    let longest = rows.iter().map(|frames| frames.len() / size).max().unwrap_or(0);
    let height = HIGH * bands as f32;
    let mut picture =
        Picture::new((2. * MARGIN + WIDE * longest as f32) as u32, (3. * MARGIN + 2. * height) as u32, PAPER);
    for (row, frames) in rows.iter().enumerate() {
        let top = MARGIN + row as f32 * (height + MARGIN);
        for (t, frame) in frames.chunks_exact(size).enumerate() {
            for (band, level) in frame[..bands].iter().enumerate() {
                let place =
                    Rect::new(MARGIN + WIDE * t as f32, top + height - HIGH * (band + 1) as f32, WIDE, HIGH);
                // two deviations to either side
                let dark = (level - config.mean[band]) / (4. * config.deviation[band]) + 0.5;
                picture.fill(place, PAPER.towards(INK, dark), 1.);
            }
        }
    }
    let style = TextStyle { size: 8., color: EDGE, bold: false, align: Align::Left };
    let mut first = 0;
    for (sign, frames) in look.clip.spelling.signs.iter().zip(&look.durations) {
        let x = MARGIN + WIDE * first as f32;
        picture.fill(Rect::new(x, MARGIN - 12., 1., height + 12.), EDGE, 0.8);
        let name = names.get(sign.symbol as usize).map_or("", String::as_str);
        picture.text((x + 3., MARGIN - 3.), name, style);
        first += frames;
    }
    batch::write_bytes(&out.join("alignment.png"), &picture.to_png()?, true)?;
    Ok(())
}

fn tell(args: &Train, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    if args.train.talk.json {
        print_json(&serde_json::json!({
            "model": out.display().to_string(), "seed": args.compute.seed.unwrap_or(0), "steps": fitted.steps,
            "recordings": corpus.train.len(), "held_out_loss": fitted.held_out,
            "timings": { "train_s": cli::seconds_since_start() },
        }))?;
    } else {
        print_path(out)?;
    }
    let shown = out.display();
    progress.status(format!("speech-synth --model {shown} \"Hello.\" speaks with it"));
    Ok(Exit::Done)
}
