//! How a convolution is done: which taps meet where, and in what tiles.
//!
//! Both directions are sums of shifted rows. With a stride `s`, a convolution reads every s-th value: its input is
//! split into `s` phases, so that each tap reads one phase at consecutive places. A transposed convolution writes
//! every s-th value: each phase of its output is a convolution with those taps that reach it, without a stride.

use super::geometry::{Axis, Geometry};
use super::run::WORTH;

/// A tap of one axis: which value of the kernel, in which phase of the input, how far to the right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    pub kernel: usize,
    pub slot: usize,
    pub shift: usize,
}

/// One axis: place `q` of output phase `p` is position `q * output_step + p`; place `j` of input phase `p` is
/// position `j * input_step + p + origin`; tap and place `q` meet at place `q + shift`.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// Places.
    pub count: usize,
    pub output: usize,
    pub output_step: usize,
    pub input: usize,
    pub input_step: usize,
    pub origin: isize,
    /// The input phases that some tap reads.
    pub slots: Vec<usize>,
    /// Of each output phase.
    pub taps: Vec<Vec<Tap>>,
    /// The largest shift.
    pub reach: usize,
}

impl Span {
    fn forward(axis: &Axis) -> Self {
        let positions = (0..axis.kernel).map(|k| k * axis.dilation);
        let mut slots: Vec<usize> = positions.clone().map(|position| position % axis.stride).collect();
        slots.sort_unstable();
        slots.dedup();
        let tap = |(kernel, position): (usize, usize)| {
            let slot = slots.iter().take_while(|slot| **slot < position % axis.stride).count();
            Tap { kernel, slot, shift: position / axis.stride }
        };
        let taps = vec![positions.enumerate().map(tap).collect()];
        Span {
            count: axis.small,
            output: axis.small,
            output_step: 1,
            input: axis.big,
            input_step: axis.stride,
            origin: -(axis.before as isize),
            reach: (axis.kernel - 1) * axis.dilation / axis.stride,
            slots,
            taps,
        }
    }

    fn adjoint(axis: &Axis) -> Self {
        let stride = axis.stride as isize;
        let shifts = |phase: usize| {
            (0..axis.kernel).filter_map(move |k| {
                let position = (phase + axis.before) as isize - (k * axis.dilation) as isize;
                (position.rem_euclid(stride) == 0).then(|| (k, position.div_euclid(stride)))
            })
        };
        let all = || (0..axis.stride).flat_map(shifts).map(|(_, shift)| shift);
        let (least, largest) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let tap = |(kernel, shift): (usize, isize)| Tap { kernel, slot: 0, shift: (shift - least) as usize };
        Span {
            count: axis.big.div_ceil(axis.stride),
            output: axis.big,
            output_step: axis.stride,
            input: axis.small,
            input_step: 1,
            origin: least,
            slots: vec![0],
            taps: (0..axis.stride).map(|phase| shifts(phase).map(tap).collect()).collect(),
            reach: (largest - least) as usize,
        }
    }
}

/// Sizes of a task: a block of input channels at a time, for so many outputs, rows and columns of places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    pub channels: usize,
    pub outputs: usize,
    pub rows: usize,
    pub columns: usize,
}

/// One direction of a convolution.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub batch: usize,
    pub groups: usize,
    /// Input channels and outputs of a group.
    pub channels: usize,
    pub outputs: usize,
    /// Height and width.
    pub spans: [Span; 2],
    /// Width of the kernel, and its taps.
    pub kernel: (usize, usize),
    /// Whether the weight's first dimension is the input's.
    pub turned: bool,
    /// Whether there is one axis alone, of which the other here is a single place.
    pub over_time: bool,
}

/// Values that a tile may hold, so that it stays in the second cache.
const TILE: usize = 1 << 16;
/// Terms after which a sum is put down: that many weights stay in the first cache.
const TERMS: usize = 512;
impl Plan {
    /// From the big tensor to the small one.
    pub fn forward(geometry: &Geometry) -> Self {
        let geometry = &geometry.joined();
        let spans = [Span::forward(&geometry.axes[0]), Span::forward(&geometry.axes[1])];
        Plan { spans, ..Plan::sides(geometry, geometry.big, geometry.small, false) }
    }

    /// From the small tensor to the big one.
    pub fn adjoint(geometry: &Geometry) -> Self {
        let geometry = &geometry.joined();
        let spans = [Span::adjoint(&geometry.axes[0]), Span::adjoint(&geometry.axes[1])];
        Plan { spans, ..Plan::sides(geometry, geometry.small, geometry.big, true) }
    }

    fn sides(geometry: &Geometry, channels: usize, outputs: usize, turned: bool) -> Self {
        let spans = [Span::forward(&geometry.axes[0]), Span::forward(&geometry.axes[1])];
        let kernel = (geometry.axes[1].kernel, geometry.taps());
        let over_time = geometry.spatial == 1;
        Plan {
            batch: geometry.batch,
            groups: geometry.groups,
            channels,
            outputs,
            spans,
            kernel,
            turned,
            over_time,
        }
    }

