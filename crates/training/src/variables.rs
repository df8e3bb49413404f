//! The variables of a net: first weights, order, and the check that each one is trained.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};

use crate::random::Rng;

/// Gives a net its variables, with first values that are a function of seed and name alone.
/// (candle's own first values come from a generator that cannot be seeded on a CPU.)
///
/// `rule` sees each variable's name and shape and what its layer asked for, and says what it becomes; many
/// layers that are written for loading ask for nothing, which candle takes as zeros.
pub struct SeededVariables<Rule> {
    map: VarMap,
    seed: u64,
    rule: Rule,
}

impl<Rule> SeededVariables<Rule>
where
    Rule: Fn(&str, &Shape, Init) -> Init + Send + Sync + 'static,
{
    /// A builder that fills the map as a net asks for its variables.
    pub fn builder(map: &VarMap, seed: u64, rule: Rule, device: &Device) -> VarBuilder<'static> {
        let variables = Self { map: map.clone(), seed, rule };
        VarBuilder::from_backend(Box::new(variables), DType::F32, device.clone())
    }
}

impl<Rule> SimpleBackend for SeededVariables<Rule>
where
    Rule: Fn(&str, &Shape, Init) -> Init + Send + Sync,
{
    fn get(&self, shape: Shape, name: &str, asked: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut data = lock(&self.map);
        if let Some(var) = data.get(name) {
            if var.shape() != &shape {
                bail!("variable {name}: asked for as {shape:?} and before as {:?}", var.shape());
            }
            return Ok(var.as_tensor().clone());
        }
        let init = (self.rule)(name, &shape, asked);
        let mut rng = Rng::at(self.seed, &name.bytes().map(u64::from).collect::<Vec<_>>());
        let var = Var::from_tensor(&first_values(init, &shape, &mut rng, device)?.to_dtype(dtype)?)?;
        let tensor = var.as_tensor().clone();
        data.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        match lock(&self.map).get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => bail!("variable {name}: asked for without a shape"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        lock(&self.map).contains_key(name)
    }
}

fn first_values(init: Init, shape: &Shape, rng: &mut Rng, device: &Device) -> Result<Tensor> {
    let mut normal = |mean, std| rng.normal_tensor(shape, device)?.affine(std, mean);
    match init {
        Init::Const(value) => Tensor::full(value as f32, shape, device),
        Init::Randn { mean, stdev } => normal(mean, stdev),
        Init::Uniform { lo, up } => rng.uniform_tensor(shape, device)?.affine(up - lo, lo),
        Init::Kaiming { dist, fan, non_linearity } => {
            let std = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(0.0, std),
                NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * std;
                    rng.uniform_tensor(shape, device)?.affine(2.0 * bound, -bound)
                }
            }
        }
    }
}

/// The variables of a map by name, in alphabetical order.
pub fn sorted_variables(map: &VarMap) -> Vec<(String, Var)> {
    let mut vars: Vec<_> = lock(map).iter().map(|(name, var)| (name.clone(), var.clone())).collect();
    vars.sort_by(|a, b| a.0.cmp(&b.0));
    vars
}

/// Sets variables to the tensors of the same names, whatever their float type; each must be there with its
/// shape. This is how a training starts from a model.
pub fn load_variables(vars: &[(String, Var)], tensors: &HashMap<String, Tensor>, from: &Path) -> Result<()> {
    for (name, var) in vars {
        let Some(tensor) = tensors.get(name) else { bail!("{}: has no tensor {name}", from.display()) };
        if tensor.shape() != var.shape() {
            let (theirs, ours) = (tensor.dims(), var.dims());
            bail!("{}: tensor {name} has shape {theirs:?}, the net wants {ours:?}", from.display());
        }
        var.set(&tensor.to_dtype(var.dtype())?.to_device(var.device())?)?;
    }
    Ok(())
}

/// Names of the variables that a loss gives no gradient or one of zeros alone: every test of a net asserts
/// that there is none. (Several of candle's fused operators drop gradients without an error.)
pub fn assert_gradients(vars: &[(String, Var)], loss: &Tensor) -> Result<Vec<String>> {
    let gradients = loss.backward()?;
    let mut missing = Vec::new();
    for (name, var) in vars {
        let reached = match gradients.get(var) {
            Some(gradient) => gradient.abs()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()? != 0.0,
            None => false,
        };
        if !reached {
            missing.push(name.clone());
        }
    }
    Ok(missing)
}

// a thread that panicked while it held the map cannot have left half a variable in it
fn lock(map: &VarMap) -> MutexGuard<'_, HashMap<String, Var>> {
    map.data().lock().unwrap_or_else(PoisonError::into_inner)
}
