//! Connectionist temporal classification (Graves et al., 2006, doi 10.1145/1143844.1143891), fused with its softmax,
//! forward and backward: the loss of a sequence of labels of which nobody knows when each was said.
//!
//! A path names one symbol a time step, a label or the blank; the labels it spells are what is left when neighbours
//! that are equal become one and the blanks go. A lattice of 2 labels + 1 states, a blank around each label, holds
//! every path that spells the labels wanted. The sums over paths are kept as logarithms in f64.

use crate::elementary::exp_below;
use crate::fresh;
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::loss::{Denominator, denominator};
use crate::rows;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// So many states of lattices are summed by the calling thread: some 20 microseconds of work.
const ALONE: usize = 1024;

/// The CTC loss, in nats, of logits (batch, time, vocab): minus the logarithm of the probability of all paths that
/// spell an item's `labels` in its first `lengths` steps, summed over the items and divided by the number of labels of
/// the batch, at least one. A scalar of the logits' type; its gradient, zero after `lengths`, reaches the logits.
///
/// An item without labels costs as much as its path of blanks. An item that cannot be spelled, because its labels and
/// the blanks between equal neighbours need more steps than it has or because their probability is zero, has no loss
/// and no gradient (PyTorch's `zero_infinity`), but its labels are counted. NaN within an item's steps is not hidden.
///
/// It is computed in f32 on the processor, whatever the type and the device of the logits.
///
/// # Errors
/// Where there are not as many `labels` and `lengths` as items, a length is above `time`, or a label is the blank or
/// not below `vocab`.
pub fn ctc(logits: &Tensor, labels: &[Vec<u32>], lengths: &[usize], blank: u32) -> Result<Tensor> {
    let &[batch, time, vocab] = logits.dims() else {
        refuse!("CTC takes logits (batch, time, vocab), not {:?}", logits.dims());
    };
    if labels.len() != batch || lengths.len() != batch {
        refuse!("{} sequences of labels and {} lengths for {batch} items", labels.len(), lengths.len());
    }
    if blank as usize >= vocab {
        refuse!("blank {blank} is not below {vocab}, the size of the vocabulary");
    }
    for (i, (labels, &length)) in labels.iter().zip(lengths).enumerate() {
        if length > time {
            refuse!("item {i} has a length of {length}, more than the {time} steps of the logits");
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= vocab) {
            refuse!("label {label} of item {i} is not below {vocab}, the size of the vocabulary");
        }
        if labels.contains(&blank) {
            refuse!("the labels of item {i} hold the blank, {blank}");
        }
    }
    let items = labels.iter().zip(lengths).map(|(labels, &length)| Item::new(blank, labels, length));
    let count = labels.iter().map(Vec::len).sum::<usize>().max(1);
    let own = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let trained = own.track_op();
    let op = Ctc { items: items.collect(), count, trained, found: OnceLock::new() };
    own.recorded1(op)?.to_dtype(logits.dtype())?.to_device(logits.device())
}

struct Item {
    /// The blank, and the labels after it.
    symbols: Vec<u32>,
    steps: usize,
}

impl Item {
    // one that has too few steps becomes one without labels and steps, which costs nothing
    fn new(blank: u32, labels: &[u32], length: usize) -> Self {
        let repeated = labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let fits = labels.len() + repeated <= length;
        let (labels, steps) = if fits { (labels, length) } else { (&[][..], 0) };
        Self { symbols: [&[blank], labels].concat(), steps }
    }

    fn states(&self) -> usize {
        2 * self.symbols.len() - 1
    }
}

/// What the forward pass leaves to the backward one.
struct Found {
    /// One a step of each item.
    softmax: Vec<Denominator>,
    /// One an item.
    alignments: Vec<Alignment>,
}

/// How an item's labels lie in time.
struct Alignment {
    loss: f64,
    /// The probability of each of the item's symbols at each of its steps, given what is spelled. Nothing where the
    /// item cannot be spelled, or no gradient is wanted.
    posterior: Vec<f32>,
}

struct Ctc {
    items: Vec<Item>,
    count: usize,
    trained: bool,
    found: OnceLock<Found>,
}

