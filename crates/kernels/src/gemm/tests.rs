//! Products of matrices against f64.

use super::*;
use crate::level::levels;
use crate::testing::{near, normal};

/// The product in f64.
fn reference(a: Matrix, b: Matrix) -> Vec<f64> {
    let at = |matrix: Matrix, row: usize, column: usize| {
        matrix.values[row * matrix.stride.0 + column * matrix.stride.1] as f64
    };
    let ((m, k), n) = (a.size, b.size.1);
    (0..m * n).map(|i| (0..k).map(|d| at(a, i / n, d) * at(b, d, i % n)).sum()).collect()
}

/// The same matrix with other strides: rows first, columns first, rows with a gap, every second value.
fn layouts(values: &[f32], rows: usize, columns: usize) -> [(Vec<f32>, (usize, usize)); 4] {
    let place = |(down, right): (usize, usize)| {
        let mut out = vec![f32::NAN; rows * down + columns * right + 1];
        for (i, value) in values.iter().enumerate() {
            out[i / columns * down + i % columns * right] = *value;
        }
        (out, (down, right))
    };
    [(columns, 1), (1, rows), (columns + 3, 1), (2 * columns, 2)].map(place)
}

#[test]
fn products_equal_those_in_f64() {
    let sizes = [
        (1, 1, 1),
        (1, 40, 70),
        (2, 7, 33),
        (3, 5, 7),
        (4, 64, 17),
        (5, 100, 64),
        (7, 3, 100),
        (12, 31, 32),
        (13, 9, 96),
        (17, 50, 31),
        (1, 350, 131),
        (5, 260, 131),
        (6, 301, 110),
        (11, 203, 170),
        (65, 33, 130),
        (100, 300, 50),
        (0, 4, 3),
        (3, 4, 0),
        (4, 0, 5),
    ];
    for (m, k, n) in sizes {
        let (a, b, c) = (normal(m * k, 1), normal(k * n, 2), normal(m * (n + 5), 3));
        let (columns, rows) = (normal(n, 4), normal(m, 5));
        let exact = reference(Matrix::rows(&a, m, k), Matrix::rows(&b, k, n));
        for level in levels() {
            for (turn, (a, a_stride)) in layouts(&a, m, k).into_iter().enumerate() {
                for (b, b_stride) in layouts(&b, k, n).into_iter().skip(turn % 2).step_by(2) {
                    let a = Matrix { values: &a, size: (m, k), stride: a_stride };
                    let b = Matrix { values: &b, size: (k, n), stride: b_stride };
                    for (add, more) in [(false, false), (true, false), (false, true), (true, true)] {
                        let map = |row: usize, column: usize, values: &mut [f32]| {
                            for (i, value) in values.iter_mut().enumerate() {
                                *value += (row * n + column + i) as f32;
                            }
                        };
                        let all = Then { columns: Some(&columns), rows: Some(&rows), map: Some(&map) };
                        let then = if more { all } else { Then::default() };
                        let expected: Vec<f64> = (0..m * n)
                            .map(|i| {
                                let before = if add { c[i / n * (n + 5) + i % n] as f64 } else { 0. };
                                let after = columns[i % n] as f64 + rows[i / n] as f64 + i as f64;
                                exact[i] + before + if more { after } else { 0. }
                            })
                            .collect();
                        let what = format!("{level:?} {m} {k} {n} {a_stride:?} {b_stride:?} {add} {more}");
                        let check = |out: &[f32]| {
                            let found: Vec<f32> = (0..m * n).map(|i| out[i / n * (n + 5) + i % n]).collect();
                            near(&found, &expected, 1e-5, &what);
                            for (i, value) in out.iter().enumerate() {
                                assert!(i % (n + 5) < n || *value == c[i], "{what}: wrote beyond");
                            }
                        };
                        let mut out = c.clone();
                        product_at((level, Precision::F32), a, b, (&mut out, n + 5, add), Threads::One, then);
                        check(&out);
                        out.copy_from_slice(&c);
                        PackedB::at(level, b).product(a, &mut out, n + 5, add, Threads::One, then);
                        check(&out);
                    }
                }
            }
        }
    }
}

