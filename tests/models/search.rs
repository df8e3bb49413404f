//! Searches of many texts at once on real nets: the ids and scores of transformers' `generate`, from
//! scripts/golden/beams.py.

use crate::golden::{expected, folder};
use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::decoding::{Hypothesis, Marks, SearchOptions, search};
use models::nets::{seq2seq, t5};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Asked {
    beams: usize,
    max_tokens: usize,
    length_penalty: f32,
    early_stopping: bool,
    no_repeat: usize,
    renormalises: bool,
    ends: Vec<u32>,
    banned: Vec<u32>,
    start: u32,
    first: Option<u32>,
    last: bool,
    found: Vec<Vec<Found>>,
}

#[derive(Deserialize)]
struct Found {
    ids: Vec<u32>,
    score: Option<f32>,
}

enum Net {
    Seq2Seq(seq2seq::Seq2Seq),
    T5(t5::T5),
}

impl Net {
    fn open(name: &str) -> Result<Self> {
        let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
        let vb = checkpoint.vb(DType::F32, &Device::Cpu);
        Ok(match name.starts_with("t5") {
            true => Self::T5(t5::T5::new(&checkpoint.config()?, vb)?),
            false => Self::Seq2Seq(seq2seq::Seq2Seq::new(&checkpoint.config()?, vb)?),
        })
    }

    fn search(&self, ids: &Tensor, mask: &Tensor, asked: &Asked) -> Result<Vec<Vec<Hypothesis>>> {
        let options = SearchOptions {
            beams: asked.beams,
            max_tokens: asked.max_tokens,
            length_penalty: asked.length_penalty,
            early_stopping: asked.early_stopping,
            no_repeat: asked.no_repeat,
        };
        let marks = Marks {
            start: asked.start,
            first: asked.first,
            ends: asked.ends.clone(),
            last: asked.last.then_some(asked.ends[0]),
            banned: asked.banned.clone(),
            renormalises: asked.renormalises,
        };
        let (count, mask) = (ids.dim(0)?, Some(mask));
        match self {
            Self::Seq2Seq(net) => {
                let mut cache = net.start(&net.encode(ids, mask)?)?;
                search(count, &marks, &options, &Device::Cpu, |rows, ids| {
                    cache.reorder(rows)?;
                    net.forward_last(ids, &mut cache)
                })
            }
            Self::T5(net) => {
                let mut cache = net.start(&net.encode(ids, mask)?)?;
                search(count, &marks, &options, &Device::Cpu, |rows, ids| {
                    cache.reorder(rows)?;
                    net.forward_last(ids, &mut cache)
                })
            }
        }
    }
}

fn check(found: &[Hypothesis], expected: &[Found], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.ids, expected.ids, "{what}");
        if let Some(score) = expected.score {
            assert!(
                (found.score - score).abs() <= 1e-4 * score.abs().max(1.),
                "{what}: {} for {score}",
                found.score
            );
        }
    }
}

fn agree(name: &str, fewest: usize) -> Result<()> {
    let (net, golden) = (Net::open(name)?, expected(name)?);
    let (ids, mask) = (&golden["source"], &golden["mask"]);
    let all: BTreeMap<String, Asked> =
        serde_json::from_slice(&std::fs::read(folder(name).join("beams.json"))?).unwrap();
    assert!(all.len() >= fewest, "{name}: {} searches", all.len());
    for (search, asked) in &all {
        let what = format!("{name}: {search}");
        let found = net.search(ids, mask, asked)?;
        assert_eq!(found.len(), asked.found.len());
        for (row, (found, expected)) in found.iter().zip(&asked.found).enumerate() {
            check(found, expected, &what);
            // alone, without its padding, as in the batch
            let length = mask.get(row)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()? as usize;
            let alone = |xs: &Tensor| xs.narrow(0, row, 1)?.narrow(1, 0, length)?.contiguous();
            check(&net.search(&alone(ids)?, &alone(mask)?, asked)?[0], expected, &format!("{what}, alone"));
        }
    }
    Ok(())
}

#[test]
fn transformers_searches_of_translators_are_reproduced() -> Result<()> {
    ["seq2seq/marian", "seq2seq/marian-apart", "seq2seq/m2m100", "seq2seq/m2m100-plain", "seq2seq/mbart"]
        .into_iter()
        .try_for_each(|name| agree(name, 8))
}

#[test]
fn transformers_searches_of_t5_are_reproduced() -> Result<()> {
    ["t5/plain", "t5/gated", "t5/madlad"].into_iter().try_for_each(|name| agree(name, 7))
}
