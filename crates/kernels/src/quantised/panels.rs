//! Weights in panels of sixteen outputs, in the order of their use.
//!
//! First come the numbers of a panel: for each 32 inputs, planes of 64 bytes, in which output `j` has the bytes from
//! `4 j` on. A plane has the numbers of four inputs in its bytes, or in halves or quarters of them those of several
//! fours; the fifth bits, and the fifth and sixth ones, have planes of their own. Then come the scales and minima,
//! sixteen of each kind side by side. Nothing is rounded, so the values are those of the file, to the bit.

use half::f16;
use rayon::prelude::*;

use super::kind::{BLOCK, Fields, Kind, QUAD};

/// Outputs in a panel.
pub(super) const WIDTH: usize = 16;

/// Bytes of a plane.
pub(super) const PLANE: usize = WIDTH * QUAD;

/// A line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A packed weight.
pub(super) struct Panels {
    pub kind: Kind,
    pub inputs: usize,
    pub outputs: usize,
    /// Taken from the bytes of numbers with a sign.
    pub offset: i32,
    lines: Vec<Line>,
}

/// Where things lie in a panel.
#[derive(Clone, Copy)]
struct Places {
    /// Bits of a number, and how many of them lie in the first planes.
    bits: usize,
    low: usize,
    /// The byte where the scales begin, and bytes of those of a block.
    scales: usize,
    step: usize,
    /// Bytes of a panel.
    size: usize,
}

impl Places {
    fn new(kind: Kind, inputs: usize) -> Self {
        let bits = kind.bits();
        let low = if bits < 4 { 2 } else { bits & !3 };
        let scales = inputs / BLOCK * bits * BLOCK / 8 * WIDTH;
        let small = if kind.shares() { groups(kind) * WIDTH } else { 0 };
        let step = (2 * WIDTH + small) * (1 + kind.has_minimum() as usize);
        let size = (scales + inputs / kind.block() * step).next_multiple_of(size_of::<Line>());
        Self { bits, low, scales, step, size }
    }
}

/// Groups of a block.
fn groups(kind: Kind) -> usize {
    kind.block() / BLOCK * kind.groups()
}

impl Panels {
    /// Packs rows of blocks; `offset` is what numbers with a sign are to be raised by, that of the kind or zero.
    pub fn new(bytes: &[u8], kind: Kind, outputs: usize, inputs: usize, offset: i32) -> Self {
        let places = Places::new(kind, inputs);
        let lines = places.size / size_of::<Line>();
        let mut packed = vec![Line([0; 64]); lines * outputs.div_ceil(WIDTH)];
        let row = inputs / kind.block() * kind.bytes();
        let flip = if offset == kind.offset() { 0 } else { 0x8080_8080 };
        if lines > 0 {
            let fill = |(panel, rows): (&mut [Line], &[u8])| {
                let panel = panel.as_flattened_bytes();
                for (j, row) in rows.chunks(row).enumerate() {
                    for (i, block) in row.chunks(kind.bytes()).enumerate() {
                        let mut fields = kind.fields(block);
                        fields.quads.iter_mut().for_each(|quad| *quad ^= flip);
                        put(kind, places, panel, (i, j), &fields);
                    }
                }
            };
            packed.par_chunks_mut(lines).zip(bytes.par_chunks(WIDTH * row)).for_each(fill);
        }
        Self { kind, inputs, outputs, offset, lines: packed }
    }

    /// Sixteen outputs.
    pub fn count(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// The bytes of a panel, and where in it the scales begin.
    pub fn panel(&self, panel: usize) -> (&[u8], usize) {
        let places = Places::new(self.kind, self.inputs);
        let lines = places.size / size_of::<Line>();
        (self.lines[panel * lines..][..lines].as_bytes(), places.scales)
    }

    /// Bytes of the numbers of 32 inputs, and of the scales of a block.
    pub fn steps(&self) -> (usize, usize) {
        let places = Places::new(self.kind, self.inputs);
        (places.bits * PLANE, places.step)
    }

    /// The values of an output's row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (kind, places) = (self.kind, Places::new(self.kind, self.inputs));
        let (panel, _) = self.panel(row / WIDTH);
        for (i, out) in out.chunks_mut(kind.block()).enumerate() {
            let fields = get(kind, places, panel, (i, row % WIDTH));
            let (scale, minimum) = (f16::from_bits(fields.scale), f16::from_bits(fields.minimum));
            let (scale, minimum) = (scale.to_f32(), minimum.to_f32());
            let groups = groups(kind);
            for (g, out) in out.chunks_mut(kind.block() / groups).enumerate() {
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

/// Lines as bytes.
trait Bytes {
    fn as_bytes(&self) -> &[u8];
    fn as_flattened_bytes(&mut self) -> &mut [u8];
}

impl Bytes for [Line] {
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: a line is an array of bytes, without padding since its alignment is its size.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().cast(), size_of_val(self))
        }
    }

    fn as_flattened_bytes(&mut self) -> &mut [u8] {
        // SAFETY: the same, and any bytes are a line.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), size_of_val(self))
        }
    }
}

