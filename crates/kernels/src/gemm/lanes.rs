//! Lanes of 32 bits in the order in which tiles read them, and buffers for them.
//!
//! A lane holds a f32, a pair of bf16 or four bytes; to move it about is the same work.

use std::cell::Cell;

use crate::level::Level;

/// Lanes in a slice: (line, depth) lies at `line * stride.0 + depth * stride.1`. A line is a row of the left matrix
/// or a column of the right one; depth is what a product sums over.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The lanes.
    pub values: &'a [u32],
    /// Distance between lines, and along the depth.
    pub stride: (usize, usize),
    /// Whether the slice holds f32, of which two along the depth make a lane, rounded to bf16. Depth counts lanes.
    pub rounds: bool,
}

impl<'a> View<'a> {
    /// Lanes as they are.
    pub fn new(values: &'a [u32], stride: (usize, usize)) -> Self {
        View { values, stride, rounds: false }
    }

    /// The same lanes without those before a place.
    pub fn from(self, line: usize, depth: usize) -> Self {
        let skipped = line * self.stride.0 + depth * self.per_lane() * self.stride.1;
        View { values: self.values.get(skipped..).unwrap_or_default(), ..self }
    }

    /// Values of the slice in a lane.
    fn per_lane(self) -> usize {
        if self.rounds { 2 } else { 1 }
    }
}

/// Two values as a lane of bf16.
#[inline(always)]
pub(crate) fn pair(first: f32, second: f32) -> u32 {
    rounded(first) | rounded(second) << 16
}

/// The bits of the nearest bf16, to even where two are near; a NaN stays one.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { nearest }
}

