//! `speech-rec score`: errors in words and characters against a text that is right.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use cli::{Exit, Progress, print_json, print_line, usage};
use media::subtitles::{Cue, parse_srt, parse_vtt};
use speech_rec::corpus::{self, Clip};
use speech_rec::score::{Errors, errors};
use speech_rec::sound::{Reading, Sound};
use speech_rec::train::measure;
use speech_rec::{Request, transcribe};

use crate::cli::Score;

/// Compares, and says how much differs.
pub fn run(args: &Score) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let is_list = args.reference.extension().is_some_and(|extension| extension == "tsv");
    let (words, characters) = match (&args.input, is_list) {
        (None, true) => list(args, &progress)?,
        (Some(_), true) => return Err(usage("a list names its own files: leave INPUT out")),
        (None, false) => {
            return Err(usage("nothing to compare with: speech-rec score --reference right.txt found.txt"));
        }
        (Some(input), false) => {
            let right = text(&args.reference)?;
            let found = if is_sound(input) { hear(args, input, &progress)? } else { text(input)? };
            errors(&right, &found)
        }
    };
    if args.talk.json {
        let part = |errors: Errors| {
            serde_json::json!({
                "rate": errors.rate(), "count": errors.count, "substitutions": errors.substitutions,
                "deletions": errors.deletions, "insertions": errors.insertions,
            })
        };
        print_json(&serde_json::json!({
            "reference": args.reference.display().to_string(),
            "input": args.input.as_ref().map(|path| path.display().to_string()),
            "wer": words.rate(), "cer": characters.rate(), "words": part(words), "characters": part(characters),
        }))?;
        return Ok(Exit::Done);
    }
    let line = |name: &str, errors: Errors| {
        format!(
            "{name} {:.2}%: {} wrong, {} missing, {} too many, of {}",
            100. * errors.rate(),
            errors.substitutions,
            errors.deletions,
            errors.insertions,
            errors.count
        )
    };
    print_line(line("WER", words))?;
    print_line(line("CER", characters))?;
    Ok(Exit::Done)
}

fn is_sound(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    corpus::EXTENSIONS.contains(&extension.as_str())
}

/// All files of a list.
fn list(args: &Score, progress: &Progress) -> Result<(Errors, Errors)> {
    let (model, _) = super::load(&args.model, &args.compute, progress)?;
    let clips =
        corpus::read(std::slice::from_ref(&args.reference), f64::INFINITY, 0.).map_err(|why| anyhow!(why))?;
    if let Some(why) = clips.skipped.first() {
        bail!("{why}");
    }
    let bar = progress.bar(clips.train.len() as u64, "listening");
    let language =
        args.language.or(model.vocabulary.languages.first().map(|(_, code)| *code)).unwrap_or("en");
    let (words, characters, heard) = measure(&model, &clips.train, language, &mut |done| {
        bar.set(done as u64);
        if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish();
    if heard.len() < clips.train.len() {
        bail!("interrupted after {} of {} files", heard.len(), clips.train.len());
    }
    let line = |(clip, heard): (&Clip, &String)| {
        progress.detail(format!("{}: {} | {}", clip.path.display(), clip.text, heard.trim()));
    };
    clips.train.iter().zip(&heard).for_each(line);
    Ok((words, characters))
}

/// What the model hears in a file.
fn hear(args: &Score, path: &Path, progress: &Progress) -> Result<String> {
    let (model, _) = super::load(&args.model, &args.compute, progress)?;
    let mut sound = Sound::open(path, Reading::default(), model.config.num_mel_bins, model.frames())?;
    let request = Request {
        language: args.language,
        vad: model.cuts_at_pauses,
        condition: model.knows_context,
        ..Request::default()
    };
    Ok(transcribe(&model, &mut sound, &request, &mut |_| ControlFlow::Continue(()))?.text)
}

/// The words of a text, of subtitles, or of what this app wrote as JSON.
fn text(path: &Path) -> Result<String> {
    let text = corpus::text(path).map_err(|why| anyhow!("{}: {why}", path.display()))?;
    let named = |error: media::subtitles::ParseError| anyhow!("{}: {error}", path.display());
    let words = |cues: Vec<Cue>| cues.into_iter().map(|cue| cue.text).collect::<Vec<_>>().join(" ");
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        Some("srt") => words(parse_srt(&text).map_err(named)?),
        Some("vtt") => words(parse_vtt(&text).map_err(named)?),
        Some("json") => {
            let value: serde_json::Value =
                serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            match value["text"].as_str() {
                Some(text) => text.to_string(),
                None => bail!("{}: no transcript as JSON: it has no \"text\"", path.display()),
            }
        }
        _ => text,
    })
}
