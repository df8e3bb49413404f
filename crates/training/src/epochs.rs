//! Batches of epochs: every example once in each, in an order that the epoch's number decides.

use std::sync::{Arc, Mutex, PoisonError};

type Batches = Arc<Vec<Vec<u32>>>;

/// Batches of places of examples, epoch by epoch; each epoch's are made when it begins. All epochs must have as
/// many batches.
pub struct Epochs<'a> {
    make: Box<dyn Fn(u64) -> Vec<Vec<u32>> + Send + Sync + 'a>,
    count: u64,
    now: Mutex<(u64, Batches)>,
}

impl<'a> Epochs<'a> {
    /// Epochs whose batches `make` gives.
    pub fn new(make: impl Fn(u64) -> Vec<Vec<u32>> + Send + Sync + 'a) -> Self {
        let first = Arc::new(make(0));
        Self { count: first.len().max(1) as u64, now: Mutex::new((0, first)), make: Box::new(make) }
    }

    /// Batches of an epoch; 1 where there are no examples.
    pub fn batches(&self) -> u64 {
        self.count
    }

    /// The batch of a pass, counted from 0 over all epochs; empty where there are no examples.
    pub fn batch(&self, pass: u64) -> Vec<u32> {
        let (epoch, place) = (pass / self.count, (pass % self.count) as usize);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != epoch {
            *now = (epoch, Arc::new((self.make)(epoch)));
        }
        now.1.get(place).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    #[test]
    fn every_example_comes_once_an_epoch() {
        let made = |epoch| Rng::at(1, &[epoch]).permutation(6);
        let epochs = Epochs::new(|epoch| {
            made(epoch).chunks(2).map(|pair| pair.iter().map(|&place| place as u32).collect()).collect()
        });
        assert_eq!(epochs.batches(), 3);
        let all = |epoch: u64| -> Vec<u32> { (0..3).flat_map(|i| epochs.batch(3 * epoch + i)).collect() };
        let (first, second) = (all(0), all(1));
        assert_ne!(first, second);
        assert_eq!(first, all(0), "an earlier epoch comes back as it was");
        for mut epoch in [first, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, [0, 1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn no_examples_are_no_batches() {
        let epochs = Epochs::new(|_| Vec::new());
        assert_eq!((epochs.batches(), epochs.batch(7)), (1, Vec::new()));
    }
}