/// The mask of the lowest bits of four bytes.
fn mask(bits: usize) -> u32 {
    (0xff >> (8 - bits)) as u32 * 0x0101_0101
}

/// For each number of a lane: its plane and place there of the low bits, and of the high bits if there are any.
fn low_place(places: Places, quad: usize) -> (usize, usize) {
    match places.low {
        2 => (quad / 4, 2 * (quad % 4)),
        4 => (quad % 4, quad / 4 * 4),
        _ => (quad, 0),
    }
}

fn high_place(places: Places, quad: usize) -> (usize, usize) {
    let high = places.bits - places.low;
    (places.low + quad * high / 8, quad * high % 8)
}

/// Puts block `i` of output `j` into its panel.
fn put(kind: Kind, places: Places, panel: &mut [u8], (i, j): (usize, usize), fields: &Fields) {
    let (low, high) = (places.low, places.bits - places.low);
    let parts = kind.block() / BLOCK;
    for (part, quads) in fields.quads[..kind.block() / QUAD].chunks(BLOCK / QUAD).enumerate() {
        let planes = &mut panel[(i * parts + part) * places.bits * PLANE..][..places.bits * PLANE];
        let mut lanes = [0u32; 8];
        for (n, quad) in quads.iter().enumerate() {
            let (plane, shift) = low_place(places, n);
            lanes[plane] |= (quad & mask(low)) << shift;
            if high > 0 {
                let (plane, shift) = high_place(places, n);
                lanes[plane] |= (quad >> low & mask(high)) << shift;
            }
        }
        for (plane, lane) in planes.chunks_mut(PLANE).zip(lanes) {
            plane[j * QUAD..][..QUAD].copy_from_slice(&lane.to_le_bytes());
        }
    }
    let scales = &mut panel[places.scales + i * places.step..][..places.step];
    let minimum = kind.has_minimum();
    let (halves, small) = scales.split_at_mut(2 * WIDTH * (1 + minimum as usize));
    halves[2 * j..][..2].copy_from_slice(&fields.scale.to_le_bytes());
    if minimum {
        halves[2 * (WIDTH + j)..][..2].copy_from_slice(&fields.minimum.to_le_bytes());
    }
    let groups = small.len() / WIDTH / (1 + minimum as usize);
    for g in 0..groups {
        small[g * WIDTH + j] = fields.scales[g] as u8;
        if minimum {
            small[(groups + g) * WIDTH + j] = fields.minima[g] as u8;
        }
    }
}

/// Takes block `i` of output `j` out of its panel.
fn get(kind: Kind, places: Places, panel: &[u8], (i, j): (usize, usize)) -> Fields {
    let (low, high) = (places.low, places.bits - places.low);
    let mut fields = Fields { quads: [0; 64], scales: [1; 16], minima: [1; 16], scale: 0, minimum: 0 };
    let parts = kind.block() / BLOCK;
    for (part, quads) in fields.quads[..kind.block() / QUAD].chunks_mut(BLOCK / QUAD).enumerate() {
        let planes = &panel[(i * parts + part) * places.bits * PLANE..][..places.bits * PLANE];
        let mut lanes = [0u32; 8];
        for (plane, lane) in planes.chunks(PLANE).zip(&mut lanes) {
            let at = j * QUAD;
            *lane = u32::from_le_bytes([plane[at], plane[at + 1], plane[at + 2], plane[at + 3]]);
        }
        for (n, quad) in quads.iter_mut().enumerate() {
            let (plane, shift) = low_place(places, n);
            *quad = lanes[plane] >> shift & mask(low);
            if high > 0 {
                let (plane, shift) = high_place(places, n);
                *quad |= (lanes[plane] >> shift & mask(high)) << low;
            }
        }
    }
    let scales = &panel[places.scales + i * places.step..][..places.step];
    let minimum = kind.has_minimum();
    let (halves, small) = scales.split_at(2 * WIDTH * (1 + minimum as usize));
    let half = |at: usize| u16::from_le_bytes([halves[2 * at], halves[2 * at + 1]]);
    fields.scale = half(j);
    fields.minimum = if minimum { half(WIDTH + j) } else { 0 };
    let groups = small.len() / WIDTH / (1 + minimum as usize);
    for g in 0..groups {
        fields.scales[g] = small[g * WIDTH + j] as i8;
        if minimum {
            fields.minima[g] = small[(groups + g) * WIDTH + j] as i8;
        }
    }
    fields
}
