//! SASRec: the scores that torch computes, gradients for every variable, and what is refused. Mult-VAE beside it.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::layers::dropout::Dropout;
use models::layers::init::sorted;
use models::nets::mult_vae::{self, MultVae};
use models::nets::sasrec::{Config, Norm, Padding, SasRec, power};

use super::golden::{assert_close, expected, folder};

const GOLDEN: [&str; 4] = ["sasrec/query", "sasrec/query-padding", "sasrec/pre", "sasrec/post"];

fn open(name: &str) -> Result<(Config, SasRec)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    let net = SasRec::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?;
    Ok((config, net))
}

fn scores(net: &SasRec, histories: &[&[u32]]) -> Result<Tensor> {
    let expected = net.after(&net.histories(histories, &Device::Cpu)?)?;
    expected.matmul(&net.items()?.t()?)
}

#[test]
fn torch_scores_are_reproduced() -> Result<()> {
    for name in GOLDEN {
        let ((_, net), expected) = (open(name)?, expected(name)?);
        let rows = expected["histories"].to_vec2::<i64>()?;
        let rows: Vec<Vec<u32>> =
            rows.iter().map(|row| row.iter().filter(|&&id| id > 0).map(|&id| id as u32).collect()).collect();
        let all: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        assert_close(&scores(&net, &all)?, &expected["scores"], 1e-5, name);
        // alone, and with more before what is seen
        for (i, row) in rows.iter().enumerate() {
            let alone = scores(&net, &[row])?;
            assert_close(&alone, &expected["scores"].narrow(0, i, 1)?, 1e-5, name);
        }
        let long: Vec<u32> = [&[5, 6, 7], all[3]].concat();
        assert_close(&scores(&net, &[&long])?, &expected["scores"].narrow(0, 3, 1)?, 1e-5, name);
    }
    Ok(())
}

fn config(norm: Norm, maxlen: usize, padding: Padding) -> Config {
    Config { item_num: 6, hidden_units: 8, num_blocks: 2, num_heads: 2, maxlen, norm: Some(norm), padding }
}

#[test]
fn padding_that_is_masked_counts_for_nothing() -> Result<()> {
    for norm in [Norm::Query, Norm::Pre, Norm::Post] {
        let scores = |padding, histories: &[&[u32]]| -> Result<Tensor> {
            let (net, _) = SasRec::init(&config(norm, 5, padding), 1, &Device::Cpu)?;
            net.after(&net.histories(histories, &Device::Cpu)?)
        };
        let (short, long): (&[u32], &[u32]) = (&[3, 1, 4], &[6, 2, 3, 1, 4]);
        // beside one that is longer, and so with more padding, it is as alone
        let alone = scores(Padding::Masked, &[short])?;
        let beside = scores(Padding::Masked, &[short, long, &[]])?;
        assert_close(&beside.narrow(0, 0, 1)?, &alone, 1e-6, "beside a longer one");
        assert!(beside.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()));
        // what has no padding is the same either way, what has is not
        let attended = scores(Padding::Attended, &[short, long])?;
        assert_close(&beside.narrow(0, 1, 1)?, &attended.narrow(0, 1, 1)?, 1e-6, "a full history");
        let apart = (attended.narrow(0, 0, 1)? - alone)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(apart > 1e-3, "{norm:?}: {apart}");
    }
    Ok(())
}

#[test]
fn histories_in_one_row_see_nothing_of_each_other() -> Result<()> {
    let all: [&[u32]; 6] = [&[3], &[1, 2], &[], &[6, 5, 4, 3, 2], &[2, 6], &[5]];
    for norm in [Norm::Query, Norm::Pre, Norm::Post] {
        for padding in [Padding::Attended, Padding::Masked] {
            let (net, vars) = SasRec::init(&config(norm, 5, padding), 1, &Device::Cpu)?;
            let after = |histories: &[&[u32]]| net.after(&net.histories(histories, &Device::Cpu)?);
            let alone = all.iter().map(|history| after(&[history])).collect::<Result<Vec<_>>>()?;
            assert_close(&after(&all)?, &Tensor::cat(&alone, 0)?, 1e-5, &format!("{norm:?}, {padding:?}"));
            // nor do their gradients
            let loss = |histories: &[&[u32]], ids: &[[u32; 2]]| -> Result<_> {
                let histories = net.histories(histories, &Device::Cpu)?;
                let ids = Tensor::from_vec(ids.as_flattened().to_vec(), (ids.len(), 2), &Device::Cpu)?;
                net.loss(&histories, &ids, 1., &Dropout::NONE)
            };
            let ids = [[1u32, 2], [3, 4], [5, 6], [2, 1], [6, 3], [1, 4], [2, 5], [3, 6]];
            let together = loss(&[all[1], all[3], all[5]], &ids)?.backward()?;
            let parts = [(all[1], &ids[..2]), (all[3], &ids[2..7]), (all[5], &ids[7..])];
            for (name, var) in sorted(&vars) {
                let mut sum = var.zeros_like()?;
                for (history, ids) in parts {
                    let grads = loss(&[history], ids)?.backward()?;
                    let share = ids.len() as f64 / 8.;
                    sum = (sum + (grads.get(&var).unwrap() * share)?)?;
                }
                assert_close(together.get(&var).unwrap(), &sum, 1e-5, &name);
            }
        }
    }
    Ok(())
}

