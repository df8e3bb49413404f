//! What every `config.json` is held against before its net is built.

use candle_core::Result;
use serde_json::{Map, Value};

/// Refuses a size that is not in 1 to its limit; each is (field, size, limit).
pub fn sizes(fields: &[(&str, usize, usize)]) -> Result<()> {
    match fields.iter().find(|(_, size, limit)| !(1..=*limit).contains(size)) {
        Some((name, size, limit)) => refuse!("config.json: {name} {size} is not in 1 to {limit}"),
        None => Ok(()),
    }
}

/// Refuses a width that cannot be shared among heads, or whose positions have no pairs of sine and cosine.
pub fn heads(width: (&str, usize), heads: &[(&str, usize)]) -> Result<()> {
    let (name, size) = width;
    if !size.is_multiple_of(2) {
        refuse!("config.json: {name} {size} is odd, sines and cosines need pairs");
    }
    match heads.iter().find(|(_, heads)| !size.is_multiple_of(*heads)) {
        Some((field, heads)) => refuse!("config.json: {name} {size} is no multiple of {field} {heads}"),
        None => Ok(()),
    }
}

/// Refuses fields, among those that a net has no name for, that say that the weights are packed.
pub fn plain(other: &Map<String, Value>) -> Result<()> {
    match other.get("quantization_config").is_some_and(|value| !value.is_null()) {
        true => packed(),
        false => Ok(()),
    }
}

/// Refuses weights that are packed.
pub fn packed() -> Result<()> {
    refuse!("config.json: quantization_config is not supported: use the checkpoint with plain weights")
}
