//! What training makes small.

use candle_core::{D, DType, Result, Tensor, bail};

/// A target that is not counted.
pub const IGNORED: u32 = u32::MAX;

/// Mean cross-entropy, in nats, of f32 logits (..., classes) against u32 targets (...), over the targets that are not
/// [`IGNORED`]; zero where all are. Its gradient reaches the logits.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let classes = logits.dim(D::Minus1)?;
    let logits = logits.reshape(((), classes))?;
    let targets = targets.flatten_all()?;
    if targets.dim(0)? != logits.dim(0)? {
        bail!("{} targets for {} rows of logits", targets.dim(0)?, logits.dim(0)?);
    }
    composite(&logits, &targets)
}

fn composite(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let counted = targets.ne(IGNORED)?;
    let count = counted.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    let targets = counted.where_cond(targets, &targets.zeros_like()?)?;
    let log_probs = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let picked = log_probs.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let picked = (picked * counted.to_dtype(DType::F32)?)?;
    picked.sum_all()? / -(count.max(1.) as f64)
}