/// The bits of f32 values.
#[allow(unsafe_code)]
pub(crate) fn bits(values: &[f32]) -> &[u32] {
    // SAFETY: both types have four bytes, the same alignment, and no value that is not allowed.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// A panel: its first line, its lines, its width.
pub(crate) type Panel = (usize, usize, usize);

/// Interleaves panels that follow one another in `out`. Lanes that lie along the lines are read some steps of the
/// depth at a time for all panels, since a panel alone would touch a little of a page after the other.
pub(crate) fn interleave_all(
    level: Level,
    view: View,
    depth: usize,
    panels: impl Iterator<Item = Panel> + Clone,
    out: &mut [u32],
) {
    let strip = if view.stride.0 == 1 { 16 } else { depth.max(1) };
    for start in (0..depth).step_by(strip) {
        let count = strip.min(depth - start);
        let mut place = 0;
        for (line, lines, width) in panels.clone() {
            let out = &mut out[place + start * width..];
            interleave(level, view.from(line, start), lines, count, width, out);
            place += width * depth;
        }
    }
}

/// Writes the first `lines` lines, `depth` deep, to `out[depth * width + line]`; the lines after them are zeros.
pub(crate) fn interleave(
    level: Level,
    view: View,
    lines: usize,
    depth: usize,
    width: usize,
    out: &mut [u32],
) {
    let out = &mut out[..depth * width];
    if lines < width {
        out.fill(0);
    }
    if depth == 0 || lines == 0 {
        return;
    }
    let last = (lines - 1) * view.stride.0 + (depth * view.per_lane() - 1) * view.stride.1;
    assert!(last < view.values.len() && lines <= width, "lanes beyond their slice");
    if view.rounds {
        return interleave_rounded(level, view, lines, depth, width, out);
    }
    #[cfg(target_arch = "x86_64")]
    if level > Level::Portable && lines >= 4 {
        // SAFETY: the assertion above, for any stride; the level is present; `out` is cut to size.
        #[allow(unsafe_code)]
        unsafe {
            match view.stride {
                (1, _) => return super::lanes_x86::copy(view, lines, depth, out, width),
                (_, 1) => return super::lanes_x86::turn(view, lines, depth, out, width),
                _ => {}
            }
        }
    }
    let _ = level;
    match (lines, view.stride) {
        (_, (1, step)) => {
            for (d, out) in out.chunks_exact_mut(width).enumerate() {
                out[..lines].copy_from_slice(&view.values[d * step..][..lines]);
            }
        }
        (4.., (_, 1)) => turn(view, lines, depth, out, width),
        (_, (down, along)) => {
            for (d, out) in out.chunks_exact_mut(width).enumerate() {
                for (line, out) in out[..lines].iter_mut().enumerate() {
                    *out = view.values[line * down + d * along];
                }
            }
        }
    }
}

/// [`interleave`] for values that are rounded on the way, after its checks.
fn interleave_rounded(level: Level, view: View, lines: usize, depth: usize, width: usize, out: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512Products {
        // SAFETY: the caller's assertion, for any stride; the level is present; `out` is cut to size.
        #[allow(unsafe_code)]
        unsafe {
            match view.stride {
                (1, _) => return super::lanes_x86::copy_rounded(view, lines, depth, out, width),
                (_, 1) => return super::lanes_x86::turn_rounded(view, lines, depth, out, width),
                _ => {}
            }
        }
    }
    let _ = level;
    let (down, along) = view.stride;
    for (d, out) in out.chunks_exact_mut(width).enumerate() {
        for (line, out) in out[..lines].iter_mut().enumerate() {
            let value = |step: usize| f32::from_bits(view.values[line * down + (2 * d + step) * along]);
            *out = pair(value(0), value(1));
        }
    }
}

/// Lanes that are turned at a time, so that what is written stays in the first cache.
const STRIP: usize = 4096;

fn turn(view: View, lines: usize, depth: usize, out: &mut [u32], width: usize) {
    let deep = (STRIP / width).next_multiple_of(16);
    for (strip, out) in out.chunks_mut(deep * width).enumerate() {
        let start = strip * deep;
        let count = deep.min(depth - start);
        for four in 0..lines.div_ceil(4) {
            let at = (four * 4).min(lines - 4);
            let rows = [0, 1, 2, 3].map(|i| &view.values[(at + i) * view.stride.0 + start..][..count]);
            turn_four(rows, at, out, width);
        }
    }
}

#[inline]
fn turn_four(rows: [&[u32]; 4], at: usize, out: &mut [u32], width: usize) {
    let ([a, b, c, d], rests) =
        (rows.map(|row| row.as_chunks::<4>().0), rows.map(|row| row.as_chunks::<4>().1));
    let whole = a.len() * 4 * width;
    for ((((out, a), b), c), d) in out.chunks_exact_mut(4 * width).zip(a).zip(b).zip(c).zip(d) {
        for j in 0..4 {
            out[j * width + at..][..4].copy_from_slice(&[a[j], b[j], c[j], d[j]]);
        }
    }
    for (j, out) in out[whole..].chunks_exact_mut(width).enumerate() {
        for i in 0..4 {
            out[at + i] = rests[i][j];
        }
    }
}

/// Buffers above this size are given back to the allocator.
const KEPT: usize = 1 << 21;

thread_local! {
    static FREE: Cell<Vec<Vec<u32>>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer of so many lanes of any content, at a multiple of 64 bytes. Those of a thread are used again.
pub(crate) fn with_buffer<R>(lanes: usize, f: impl FnOnce(&mut [u32]) -> R) -> R {
    // taken out while in use, since a thread that waits inside `f` may begin another product
    let mut free = FREE.take();
    let place = free.iter().position(|buffer| buffer.len() >= lanes + ALIGNMENT);
    let mut buffer = match place {
        Some(place) => free.swap_remove(place),
        None => free.pop().unwrap_or_default(),
    };
    FREE.set(free);
    if buffer.len() < lanes + ALIGNMENT {
        buffer = vec![0; lanes + ALIGNMENT];
    }
    let skipped = aligned(&buffer);
    let result = f(&mut buffer[skipped..skipped + lanes]);
    if buffer.len() <= KEPT {
        let mut free = FREE.take();
        free.push(buffer);
        FREE.set(free);
    }
    result
}

/// Lanes in a line of the cache.
pub(crate) const ALIGNMENT: usize = 16;

/// The place of the first lane at a multiple of 64 bytes.
pub(crate) fn aligned(lanes: &[u32]) -> usize {
    lanes.as_ptr().align_offset(64).min(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;

    #[test]
    fn interleaved_lanes_lie_by_depth() {
        for (level, lines) in levels().flat_map(|level| {
            [0usize, 1, 2, 3, 4, 5, 7, 11, 12, 15, 16, 17, 31, 32].map(|lines| (level, lines))
        }) {
            for depth in [0usize, 1, 2, 5, 63, 64, 67, 130] {
                for stride in [(1, lines), (1, lines + 3), (depth, 1), (depth + 2, 1), (2, 2 * lines), (1, 0)]
                {
                    let last = lines.saturating_sub(1) * stride.0 + depth.saturating_sub(1) * stride.1;
                    let values: Vec<u32> = (0..=last as u32).collect();
                    for width in [lines, 32] {
                        let mut out = vec![7; depth * width + 3];
                        interleave(level, View::new(&values, stride), lines, depth, width, &mut out);
                        for (i, &found) in out[..depth * width].iter().enumerate() {
                            let (d, line) = (i / width, i % width);
                            let expected = if line < lines { line * stride.0 + d * stride.1 } else { 0 };
                            assert_eq!(found, expected as u32, "{lines} {depth} {stride:?} {width}");
                        }
                        assert_eq!(out[depth * width..], [7; 3]);
                    }
                }
            }
        }
    }

    #[test]
    fn values_are_rounded_to_pairs_on_the_way() {
        let sizes = [1usize, 3, 4, 7, 12, 16, 17, 31, 32];
        for (level, lines) in levels().flat_map(|level| sizes.map(|lines| (level, lines))) {
            for depth in [0usize, 1, 2, 15, 16, 17, 64, 131] {
                for stride in [(1, lines), (1, lines + 3), (2 * depth, 1), (2 * depth + 3, 1), (3, 3 * lines)]
                {
                    let last = (lines - 1) * stride.0 + (2 * depth).saturating_sub(1) * stride.1;
                    let value = |place: usize| match place % 97 {
                        96 => f32::INFINITY,
                        small => (place as f32 - 300.) * 1.003 / (small + 1) as f32,
                    };
                    let values: Vec<u32> = (0..=last).map(|place| value(place).to_bits()).collect();
                    for width in [lines, 32] {
                        let mut out = vec![7; depth * width + 3];
                        let view = View { rounds: true, ..View::new(&values, stride) };
                        interleave(level, view, lines, depth, width, &mut out);
                        for (i, &found) in out[..depth * width].iter().enumerate() {
                            let (d, line) = (i / width, i % width);
                            let bits = |step: usize| {
                                let place = line * stride.0 + (2 * d + step) * stride.1;
                                half::bf16::from_f32(value(place)).to_bits() as u32
                            };
                            let expected = if line < lines { bits(0) | bits(1) << 16 } else { 0 };
                            assert_eq!(
                                found, expected,
                                "{level:?} {lines} {depth} {stride:?} {width} at {i}"
                            );
                        }
                        assert_eq!(out[depth * width..], [7; 3]);
                    }
                }
            }
        }
    }

    #[test]
    fn buffers_are_lent_inside_one_another() {
        with_buffer(10, |a| {
            a.fill(1);
            with_buffer(10, |b| b.fill(2));
            assert!(a.iter().all(|&x| x == 1) && a.as_ptr().align_offset(64) == 0);
        });
    }
}
