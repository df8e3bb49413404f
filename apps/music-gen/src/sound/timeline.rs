//! Ticks to seconds, through every tempo change.

use media::score::Score;

/// Quarter notes per minute where a score names no tempo, as in MIDI.
const DEFAULT_TEMPO: f64 = 120.0;

/// The tempo map of a score.
#[derive(Debug, Clone)]
pub struct Clock {
    /// (tick, its time in seconds, seconds per tick from there on), sorted, the first at tick 0.
    segments: Vec<(u32, f64, f64)>,
}

impl Clock {
    /// The tempo map of `score`. A tempo outside 1 to 10,000 is taken as the nearer of them, one that is no
    /// number is passed over.
    pub fn new(score: &Score) -> Clock {
        let tick = |tempo: f64| 60.0 / tempo / f64::from(score.ticks_per_quarter.max(1));
        let mut segments = vec![(0, 0.0, tick(DEFAULT_TEMPO))];
        for change in score.tempos.iter().filter(|change| !change.value.is_nan()) {
            let (start, begin, length) = segments[segments.len() - 1];
            let next = change.start.max(start);
            let seconds = begin + f64::from(next - start) * length;
            if next == start {
                segments.pop();
            }
            segments.push((next, seconds, tick(change.value.clamp(1.0, 10_000.0))));
        }
        Clock { segments }
    }

    /// The time of a tick in seconds.
    pub fn seconds(&self, tick: u32) -> f64 {
        let after = self.segments.partition_point(|segment| segment.0 <= tick);
        let (start, begin, length) = self.segments[after.max(1) - 1];
        begin + f64::from(tick - start) * length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::score::Change;

    fn check(tempos: &[(u32, f64)], expected: &[(u32, f64)]) {
        let tempos = tempos.iter().map(|&(start, value)| Change { start, value }).collect();
        let clock = Clock::new(&Score { ticks_per_quarter: 100, tempos, ..Score::default() });
        for &(tick, seconds) in expected {
            assert!((clock.seconds(tick) - seconds).abs() < 1e-9, "tick {tick}: {}", clock.seconds(tick));
        }
    }

    #[test]
    fn follows_the_tempos() {
        check(&[], &[(0, 0.0), (100, 0.5), (u32::MAX, u32::MAX as f64 * 0.005)]);
        check(&[(0, 60.0)], &[(0, 0.0), (100, 1.0), (250, 2.5)]);
        check(&[(100, 60.0), (300, 240.0)], &[(50, 0.25), (100, 0.5), (300, 2.5), (400, 2.75)]);
        check(&[(0, 60.0), (100, 30.0), (100, 120.0)], &[(100, 1.0), (200, 1.5)]);
    }

    #[test]
    fn odd_tempos_keep_time_finite() {
        check(&[(0, f64::NAN), (100, 0.0)], &[(100, 0.5), (200, 60.5)]);
        check(&[(0, f64::INFINITY)], &[(100, 0.006)]);
    }
}
