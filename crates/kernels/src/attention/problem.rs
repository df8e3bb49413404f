//! One attention: its operands, sizes and settings, checked.

use super::Options;
use super::heads::Heads;
use super::tile::{FAR, KEYS, ROW, Sight};
use crate::dropout::Mask;
use crate::level::{Level, compiled};
use crate::rows;
use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use std::f32::consts::LOG2_E;
use std::marker::PhantomData;
use std::ops::Range;

/// Additions and multiplications below which the calling thread works alone.
const ALONE: usize = 1 << 19;

/// The sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub positions: usize,
    pub size: usize,
    pub v_size: usize,
}

impl Sizes {
    /// # Errors
    /// Where the shapes do not belong together.
    pub fn new(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Self> {
        let ((batch, time, heads, size), (k_batch, positions, kv_heads, k_size)) = (q.dims4()?, k.dims4()?);
        let (v_batch, v_positions, v_heads, v_size) = v.dims4()?;
        let fit = (k_batch, k_size) == (batch, size)
            && (v_batch, v_positions, v_heads) == (batch, positions, kv_heads);
        let (q, k, v) = (q.dims(), k.dims(), v.dims());
        if !fit {
            refuse!("attention of queries {q:?} over keys {k:?} and values {v:?}: sizes do not fit");
        }
        if heads > 0 && (kv_heads == 0 || heads % kv_heads > 0) {
            refuse!("attention of {heads} heads over {kv_heads}: not a multiple");
        }
        if size == 0 {
            refuse!("attention of queries {q:?}: heads without values");
        }
        Ok(Self { batch, time, heads, kv_heads, positions, size, v_size })
    }

    /// Query heads that share a key and value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// What of the options is not a tensor.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    causal: bool,
    window: Option<usize>,
    pub scale: f32,
    soft_cap: Option<f32>,
    dropout: Option<Mask>,
}

impl Settings {
    /// # Errors
    /// Where a number cannot be.
    pub fn new(options: &Options, sizes: Sizes) -> Result<Self> {
        let scale = options.scale.unwrap_or((sizes.size as f64).powf(-0.5)) as f32;
        let soft_cap = options.soft_cap.map(|cap| cap as f32);
        if let Some(cap) = soft_cap
            && (cap <= 0. || cap.is_nan())
        {
            refuse!("attention with scores capped at {cap}: only above zero");
        }
        let dropout = options.dropout.map(|(dropout, site)| dropout.mask(site)).transpose()?.flatten();
        Ok(Self { causal: options.causal, window: options.window, scale, soft_cap, dropout })
    }

    /// Whether weights fall.
    pub fn drops(&self) -> bool {
        self.dropout.is_some()
    }
}

/// What is added to the scores.
#[derive(Clone, Copy)]
pub struct Added<'a> {
    values: &'a [f32],
    start: usize,
    strides: [usize; 3],
    positions: usize,
}

impl<'a> Added<'a> {
    fn row(&self, batch: usize, head: usize, query: usize) -> &'a [f32] {
        let [by_batch, by_head, by_query] = self.strides;
        &self.values[self.start + batch * by_batch + head * by_head + query * by_query..][..self.positions]
    }
}

/// What the options add, as views of f32 (batch, heads, time, positions).
///
/// # Errors
/// Where shapes do not broadcast.
pub fn spread(options: &Options, sizes: Sizes) -> Result<Vec<Tensor>> {
    let Sizes { batch, heads, time, positions, .. } = sizes;
    let spread = |added: &Tensor| {
        let added = added.to_dtype(DType::F32)?.broadcast_as((batch, heads, time, positions))?;
        if positions == 1 || added.stride()[3] == 1 { Ok(added) } else { added.contiguous() }
    };
    options.added().map(spread).collect()
}

/// Reads what is added.
pub fn read_added<R>(added: &[Tensor], f: impl FnOnce(&[Added]) -> Result<R>) -> Result<R> {
    let guards: Vec<_> = added.iter().map(Tensor::storage_and_layout).collect();
    let views = guards.iter().map(|(storage, layout)| {
        let (&[by_batch, by_head, by_query, _], &[.., positions]) = (layout.stride(), layout.dims()) else {
            refuse!("a mask of {} dimensions instead of four", layout.dims().len())
        };
        let strides = [by_batch, by_head, by_query];
        let values = on_cpu(storage)?.as_slice()?;
        Ok(Added { values, start: layout.start_offset(), strides, positions })
    });
    f(&views.collect::<Result<Vec<_>>>()?)
}

/// The values of a storage on the processor.
pub fn on_cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => refuse!("an operator of the processor was given a tensor elsewhere"),
    }
}

/// One attention.
pub struct Problem<'a> {
    pub q: Heads<'a>,
    pub k: Heads<'a>,
    pub v: Heads<'a>,
    pub sizes: Sizes,
    pub settings: Settings,
    pub added: &'a [Added<'a>],
}

