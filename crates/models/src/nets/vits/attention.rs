//! Attention that knows how far a key is from its query, up to a window (Shaw, Uszkoreit and Vaswani, 2018): a learned
//! vector a distance is added to the keys, another to the values.

use super::Config;
use crate::layers::linear::Linear;
use crate::vars::VarBuilder;
use candle_core::{D, Result, Tensor};
use candle_nn::Init;
use kernels::softmax::softmax;

/// The attention of a block.
pub struct RelativeAttention {
    /// Of queries, keys, values and what comes out.
    maps: [Linear; 4],
    heads: usize,
    /// Vectors for keys and for values, each (2 window + 1, head size), from the furthest before to the furthest after.
    near: Option<[Tensor; 2]>,
}

impl RelativeAttention {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, heads) = (cfg.hidden_size, cfg.num_attention_heads);
        let (head, stdev) = (size / heads, (size as f64).powf(-0.5));
        let map = |name: &str| Linear::new(size, size, cfg.use_bias, stdev, vb.pp(name));
        let near = |window: usize| {
            let vectors = |name: &str| {
                let init = Init::Randn { mean: 0., stdev: (head as f64).powf(-0.5) };
                vb.get_with_hints((1, 2 * window + 1, head), name, init)?.squeeze(0)
            };
            Ok::<_, candle_core::Error>([vectors("emb_rel_k")?, vectors("emb_rel_v")?])
        };
        Ok(Self {
            maps: [map("q_proj")?, map("k_proj")?, map("v_proj")?, map("out_proj")?],
            heads,
            near: cfg.window_size.map(near).transpose()?,
        })
    }

    /// (batch, time, size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (batch, time, size) = xs.dims3()?;
        let head = size / self.heads;
        // (batch, heads, time, head)
        let heads = |map: &Linear| {
            map.forward(xs)?.reshape((batch, time, self.heads, head))?.transpose(1, 2)?.contiguous()
        };
        let [queries, keys, values] = [heads(&self.maps[0])?, heads(&self.maps[1])?, heads(&self.maps[2])?];
        let queries = (queries * (head as f64).powf(-0.5))?;
        let mut scores = queries.matmul(&keys.t()?)?;
        if let Some([near, _]) = &self.near {
            scores = (scores + to_keys(&queries.broadcast_matmul(&near.t()?)?)?)?;
        }
        let weights = softmax(&scores)?;
        let mut found = weights.matmul(&values)?;
        if let Some([_, near]) = &self.near {
            let window = near.dim(0)? / 2;
            found = (found + to_distances(&weights, window)?.broadcast_matmul(near)?)?;
        }
        self.maps[3].forward(&found.transpose(1, 2)?.reshape((batch, time, size))?)
    }
}

/// (..., time, 2 window + 1) by distance to (..., time, time) by key; 0 where a key is beyond the window.
fn to_keys(near: &Tensor) -> Result<Tensor> {
    let (batch, heads, time, count) = near.dims4()?;
    let window = count / 2;
    // all distances that there are, with a column more: each row of the result then begins one later in memory
    let reach = window.min(time - 1);
    let near = near.narrow(D::Minus1, window - reach, 2 * reach + 1)?;
    let far = time - 1 - reach;
    let all = near.pad_with_zeros(D::Minus1, far, far + 1)?.reshape((batch, heads, 2 * time * time))?;
    let all = all.pad_with_zeros(D::Minus1, 0, time - 1)?.reshape((batch, heads, time + 1, 2 * time - 1))?;
    all.narrow(2, 0, time)?.narrow(3, time - 1, time)
}

/// (..., time, time) by key to (..., time, 2 window + 1) by distance; 0 where there is no key.
fn to_distances(weights: &Tensor, window: usize) -> Result<Tensor> {
    let (batch, heads, time, _) = weights.dims4()?;
    let all = weights.pad_with_zeros(D::Minus1, 0, time - 1)?;
    let all = all.reshape((batch, heads, time * (2 * time - 1)))?.pad_with_zeros(D::Minus1, time, 0)?;
    let all = all.reshape((batch, heads, time, 2 * time))?;
    // the first column is empty, the one of distance zero is in the middle of the others
    let reach = window.min(time - 1);
    let near = all.narrow(3, time - reach, 2 * reach + 1)?;
    near.pad_with_zeros(D::Minus1, window - reach, window - reach)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_key_meets_the_vector_of_its_distance() -> Result<()> {
        for (time, window) in [(1, 4), (3, 1), (5, 2), (5, 4), (4, 9)] {
            let count = 2 * window + 1;
            let near = Tensor::arange(1f32, (time * count) as f32 + 1., &Device::Cpu)?;
            let near = near.reshape((1, 1, time, count))?;
            let keys = to_keys(&near)?.reshape((time, time))?.to_vec2::<f32>()?;
            for (query, row) in keys.iter().enumerate() {
                for (key, value) in row.iter().enumerate() {
                    let column = (key + window).checked_sub(query).filter(|column| *column < count);
                    let expected = column.map_or(0., |column| (query * count + column) as f32 + 1.);
                    assert_eq!(*value, expected, "time {time}, window {window}: {query} to {key}");
                }
            }
            // and back: what is within the window stays
            let seen = to_distances(&to_keys(&near)?, window)?;
            let there = to_keys(&near.ones_like()?)?;
            assert_eq!(
                to_keys(&seen)?.flatten_all()?.to_vec1::<f32>()?,
                (to_keys(&near)? * there)?.flatten_all()?.to_vec1::<f32>()?
            );
        }
        Ok(())
    }
}
