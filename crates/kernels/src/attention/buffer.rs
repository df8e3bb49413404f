//! Buffers that a thread uses again and again, where registers are read from whole lines of the cache.

use std::array::from_fn;
use std::cell::Cell;
use std::mem::take;

/// Values in a line of the cache.
const LINE: usize = 16;

/// Larger buffers are given back to the allocator.
const KEPT: usize = 1 << 20;

thread_local! {
    static FREE: Cell<Vec<Vec<f32>>> = const { Cell::new(Vec::new()) };
}

/// Lends buffers of so many values, of any content, each beginning a line of the cache.
pub fn with<const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    let whole = lens.map(|len| len.next_multiple_of(LINE));
    let total = whole.iter().sum();
    // taken out while in use, for whoever else comes on this thread
    let mut free = FREE.take();
    let mut buffer = free.pop().unwrap_or_default();
    FREE.set(free);
    if buffer.len() < total + LINE {
        buffer = vec![0f32; total + LINE];
    }
    let mut rest = aligned(&mut buffer, total);
    let parts = from_fn(|i| {
        let (part, others) = take(&mut rest).split_at_mut(whole[i]);
        rest = others;
        &mut part[..lens[i]]
    });
    let result = f(parts);
    if buffer.len() <= KEPT {
        let mut free = FREE.take();
        free.push(buffer);
        FREE.set(free);
    }
    result
}

/// A buffer of zeros, for [`aligned`].
pub fn zeros(len: usize) -> Vec<f32> {
    vec![0f32; len + LINE]
}

/// So many values of a longer slice, beginning a line of the cache.
pub fn aligned(values: &mut [f32], len: usize) -> &mut [f32] {
    let start = values.as_ptr().align_offset(4 * LINE).min(values.len() - len);
    &mut values[start..start + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_lines_and_are_apart() {
        for _ in 0..3 {
            with([5, 0, 33], |[a, b, c]| {
                assert_eq!((a.len(), b.len(), c.len()), (5, 0, 33));
                assert!([a.as_ptr(), c.as_ptr()].iter().all(|start| start.align_offset(64) == 0));
                with([7], |[inner]| inner.fill(1.));
                a.fill(2.);
                c.fill(3.);
                assert!(a.iter().all(|x| *x == 2.));
            });
        }
    }
}
