//! The inverse of a large symmetric matrix, in its own place, by Cholesky's factors in blocks: nearly all of the work is
//! products of matrices, which `kernels` does on all cores.

use candle_core::{Device, Result, Tensor};
use kernels::linear::linear;

/// Rows of a block.
const BLOCK: usize = 256;
/// Rows of a product: what limits its copies.
const PANEL: usize = 2048;

/// Makes a positive definite matrix of `size` rows its inverse; its lower half is read. False, and the matrix spoilt, where it is
/// not positive definite.
///
/// With `A = L L'` and `U` the transposed inverse of L, the inverse is `U U'`. L takes the lower half, U then the upper one,
/// and each row of blocks of `U U'`, which those below have no need of, the place of U's.
///
/// # Errors
/// Those of the products.
pub fn invert(matrix: &mut [f32], size: usize) -> Result<bool> {
    let blocks: Vec<(usize, usize)> =
        (0..size).step_by(BLOCK).map(|first| (first, BLOCK.min(size - first))).collect();
    let panels =
        |first: usize, end: usize| (first..end).step_by(PANEL).map(move |row| (row, PANEL.min(end - row)));
    let mut corners = Vec::new();
    for &(first, rows) in &blocks {
        let Some(corner) = factor(matrix, size, first, rows) else { return Ok(false) };
        let below = first + rows;
        let corner = Tensor::from_vec(corner, (rows, rows), &Device::Cpu)?;
        if below < size {
            // the panel below becomes L's, and what it explains is taken away from the rest, row block by row block
            let panel = linear(&part(matrix, size, (below, size - below), (first, rows))?, &corner, None)?;
            put(matrix, size, below, first, &panel, |_, new| new)?;
            for &(other, count) in blocks.iter().filter(|(other, _)| *other >= below) {
                let own = panel.narrow(0, other - below, count)?.contiguous()?;
                let before = panel.narrow(0, 0, other - below + count)?.contiguous()?;
                put(matrix, size, other, below, &linear(&own, &before, None)?, |old, new| old - new)?;
            }
        }
        corners.push(corner);
    }
    for (&(first, rows), corner) in blocks.iter().zip(&corners) {
        // zeros to the left of U's diagonal count for nothing
        for (row, count) in panels(0, first) {
            let width = first - row;
            let above = upper(matrix, size, (row, count), (row, width))?;
            let own = part(matrix, size, (first, rows), (row, width))?;
            let column = linear(&linear(&above, &own, None)?, corner, None)?;
            put(matrix, size, row, first, &column, |_, new| -new)?;
        }
        put(matrix, size, first, first, &corner.t()?.contiguous()?, |_, new| new)?;
    }
    for &(first, rows) in &blocks {
        let own = upper(matrix, size, (first, rows), (first, size - first))?;
        for (row, count) in panels(first, size) {
            let width = size - row;
            let others = upper(matrix, size, (row, count), (row, width))?;
            let own = own.narrow(1, row - first, width)?.contiguous()?;
            put(matrix, size, first, row, &linear(&own, &others, None)?, |_, new| new)?;
        }
    }
    for row in 1..size {
        let (above, own) = matrix.split_at_mut(row * size);
        (0..row).for_each(|column| own[column] = above[column * size + row]);
    }
    Ok(true)
}

/// Factors the block on the diagonal in place, and gives the inverse of its factor; nothing where it is not positive definite.
pub fn factor(matrix: &mut [f32], size: usize, first: usize, rows: usize) -> Option<Vec<f32>> {
    let mut lower = vec![0f64; rows * rows];
    for i in 0..rows {
        for j in 0..=i {
            let own: f64 = (0..j).map(|k| lower[i * rows + k] * lower[j * rows + k]).sum();
            let left = f64::from(matrix[(first + i) * size + first + j]) - own;
            if i == j && (left <= 0. || !left.is_finite()) {
                return None;
            }
            lower[i * rows + j] = if i == j { left.sqrt() } else { left / lower[j * rows + j] };
            matrix[(first + i) * size + first + j] = lower[i * rows + j] as f32;
        }
    }
    let mut inverse = vec![0f64; rows * rows];
    for j in 0..rows {
        inverse[j * rows + j] = 1. / lower[j * rows + j];
        for i in j + 1..rows {
            let sum: f64 = (j..i).map(|k| lower[i * rows + k] * inverse[k * rows + j]).sum();
            inverse[i * rows + j] = -sum / lower[i * rows + i];
        }
    }
    Some(inverse.into_iter().map(|x| x as f32).collect())
}

/// As [`part`], of a matrix that is zero below its diagonal, whatever else stands there.
fn upper(matrix: &[f32], size: usize, rows: (usize, usize), columns: (usize, usize)) -> Result<Tensor> {
    cut(matrix, size, rows, columns, |row, values| {
        values[..row.saturating_sub(columns.0).min(columns.1)].fill(0.);
    })
}

/// So many rows and columns from some on, as a tensor.
fn part(matrix: &[f32], size: usize, rows: (usize, usize), columns: (usize, usize)) -> Result<Tensor> {
    cut(matrix, size, rows, columns, |_, _| {})
}

fn cut(
    matrix: &[f32],
    size: usize,
    rows: (usize, usize),
    columns: (usize, usize),
    change: impl Fn(usize, &mut [f32]),
) -> Result<Tensor> {
    let mut values = Vec::with_capacity(rows.1 * columns.1);
    for row in rows.0..rows.0 + rows.1 {
        values.extend_from_slice(&matrix[row * size + columns.0..][..columns.1]);
        let begin = values.len() - columns.1;
        change(row, &mut values[begin..]);
    }
    Tensor::from_vec(values, (rows.1, columns.1), &Device::Cpu)
}

/// Puts a tensor's values at a row and a column, each together with what stood there.
fn put(
    matrix: &mut [f32],
    size: usize,
    row: usize,
    column: usize,
    values: &Tensor,
    join: impl Fn(f32, f32) -> f32,
) -> Result<()> {
    let (_, width) = values.dims2()?;
    let values = values.flatten_all()?.to_vec1::<f32>()?;
    for (place, new) in values.chunks_exact(width).enumerate() {
        let old = &mut matrix[(row + place) * size + column..][..width];
        old.iter_mut().zip(new).for_each(|(old, new)| *old = join(*old, *new));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use training::Rng;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        for size in [1, 2, 255, 256, 257, 700, 2500] {
            let mut rng = Rng::new(1);
            let rows: Vec<f32> = (0..size * 40).map(|_| rng.normal() as f32).collect();
            let rows = Tensor::from_vec(rows, (size, 40), &Device::Cpu).unwrap();
            let mut matrix =
                linear(&rows, &rows, None).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (0..size).for_each(|i| matrix[i * size + i] += 20.);
            let mut found = matrix.clone();
            // the upper half is not read
            (0..size).for_each(|i| found[i * size + i + 1..(i + 1) * size].fill(7.));
            assert!(invert(&mut found, size).unwrap());
            for i in (0..size).step_by(size.div_ceil(50)) {
                for j in (0..size).step_by(size.div_ceil(50)) {
                    let product =
                        (0..size).map(|k| f64::from(matrix[i * size + k]) * f64::from(found[k * size + j]));
                    let expected = if i == j { 1. } else { 0. };
                    assert!((product.sum::<f64>() - expected).abs() < 1e-3, "{size}: {i} {j}");
                }
            }
        }
        assert!(!invert(&mut [1., 0., 2., 1.], 2).unwrap());
    }
}