impl Ctc {
    fn found(&self, level: Level, time: usize, vocab: usize, logits: &[f32]) -> &Found {
        self.found.get_or_init(|| {
            let softmax = denominators(level, time, vocab, logits, &self.items);
            let cells = self.items.iter().map(|item| item.steps * item.states()).sum::<usize>();
            let tasks = (0..self.items.len()).collect();
            let alignments = fresh::each(tasks, cells <= ALONE, |i| {
                let steps = self.items[i].steps;
                let logits = &logits[i * time * vocab..][..steps * vocab];
                align(&self.items[i], logits, &softmax[i * time..][..steps], self.trained)
            });
            Found { softmax, alignments }
        })
    }

    // (softmax - posterior) times the scale, zero where there is no posterior
    fn gradient(&self, level: Level, time: usize, vocab: usize, logits: &[f32], scale: f32) -> Vec<f32> {
        let found = self.found(level, time, vocab, logits);
        let ([out], _) = fresh::rows(
            level,
            (self.items.len() * time, vocab),
            || (),
            #[inline(always)]
            |m, row, [out], _| {
                let (item, step) = (row / time, row % time);
                let symbols = &self.items[item].symbols;
                let posterior = &found.alignments[item].posterior;
                let Some(posterior) = posterior.get(step * symbols.len()..(step + 1) * symbols.len()) else {
                    return; // zero
                };
                let (top, sum) = found.softmax[row];
                let factor = scale / sum;
                let out = out.write(
                    [&logits[row * vocab..]],
                    #[inline(always)]
                    |[x]| exp_below(m, x - top) * factor,
                );
                for (symbol, probability) in symbols.iter().zip(posterior) {
                    out[*symbol as usize] -= scale * probability;
                }
            },
        );
        out
    }
}

// one a row; rows after an item's steps are not read
fn denominators(level: Level, time: usize, vocab: usize, logits: &[f32], items: &[Item]) -> Vec<Denominator> {
    let (count, size) = (items.len() * time, rows::rows_per_task(vocab));
    let task = |first: usize| {
        let of_row = |row: usize| match row % time < items[row / time].steps {
            true => denominator(level, &logits[row * vocab..][..vocab]),
            false => (0., 1.),
        };
        (first..count.min(first + size)).map(of_row).collect::<Vec<_>>()
    };
    fresh::each((0..count).step_by(size).collect(), logits.len() <= fresh::ALONE, task).concat()
}

// the loss of an item by the logits of its steps, and where it is to be trained the posterior
fn align(item: &Item, logits: &[f32], softmax: &[Denominator], trained: bool) -> Alignment {
    let (states, width, steps) = (item.states(), item.symbols.len(), item.steps);
    let row = |step: usize| (&logits[step * (logits.len() / steps)..], softmax[step]);
    let (blank, labels) = (item.symbols[0], &item.symbols[1..]);
    let lattice = Lattice::new(blank, labels.iter().copied());
    let mut sums = lattice.start();
    let mut prefixes = Vec::with_capacity(if trained { steps * states } else { 0 });
    for step in 0..steps {
        if step > 0 {
            lattice.advance(&mut sums);
        }
        lattice.emit(&mut sums, row(step));
        if trained {
            prefixes.extend_from_slice(&sums);
        }
    }
    // a path ends in the last label or in the blank after it
    let before = if states > 1 { sums[states - 2] } else { f64::NEG_INFINITY };
    let whole = log_sum(sums[states - 1], before, f64::NEG_INFINITY);
    if whole == f64::NEG_INFINITY {
        return Alignment { loss: 0., posterior: Vec::new() };
    }
    if !trained {
        return Alignment { loss: -whole, posterior: Vec::new() };
    }

    // the sums over the rest of the paths are those of the labels and the steps from behind
    let lattice = Lattice::new(blank, labels.iter().rev().copied());
    let mut sums = lattice.start();
    let mut posterior = vec![0f32; steps * width];
    for step in (0..steps).rev() {
        if step + 1 < steps {
            lattice.advance(&mut sums);
        }
        let posterior = &mut posterior[step * width..][..width];
        let mut blanks = 0.;
        for (state, (prefix, rest)) in prefixes[step * states..].iter().zip(sums.iter().rev()).enumerate() {
            let probability = (prefix + rest - whole).exp();
            match state % 2 {
                0 => blanks += probability,
                _ => posterior[state / 2 + 1] = probability as f32,
            }
        }
        posterior[0] = blanks as f32;
        lattice.emit(&mut sums, row(step));
    }
    Alignment { loss: -whole, posterior }
}

