//! Products of f32 matrices.

/// A matrix in a slice: value (row, column) lies at `row * stride.0 + column * stride.1`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Rows and columns.
    pub size: (usize, usize),
    /// Distance between rows, and between columns.
    pub stride: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows lie one after the other.
    pub fn rows(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix { values, size: (rows, columns), stride: (columns, 1) }
    }

    /// The same values with rows and columns exchanged.
    pub fn turned(self) -> Self {
        Matrix {
            values: self.values,
            size: (self.size.1, self.size.0),
            stride: (self.stride.1, self.stride.0),
        }
    }

    fn check(&self) {
        let ((rows, columns), (down, right)) = (self.size, self.stride);
        let last = rows.saturating_sub(1) * down + columns.saturating_sub(1) * right;
        assert!(rows * columns == 0 || last < self.values.len(), "a matrix larger than its slice");
    }
}

/// How a product is spread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// On the calling thread: the caller has spread the work.
    One,
    /// Over rayon's threads.
    All,
}

/// `out = a b`, or `out += a b` where `add`; `out` has rows of `out_stride` values, of which the first
/// `b.size.1` are written.
///
/// # Panics
/// Where sizes do not fit, or a slice is too short.
pub fn product(a: Matrix, b: Matrix, out: &mut [f32], out_stride: usize, add: bool, threads: Threads) {
    a.check();
    b.check();
    let ((m, k), n) = (a.size, b.size.1);
    assert!(b.size.0 == k && n <= out_stride, "matrices that do not fit");
    assert!(m * n == 0 || (m - 1) * out_stride + n <= out.len(), "a product larger than its slice");
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the assertions above hold every access of the product inside its slice, and `out` is borrowed alone.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            add,
            a.values.as_ptr(),
            a.stride.1 as isize,
            a.stride.0 as isize,
            b.values.as_ptr(),
            b.stride.1 as isize,
            b.stride.0 as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::normal;

    #[test]
    fn products_equal_those_in_f64() {
        for (m, k, n, add) in
            [(1, 1, 1, false), (3, 5, 7, true), (65, 33, 130, false), (0, 4, 3, true), (4, 0, 5, true)]
        {
            let (a, b, c) = (normal(m * k, 1), normal(k * n, 2), normal(m * n, 3));
            // the same b, laid out by columns
            let turned: Vec<f32> = (0..n * k).map(|i| b[(i % k) * n + i / k]).collect();
            for b_matrix in [Matrix::rows(&b, k, n), Matrix::rows(&turned, n, k).turned()] {
                for threads in [Threads::One, Threads::All] {
                    let mut out = c.clone();
                    product(Matrix::rows(&a, m, k), b_matrix, &mut out, n, add, threads);
                    for (place, found) in out.iter().enumerate() {
                        let terms = (0..k).map(|i| a[place / n * k + i] as f64 * b[i * n + place % n] as f64);
                        let expected = terms.sum::<f64>() + if add { c[place] as f64 } else { 0. };
                        assert!((*found as f64 - expected).abs() < 1e-5 * (k as f64).max(1.), "{m} {k} {n}");
                    }
                }
            }
        }
    }
}
