//! Products of activations with a packed weight, spread over the cores.

use rayon::prelude::*;

use super::inputs::{Inputs, inputs, part};
use super::panels::{Panels, WIDTH};
use super::tile::{Kernel, Tile, kernel};
use crate::gemm::blocks::Target;
use crate::gemm::lanes::with_buffer;
use crate::level::Level;

/// Products of two values that stay on the calling thread.
const ALONE: usize = 1 << 21;

/// Rows of which the weight takes longer to read than the activations.
const ROWS: usize = 4;

/// Products that are worth a task, where there are few rows and many.
const TASK: [usize; 2] = [1 << 19, 1 << 24];

/// Of many rows, so many times 32 inputs at a time: the activations' part stays in the second cache.
const DEPTH: usize = 32;

/// Rows of a weight's inputs to rows of its outputs. The level must be that of the packing.
pub(super) fn product(level: Level, weight: &Panels, xs: &[f32], rows: usize) -> Vec<f32> {
    let (width, outputs) = (weight.inputs, weight.outputs);
    if width == 0 || rows == 0 {
        return vec![0.; rows * outputs];
    }
    let kernel = kernel(level, weight.kind);
    let most = kernel.most[(rows > kernel.few) as usize];
    let (groups, offset) = (weight.kind.groups(), weight.offset);
    let xs = inputs(level, xs, (rows, width, weight.blocks()), most, (groups, offset));
    let mut ys: Vec<f32> = Vec::with_capacity(rows * outputs);
    let out = Target { values: ys.as_mut_ptr(), stride: outputs };
    let whole = Whole { weight, kernel, most, xs: &xs, rows, out };
    let step = (TASK[(rows > ROWS) as usize] / (rows * width * WIDTH)).max(1);
    let tasks = weight.count().div_ceil(step);
    let task = |task: usize| {
        let end = weight.count().min((task + 1) * step);
        // SAFETY: the capacity is that of the product, and tasks have different panels.
        #[allow(unsafe_code)]
        unsafe {
            whole.panels(task * step..end)
        }
    };
    if rows * width * outputs <= ALONE || tasks == 1 || rayon::current_num_threads() == 1 {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
    // SAFETY: the panels are all outputs of all rows.
    #[allow(unsafe_code)]
    unsafe {
        ys.set_len(rows * outputs);
    }
    ys
}

#[derive(Clone, Copy)]
struct Whole<'a> {
    weight: &'a Panels,
    kernel: Kernel,
    most: usize,
    xs: &'a [Inputs],
    rows: usize,
    out: Target,
}

impl Whole<'_> {
    /// Multiplies all rows with some panels.
    ///
    /// # Safety
    /// `out` has room for the product, and nobody else uses these panels' outputs.
    #[allow(unsafe_code)]
    unsafe fn panels(&self, panels: std::ops::Range<usize>) {
        let Whole { weight, kernel, .. } = *self;
        let blocks = weight.blocks();
        let depth = if self.rows <= ROWS { blocks } else { DEPTH };
        for start in (0..blocks).step_by(depth) {
            let count = depth.min(blocks - start);
            for panel in panels.clone() {
                let stretches = weight.panel(panel, start).as_ptr();
                if self.rows <= kernel.few {
                    // SAFETY: the panel is the kind's, whole from `start` on, and parts are whole stretches.
                    unsafe { self.tiles(panel, (start, count), stretches, kernel.packed) }
                    continue;
                }
                with_buffer(count * kernel.step / 4, |buffer| {
                    let opened = buffer.as_mut_ptr().cast::<u8>();
                    // SAFETY: the same, and the buffer has the size of the opened form.
                    unsafe {
                        (kernel.open)(stretches, count, opened);
                        self.tiles(panel, (start, count), opened, kernel.opened);
                    }
                });
            }
        }
    }

    /// Multiplies all rows with a part of a panel.
    ///
    /// # Safety
    /// That of [`Tile`].
    #[allow(unsafe_code)]
    unsafe fn tiles(
        &self,
        panel: usize,
        (start, blocks): (usize, usize),
        stretches: *const u8,
        run: unsafe fn(&Tile),
    ) {
        let all = self.weight.blocks();
        for i in 0..self.rows.div_ceil(self.most) {
            let (row, end) = (part(self.rows, self.most, i), part(self.rows, self.most, i + 1));
            let rows = end - row;
            let tile = Tile {
                stretches,
                xs: &self.xs[row * all + start * rows..][..blocks * rows],
                rows,
                out: self.out.values.wrapping_add(row * self.out.stride + panel * WIDTH),
                stride: self.out.stride,
                columns: WIDTH.min(self.weight.outputs - panel * WIDTH),
                add: start > 0,
            };
            // SAFETY: the caller's contract.
            unsafe { run(&tile) }
        }
    }
}
