//! Where a net's variables come from when it is to be trained: drawn afresh, or copied from a checkpoint.

use crate::vars::{Source, VarBuilder};
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::{Init, VarMap};

/// Fresh f32 variables, added to `vars` as the net asks for them. Each value is a function of the seed, the
/// variable's name and the place in it, so the order of creation does not matter.
pub fn seeded(vars: &VarMap, seed: u64, device: &Device) -> VarBuilder<'static> {
    VarBuilder::new(Seeded { vars: vars.clone(), seed }, DType::F32, device)
}

/// Variables that start as f32 copies of the tensors of `source`, added to `vars` as the net asks for them.
pub fn trainable<'a>(vars: &VarMap, source: VarBuilder<'a>) -> VarBuilder<'a> {
    let device = source.device().clone();
    VarBuilder::new(Trainable { vars: vars.clone(), source }, DType::F32, &device)
}

/// The variables of `vars` with their names, sorted, since the map itself has no order.
pub fn sorted(vars: &VarMap) -> Vec<(String, Var)> {
    let map = vars.data().lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut sorted: Vec<_> = map.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted
}

fn insert(vars: &VarMap, name: &str, values: &Tensor) -> Result<Tensor> {
    let var = Var::from_tensor(values)?;
    let tensor = var.as_tensor().clone();
    let mut map = vars.data().lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    map.insert(name.to_string(), var);
    Ok(tensor)
}

struct Seeded {
    vars: VarMap,
    seed: u64,
}

impl Source for Seeded {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, device: &Device) -> Result<Tensor> {
        let count = shape.elem_count();
        let values = match init {
            Init::Const(value) => vec![value as f32; count],
            Init::Randn { mean, stdev } => normal(self.seed, name, count, mean, stdev),
            other => refuse!("`{name}`: no seeded form of the initialisation {other:?}"),
        };
        insert(&self.vars, name, &Tensor::from_vec(values, shape, device)?)
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}

struct Trainable<'a> {
    vars: VarMap,
    source: VarBuilder<'a>,
}

impl Source for Trainable<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, _: &Device) -> Result<Tensor> {
        let values = self.source.get_with_hints_dtype(shape, name, init, DType::F32)?;
        insert(&self.vars, name, &values.copy()?)
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains_tensor(name)
    }
}

/// Normal values by Box and Muller's transform of a counter hashed with splitmix64's finaliser.
fn normal(seed: u64, name: &str, count: usize, mean: f64, stdev: f64) -> Vec<f32> {
    let fnv = name.bytes().fold(0xcbf29ce484222325, |h: u64, b| (h ^ b as u64).wrapping_mul(0x100000001b3));
    let key = mix(seed ^ mix(fnv));
    let uniform = |i: u64| (mix(key.wrapping_add(i.wrapping_mul(0x9e3779b97f4a7c15))) >> 11) as f64;
    let mut values = Vec::with_capacity(count + 1);
    for pair in 0..count.div_ceil(2) as u64 {
        let (a, b) = (uniform(2 * pair), uniform(2 * pair + 1));
        let scale = 2f64.powi(-53);
        let radius = (-2. * ((a + 1.) * scale).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * b * scale).sin_cos();
        values.extend([cos, sin].map(|z| (mean + stdev * radius * z) as f32));
    }
    values.truncate(count);
    values
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_their_moments_and_depend_on_seed_and_name() {
        let values = normal(7, "a", 100_001, 1., 0.5);
        let mean = values.iter().map(|&v| v as f64).sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((mean - 1.).abs() < 0.01 && (variance.sqrt() - 0.5).abs() < 0.01, "{mean} {variance}");
        assert_eq!(values[..10], normal(7, "a", 10, 1., 0.5));
        assert_ne!(values[..10], normal(8, "a", 10, 1., 0.5));
        assert_ne!(values[..10], normal(7, "b", 10, 1., 0.5));
    }

    #[test]
    fn the_order_of_creation_does_not_matter() -> Result<()> {
        let draw = |names: [&str; 2]| -> Result<Vec<Vec<f32>>> {
            let vars = VarMap::new();
            let vb = seeded(&vars, 3, &Device::Cpu);
            for name in names {
                vb.get_with_hints(4, name, Init::Randn { mean: 0., stdev: 1. })?;
            }
            sorted(&vars).iter().map(|(_, var)| var.to_vec1()).collect()
        };
        assert_eq!(draw(["a", "b"])?, draw(["b", "a"])?);
        Ok(())
    }
}
