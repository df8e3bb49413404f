//! Convolutions over time (`N` = 1) and images (`N` = 2), and transposed ones, stored as PyTorch and the checkpoints
//! have them.

use crate::vars::VarBuilder;
use candle_core::{DType, Result, Tensor};
use candle_nn::Init;
use kernels::conv::{self, Around, Packed};
use kernels::gradients::reshape;
use kernels::linear::linear;
use kernels::sum::sum;

pub use kernels::conv::Options;

/// A convolution with its weight and, if asked, its bias. A weight that is to be trained is used as it is; one from a
/// checkpoint is put in the order of the loops once.
pub struct Conv<const N: usize> {
    weight: Weight<N>,
    bias: Option<Tensor>,
    options: Options<N>,
    transposed: bool,
}

/// A convolution over time.
pub type Conv1d = Conv<1>;
/// A convolution of images.
pub type Conv2d = Conv<2>;

enum Weight<const N: usize> {
    Packed(Packed<N>),
    Trained(Tensor),
}

impl<const N: usize> Conv<N> {
    /// Reads `weight` (outputs, inputs / groups, kernel...) and `bias` (outputs). Fresh weights have the variance of
    /// PyTorch's default, a third of one over the values that meet in an output.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape, and options that the shape does not allow.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: [usize; N],
        options: Options<N>,
        bias: bool,
        vb: VarBuilder,
    ) -> Result<Self> {
        let dims = [outputs, inputs / options.groups.max(1)];
        Self::read(dims, kernel, options, bias.then_some(outputs), false, vb)
    }

    /// The transposed convolution with `weight` (inputs, outputs / groups, kernel...) and `bias` (outputs).
    ///
    /// # Errors
    /// As [`Conv::new`].
    pub fn transposed(
        inputs: usize,
        outputs: usize,
        kernel: [usize; N],
        options: Options<N>,
        bias: bool,
        vb: VarBuilder,
    ) -> Result<Self> {
        let dims = [inputs, outputs / options.groups.max(1)];
        Self::read(dims, kernel, options, bias.then_some(outputs), true, vb)
    }

    fn read(
        dims: [usize; 2],
        kernel: [usize; N],
        options: Options<N>,
        bias: Option<usize>,
        transposed: bool,
        vb: VarBuilder,
    ) -> Result<Self> {
        let shape: Vec<usize> = dims.into_iter().chain(kernel).collect();
        let met = shape[1..].iter().product::<usize>().max(1);
        let init = Init::Randn { mean: 0., stdev: (3. * met as f64).recip().sqrt() };
        let weight = vb.get_with_hints(shape, "weight", init)?;
        let bias = bias.map(|count| vb.get_with_hints(count, "bias", Init::Const(0.))).transpose()?;
        // halves are widened once: a convolution is bound by its sums, not by reading its weight
        let wide = |t: Tensor| if t.device().is_cpu() { t.to_dtype(DType::F32) } else { Ok(t) };
        let weight = match (weight.is_variable(), transposed) {
            (true, _) => Weight::Trained(weight),
            (false, false) => Weight::Packed(Packed::new(&wide(weight)?, options)?),
            (false, true) => Weight::Packed(Packed::transposed(&wide(weight)?, options)?),
        };
        Ok(Self { weight, bias: bias.map(wide).transpose()?, options, transposed })
    }

    /// (batch, inputs, ...) to (batch, outputs, ...), with a gradient where the weight is trained.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.forward_with(xs, &Around::default())
    }

    /// [`Conv::forward`] with a leaky relu before or after, or something added.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward_with(&self, xs: &Tensor, around: &Around) -> Result<Tensor> {
        match &self.weight {
            Weight::Packed(packed) => packed.forward_with(xs, self.bias.as_ref(), around),
            Weight::Trained(weight) => self.trained(xs, weight, around),
        }
    }

    /// [`Conv::forward`] with (batch, outputs) added at every place.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward_shifted(&self, xs: &Tensor, shift: &Tensor) -> Result<Tensor> {
        match (&self.weight, &self.bias) {
            (Weight::Packed(packed), None) => packed.forward(xs, Some(shift)),
            (Weight::Packed(packed), Some(bias)) => packed.forward(xs, Some(&shift.broadcast_add(bias)?)),
            (Weight::Trained(weight), bias) => {
                let bias =
                    bias.as_ref().map(|bias| sum(shift, &repeated(bias, shift.dim(0)?)?)).transpose()?;
                conv::convolve(
                    xs,
                    weight,
                    Some(bias.as_ref().unwrap_or(shift)),
                    &self.options,
                    self.transposed,
                )
            }
        }
    }

    fn trained(&self, xs: &Tensor, weight: &Tensor, around: &Around) -> Result<Tensor> {
        let leaky = |xs: Tensor, slope: Option<f64>| match slope {
            Some(slope) => kernels::activations::leaky_relu(&xs, slope),
            None => Ok(xs),
        };
        let xs = leaky(xs.clone(), around.leaky_before)?;
        let mut ys = conv::convolve(&xs, weight, self.bias.as_ref(), &self.options, self.transposed)?;
        if let Some(residual) = around.residual {
            ys = sum(&ys, residual)?;
        }
        leaky(ys, around.leaky_after)
    }
}

/// A row as often as asked, by an operator whose gradient is its own.
fn repeated(row: &Tensor, times: usize) -> Result<Tensor> {
    let ones = Tensor::ones((times, 1), row.dtype(), row.device())?;
    linear(&ones, &reshape(row, (row.elem_count(), 1))?, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::init::{seeded, sorted};
    use candle_core::Device;
    use candle_nn::VarMap;
    use std::collections::HashMap;

    // the packed form of the same weights
    fn both<const N: usize>(make: impl Fn(VarBuilder) -> Result<Conv<N>>) -> Result<[Conv<N>; 2]> {
        let vars = VarMap::new();
        let trained = make(seeded(&vars, 1, &Device::Cpu))?;
        let tensors: HashMap<String, Tensor> =
            sorted(&vars).into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
        Ok([trained, make(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))?])
    }

    fn assert_close(a: &Tensor, b: &Tensor) -> Result<()> {
        let difference = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
        assert!(difference < 1e-5, "{difference}");
        Ok(())
    }

    #[test]
    fn trained_and_packed_forms_agree() -> Result<()> {
        let xs = Tensor::randn(0f32, 1., (2, 4, 20), &Device::Cpu)?;
        let residual = Tensor::randn(0f32, 1., (2, 6, 20), &Device::Cpu)?;
        let around = Around { leaky_before: Some(0.1), residual: Some(&residual), leaky_after: Some(0.) };
        let shift = Tensor::randn(0f32, 1., (2, 6), &Device::Cpu)?;
        let options = Options { groups: 2, ..Options::new(1, 1) };
        let [trained, packed] = both(|vb| Conv1d::new(4, 6, [3], options, true, vb))?;
        assert_close(&trained.forward_with(&xs, &around)?, &packed.forward_with(&xs, &around)?)?;
        assert_close(&trained.forward_shifted(&xs, &shift)?, &packed.forward_shifted(&xs, &shift)?)?;
        let [trained, packed] = both(|vb| Conv1d::transposed(4, 6, [8], Options::new(4, 2), false, vb))?;
        assert_eq!(packed.forward(&xs)?.dims(), [2, 6, 80]);
        assert_close(&trained.forward(&xs)?, &packed.forward(&xs)?)
    }
}
