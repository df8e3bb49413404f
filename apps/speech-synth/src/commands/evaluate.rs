//! `speech-synth evaluate`: the table of a voice's card.

use ::speech_synth::own::corpus::{self, Reader};
use ::speech_synth::own::evaluate::{Distances, Made, evaluate};
use ::speech_synth::{Request, Voice, speak};
use anyhow::{Result, bail};
use cli::{Exit, Progress, print_json, print_text};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use crate::cli::Evaluate;

/// Measures and prints.
pub fn run(args: &Evaluate) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let (voice, found) = super::load(&args.model, &args.compute, &progress)?;
    let Some(own) = voice.own() else {
        bail!("{}: only voices that were learned here are measured so", found.name)
    };
    let reader = Reader {
        analysis: own.analysis(),
        rate: own.config.sampling_rate,
        hop: own.config.hop_length,
        lexicon: own.lexicon(),
        symbols: own.symbols(),
    };
    let spinner = progress.spinner("listening to the recordings");
    let corpus = corpus::read(&args.data, &reader, 0.)?;
    spinner.finish();
    let step = corpus.train.len().div_ceil(args.count as usize).max(1);
    let clips: Vec<_> = corpus.train.into_iter().step_by(step).collect();
    let seed = args.compute.seed.unwrap_or(0);
    let spinner = progress.spinner("speaking");
    let distances = evaluate(own, &clips, seed, &mut |made| match &args.sounds {
        Some(folder) => keep(folder, made, own.config.sampling_rate),
        None => Ok(()),
    })?;
    let factor = real_time_factor(&voice, clips.iter().map(|clip| clip.text.clone()).take(20), seed)?;
    spinner.finish();
    if args.talk.json {
        print_json(&serde_json::json!({
            "model": found.name, "seed": seed, "distances": distances, "real_time_factor": factor,
        }))?;
    } else {
        print_text(&table(&distances, factor))?;
    }
    Ok(Exit::Done)
}

/// Writes the sound of a recording's frames and of its text.
fn keep(folder: &Path, made: &Made, rate: u32) -> Result<()> {
    let name = made.clip.id.replace('/', "_");
    for (end, samples) in [("copy.wav", made.copy), ("wav", made.spoken)] {
        batch::write_bytes(
            &folder.join(format!("{name}.{end}")),
            &media::wav::encode(samples, 1, rate)?,
            true,
        )?;
    }
    Ok(())
}

/// Seconds that a second of speech takes.
fn real_time_factor(voice: &Voice, texts: impl Iterator<Item = String>, seed: u64) -> Result<f64> {
    let (texts, began) = (texts.collect::<Vec<_>>(), Instant::now());
    let said = speak(voice, &texts, &Request::of(voice, seed), &mut |_| Ok(ControlFlow::Continue(())))?;
    let seconds = said.samples as f64 / f64::from(voice.rate());
    Ok(began.elapsed().as_secs_f64() / seconds.max(1e-9))
}

fn table(found: &Distances, factor: f64) -> String {
    let rows = [
        ("log-spectral distance of copied recordings", format!("{:.2} dB", found.copy_log_spectral_db)),
        ("mel-cepstral distortion of copied recordings", format!("{:.2} dB", found.copy_mel_cepstral_db)),
        (
            "mel-cepstral distortion of texts, at the recordings' durations",
            format!("{:.2} dB", found.mel_cepstral_db),
        ),
        ("fundamental frequency", format!("{:.0} cents", found.pitch_cents)),
        ("voiced or not, wrong", format!("{:.1}%", 100. * found.voicing_errors)),
        ("durations of phones", format!("{:.1} ms", found.duration_ms)),
        ("seconds a second of speech takes", format!("{factor:.3}")),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    format!("| {} recordings | off by |\n|---|---:|\n{rows}", found.recordings)
}
