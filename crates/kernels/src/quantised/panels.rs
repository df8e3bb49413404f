//! Weights in panels of sixteen outputs, in the order of their use.
//!
//! A panel is a row of stretches, each of 32, 64 or 256 inputs. In a stretch, for each 32 inputs, come planes of 64
//! bytes, in which output `j` has the bytes from `4 j` on. A plane has the numbers of four inputs in its bytes, or in
//! halves or quarters of them those of several fours; the third or fifth bits, and the fifth and sixth ones, have
//! planes of their own. Then come the scales and minima of the stretch, sixteen of each kind side by side. Nothing is
//! rounded, so the values are those of the file, to the bit.

use candle_core::{Error, Result};
use half::f16;
use memmap2::MmapMut;
use rayon::prelude::*;

use super::kind::{BLOCK, Fields, Kind, QUAD};

/// Outputs in a panel.
pub(super) const WIDTH: usize = 16;

/// Bytes of a plane, which is a line of the cache.
pub(super) const PLANE: usize = WIDTH * QUAD;

/// A packed weight.
pub(super) struct Panels {
    pub kind: Kind,
    pub inputs: usize,
    pub outputs: usize,
    /// Taken from the bytes of numbers with a sign.
    pub offset: i32,
    bytes: MmapMut,
}

/// Where things lie in a stretch.
#[derive(Clone, Copy)]
struct Places {
    kind: Kind,
    /// Bits of a number, and how many of them lie in the first planes.
    bits: usize,
    low: usize,
    /// How many times 32 inputs.
    span: usize,
    /// Where the scales begin.
    scales: usize,
    /// Bytes in all.
    step: usize,
}

