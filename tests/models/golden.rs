//! What the reference computed, from shared/golden.

use candle_core::{Device, Result, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The folder of a model there.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden").join(name)
}

/// Its inputs and outputs.
pub fn expected(name: &str) -> Result<HashMap<String, Tensor>> {
    candle_core::safetensors::load(folder(name).join("expected.safetensors"), &Device::Cpu)
}

/// Values agree within so much of the largest; NaN with nothing.
pub fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (found, expected) = (flat(found), flat(expected));
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() <= tolerance * largest, "{what}: {a} for {b} at {i}, largest {largest}");
    }
}
