//! Attention as an operator of candle with a gradient.

use super::backward::backward;
use super::forward::forward;
use super::heads::Heads;
use super::problem::{Problem, Settings, Sizes, on_cpu, read_added};
use crate::level::level;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Over queries, keys and values; it has what is added to the scores, and keeps the queries' sums for the backward
/// pass.
pub struct AttentionOp {
    sizes: Sizes,
    settings: Settings,
    added: Vec<Tensor>,
    log_sums: OnceLock<Vec<f32>>,
}

impl AttentionOp {
    pub fn new(sizes: Sizes, settings: Settings, added: Vec<Tensor>) -> Self {
        Self { sizes, settings, added, log_sums: OnceLock::new() }
    }
}

impl CustomOp3 for AttentionOp {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (sizes, settings) = (self.sizes, self.settings);
        let Sizes { batch, time, heads, v_size, .. } = sizes;
        let mut out = vec![0f32; batch * time * heads * v_size];
        let mut log_sums = vec![0f32; batch * heads * time];
        read_added(&self.added, |added| {
            let (q, k, v) = (Heads::new(q, q_layout)?, Heads::new(k, k_layout)?, Heads::new(v, v_layout)?);
            let problem = Problem { q, k, v, sizes, settings, added };
            forward(&problem, level(), &mut out, &mut log_sums);
            Ok(())
        })?;
        self.log_sums.get_or_init(|| log_sums);
        Ok((CpuStorage::F32(out), (batch, time, heads, v_size).into()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(log_sums) = self.log_sums.get() else {
            refuse!("the gradient of an attention that was not computed")
        };
        let (sizes, settings) = (self.sizes, self.settings);
        let grad = super::adjacent(grad)?;
        let [q_grad, k_grad, v_grad] = read_added(&self.added, |added| {
            let guards = [q, k, v, out, &grad].map(|tensor| tensor.storage_and_layout());
            let heads = |i: usize| Heads::new(on_cpu(&guards[i].0)?, guards[i].1);
            let problem = Problem { q: heads(0)?, k: heads(1)?, v: heads(2)?, sizes, settings, added };
            Ok(backward(&problem, level(), &heads(3)?, &heads(4)?, log_sums))
        })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok((Some(tensor(q_grad, q)?), Some(tensor(k_grad, k)?), Some(tensor(v_grad, v)?)))
    }
}