impl Kind {
    /// How many times 32 inputs are in a stretch: such that it ends with a line of the cache.
    fn span(self) -> usize {
        match (self.shares(), self.has_minimum()) {
            (true, _) => 8,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    fn places(self) -> Places {
        let (bits, span) = (self.bits(), self.span());
        let scales = span * bits * PLANE;
        let halves = if self.shares() { 1 } else { span };
        let small = if self.shares() { self.parts() } else { 0 };
        let sets = 1 + self.has_minimum() as usize;
        let step = (scales + (2 * halves + small) * sets * WIDTH).next_multiple_of(PLANE);
        Places { kind: self, bits, low: if bits < 4 { 2 } else { bits & !3 }, span, scales, step }
    }

    /// Groups of a block.
    fn parts(self) -> usize {
        self.block() / BLOCK * self.groups()
    }
}

impl Panels {
    /// Packs rows of blocks; `offset` is what numbers with a sign are to be raised by, that of the kind or zero.
    pub fn new(bytes: &[u8], kind: Kind, outputs: usize, inputs: usize, offset: i32) -> Result<Self> {
        let size = outputs.div_ceil(WIDTH) * panel(kind, inputs);
        let mut packed = MmapMut::map_anon(size.max(1)).map_err(Error::wrap)?;
        // fewer pages are looked up; it is as well without
        #[cfg(target_os = "linux")]
        packed.advise(memmap2::Advice::HugePage).ok();
        let row = inputs / kind.block() * kind.bytes();
        let flip = if offset == kind.offset() { 0 } else { 0x8080_8080 };
        if row > 0 {
            let fill = |(panel, rows): (&mut [u8], &[u8])| {
                for (j, row) in rows.chunks(row).enumerate() {
                    for (i, block) in row.chunks(kind.bytes()).enumerate() {
                        let mut fields = kind.fields(block);
                        fields.quads.iter_mut().for_each(|quad| *quad ^= flip);
                        kind.places().put(panel, (i, j), &fields);
                    }
                }
            };
            packed.par_chunks_mut(panel(kind, inputs)).zip(bytes.par_chunks(WIDTH * row)).for_each(fill);
        }
        Ok(Self { kind, inputs, outputs, offset, bytes: packed })
    }

    /// How many panels there are.
    pub fn count(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// How many times 32 inputs a panel has; zeros fill up the last stretch.
    pub fn blocks(&self) -> usize {
        (self.inputs / BLOCK).next_multiple_of(self.kind.span())
    }

    /// The bytes of a panel from so many times 32 inputs on, whole stretches.
    pub fn panel(&self, number: usize, start: usize) -> &[u8] {
        let size = panel(self.kind, self.inputs);
        &self.bytes[number * size..][..size][start / self.kind.span() * self.kind.places().step..]
    }

    /// The values of an output's row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (kind, places) = (self.kind, self.kind.places());
        let panel = self.panel(row / WIDTH, 0);
        for (i, out) in out.chunks_mut(kind.block()).enumerate() {
            let fields = places.get(panel, (i, row % WIDTH));
            let (scale, minimum) = (f16::from_bits(fields.scale), f16::from_bits(fields.minimum));
            let (scale, minimum) = (scale.to_f32(), minimum.to_f32());
            for (g, out) in out.chunks_mut(kind.block() / kind.parts()).enumerate() {
                let scale = scale * fields.scales[g] as f32;
                let minimum = minimum * fields.minima[g] as f32;
                let quads = &fields.quads[g * out.len() / QUAD..];
                for (out, quad) in out.as_chunks_mut::<QUAD>().0.iter_mut().zip(quads) {
                    for (out, byte) in out.iter_mut().zip(quad.to_le_bytes()) {
                        let number = if self.offset == kind.offset() {
                            byte as i32 - self.offset
                        } else {
                            byte as i8 as i32
                        };
                        let value = scale * number as f32;
                        *out = if kind.has_minimum() { value - minimum } else { value };
                    }
                }
            }
        }
    }
}

/// Bytes of a panel.
fn panel(kind: Kind, inputs: usize) -> usize {
    let places = kind.places();
    (inputs / BLOCK).div_ceil(places.span) * places.step
}

/// The mask of the lowest bits of four bytes.
fn mask(bits: usize) -> u32 {
    (0xff >> (8 - bits)) as u32 * 0x0101_0101
}

impl Places {
    /// The plane of the low bits of a lane of numbers, and their place in its bytes.
    fn low(self, quad: usize) -> (usize, usize) {
        match self.low {
            2 => (quad / 4, 2 * (quad % 4)),
            4 => (quad % 4, quad / 4 * 4),
            _ => (quad, 0),
        }
    }

    /// The same of the high bits, if there are any.
    fn high(self, quad: usize) -> (usize, usize) {
        let high = self.bits - self.low;
        (self.low + quad * high / 8, quad * high % 8)
    }

    /// The byte where so many times 32 inputs begin.
    fn planes(self, part: usize) -> usize {
        part / self.span * self.step + part % self.span * self.bits * PLANE
    }

    /// The bytes where the scale and the minimum of a block begin, and those of its groups.
    fn halves(self, block: usize, j: usize) -> [usize; 4] {
        let parts = self.kind.block() / BLOCK;
        let (stretch, inside) = (block * parts / self.span, block * parts % self.span);
        let sets = 1 + self.kind.has_minimum() as usize;
        let start = stretch * self.step + self.scales;
        let scale = start + 2 * inside * sets * WIDTH + 2 * j;
        let small = start + 2 * sets * WIDTH + j;
        [scale, scale + 2 * WIDTH, small, small + self.kind.parts() * WIDTH]
    }

    /// Puts block `i` of output `j` into its panel.
    fn put(self, panel: &mut [u8], (i, j): (usize, usize), fields: &Fields) {
        let (kind, high) = (self.kind, self.bits - self.low);
        let parts = kind.block() / BLOCK;
        for (part, quads) in fields.quads[..kind.block() / QUAD].chunks(BLOCK / QUAD).enumerate() {
            let planes = &mut panel[self.planes(i * parts + part)..][..self.bits * PLANE];
            let mut lanes = [0u32; 8];
            for (n, quad) in quads.iter().enumerate() {
                let (plane, shift) = self.low(n);
                lanes[plane] |= (quad & mask(self.low)) << shift;
                if high > 0 {
                    let (plane, shift) = self.high(n);
                    lanes[plane] |= (quad >> self.low & mask(high)) << shift;
                }
            }
            for (plane, lane) in planes.chunks_mut(PLANE).zip(lanes) {
                plane[j * QUAD..][..QUAD].copy_from_slice(&lane.to_le_bytes());
            }
        }
        let [scale, minimum, small, small_minima] = self.halves(i, j);
        panel[scale..][..2].copy_from_slice(&fields.scale.to_le_bytes());
        if kind.has_minimum() {
            panel[minimum..][..2].copy_from_slice(&fields.minimum.to_le_bytes());
        }
        for g in 0..if kind.shares() { kind.parts() } else { 0 } {
            panel[small + g * WIDTH] = fields.scales[g] as u8;
            if kind.has_minimum() {
                panel[small_minima + g * WIDTH] = fields.minima[g] as u8;
            }
        }
    }

    /// Takes block `i` of output `j` out of its panel.
    fn get(self, panel: &[u8], (i, j): (usize, usize)) -> Fields {
        let (kind, high) = (self.kind, self.bits - self.low);
        let mut fields = Fields { quads: [0; 64], scales: [1; 16], minima: [1; 16], scale: 0, minimum: 0 };
        let parts = kind.block() / BLOCK;
        for (part, quads) in fields.quads[..kind.block() / QUAD].chunks_mut(BLOCK / QUAD).enumerate() {
            let planes = &panel[self.planes(i * parts + part)..][..self.bits * PLANE];
            let mut lanes = [0u32; 8];
            for (plane, lane) in planes.chunks(PLANE).zip(&mut lanes) {
                let at = j * QUAD;
                *lane = u32::from_le_bytes([plane[at], plane[at + 1], plane[at + 2], plane[at + 3]]);
            }
            for (n, quad) in quads.iter_mut().enumerate() {
                let (plane, shift) = self.low(n);
                *quad = lanes[plane] >> shift & mask(self.low);
                if high > 0 {
                    let (plane, shift) = self.high(n);
                    *quad |= (lanes[plane] >> shift & mask(high)) << self.low;
                }
            }
        }
        let half = |at: usize| u16::from_le_bytes([panel[at], panel[at + 1]]);
        let [scale, minimum, small, small_minima] = self.halves(i, j);
        fields.scale = half(scale);
        fields.minimum = if kind.has_minimum() { half(minimum) } else { 0 };
        for g in 0..if kind.shares() { kind.parts() } else { 0 } {
            fields.scales[g] = panel[small + g * WIDTH] as i8;
            if kind.has_minimum() {
                fields.minima[g] = panel[small_minima + g * WIDTH] as i8;
            }
        }
        fields
    }
}
