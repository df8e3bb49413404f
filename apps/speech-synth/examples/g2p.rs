//! Learns how English words are said from CMUdict, and measures it: what scripts/train/g2p.sh runs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use cli::{print_json, print_line};
use models::checkpoint::Files;
use serde_json::json;
use speech_synth::english::g2p::corpus::{Entry, read_cmudict, split};
use speech_synth::english::g2p::score::{Errors, unstressed};
use speech_synth::english::g2p::train::{Plan, train, write};
use speech_synth::english::g2p::{Config, LettersToPhones};
use speech_synth::english::lexicon::{DICTIONARY, Dictionary, read_user_lexicon};
use speech_synth::english::phones::{Phone, to_arpabet};
use training::Options;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Learns from nine tenths of the words.
    Train(Train),
    /// Measures on the words that are held out.
    Score(Score),
    /// Packs the whole dictionary.
    Pack(Pack),
}

#[derive(Args)]
struct Train {
    /// `cmudict.dict`
    dictionary: PathBuf,
    /// Becomes the model; a run that was cut off goes on from there.
    #[arg(long)]
    out: PathBuf,
    /// Steps to take.
    #[arg(long, default_value_t = 1800)]
    steps: u64,
    /// Letters of a batch, about.
    #[arg(long, default_value_t = 2048)]
    batch: usize,
    /// Highest learning rate.
    #[arg(long, default_value_t = 0.004)]
    learning_rate: f64,
    /// Share of activations that are dropped.
    #[arg(long, default_value_t = 0.05)]
    dropout: f32,
    /// Width of the net.
    #[arg(long, default_value_t = 64)]
    width: usize,
    /// Its blocks.
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct Score {
    /// `cmudict.dict`
    dictionary: PathBuf,
    /// The model's folder.
    #[arg(long)]
    model: PathBuf,
    /// Prints so many of the words that are said wrong.
    #[arg(long, default_value_t = 0)]
    show: usize,
}

#[derive(Args)]
struct Pack {
    /// `cmudict.dict`
    dictionary: PathBuf,
    /// Words that it does not have or has otherwise, as in a user's lexicon.
    #[arg(long)]
    additions: PathBuf,
    /// The model's folder.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Train(asked) => learn(&asked),
        Verb::Score(asked) => score(&asked),
        Verb::Pack(asked) => pack(&asked),
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn entries(path: &Path) -> Result<Vec<Entry>> {
    read_cmudict(&text(path)?).with_context(|| path.display().to_string())
}

/// Words of letters and apostrophes, each in the first way that CMUdict gives.
fn pack(asked: &Pack) -> Result<()> {
    let mut words: BTreeMap<String, Vec<Phone>> = BTreeMap::new();
    for entry in entries(&asked.dictionary)? {
        if entry.word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'\'') {
            words.entry(entry.word).or_insert_with(|| entry.variants.into_iter().next().unwrap_or_default());
        }
    }
    let additions = read_user_lexicon(&text(&asked.additions)?);
    words.extend(additions.with_context(|| asked.additions.display().to_string())?);
    let words: Vec<(String, Vec<Phone>)> = words.into_iter().collect();
    let packed = Dictionary::pack(&words);
    print_line(format!("{} words, {} bytes", words.len(), packed.len()))?;
    let path = asked.out.join(DICTIONARY);
    std::fs::write(&path, packed).with_context(|| path.display().to_string())
}

fn learn(asked: &Train) -> Result<()> {
    let split = split(&entries(&asked.dictionary)?);
    print_line(format!("{} words, {} held out", split.train.len(), split.held_out.len()))?;
    let options = Options {
        steps: Some(asked.steps),
        learning_rate: asked.learning_rate,
        warmup_steps: 200,
        min_lr_ratio: 0.01,
        weight_decay: 0.02,
        average: Some(0.995),
        seed: asked.seed,
        curve_every: 50,
        held_out_every: 500,
        ..Options::default()
    };
    let config = Config {
        hidden_size: asked.width,
        num_hidden_layers: asked.layers,
        intermediate_size: 4 * asked.width,
        ..Config::default()
    };
    let plan = Plan { config, batch: asked.batch, dropout: asked.dropout, options };
    std::fs::create_dir_all(&asked.out)?;
    let mut wrong = None;
    let fitted = train(&split, &plan, &asked.out, &mut |progress| {
        if progress.step.is_multiple_of(50) || progress.held_out.is_some() {
            let (loss, held_out) = (progress.loss.unwrap_or(f64::NAN), progress.held_out);
            let held_out = held_out.map_or(String::new(), |loss| format!(", held out {loss:.4}"));
            let rate = progress.items_per_second;
            let line = format!("step {}: loss {loss:.4}{held_out}, {rate:.0} phones/s", progress.step);
            if let Err(error) = print_line(line) {
                wrong = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    write(&asked.out, &plan, &fitted)
}

fn score(asked: &Score) -> Result<()> {
    let split = split(&entries(&asked.dictionary)?);
    let model = LettersToPhones::open(Files::Dir(asked.model.clone()))?;
    let words: Vec<&str> = split.held_out.iter().map(|entry| entry.word.as_str()).collect();
    let begun = std::time::Instant::now();
    let said = model.say(&words)?;
    let seconds = begun.elapsed().as_secs_f64();
    let (mut plain, mut stressed, mut first) = (Errors::default(), Errors::default(), Errors::default());
    let mut shown = 0;
    for (Entry { word, variants }, said) in split.held_out.iter().zip(&said) {
        stressed.add(said, variants);
        let (said, variants): (_, Vec<_>) =
            (unstressed(said), variants.iter().map(|v| unstressed(v)).collect());
        let before = plain.wrong_words;
        plain.add(&said, &variants);
        first.add(&said, &variants[..1]);
        if plain.wrong_words > before && shown < asked.show {
            shown += 1;
            print_line(format!("{word}: {}, not {}", to_arpabet(&said), to_arpabet(&variants[0])))?;
        }
    }
    print_json(&json!({
        "words": plain.words,
        "phone_error_rate": plain.phone_rate(),
        "word_error_rate": plain.word_rate(),
        "phone_error_rate_with_stress": stressed.phone_rate(),
        "word_error_rate_with_stress": stressed.word_rate(),
        "phone_error_rate_against_the_first_way": first.phone_rate(),
        "words_per_second": words.len() as f64 / seconds,
    }))
}