impl Problem<'_> {
    /// What queries are multiplied with, so that scores come in powers of two or, with a cap, in caps.
    pub fn factor(&self) -> f32 {
        match self.settings.soft_cap {
            Some(cap) => self.settings.scale / cap,
            None => self.settings.scale * LOG2_E,
        }
    }

    /// Whether so little is to do that the calling thread does it alone.
    pub fn is_small(&self) -> bool {
        let Sizes { batch, time, heads, positions, size, v_size, .. } = self.sizes;
        batch * time * heads * positions * (size + v_size) < ALONE
    }

    // the first key that a query sees, and the first after those
    fn range(&self, query: usize) -> (isize, isize) {
        let own = self.sizes.positions as isize - self.sizes.time as isize + query as isize;
        let reach = self.settings.window.map(|window| (window as isize).min(FAR / 2));
        let high = if self.settings.causal { Some(own + 1) } else { reach.map(|reach| own + reach) };
        (reach.map_or(-FAR, |reach| own - reach + 1), high.unwrap_or(FAR))
    }

    /// What queries from `first` on see of a block of keys.
    pub fn sight(&self, first: usize, block: usize) -> Sight {
        let (low, high) = self.range(first);
        let start = (block * KEYS) as isize;
        Sight { low: low - start, high: high - start, width: KEYS.min(self.sizes.positions - block * KEYS) }
    }

    /// The blocks of keys of which some of `rows` queries from `first` on see something.
    pub fn blocks(&self, first: usize, rows: usize) -> Range<usize> {
        let positions = self.sizes.positions as isize;
        let low = self.range(first).0.clamp(0, positions) as usize;
        let high = self.range(first + rows - 1).1.clamp(0, positions) as usize;
        low / KEYS..high.div_ceil(KEYS)
    }

    /// Lets weights fall, or their gradients.
    pub fn drop(
        &self,
        level: Level,
        weights: &mut [f32],
        (batch, head): (usize, usize),
        (query, key): (usize, usize),
        sight: Sight,
    ) {
        let Some(mask) = self.settings.dropout else { return };
        let Sizes { heads, time, positions, .. } = self.sizes;
        let row = (batch * heads + head) * time + query;
        for (i, weights) in weights.chunks_mut(ROW).enumerate() {
            let (low, high) = sight.row(i);
            let first = ((row + i) * positions + key + low) as u32;
            let weights = &mut weights[low..high];
            compiled(
                level,
                #[inline(always)]
                || {
                    for (j, weight) in weights.iter_mut().enumerate() {
                        *weight *= mask.factor(first.wrapping_add(j as u32));
                    }
                },
            );
        }
    }

    /// Caps scores and adds what is added, for the keys that are seen; scores then come in powers of two.
    pub fn adjust(
        &self,
        level: Level,
        scores: &mut [f32],
        (batch, head): (usize, usize),
        (query, key): (usize, usize),
        sight: Sight,
    ) {
        if self.settings.soft_cap.is_none() && self.added.is_empty() {
            return;
        }
        for (i, scores) in scores.chunks_mut(ROW).enumerate() {
            let (low, high) = sight.row(i);
            let scores = &mut scores[low..high];
            if let Some(cap) = self.settings.soft_cap {
                compiled(
                    level,
                    #[inline(always)]
                    || capped(scores, cap * LOG2_E),
                );
            }
            for added in self.added {
                let row = &added.row(batch, head, query + i)[key + low..key + high];
                compiled(
                    level,
                    #[inline(always)]
                    || add(scores, row),
                );
            }
        }
    }
}

// cap tanh x
#[inline(always)]
fn capped(scores: &mut [f32], cap: f32) {
    for x in scores {
        *x = cap - 2. * cap / (1. + rows::exp(2. * *x));
    }
}

// a finite value stays finite: PyTorch's masks of the lowest number hide all keys equally
#[inline(always)]
fn add(scores: &mut [f32], added: &[f32]) {
    for (x, added) in scores.iter_mut().zip(added) {
        let y = added * LOG2_E;
        let y = if y == f32::NEG_INFINITY && *added != f32::NEG_INFINITY { f32::MIN } else { y };
        *x += y;
    }
}

/// A slice that tasks write parts of; no two the same.
pub struct Target<'a> {
    start: *mut f32,
    len: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: only `write` reads the pointer, and its contract keeps the threads apart.
#[allow(unsafe_code)]
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    pub fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), borrowed: PhantomData }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes values from a place on.
    ///
    /// # Safety
    /// No other thread writes the same place.
    #[allow(unsafe_code)]
    pub unsafe fn write(&self, start: usize, values: &[f32]) {
        assert!(start + values.len() <= self.len, "a result outside its slice");
        // SAFETY: the slice that this was made from is still borrowed, and the assertion keeps inside it.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.start.add(start), values.len()) }
    }
}
