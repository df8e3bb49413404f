//! Beam search on real nets: the ids and scores of transformers' `generate(num_beams=...)`, from
//! scripts/golden/llama_beam.py.

use crate::golden::folder;
use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::decoding::{Beam, BeamOptions, Hypothesis};
use models::nets::llama::{Cache, Config, Llama};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Search {
    beams: usize,
    max_tokens: usize,
    length_penalty: f32,
    early_stopping: bool,
    eos: Vec<u32>,
    prompt: Vec<u32>,
    ids: Vec<u32>,
    score: f32,
}

fn search(net: &Llama, cfg: &Config, asked: &Search) -> Result<Hypothesis> {
    let options = BeamOptions {
        beams: asked.beams,
        max_tokens: asked.max_tokens,
        length_penalty: asked.length_penalty,
        early_stopping: asked.early_stopping,
        eos: asked.eos.clone(),
    };
    let (mut beam, mut cache) = (Beam::new(&asked.prompt, options), Cache::new(cfg));
    let mut ids = Tensor::new(&asked.prompt[..], &Device::Cpu)?.unsqueeze(0)?;
    loop {
        let rows = net.forward_last(&ids, &mut cache)?.to_vec2::<f32>()?;
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let Some(step) = beam.advance(&rows, &mut []).unwrap() else { break };
        cache.select(&step.parents)?;
        ids = Tensor::from_vec(step.tokens, (step.parents.len(), 1), &Device::Cpu)?;
        if net.turns_after() == Some(cache.len()) {
            cache = Cache::new(cfg);
            let rows: Vec<Tensor> = beam
                .rows()
                .map(|row| Tensor::new([&asked.prompt[..], row].concat(), &Device::Cpu)?.unsqueeze(0))
                .collect::<Result<_>>()?;
            ids = Tensor::cat(&rows, 0)?;
        }
    }
    Ok(beam.finish().remove(0))
}

#[test]
fn transformers_hypotheses_are_found() -> Result<()> {
    let bytes = std::fs::read(folder("llama").join("beam.json"))?;
    let models: BTreeMap<String, Vec<Search>> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(models.len(), 19);
    for (name, searches) in models {
        let checkpoint = Checkpoint::open(Files::Dir(folder("llama").join(&name)))?;
        let cfg: Config = checkpoint.config()?;
        let net = Llama::new(&cfg, checkpoint.vb(DType::F32, &Device::Cpu))?;
        for asked in searches {
            let found = search(&net, &cfg, &asked)?;
            assert_eq!(found.ids, asked.ids, "{name}, {} beams", asked.beams);
            assert!((found.score - asked.score).abs() <= 1e-4 * asked.score.abs(), "{name}: {}", found.score);
        }
    }
    Ok(())
}