    /// Phases of the output, those of the height first.
    pub fn phases(&self) -> usize {
        self.spans[0].taps.len() * self.spans[1].taps.len()
    }

    /// Taps of an output phase: each axis's.
    pub fn taps(&self, phase: usize) -> impl Iterator<Item = (Tap, Tap)> {
        let across = self.spans[1].taps.len();
        let (down, right) = (&self.spans[0].taps[phase / across], &self.spans[1].taps[phase % across]);
        down.iter().flat_map(move |y| right.iter().map(move |x| (*y, *x)))
    }

    /// Where a kernel begins in the weight as candle has it.
    pub fn weight_place(&self, group: usize, output: usize, channel: usize) -> usize {
        let place = if self.turned {
            (group * self.channels + channel) * self.outputs + output
        } else {
            (group * self.outputs + output) * self.channels + channel
        };
        place * self.kernel.1
    }

    /// Values of the output.
    pub fn output_count(&self) -> usize {
        self.batch * self.groups * self.outputs * self.spans[0].output * self.spans[1].output
    }

    /// Input phases that some tap reads.
    pub fn slots(&self) -> usize {
        self.spans[0].slots.len() * self.spans[1].slots.len()
    }

    /// Multiplications.
    pub fn work(&self) -> usize {
        let places = self.spans[0].count * self.spans[1].count;
        self.batch * self.groups * self.outputs * self.channels * self.kernel.1 * places
    }

    /// Channels that are summed before the sum is put down; it depends on the shape alone, so that sums do.
    pub fn block(&self) -> usize {
        let terms = self.kernel.1.div_ceil(self.phases());
        let blocks = (self.channels * terms).div_ceil(TERMS).min(self.channels).max(1);
        self.channels.div_ceil(blocks)
    }

    /// Sizes of tasks for so many threads, where so many outputs are summed at once.
    pub fn tiling(&self, threads: usize, widest: usize) -> Tiling {
        let [down, right] = &self.spans;
        let channels = self.block();
        // values of a tile for each channel, and sums for eight outputs of all phases
        let room = (TILE / channels / self.slots()).min(TILE / 8 / self.phases());
        let (mut rows, mut columns) = if down.count <= 1 {
            (1, room.saturating_sub(right.reach).max(96).max(right.reach / 2))
        } else {
            let columns = if right.count <= 128 { right.count } else { 96 };
            (room / (columns + right.reach).max(1), columns)
        };
        rows = even(down.count, rows.saturating_sub(down.reach).max(1), 1);
        columns = even(right.count, columns, 16);
        let threads = threads.min(self.work() / WORTH).max(1);
        let mut best = (f64::INFINITY, Tiling { channels, outputs: self.outputs, rows, columns });
        loop {
            for parts in 1..=self.outputs.div_ceil(16).min(4 * threads) {
                let outputs = self.outputs.div_ceil(parts).next_multiple_of(widest);
                let cost = self.cost(threads, rows, columns, outputs);
                if cost < best.0 {
                    best = (cost, Tiling { channels, outputs, rows, columns });
                }
            }
            if rows * columns <= 192 || threads == 1 {
                return best.1;
            }
            if rows > 1 {
                rows = rows.div_ceil(2);
            } else {
                columns = columns.div_ceil(2).next_multiple_of(16);
            }
        }
    }

    /// Sizes of tiles for the gradient of the weight, which sums over the places of a tile at once: many of them.
    pub fn long_tiling(&self) -> Tiling {
        let [down, right] = &self.spans;
        let columns = if down.count <= 1 { 1024 } else { 96.max(right.count.min(128)) };
        let columns = even(right.count, columns, 16);
        let rows = even(down.count, 1024 / columns, 1);
        let values = self.slots() * (rows + down.reach) * (columns + right.reach);
        Tiling { channels: (TILE / values).clamp(1, self.channels), outputs: self.outputs, rows, columns }
    }

    /// About the cycles that the busiest thread takes.
    fn cost(&self, threads: usize, rows: usize, columns: usize, outputs: usize) -> f64 {
        let [down, right] = &self.spans;
        let tiles = down.count.div_ceil(rows) * right.count.div_ceil(columns);
        let tasks = self.batch * self.groups * tiles * self.outputs.div_ceil(outputs);
        let weights = (outputs * self.channels * self.kernel.1) as f64;
        let values = self.channels * self.slots() * (rows + down.reach) * (columns + right.reach);
        // sixteen products, two weights or two values a cycle
        let cycles = weights * (rows * columns) as f64 / 16. + weights / 2. + values as f64 / 2.;
        cycles * tasks.div_ceil(threads) as f64
    }
}

/// The size of about equal parts of at most `most`, a multiple of `unit` where there is more than one.
fn even(count: usize, most: usize, unit: usize) -> usize {
    let parts = count.div_ceil(most.max(1)).max(1);
    if parts == 1 { count.max(1) } else { count.div_ceil(parts).next_multiple_of(unit) }
}
