//! The micro-batches of a step side by side: a small net's operators are too short to keep many cores at work, while two
//! passes of it, each with cores of its own, do not wait for one another.

use std::ops::{ControlFlow, Range};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Groups of threads, one for each of the micro-batches that are computed at a time.
pub(crate) struct Lanes(Vec<ThreadPool>);

impl Lanes {
    /// Lanes for so many micro-batches: no more than there are threads, and a single one on another device.
    pub fn new(micro_batches: usize, host: bool) -> Result<Self> {
        let threads = rayon::current_num_threads();
        let lanes = if host { micro_batches.min(threads) } else { 1 };
        if lanes < 2 {
            return Ok(Self(Vec::new()));
        }
        let of = |lane: usize| threads / lanes + usize::from(lane < threads % lanes);
        let pool = |lane: usize| ThreadPoolBuilder::new().num_threads(of(lane)).build();
        let pools = (0..lanes).map(pool).collect::<std::result::Result<_, _>>();
        Ok(Self(pools.map_err(|error| Error::Threads(error.to_string()))?))
    }

    /// Calls `f` with each of the numbers, and `take` with what came of it, in their order, until it breaks.
    pub fn each<T: Send>(
        &self,
        numbers: Range<usize>,
        f: impl Fn(usize) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        if self.0.is_empty() {
            for number in numbers {
                if take(f(number)?)?.is_break() {
                    return Ok(());
                }
            }
            return Ok(());
        }
        for first in numbers.clone().step_by(self.0.len()) {
            let wave = || (first..numbers.end).zip(&self.0);
            let results: Vec<Result<T>> = std::thread::scope(|scope| {
                let f = &f;
                let runs: Vec<_> =
                    wave().map(|(number, pool)| scope.spawn(move || pool.install(|| f(number)))).collect();
                let joined = runs.into_iter().map(|run| run.join());
                joined.map(|run| run.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
            });
            for result in results {
                if take(result?)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
