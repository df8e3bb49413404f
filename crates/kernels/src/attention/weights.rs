//! The weights of chosen heads, for what looks at them: alignments of words with sounds, say.

use super::problem::Sizes;
use super::{Options, composite};
use candle_core::{DType, Result, Tensor};

/// The attention weights of the query heads `heads`, in that order: (batch, heads.len(), time, positions) in f32,
/// each row of sum one, or zeros where a query sees no key. Takes what [`super::attention`] takes, and computes whole
/// rows, with gradients.
///
/// # Errors
/// Where shapes do not fit, or for a head that is not there.
pub fn attention_weights(q: &Tensor, k: &Tensor, heads: &[usize], options: &Options) -> Result<Tensor> {
    let sizes = Sizes::new(q, k, k)?;
    let Sizes { batch, time, positions, .. } = sizes;
    if let Some(head) = heads.iter().find(|head| **head >= sizes.heads) {
        refuse!("the attention weights of head {head} of {}", sizes.heads);
    }
    if heads.is_empty() || batch * time * positions == 0 {
        return Tensor::zeros((batch, heads.len(), time, positions), DType::F32, q.device());
    }
    let one = |added: Option<&Tensor>, head| match added {
        Some(added) => {
            added.broadcast_as((batch, sizes.heads, time, positions))?.narrow(1, head, 1).map(Some)
        }
        None => Ok(None),
    };
    let weights = |&head: &usize| {
        let (mask, bias) = (one(options.mask, head)?, one(options.bias, head)?);
        let options = Options { mask: mask.as_ref(), bias: bias.as_ref(), ..*options };
        composite::weights(&q.narrow(2, head, 1)?, &k.narrow(2, head / sizes.group(), 1)?, &options)
    };
    Tensor::cat(&heads.iter().map(weights).collect::<Result<Vec<_>>>()?, 1)
}
