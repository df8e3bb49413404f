//! Keys and values of the positions seen so far, so that each new one is computed once.

use candle_core::{Result, Tensor};
use kernels::embedding::embedding;
use std::sync::Arc;

/// One layer's keys and values, each (batch, capacity, heads, head_dim) of which a first part is filled.
///
/// A clone is cheap: storage is shared until one of the two is written to.
#[derive(Clone, Default)]
pub struct LayerCache {
    keys: Option<Arc<Tensor>>,
    values: Option<Arc<Tensor>>,
}

impl LayerCache {
    /// Writes new keys and values, each (batch, time, heads, head_dim), at position `start`, and returns all
    /// from position 0 on, as attention takes them.
    pub fn append(&mut self, keys: &Tensor, values: &Tensor, start: usize) -> Result<(Tensor, Tensor)> {
        Ok((write(&mut self.keys, keys, start)?, write(&mut self.values, values, start)?))
    }

    /// Takes row `rows[i]` of the batch as its row `i`, of which so many positions are filled.
    pub fn select(&mut self, rows: &[usize], filled: usize) -> Result<()> {
        for slot in [&mut self.keys, &mut self.values].into_iter().flatten() {
            let (_, capacity, heads, size) = slot.dims4()?;
            // what is not filled is left behind, but for the room of some steps
            let room = (filled + 1).next_multiple_of(ROOM).min(capacity);
            let places = rows.iter().flat_map(|row| (0..room).map(move |i| (row * capacity + i) as u32));
            let places = Tensor::from_vec(places.collect::<Vec<_>>(), rows.len() * room, slot.device())?;
            let chosen = embedding(&places, &slot.reshape(((), heads * size))?)?;
            *slot = Arc::new(chosen.reshape((rows.len(), room, heads, size))?);
        }
        Ok(())
    }
}

/// Positions for which a cache that was copied has room.
const ROOM: usize = 16;
const FIRST_CAPACITY: usize = 64;

fn write(slot: &mut Option<Arc<Tensor>>, new: &Tensor, start: usize) -> Result<Tensor> {
    let (batch, time, heads, size) = new.dims4()?;
    let needed = start + time;
    let capacity = slot.as_ref().map_or(Ok(0), |old| old.dim(1))?;
    let writable = slot.as_mut().is_some_and(|old| Arc::get_mut(old).is_some());
    if !writable || capacity < needed {
        let capacity =
            if needed <= capacity { capacity } else { needed.max(2 * capacity).max(FIRST_CAPACITY) };
        let grown = Tensor::zeros((batch, capacity, heads, size), new.dtype(), new.device())?;
        if let Some(old) = slot.as_ref().filter(|_| start > 0) {
            grown.slice_set(&old.narrow(1, 0, start)?.contiguous()?, 1, 0)?;
        }
        *slot = Some(Arc::new(grown));
    }
    let Some(all) = slot else { candle_core::bail!("a cache that was just filled is empty") };
    all.slice_set(&new.detach().contiguous()?, 1, start)?;
    all.narrow(1, 0, needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn step(cache: &mut LayerCache, value: f32, start: usize, time: usize) -> Vec<f32> {
        let new = (Tensor::ones((1, time, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap()
            * value as f64)
            .unwrap();
        let (keys, values) = cache.append(&new, &new, start).unwrap();
        let keys: Vec<f32> = keys.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(keys, values.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        keys
    }

    #[test]
    fn grows_and_keeps_what_it_has() {
        let mut cache = LayerCache::default();
        for i in 0..300 {
            let keys = step(&mut cache, i as f32, i, 1);
            assert_eq!(keys, (0..=i).map(|k| k as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_clone_and_its_source_part_when_written_to() {
        let mut one = LayerCache::default();
        step(&mut one, 1., 0, 2);
        let mut two = one.clone();
        assert_eq!(step(&mut one, 2., 2, 1), [1., 1., 2.]);
        assert_eq!(step(&mut two, 3., 2, 1), [1., 1., 3.]);
        assert_eq!(step(&mut one, 4., 3, 1), [1., 1., 2., 4.]);
    }
}
