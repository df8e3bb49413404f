//! What is the same for all parts of a score: how long each measure is, and metre, key and tempo.

use std::collections::BTreeMap;

use super::Error;
use super::document::Document;
use super::measure::{Measure, UNIT};
use crate::score::{Key, Metre};

/// Changes of metre, key or tempo in a performance.
const MAX_CHANGES: usize = 1_000_000;
const COMMON_TIME: Metre = Metre { numerator: 4, denominator: 4 };

/// What is the same for all parts, measure by measure as written.
pub struct Frame {
    /// Length of each measure in [`UNIT`]s.
    pub lengths: Vec<u64>,
    /// Length of an incomplete first measure, else 0.
    pub pickup: u64,
    metres: Track<Metre>,
    keys: Track<Key>,
    tempos: Track<f64>,
}

/// Changes in the order of performance, at times from the beginning of the piece in [`UNIT`]s.
pub struct Changes {
    /// Metres; one stands again where the bars would go astray without it.
    pub metres: Vec<(u64, Metre)>,
    /// Keys.
    pub keys: Vec<(u64, Key)>,
    /// Tempos in quarter notes a minute.
    pub tempos: Vec<(u64, f64)>,
}

impl Frame {
    /// Gathers what the parts say.
    pub fn new(document: &Document) -> Self {
        let measures = document.parts.iter().map(|part| part.measures.len()).max().unwrap_or(0);
        let metres = Track::new(document, measures, |measure| &measure.metres);
        let mut lengths = Vec::with_capacity(measures);
        let mut pickup = 0;
        for index in 0..measures {
            let of_parts = document.parts.iter().filter_map(|part| part.measures.get(index));
            let reached = of_parts.map(|measure| measure.length).max().unwrap_or(0);
            let first = metres.inside[index].first().filter(|change| change.0 == 0).map(|change| change.1);
            let metre = first.or(metres.before[index]);
            if index == 0 && measures > 1 && metre.is_some_and(|metre| reached < bar(metre)) {
                pickup = reached;
            }
            lengths.push(if reached > 0 { reached } else { bar(metre.unwrap_or(COMMON_TIME)) });
        }
        let keys = Track::new(document, measures, |measure| &measure.keys);
        let tempos = Track::new(document, measures, |measure| &measure.tempos);
        Self { lengths, pickup, metres, keys, tempos }
    }

    /// The changes when measures are played in this order, beginning at these times.
    pub fn perform(&self, order: &[usize], starts: &[u64]) -> Result<Changes, Error> {
        let metres = self.metres.perform(order, starts)?;
        Ok(Changes {
            metres: self.restate(metres, order, starts),
            keys: self.keys.perform(order, starts)?,
            tempos: self.tempos.perform(order, starts)?,
        })
    }

    /// Adds the metre again where a whole bar, or one that crosses a bar line, does not begin on a bar line
    /// because an earlier one was cut short or long. The rest of a split bar needs nothing.
    fn restate(&self, metres: Vec<(u64, Metre)>, order: &[usize], starts: &[u64]) -> Vec<(u64, Metre)> {
        let mut restated = Vec::with_capacity(metres.len());
        let mut pending = metres.into_iter().peekable();
        let mut current: Option<(u64, Metre)> = None;
        for (&measure, &start) in order.iter().zip(starts) {
            while let Some((at, metre)) = pending.next_if(|change| change.0 <= start) {
                if current.is_none_or(|(_, holds)| holds != metre) {
                    let origin = if at == 0 && order.first() == Some(&0) { self.pickup } else { at };
                    current = Some((origin, metre));
                    restated.push((at, metre));
                }
            }
            if let Some((origin, metre)) = current
                && start > origin
            {
                let (bar, length) = (bar(metre), self.lengths[measure]);
                let phase = (start - origin) % bar;
                if phase > 0 && (length == bar || phase + length > bar) {
                    current = Some((start, metre));
                    restated.push((start, metre));
                }
            }
        }
        restated.extend(pending);
        restated
    }
}

/// Length of a bar in [`UNIT`]s, which every denominator divides.
fn bar(metre: Metre) -> u64 {
    UNIT * 4 / u64::from(metre.denominator) * u64::from(metre.numerator)
}

/// Changes of one kind: those in each measure, and what holds where each measure begins.
struct Track<T> {
    inside: Vec<Vec<(u64, T)>>,
    before: Vec<Option<T>>,
}

impl<T: Copy> Track<T> {
    /// Where several parts have a change at one position, the first part's counts.
    fn new(document: &Document, measures: usize, of: impl Fn(&Measure) -> &[(u64, T)]) -> Self {
        let (mut inside, mut before) = (Vec::with_capacity(measures), Vec::with_capacity(measures));
        let mut holds = None;
        for index in 0..measures {
            let mut changes: BTreeMap<u64, (usize, T)> = BTreeMap::new();
            for (number, part) in document.parts.iter().enumerate() {
                for &(at, value) in part.measures.get(index).map_or(&[][..], &of) {
                    let change = changes.entry(at).or_insert((number, value));
                    if change.0 == number {
                        change.1 = value;
                    }
                }
            }
            before.push(holds);
            let changes: Vec<(u64, T)> = changes.into_iter().map(|(at, (_, value))| (at, value)).collect();
            holds = changes.last().map(|change| change.1).or(holds);
            inside.push(changes);
        }
        Self { inside, before }
    }

    fn perform(&self, order: &[usize], starts: &[u64]) -> Result<Vec<(u64, T)>, Error> {
        let mut performed = Vec::new();
        for (&measure, &start) in order.iter().zip(starts) {
            performed.extend(self.before[measure].map(|value| (start, value)));
            performed.extend(self.inside[measure].iter().map(|&(at, value)| (start + at, value)));
            if performed.len() > MAX_CHANGES {
                return Err(Error::Limit(format!("more than {MAX_CHANGES} changes of metre, key or tempo")));
            }
        }
        Ok(performed)
    }
}
