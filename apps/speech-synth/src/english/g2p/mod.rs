//! How words that no dictionary has are said: a small net, learned from CMUdict.
//!
//! - `letters`: a word as what the net is told
//! - `net`: the net and its `config.json`
//! - `corpus`: CMUdict, and what of it is held out
//! - `train`: learning
//! - `score`: how wrong it is

pub mod corpus;
mod letters;
mod net;
pub mod score;
pub mod train;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result};
use models::checkpoint::{Checkpoint, Files};
use models::layers::dropout::Dropout;
use models::vars::Format;

use super::phones::Phone;
use net::{BLANK, Net};

pub use net::Config;

/// Letters of a word that are looked at; the rest of a longer one is not said.
pub const LONGEST: usize = 64;
/// Letters of words that are said at once.
const BATCH: usize = 4096;

/// Says words by their letters.
pub struct LettersToPhones {
    net: Net,
}

impl LettersToPhones {
    /// Reads `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// Files that are missing or not those of such a net.
    pub fn open(files: Files) -> Result<Self> {
        let checkpoint = Checkpoint::open(files)?;
        let config: Config = checkpoint.config()?;
        let vb = checkpoint.vb(DType::F32, &Device::Cpu).with_format(Format::Packed);
        Ok(Self { net: Net::new(&config, vb)? })
    }

    /// The phones of each word, with one main stress where there is a vowel. Words are told apart by `a` to `z` and the
    /// apostrophe; one without any of these has no phones.
    ///
    /// # Errors
    /// None on the processor.
    pub fn say(&self, words: &[&str]) -> Result<Vec<Vec<Phone>>> {
        let mut said = vec![Vec::new(); words.len()];
        let mut by_length: BTreeMap<usize, Vec<(usize, Vec<u8>)>> = BTreeMap::new();
        for (place, word) in words.iter().enumerate() {
            let mut letters = letters::letters(word);
            letters.truncate(LONGEST);
            if !letters.is_empty() {
                by_length.entry(letters.len()).or_default().push((place, letters));
            }
        }
        for (length, alike) in by_length {
            for some in alike.chunks((BATCH / length).max(1)) {
                let words: Vec<&[u8]> = some.iter().map(|(_, letters)| letters.as_slice()).collect();
                let logits = self.net.forward(&words, &Dropout::NONE)?.to_vec3::<f32>()?;
                for ((place, _), frames) in some.iter().zip(logits) {
                    said[*place] = one_main_stress(best_path(&frames));
                }
            }
        }
        Ok(said)
    }
}

/// A phone, and by how much its vowel with the main stress is likelier than with none.
type Likely = (Phone, f32);

/// The likeliest symbol of each frame, equal neighbours merged, blanks left out.
fn best_path(frames: &[Vec<f32>]) -> Vec<Likely> {
    let (mut phones, mut last) = (Vec::new(), BLANK);
    for logits in frames {
        let best = (0u32..).zip(logits).fold((BLANK, f32::NEG_INFINITY), |best, (id, &logit)| {
            if logit > best.1 { (id, logit) } else { best }
        });
        if best.0 != last
            && best.0 != BLANK
            && let Some(phone) = Phone::from_id(best.0 as u8)
        {
            let of = |stress| logits[usize::from(phone.with_stress(stress).id())];
            phones.push((phone, of(1) - of(0)));
        }
        last = best.0;
    }
    phones
}

/// Each vowel is chosen for itself: where none has the main stress the likeliest one gets it, where several have it the
/// likeliest one keeps it.
fn one_main_stress(phones: Vec<Likely>) -> Vec<Phone> {
    let main = |phone: &Phone| phone.stress() == Some(1);
    let none = !phones.iter().any(|(phone, _)| main(phone));
    let candidates =
        phones.iter().enumerate().filter(|(_, (phone, _))| phone.is_vowel() && (none || main(phone)));
    // the first of equals
    let chosen = candidates.fold(None, |best: Option<(usize, f32)>, (place, &(_, likely))| match best {
        Some((_, most)) if most >= likely => best,
        _ => Some((place, likely)),
    });
    let stressed = |(place, (phone, _)): (usize, Likely)| match chosen {
        Some((main, _)) if main == place => phone.with_stress(1),
        _ if main(&phone) => phone.with_stress(2),
        _ => phone,
    };
    phones.into_iter().enumerate().map(stressed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::phones::{from_arpabet, to_arpabet};

    #[test]
    fn a_path_is_merged() {
        let id = |phone: &str| u32::from(phone.parse::<Phone>().unwrap().id());
        let frame = |best: u32| (0..=BLANK).map(|id| if id == best { 1. } else { 0. }).collect::<Vec<f32>>();
        let frames: Vec<_> = [BLANK, id("K"), id("K"), BLANK, id("K"), id("AE1"), BLANK].map(frame).into();
        let phones: Vec<Phone> = best_path(&frames).into_iter().map(|(phone, _)| phone).collect();
        assert_eq!(to_arpabet(&phones), "K K AE1");
    }

    #[test]
    fn a_word_has_one_main_stress() {
        let check = |phones: &str, likely: &[f32], expected: &str| {
            let phones = from_arpabet(phones).unwrap().into_iter().zip(likely.iter().copied()).collect();
            assert_eq!(to_arpabet(&one_main_stress(phones)), expected);
        };
        check("B AH0 N AE0", &[9., -2., 9., -1.], "B AH0 N AE1");
        check("AE1 N AE1", &[1., 0., 2.], "AE2 N AE1");
        check("AE1 N AE1", &[1., 0., 1.], "AE1 N AE2");
        check("S T", &[0., 0.], "S T");
    }
}