#[test]
fn every_variable_gets_a_gradient() -> Result<()> {
    for norm in [Norm::Query, Norm::Pre, Norm::Post] {
        let config = config(norm, 5, Padding::Masked);
        let (net, vars) = SasRec::init(&config, 1, &Device::Cpu)?;
        let histories = net.histories(&[&[1, 2, 3, 4, 5], &[6, 2]], &Device::Cpu)?;
        let ids = Tensor::new(&[[2u32, 1], [3, 1], [4, 1], [5, 1], [6, 2], [2, 3], [1, 5]], &Device::Cpu)?;
        let dropout = Dropout { rate: 0.2, seed: 1, step: 1 };
        let grads = net.loss(&histories, &ids, 0.7, &dropout)?.backward()?;
        for (name, var) in sorted(&vars) {
            let Some(grad) = grads.get(&var) else { panic!("{norm:?}: {name} has no gradient") };
            assert!(grad.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{norm:?}, {name}: a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn the_power_is_that_of_the_paper() {
    // t 0 changes nothing, t 1 is the share of what is drawn
    assert!((power(1001, 100, 0.) - 1.).abs() < 1e-12);
    assert!((power(1001, 100, 1.) - 0.1).abs() < 1e-12);
    assert!((power(1001, 100, 0.75) - 0.325).abs() < 1e-12);
}

#[test]
fn what_cannot_be_is_refused_in_one_line() -> Result<()> {
    let (config, net) = open(GOLDEN[0])?;
    let refused = |change: &dyn Fn(&mut Config), words: &str| {
        let mut config = config.clone();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(&|c| c.norm = None, "no norm");
    refused(&|c| c.num_heads = 5, "num_heads 5");
    refused(&|c| c.maxlen = 0, "maxlen 0");
    refused(&|c| c.item_num = 0, "item_num 0");
    assert!(net.histories(&[&[0]], &Device::Cpu).is_err());
    assert!(net.histories(&[&[31]], &Device::Cpu).is_err());
    // an empty history says nothing
    assert_eq!(scores(&net, &[&[]])?.abs()?.sum_all()?.to_scalar::<f32>()?, 0.);
    Ok(())
}

#[test]
fn mult_vae_learns_which_items_go_together() -> Result<()> {
    let config = mult_vae::Config { item_num: 6, hidden_units: 16, latent_units: 4 };
    let (net, vars) = MultVae::init(&config, 1, &Device::Cpu)?;
    let sets: Vec<Vec<u32>> = vec![vec![1, 2, 3], vec![4, 5, 6]];
    let noise = Tensor::new(&[[0.3f32, -0.1, 0.2, 0.5], [0.1, 0.4, -0.6, 0.2]], &Device::Cpu)?;
    let loss = net.loss(&sets, &[vec![1, 2], vec![4]], 0.5, &noise, 0.2)?;
    let grads = loss.backward()?;
    for (name, var) in sorted(&vars) {
        let Some(grad) = grads.get(&var) else { panic!("{name} has no gradient") };
        assert!(grad.abs()?.sum_all()?.to_scalar::<f32>()? > 0., "{name}: a gradient of zeros");
    }
    let variables: Vec<_> = sorted(&vars);
    for _ in 0..200 {
        let grads = net.loss(&sets, &sets, 0., &noise, 0.01)?.backward()?;
        for (_, var) in &variables {
            if let Some(grad) = grads.get(var) {
                var.set(&(var.as_tensor() - (grad * 0.1)?)?)?;
            }
        }
    }
    let scores = net.scores(&[vec![1, 2]], &Device::Cpu)?.to_vec2::<f32>()?.remove(0);
    assert!(scores[2] > scores[3] && scores[2] > scores[4] && scores[2] > scores[5], "{scores:?}");
    assert!(net.scores(&[vec![7]], &Device::Cpu).is_err());
    let kept = mult_vae::dropped(&sets, &Dropout { rate: 0.5, seed: 1, step: 2 })?;
    assert!(kept.iter().zip(&sets).all(|(kept, set)| kept.iter().all(|item| set.contains(item))));
    assert_eq!(mult_vae::dropped(&sets, &Dropout::NONE)?, sets);
    Ok(())
}
