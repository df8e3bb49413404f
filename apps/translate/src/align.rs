//! Which words of a translation stand for which of its source: where the decoder looked while it said them (Garg et al.,
//! "Jointly Learning to Align and Translate with Transformer Models", 2019: the last layer but one, the mean of its heads).

use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;
use media::document::Alignment;

use crate::model::{Direction, Model, Net};
use crate::text::{Hop, Segment, Text};

/// Bytes of a text and those of its translation by one model. Nothing where the net has no such weights (T5), and none for
/// sentences whose words are no whole numbers of ids.
///
/// # Errors
/// What a tokenizer or the net refuses.
pub fn align(hop: &Hop, source: &str, text: &Text) -> Result<Alignment> {
    let mut pairs = Alignment::new();
    let (mut read, mut written) = (0, 0);
    for sentence in &text.segments {
        // sentences stand in both texts as they stand here, one after the other
        let Some(from) = source[read..].find(&sentence.source).map(|at| at + read) else { break };
        let Some(to) = text.target[written..].find(&sentence.target).map(|at| at + written) else { break };
        (read, written) = (from + sentence.source.len(), to + sentence.target.len());
        for (source, target) in hop.model.align(sentence, &hop.direction)? {
            pairs.push((source.start + from..source.end + from, target.start + to..target.end + to));
        }
    }
    Ok(pairs)
}

impl Model {
    /// For each word of a sentence's translation the word of its source that was looked at most.
    fn align(&self, sentence: &Segment, direction: &Direction) -> Result<Alignment> {
        let Net::Seq2Seq(net) = &self.net else { return Ok(Alignment::new()) };
        let [from, to] = self.told(direction);
        let ids = self.tokens.encode_source(&sentence.source, from, to)?;
        let encode = |word: &str| Ok(self.tokens.encode_source(word, from, to)?);
        let (sources, targets) = (words(&sentence.source), words(&sentence.target));
        let Some(owners) = owners(&ids, &sentence.source, &sources, &encode)? else {
            return Ok(Alignment::new());
        };
        let begun: Vec<u32> =
            self.defaults.decoder_start_token_id.into_iter().chain(self.first(direction)).collect();
        let given = [&begun[..], &sentence.ids].concat();
        if begun.is_empty()
            || targets.is_empty()
            || given.len() > self.positions
            || ids.len() > self.positions
        {
            return Ok(Alignment::new());
        }
        let row = |ids: &[u32]| Tensor::from_vec(ids.to_vec(), (1, ids.len()), &self.device);
        let states = net.encode(&row(&ids)?, None)?;
        let (_, weights) = net.forward_watched(&row(&given)?, &states, &net.aligning_heads())?;
        let weights = weights.squeeze(0)?.mean(0)?.to_vec2::<f32>()?;
        let mut looked = vec![vec![0f32; sources.len()]; targets.len()];
        for (place, _) in sentence.ids.iter().enumerate() {
            let said = self.tokens.decode(&sentence.ids[..=place])?;
            // the word that an id belongs to is the last one once it is said
            let Some(word) = said.split_whitespace().count().checked_sub(1) else { continue };
            let Some(sums) = looked.get_mut(word) else { continue };
            // what was looked at before an id was chosen
            for (weight, owner) in weights[begun.len() + place - 1].iter().zip(&owners) {
                if let Some(owner) = owner {
                    sums[*owner] += weight;
                }
            }
        }
        let best = |sums: &Vec<f32>| (0..sums.len()).max_by(|a, b| sums[*a].total_cmp(&sums[*b]));
        let pair =
            |(sums, target): (&Vec<f32>, &Range<usize>)| Some((sources[best(sums)?].clone(), target.clone()));
        Ok(looked.iter().zip(&targets).filter_map(pair).collect())
    }
}

/// The word that each id of a text belongs to, none for what stands around the text; nothing where the ids of the words are
/// not those of the text.
fn owners(
    ids: &[u32],
    text: &str,
    words: &[Range<usize>],
    encode: &dyn Fn(&str) -> Result<Vec<u32>>,
) -> Result<Option<Vec<Option<usize>>>> {
    let around = encode("")?.len();
    let mut alone = Vec::new();
    for word in words {
        alone.push(encode(&text[word.clone()])?);
    }
    for before in 0..=around {
        let mut owners = vec![None; before];
        let mut joined = ids[..before.min(ids.len())].to_vec();
        for (place, word) in alone.iter().enumerate() {
            let inner = word.get(before..word.len() + before - around).unwrap_or_default();
            joined.extend(inner);
            owners.extend(std::iter::repeat_n(Some(place), inner.len()));
        }
        if joined.len() + around - before == ids.len() && ids.starts_with(&joined) {
            owners.resize(ids.len(), None);
            return Ok(Some(owners));
        }
    }
    Ok(None)
}

/// Words with the signs that stand by them.
fn words(text: &str) -> Vec<Range<usize>> {
    let place = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(|word| place(word)..place(word) + word.len()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;

    #[test]
    fn ids_belong_to_words() {
        let text = "a bcd  e";
        // a letter is its code, 1 comes before, 2 and 3 behind
        let encode = |text: &str| {
            let letters = text.chars().filter(|one| !one.is_whitespace()).map(u32::from);
            Ok([1].into_iter().chain(letters).chain([2, 3]).collect::<Vec<_>>())
        };
        let (ids, words) = (encode(text).unwrap(), words(text));
        assert_eq!(words, [0..1, 2..5, 7..8]);
        let owners = |ids: &[u32]| super::owners(ids, text, &words, &encode).unwrap();
        let expected = [None, Some(0), Some(1), Some(1), Some(1), Some(2), None, None];
        assert_eq!(owners(&ids), Some(expected.to_vec()));
        assert_eq!(owners(&[1, 97, 99, 98, 100, 101, 2, 3]), None);
        assert_eq!(owners(&ids[..6]), None);
    }
}
