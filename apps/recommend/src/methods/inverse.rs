//! The inverse of a large symmetric matrix, by Cholesky's factors in blocks: nearly all of the work is products of matrices,
//! which `kernels` does on all cores.

use candle_core::{Device, Result, Tensor};
use kernels::linear::linear;

/// Rows of a block.
const BLOCK: usize = 256;

/// The inverse of a positive definite matrix of `size` rows, of which the lower half is read; nothing where it is not positive
/// definite.
///
/// With `A = L L'` and `U` the transposed inverse of L, the inverse is `U U'`.
///
/// # Errors
/// Those of the products.
pub fn inverse(matrix: &[f32], size: usize) -> Result<Option<Vec<f32>>> {
    let mut lower = matrix.to_vec();
    let blocks: Vec<(usize, usize)> =
        (0..size).step_by(BLOCK).map(|first| (first, BLOCK.min(size - first))).collect();
    let mut corners = Vec::new();
    for &(first, rows) in &blocks {
        let Some(corner) = factor(&mut lower, size, first, rows) else { return Ok(None) };
        let below = first + rows;
        let corner = Tensor::from_vec(corner, (rows, rows), &Device::Cpu)?;
        if below < size {
            // the panel below becomes L's, and what it explains is taken away from the rest, row block by row block
            let panel = linear(&part(&lower, size, (below, size - below), (first, rows))?, &corner, None)?;
            put(&mut lower, size, below, first, &panel, |_, new| new)?;
            for &(other, count) in blocks.iter().filter(|(other, _)| *other >= below) {
                let own = panel.narrow(0, other - below, count)?.contiguous()?;
                let before = panel.narrow(0, 0, other - below + count)?.contiguous()?;
                put(&mut lower, size, other, below, &linear(&own, &before, None)?, |old, new| old - new)?;
            }
        }
        corners.push(corner);
    }
    let mut upper = vec![0f32; size * size];
    for (&(first, rows), corner) in blocks.iter().zip(&corners) {
        put(&mut upper, size, first, first, &corner.t()?.contiguous()?, |_, new| new)?;
        if first > 0 {
            let (above, own) =
                (part(&upper, size, (0, first), (0, first))?, part(&lower, size, (first, rows), (0, first))?);
            let column = linear(&linear(&above, &own, None)?, corner, None)?;
            put(&mut upper, size, 0, first, &column, |_, new| -new)?;
        }
    }
    let mut found = lower;
    for &(first, rows) in &blocks {
        let rest = (first, size - first);
        let own = part(&upper, size, (first, rows), rest)?;
        // rows further down begin further right: their zeros count for nothing
        let all = part(&upper, size, (0, size), rest)?;
        put(&mut found, size, first, 0, &linear(&own, &all, None)?, |_, new| new)?;
    }
    Ok(Some(found))
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

/// So many rows and columns from some on, as a tensor.
fn part(matrix: &[f32], size: usize, rows: (usize, usize), columns: (usize, usize)) -> Result<Tensor> {
    let mut values = Vec::with_capacity(rows.1 * columns.1);
    for row in rows.0..rows.0 + rows.1 {
        values.extend_from_slice(&matrix[row * size + columns.0..][..columns.1]);
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
        for size in [1, 2, 255, 256, 257, 700] {
            let mut rng = Rng::new(1);
            let rows: Vec<f32> = (0..size * 40).map(|_| rng.normal() as f32).collect();
            let rows = Tensor::from_vec(rows, (size, 40), &Device::Cpu).unwrap();
            let mut matrix =
                linear(&rows, &rows, None).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (0..size).for_each(|i| matrix[i * size + i] += 20.);
            let found = inverse(&matrix, size).unwrap().unwrap();
            for i in (0..size).step_by(size.div_ceil(50)) {
                for j in (0..size).step_by(size.div_ceil(50)) {
                    let product =
                        (0..size).map(|k| f64::from(matrix[i * size + k]) * f64::from(found[k * size + j]));
                    let expected = if i == j { 1. } else { 0. };
                    assert!((product.sum::<f64>() - expected).abs() < 1e-3, "{size}: {i} {j}");
                }
            }
        }
        assert!(inverse(&[1., 0., 2., 1.], 2).unwrap().is_none());
    }
}
