//! Which language is spoken.

use anyhow::{Result, bail};
use candle_core::Tensor;
use models::nets::whisper::Source;

use crate::request::Request;
use crate::rules::probability;
use crate::{Frames, Model, languages};

/// How likely each language is, by code.
pub type Languages = Vec<(&'static str, f64)>;

/// The language that is spoken, as asked or as it sounds in the window at a frame.
pub fn language(
    model: &Model,
    frames: &mut dyn Frames,
    request: &Request,
    from: usize,
) -> Result<(&'static str, Option<Languages>)> {
    let known = &model.vocabulary.languages;
    match request.language {
        Some(code) if known.is_empty() && code != "en" => {
            bail!("this model knows English alone, not {code}")
        }
        Some(code) if known.is_empty() || model.vocabulary.language(code).is_some() => {
            return Ok((code, None));
        }
        Some(code) => bail!("this model has no token for the language {code}"),
        None if known.is_empty() => return Ok(("en", None)),
        None => {}
    }
    let source = encode(model, vec![frames.window(from, model.frames())?])?;
    let probabilities = language_probabilities(model, &source)?;
    let best = probabilities.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
    Ok((best.map_or(languages::LANGUAGES[0].0, |(code, _)| code), Some(probabilities)))
}

/// How likely each language of the model is to be spoken in a window.
///
/// # Errors
/// Those of the net.
pub fn language_probabilities(model: &Model, source: &Source) -> Result<Languages> {
    let start = Tensor::new(&[[model.vocabulary.start]], &model.device)?;
    let logits =
        model.net.forward_last(&start, &mut model.net.start(source)?)?.squeeze(0)?.to_vec1::<f32>()?;
    let known = &model.vocabulary.languages;
    let logits: Vec<f32> = known.iter().map(|(id, _)| logits[*id as usize]).collect();
    Ok((0..).zip(known).map(|(place, (_, code))| (*code, probability(&logits, place))).collect())
}

/// What the decoder looks at, of some windows, each (bands, frames). A processor is as fast one after the other, in less
/// memory.
pub fn encode(model: &Model, windows: Vec<Vec<f32>>) -> Result<Source> {
    let bands = model.config.num_mel_bins;
    let some = |windows: &[Vec<f32>]| {
        let (count, mel) = (windows.len(), windows.concat());
        let shape = (count, bands, mel.len() / bands / count.max(1));
        model.net.encode(&Tensor::from_vec(mel, shape, &model.device)?)
    };
    if windows.len() == 1 || !model.device.is_cpu() {
        return Ok(some(&windows)?);
    }
    let states = windows.chunks(1).map(|window| Ok(some(window)?.states));
    Ok(Source { states: Tensor::cat(&states.collect::<Result<Vec<_>>>()?, 0)?, mask: None })
}