#[test]
fn large_products_are_the_same_on_any_threads() {
    // (rows, depth, columns): spread over rows, over columns, a depth of several parts
    for (m, k, n) in [(300, 500, 70), (70, 500, 300), (40, 9000, 50), (20, 5000, 700), (8, 300, 900)] {
        let (a, b) = (normal(m * k, 1), normal(k * n, 2));
        let (a, b) = (Matrix::rows(&a, m, k), Matrix::rows(&b, n, k).turned());
        let bias = normal(n, 3);
        let mut expected = reference(a, b);
        expected.iter_mut().enumerate().for_each(|(i, y)| *y += bias[i % n] as f64);
        for level in levels() {
            let run = |threads| {
                let mut out = vec![f32::NAN; m * n];
                product_at(
                    (level, Precision::F32),
                    a,
                    b,
                    (&mut out, n, false),
                    threads,
                    Then::bias(Some(&bias)),
                );
                out
            };
            let one = run(Threads::One);
            near(&one, &expected, 1e-5, &format!("{level:?} {m} {k} {n}"));
            assert!(one == run(Threads::All), "{level:?} {m} {k} {n}");
            let packed = PackedB::at(level, b);
            let both = [Threads::One, Threads::All].map(|threads| {
                let mut out = vec![f32::NAN; m * n];
                packed.product(a, &mut out, n, false, threads, Then::bias(Some(&bias)));
                out
            });
            near(&both[0], &expected, 1e-5, &format!("packed {level:?} {m} {k} {n}"));
            assert!(both[0] == both[1], "packed {level:?} {m} {k} {n}");
        }
    }
}

#[test]
fn rounded_factors_give_the_sums_of_their_products() {
    // (rows, depth, columns): small, odd, spread over rows or columns, a depth of several parts
    let sizes = [(41, 2, 33), (64, 31, 70), (50, 260, 131), (300, 500, 70), (70, 500, 300), (48, 9000, 50)];
    for (m, k, n) in sizes {
        let (a, b) = (normal(m * k, 1), normal(k * n, 2));
        let rounded = |xs: &[f32]| xs.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect::<Vec<_>>();
        let (a_rounded, b_rounded) = (rounded(&a), rounded(&b));
        let exact = |a, b| reference(Matrix::rows(a, m, k), Matrix::rows(b, k, n));
        let (in_f32, in_bf16) = (exact(&a, &b), exact(&a_rounded, &b_rounded));
        for level in levels() {
            let stays = level < Level::Avx512Products || k % 2 == 1;
            for (turn, (a, a_stride)) in layouts(&a, m, k).into_iter().enumerate() {
                for (b, b_stride) in layouts(&b, k, n).into_iter().skip(turn % 2).step_by(2) {
                    let a = Matrix { values: &a, size: (m, k), stride: a_stride };
                    let b = Matrix { values: &b, size: (k, n), stride: b_stride };
                    let what = format!("{level:?} {m} {k} {n} {a_stride:?} {b_stride:?}");
                    let run = |threads| {
                        let mut out = vec![f32::NAN; m * n];
                        let how = (level, Precision::Bf16);
                        product_at(how, a, b, (&mut out, n, false), threads, Then::default());
                        out
                    };
                    let one = run(Threads::One);
                    near(&one, if stays { &in_f32 } else { &in_bf16 }, 1e-5, &what);
                    near(&one, &in_f32, 1e-2, &what);
                    assert!(one == run(Threads::All), "{what}");
                }
            }
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_rows_and_columns() {
    let (m, k, n) = (14, 20, 40);
    let (mut a, mut b) = (normal(m * k, 1), normal(k * n, 2));
    (a[3 * k + 2], a[7 * k + 1], b[4 * n + 9]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    let (a, b) = (Matrix::rows(&a, m, k), Matrix::rows(&b, k, n));
    let expected = reference(a, b);
    for level in levels() {
        let mut out = vec![0.; m * n];
        product_at((level, Precision::F32), a, b, (&mut out, n, false), Threads::One, Then::default());
        near(&out, &expected, 1e-5, &format!("{level:?}"));
    }
}

#[test]
#[should_panic(expected = "larger than its slice")]
fn a_short_result_is_refused() {
    product(Matrix::rows(&[0.; 6], 2, 3), Matrix::rows(&[0.; 6], 3, 2), &mut [0.; 3], 2, false, Threads::One);
}
