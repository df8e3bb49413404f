//! Work side by side: a small net's operators are too short to keep many cores at work, while several passes of it, each
//! with cores of its own, do not wait for one another.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Groups of threads, each of which does one thing at a time.
pub struct Lanes(Vec<ThreadPool>);

impl Lanes {
    /// So many lanes, which share the threads there are: no more than those, and a single one on another device.
    ///
    /// # Errors
    /// Where the system starts no threads.
    pub fn new(lanes: usize, host: bool) -> Result<Self, ThreadPoolBuildError> {
        let threads = rayon::current_num_threads();
        let lanes = if host { lanes.min(threads) } else { 1 };
        if lanes < 2 {
            return Ok(Self(Vec::new()));
        }
        let of = |lane: usize| threads / lanes + usize::from(lane < threads % lanes);
        let pool = |lane: usize| ThreadPoolBuilder::new().num_threads(of(lane)).build();
        Ok(Self((0..lanes).map(pool).collect::<Result<_, _>>()?))
    }

    /// How many things are done at a time.
    pub fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// Calls `f` with each item, and `take` with what came of it, in their order, until it breaks. So many results may
    /// wait for an earlier one.
    ///
    /// # Errors
    /// The first that `f` or `take` gives; what comes after it is not taken.
    pub fn each<I: Send, T: Send, E: Send>(
        &self,
        items: impl IntoIterator<Item = I>,
        waiting: usize,
        f: impl Fn(I) -> Result<T, E> + Sync,
        mut take: impl FnMut(T) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut items = items.into_iter();
        if self.0.is_empty() {
            for item in items {
                if take(f(item)?)?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let most = self.0.len() + waiting;
        let (f, stopped) = (&f, &AtomicBool::new(false));
        std::thread::scope(|scope| {
            // items go to the lanes in turn, and so do results come back
            let lane = |pool| {
                let (to, todo) = sync_channel::<I>(most);
                let (done, from) = sync_channel::<Result<T, E>>(most);
                let work = move || {
                    for item in todo {
                        if stopped.load(Ordering::Relaxed)
                            || done.send(ThreadPool::install(pool, || f(item))).is_err()
                        {
                            break;
                        }
                    }
                };
                (to, from, scope.spawn(work))
            };
            let (mut ends, mut workers) = (Vec::new(), Vec::new());
            for (to, from, worker) in self.0.iter().map(lane) {
                ends.push((to, from));
                workers.push(worker);
            }
            let told = pass(&mut items, &ends, most, &mut take);
            stopped.store(true, Ordering::Relaxed);
            drop(ends);
            for worker in workers {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            told
        })
    }
}

/// Where a lane gets its items, and where its results come from.
type Ends<I, T, E> = (SyncSender<I>, Receiver<Result<T, E>>);

/// Sends items and takes results in turn, until there are none, or one breaks, or a lane is gone.
fn pass<I, T, E>(
    items: &mut impl Iterator<Item = I>,
    ends: &[Ends<I, T, E>],
    most: usize,
    take: &mut impl FnMut(T) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let (mut sent, mut taken) = (0, 0);
    loop {
        while sent < taken + most
            && let Some(item) = items.next()
        {
            if ends[sent % ends.len()].0.send(item).is_err() {
                return Ok(());
            }
            sent += 1;
        }
        if taken == sent {
            return Ok(());
        }
        let Ok(result) = ends[taken % ends.len()].1.recv() else { return Ok(()) };
        taken += 1;
        if take(result?)?.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn lanes(threads: usize, lanes: usize) -> Lanes {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Lanes::new(lanes, true)).unwrap()
    }

    #[test]
    fn results_are_taken_in_order_and_few_wait() {
        for (threads, count, waiting) in [(1, 2, 0), (2, 2, 0), (3, 2, 2), (4, 4, 1)] {
            let lanes = lanes(threads, count);
            assert_eq!(lanes.count(), if threads == 1 { 1 } else { count });
            let (begun, mut taken) = (AtomicUsize::new(0), Vec::new());
            let slow = |i: usize| {
                begun.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(50 * (7 - i as u64 % 7)));
                Ok::<_, String>(i * i)
            };
            let take = |square| {
                let ahead = begun.load(Ordering::Relaxed) - taken.len();
                assert!(ahead <= lanes.count() + waiting, "{ahead}");
                taken.push(square);
                Ok(ControlFlow::Continue(()))
            };
            lanes.each(0..40, waiting, slow, take).unwrap();
            assert_eq!(taken, (0..40).map(|i| i * i).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_break_an_error_and_a_panic_end_it() {
        let lanes = lanes(3, 3);
        let odd = |i: usize| if i == 5 { Err(format!("{i} is odd")) } else { Ok(i) };
        let mut taken = Vec::new();
        let all = |i| {
            taken.push(i);
            Ok(ControlFlow::Continue(()))
        };
        assert_eq!(lanes.each(0..1000, 3, odd, all), Err("5 is odd".to_string()));
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        let some = |i| Ok(if i == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        assert_eq!(lanes.each(0.., 3, odd, some), Ok(()));
        let panics = || {
            lanes.each(
                0..9,
                0,
                |i| if i == 4 { panic!("four") } else { odd(i) },
                |_| Ok(ControlFlow::Continue(())),
            )
        };
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"four"));
    }
}
