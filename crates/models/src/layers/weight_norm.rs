//! Weights stored as lengths and directions (Salimans and Kingma, 2016), put together as they are read, so that nets
//! need not know of it.

use crate::vars::Source;
use candle_core::{D, DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use kernels::quantised;
use std::sync::Arc;

/// Names of the lengths and the directions of a `weight`: those of PyTorch's parametrizations, and its older ones.
const SPELLINGS: [[&str; 2]; 2] =
    [["parametrizations.weight.original0", "parametrizations.weight.original1"], ["weight_g", "weight_v"]];

/// A source in which `weight` is `g v / |v|`, with a length `g` for each of its first dimension, wherever another holds
/// these two in its place.
pub struct WeightNorm<'a>(Arc<dyn Source + 'a>);

impl<'a> WeightNorm<'a> {
    /// What is stored as it is passes through.
    pub fn new(source: Arc<dyn Source + 'a>) -> Self {
        Self(source)
    }

    /// The names of the two parts of a weight that has them.
    fn parts(&self, name: &str) -> Option<[String; 2]> {
        let stem = name.strip_suffix("weight")?;
        let names = SPELLINGS.iter().map(|pair| pair.map(|part| format!("{stem}{part}")));
        names.into_iter().find(|[lengths, _]| self.0.contains(lengths))
    }
}

impl Source for WeightNorm<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let Some([lengths, directions]) = self.parts(name) else {
            return self.0.get(shape, name, init, dtype, device);
        };
        let mut dims = vec![1; shape.rank()];
        if let (Some(first), Some(count)) = (dims.first_mut(), shape.dims().first()) {
            *first = *count;
        }
        let g = self.0.get(Shape::from(dims.as_slice()), &lengths, init, DType::F32, device)?;
        let v = self.0.get(shape, &directions, init, DType::F32, device)?;
        let norm = v.flatten_from(1)?.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.reshape(dims)?;
        v.broadcast_mul(&(g / norm)?)?.to_dtype(dtype)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains(name) || self.parts(name).is_some()
    }

    fn blocks(&self, shape: (usize, usize), name: &str) -> Result<Option<quantised::Weight>> {
        self.0.blocks(shape, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::VarBuilder;
    use std::collections::HashMap;

    #[test]
    fn both_spellings_are_put_together() -> Result<()> {
        let cpu = &Device::Cpu;
        let (g, v) =
            (Tensor::new(&[[[5f32]], [[26.]]], cpu)?, Tensor::new(&[[[3f32, 4.]], [[-5., 12.]]], cpu)?);
        let plain = Tensor::new(&[1f32, 2.], cpu)?;
        for [lengths, directions] in SPELLINGS {
            let named = |name: &str| format!("conv.{name}");
            let tensors = [(named(lengths), &g), (named(directions), &v), (named("bias"), &plain)];
            let tensors: HashMap<String, Tensor> =
                tensors.into_iter().map(|(name, tensor)| (name, tensor.clone())).collect();
            let vb = VarBuilder::from_tensors(tensors, DType::F32, cpu).with_weight_norm().pp("conv");
            assert!(vb.contains_tensor("weight") && !vb.contains_tensor("other.weight"));
            let weight = vb.get((2, 1, 2), "weight")?.to_vec3::<f32>()?;
            assert_eq!(weight, [[[3., 4.]], [[-10., 24.]]]);
            assert_eq!(vb.get(2, "bias")?.to_vec1::<f32>()?, [1., 2.]);
            assert!(vb.get((2, 1, 3), "weight").is_err());
        }
        Ok(())
    }
}
