//! The check that every variable of a net is trained.

use candle_core::{DType, Result, Tensor, Var};

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
