//! Causal self-attention with rotary positions, in which groups of query heads may share a key and value
//! head (Ainslie et al., 2023).

use crate::layers::cache::LayerCache;
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;
use crate::layers::rope::{Angles, rotate};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;

/// Head counts, sizes, and what else there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Width of the residual stream.
    pub size: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether the projections of queries, keys and values have biases.
    pub bias: bool,
    /// Whether that of the result has one.
    pub out_bias: bool,
    /// Whether queries, keys and values are one map, `qkv_proj`.
    pub fused: bool,
    /// Epsilon of the norms of each query's and key's head, where there are such norms.
    pub norm: Option<f64>,
    /// Whether these scale by one more than their weight.
    pub shifted_norm: bool,
    /// What scores are multiplied with, where it is not one over the root of `head_dim`.
    pub scale: Option<f64>,
    /// What scores are bent to stay below.
    pub cap: Option<f64>,
}

/// The projections around the attention itself.
pub struct Attention {
    project: Project,
    /// Of queries and keys.
    norms: Option<[RmsNorm; 2]>,
    o_proj: Linear,
    shape: Shape,
}

enum Project {
    Apart(Box<[Linear; 3]>),
    Fused(Linear),
}

impl Attention {
    /// Reads `q_proj`, `k_proj` and `v_proj`, or `qkv_proj`, and `o_proj`, `q_norm` and `k_norm` where there are such;
    /// `stdevs` are for the first three and the last.
    pub fn new(shape: Shape, stdevs: (f64, f64), vb: VarBuilder) -> Result<Self> {
        let Shape { size, heads, kv_heads, head_dim, bias, out_bias, .. } = shape;
        let (stdev, stdev_out) = stdevs;
        let map = |heads: usize, name: &str| Linear::new(size, heads * head_dim, bias, stdev, vb.pp(name));
        let project = match shape.fused {
            true => Project::Fused(map(heads + 2 * kv_heads, "qkv_proj")?),
            false => {
                let maps = [map(heads, "q_proj")?, map(kv_heads, "k_proj")?, map(kv_heads, "v_proj")?];
                Project::Apart(Box::new(maps))
            }
        };
        let norm = |epsilon, name: &str| match shape.shifted_norm {
            true => RmsNorm::shifted(head_dim, epsilon, vb.pp(name)),
            false => RmsNorm::new(head_dim, epsilon, vb.pp(name)),
        };
        let norms = shape
            .norm
            .map(|epsilon| Ok::<_, candle_core::Error>([norm(epsilon, "q_norm")?, norm(epsilon, "k_norm")?]));
        Ok(Self {
            project,
            norms: norms.transpose()?,
            o_proj: Linear::new(heads * head_dim, size, out_bias, stdev_out, vb.pp("o_proj"))?,
            shape,
        })
    }

    /// (batch, time, size) to the same shape; the positions begin at `start`, and all before it are in `cache`. A
    /// token sees so many positions back as `window` says.
    pub fn forward(
        &self,
        xs: &Tensor,
        angles: &Angles,
        window: Option<usize>,
        cache: &mut LayerCache,
        start: usize,
    ) -> Result<Tensor> {
        let (q, k, v) = self.project(xs, angles)?;
        let (k, v) = cache.append(&k, &v, start)?;
        self.attend(&q, &k, &v, window)
    }

    /// As `forward` on a whole sequence, with gradients.
    pub fn forward_train(&self, xs: &Tensor, angles: &Angles, window: Option<usize>) -> Result<Tensor> {
        let (q, k, v) = self.project(xs, angles)?;
        self.attend(&q, &k, &v, window)
    }

    // queries are the last positions of all
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, window: Option<usize>) -> Result<Tensor> {
        let Shape { scale, cap: soft_cap, .. } = self.shape;
        let ys = attention(q, k, v, &Options { window, scale, soft_cap, ..Options::causal() })?;
        let (batch, time, heads, size) = ys.dims4()?;
        self.o_proj.forward(&reshape(&ys, (batch, time, heads * size))?)
    }

    // each (batch, time, heads, head_dim)
    fn project(&self, xs: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor, Tensor)> {
        let (batch, time, _) = xs.dims3()?;
        let Shape { heads, kv_heads, head_dim, .. } = self.shape;
        let split = |ys: &Tensor, heads| reshape(ys, (batch, time, heads, head_dim));
        let (q, k, v) = match &self.project {
            Project::Apart(maps) => {
                let [q, k, v] = maps.as_ref();
                (q.forward(xs)?, k.forward(xs)?, v.forward(xs)?)
            }
            Project::Fused(map) => {
                let all = map.forward(xs)?;
                let part = |first: usize, heads: usize| {
                    all.narrow(2, first * head_dim, heads * head_dim)?.contiguous()
                };
                (part(0, heads)?, part(heads, kv_heads)?, part(heads + kv_heads, kv_heads)?)
            }
        };
        let (mut q, mut k, v) = (split(&q, heads)?, split(&k, kv_heads)?, split(&v, kv_heads)?);
        if let Some([q_norm, k_norm]) = &self.norms {
            (q, k) = (q_norm.forward(&q)?, k_norm.forward(&k)?);
        }
        Ok((rotate(&q, angles)?, rotate(&k, angles)?, v))
    }
}
