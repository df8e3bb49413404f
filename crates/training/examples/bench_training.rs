//! Times a training step for scripts/bench/nets.py: any line in, the seconds of the fastest step out. A Llama of five
//! million parameters, batch 8 of 256 tokens: forward, backward, AdamW.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use models::layers::dropout::Dropout;
use models::layers::init::sorted;
use models::layers::loss::cross_entropy;
use models::nets::llama::{Config, Llama};
use training::{Loss, Options, Rng, Task, fit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 8;
const TIME: usize = 256;

struct Steps {
    net: Llama,
    ids: Tensor,
    targets: Tensor,
}

impl Task for Steps {
    fn fingerprint(&self) -> String {
        "bench".into()
    }

    fn loss(&self, _: &mut Rng, _: u64, _: usize) -> Result<Loss> {
        let logits = self.net.forward_train(&self.ids, &Dropout::NONE)?;
        Ok(Loss { value: cross_entropy(&logits, &self.targets)?, items: BATCH * TIME })
    }

    fn held_out(&mut self) -> Result<Option<f64>> {
        Ok(None)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let config = Config {
        vocab_size: 4096,
        hidden_size: 256,
        intermediate_size: 704,
        num_hidden_layers: 5,
        num_attention_heads: 4,
        max_position_embeddings: TIME,
        ..Config::default()
    };
    let (net, vars) = Llama::init(&config, 1, &Device::Cpu)?;
    let vars = sorted(&vars);
    let ids = |shift: u32| -> Result<Tensor> {
        let ids: Vec<u32> = (0..(BATCH * TIME) as u32).map(|i| (i * 2_654_435 + shift) % 4096).collect();
        Tensor::from_vec(ids, (BATCH, TIME), &Device::Cpu)
    };
    let mut task = Steps { net, ids: ids(0)?, targets: ids(2_654_435)? };
    for line in std::io::stdin().lock().lines() {
        line?;
        let options = Options { steps: Some(6), ..Options::default() };
        let (mut best, mut last) = (f64::INFINITY, None::<Instant>);
        fit(&vars, &options, None, &mut task, &mut |_| {
            if let Some(last) = last.replace(Instant::now()) {
                best = best.min(last.elapsed().as_secs_f64());
            }
            ControlFlow::Continue(())
        })?;
        writeln!(std::io::stdout(), "{best}")?;
    }
    Ok(())
}