/// A state's symbol, and whether a path may come to it from the label before without the blank in between.
struct Lattice(Vec<(u32, bool)>);

impl Lattice {
    fn new(blank: u32, labels: impl Iterator<Item = u32>) -> Self {
        let mut states = vec![(blank, false)];
        let mut before = None;
        for label in labels {
            states.extend([(label, before.is_some_and(|before| before != label)), (blank, false)]);
            before = Some(label);
        }
        Self(states)
    }

    // a path begins with the first blank or the first label
    fn start(&self) -> Vec<f64> {
        (0..self.0.len()).map(|state| if state < 2 { 0. } else { f64::NEG_INFINITY }).collect()
    }

    // from the last state on, so that the states before still hold the sums of the step before
    fn advance(&self, sums: &mut [f64]) {
        for state in (1..sums.len()).rev() {
            let skipped = if self.0[state].1 { sums[state - 2] } else { f64::NEG_INFINITY };
            sums[state] = log_sum(sums[state], sums[state - 1], skipped);
        }
    }

    fn emit(&self, sums: &mut [f64], (logits, (top, denominator)): (&[f32], Denominator)) {
        let log = top as f64 + (denominator as f64).ln();
        for (sum, (symbol, _)) in sums.iter_mut().zip(&self.0) {
            *sum += logits[*symbol as usize] as f64 - log;
        }
    }
}

/// The logarithm of the sum of three numbers of which the logarithms are given.
fn log_sum(a: f64, b: f64, c: f64) -> f64 {
    let ordered = |a: f64, b: f64| if a > b { (b, a) } else { (a, b) };
    let (low, high) = ordered(a, b);
    let (middle, high) = ordered(high, c);
    if high == f64::NEG_INFINITY {
        return low + middle; // the same, or NaN
    }
    high + (1. + (middle - high).exp() + (low - high).exp()).ln()
}

impl CustomOp1 for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, time, vocab) = layout.shape().dims3()?;
        let found = self.found(level(), time, vocab, rows::values(logits, layout)?);
        let loss = found.alignments.iter().map(|alignment| alignment.loss).sum::<f64>() / self.count as f64;
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, time, vocab) = logits.dims3()?;
        let scale = grad.to_scalar::<f32>()? / self.count as f32;
        let out = rows::read([logits], |[logits]| self.gradient(level(), time, vocab, logits, scale))?;
        Tensor::from_vec(out, logits.shape(), logits.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{near, normal};

    #[test]
    fn every_level_equals_the_portable_one() {
        let (time, vocab) = (23, 37);
        let logits: Vec<f32> = normal(2 * time * vocab, 1).into_iter().map(|x| 5. * x + 300.).collect();
        let labels: [Vec<u32>; 2] = [(1..18).map(|i| i * i % 36 + 1).collect(), vec![3, 3, 8]];
        let run = |level| {
            let items = labels.iter().zip([time, 9]).map(|(labels, length)| Item::new(0, labels, length));
            let op = Ctc { items: items.collect(), count: 1, trained: true, found: OnceLock::new() };
            let losses =
                op.found(level, time, vocab, &logits).alignments.iter().map(|found| found.loss as f32);
            (losses.collect::<Vec<_>>(), op.gradient(level, time, vocab, &logits, 1.))
        };
        let wide = |xs: &[f32]| xs.iter().map(|x| *x as f64).collect::<Vec<_>>();
        let (losses, grad) = run(Level::Portable);
        assert!(losses.iter().all(|loss| *loss > 1.));
        for level in levels() {
            let found = run(level);
            near(&found.0, &wide(&losses), 1e-6, level.name());
            near(&found.1, &wide(&grad), 1e-6, level.name());
        }
    }
}
