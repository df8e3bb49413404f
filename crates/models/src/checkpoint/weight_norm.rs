//! Weights that are stored as lengths and directions (Salimans and Kingma, 2016), put together as they are asked for.

use candle_core::{Result, Shape, Tensor};

/// What stands for a `weight`, its lengths and its directions, as PyTorch spelled them before 2.0 and since.
const SPELLINGS: [[&str; 2]; 2] =
    [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]];

/// The names of the lengths and the directions of a weight, if `contains` knows them.
pub fn parts(name: &str, contains: impl Fn(&str) -> bool) -> Option<[String; 2]> {
    let path = name.strip_suffix("weight").filter(|path| path.is_empty() || path.ends_with('.'))?;
    let names = SPELLINGS.map(|spelling| spelling.map(|part| format!("{path}{part}")));
    names.into_iter().find(|names| names.iter().all(|name| contains(name)))
}

/// The shape of the lengths of a weight: one for each of its first dimension.
pub fn lengths_shape(weight: &Shape) -> Shape {
    let rest = weight.dims().iter().skip(1).map(|_| 1);
    Shape::from(weight.dims().iter().take(1).copied().chain(rest).collect::<Vec<_>>())
}

/// The weight: directions (first, ...), each brought to its length (first, 1, ...).
pub fn folded(lengths: &Tensor, directions: &Tensor) -> Result<Tensor> {
    let norms = directions.flatten_from(1)?.sqr()?.sum_keepdim(1)?.sqrt()?.reshape(lengths.shape())?;
    directions.broadcast_mul(&(lengths / norms)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn each_row_has_its_length() -> Result<()> {
        let directions = Tensor::new(&[[[3f32, 0.], [0., 4.]], [[1., 1.], [1., 1.]]], &Device::Cpu)?;
        let shape = lengths_shape(directions.shape());
        assert_eq!(shape.dims(), [2, 1, 1]);
        let lengths = Tensor::new(&[10f32, -1.], &Device::Cpu)?.reshape(shape)?;
        let weight = folded(&lengths, &directions)?.flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(weight, [6., 0., 0., 8., -0.5, -0.5, -0.5, -0.5]);
        Ok(())
    }

    #[test]
    fn both_spellings_are_found_and_nothing_else() {
        let found = |name: &str, there: [&str; 2]| parts(name, |name| there.contains(&name)).is_some();
        assert!(found("a.b.weight", ["a.b.weight_g", "a.b.weight_v"]));
        assert!(found("weight", ["parametrizations.weight.original0", "parametrizations.weight.original1"]));
        assert!(!found("a.weight", ["a.weight_g", "a.parametrizations.weight.original1"]));
        assert!(!found("a.bias", ["a.weight_g", "a.weight_v"]));
        assert!(!found("a.myweight", ["a.myweight_g", "a.myweight_v"]));
    }
}
