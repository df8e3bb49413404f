//! Norms against f64 and against candle's operators.

use super::*;
use crate::level::levels;
use crate::testing::{close, compare, near, normal, random};
use candle_core::Var;

// rows of `size`, normalised in f64
fn normalised(xs: &[f32], size: usize, epsilon: f64) -> Vec<f64> {
    let row = |row: &[f32]| {
        let count = row.len() as f64;
        let mean = row.iter().map(|&x| x as f64).sum::<f64>() / count;
        let variance = row.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / count;
        row.iter().map(|&x| (x as f64 - mean) / (variance + epsilon).sqrt()).collect::<Vec<_>>()
    };
    xs.chunks(size.max(1)).flat_map(row).collect()
}

#[test]
fn rows_equal_a_reference_at_every_level_and_any_mean() {
    for (count, size) in [(0, 4), (1, 1), (3, 17), (70, 512), (2, 40_001)] {
        // with a first value far from the others, too
        for (mean, far) in [(0., 0.), (3., 0.), (1e4, 0.), (-1e6, 0.), (0., 1e4), (-1e4, 1e6)] {
            let mut xs: Vec<f32> = normal(count * size, 1).into_iter().map(|x| 5. * x + mean).collect();
            xs.iter_mut().step_by(size).for_each(|x| *x += far);
            let (weight, bias) = (normal(size, 2), normal(size, 3));
            let layer: Vec<f64> = normalised(&xs, size, 1e-5)
                .into_iter()
                .enumerate()
                .map(|(i, x)| x * weight[i % size] as f64 + bias[i % size] as f64)
                .collect();
            let rms = |row: &[f32]| {
                let squares = row.iter().map(|&x| (x as f64).powi(2)).sum::<f64>() / size as f64;
                let value = |(x, w): (&f32, &f32)| *x as f64 / (squares + 1e-5).sqrt() * *w as f64;
                row.iter().zip(&weight).map(value).collect::<Vec<_>>()
            };
            let rms: Vec<f64> = xs.chunks(size).flat_map(rms).collect();
            for level in levels() {
                let what = format!("{level:?} {count}x{size} mean {mean}");
                near(&layer::values(level, 1e-5, [&xs, &weight, &bias]), &layer, 1e-6, &what);
                near(&rms::values(level, 1e-5, [&xs, &weight]), &rms, 1e-6, &what);
            }
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_row() {
    for special in [f32::NAN, f32::INFINITY] {
        let (mut xs, ones, zeros) = (normal(3 * 40, 1), vec![1.; 40], vec![0.; 40]);
        xs[45] = special;
        for level in levels() {
            let ys = layer::values(level, 1e-5, [&xs, &ones, &zeros]);
            let nan: Vec<usize> = (0..120).filter(|&i| ys[i].is_nan()).collect();
            assert_eq!(nan, (40..80).collect::<Vec<_>>(), "{level:?}");
            let ys = rms::values(level, 1e-5, [&xs, &ones]);
            assert!(ys[45].is_nan() && ys[..40].iter().chain(&ys[80..]).all(|y| y.is_finite()), "{level:?}");
            let op = group::GroupNorm { groups: 1, epsilon: 1e-5, silu: false };
            let ys =
                group::values(level, group::Size::new(&[3, 4, 10], 1), &op, [&xs, &ones[..4], &zeros[..4]]);
            assert!(
                ys[40..80].iter().all(|y| y.is_nan()) && ys[..40].iter().all(|y| y.is_finite()),
                "{level:?}"
            );
        }
    }
}

#[test]
fn rows_and_their_gradients_equal_the_composites() -> Result<()> {
    for (count, size) in [(1, 3), (3, 17), (200, 256)] {
        let (xs, weight, bias) = (random((2, count, size), 1)?, random(size, 2)?, random(size, 3)?);
        for (weight, bias) in [(None, None), (Some(&weight), None), (Some(&weight), Some(&bias))] {
            let vars: Vec<&Var> = [Some(&xs), weight, bias].into_iter().flatten().collect();
            let (weight, bias) = (weight.map(|w| w.as_tensor()), bias.map(|b| b.as_tensor()));
            let plain = || layer::composite(&xs, weight, bias, 1e-5);
            compare(&vars, || layer_norm(&xs, weight, bias, 1e-5), plain)?;
        }
        compare(&[&xs, &weight], || rms_norm(&xs, &weight, 1e-5), || rms::composite(&xs, &weight, 1e-5))?;
        let turned = xs.transpose(0, 1)?;
        compare(&[&xs], || rms_norm(&turned, &weight, 1e-5), || rms::composite(&turned, &weight, 1e-5))?;
        let fixed = weight.detach();
        compare(&[&xs], || rms_norm(&xs, &fixed, 1e-5), || rms::composite(&xs, &fixed, 1e-5))?;
        compare(
            &[&xs],
            || layer_norm(&xs, Some(&fixed), None, 1e-5),
            || layer::composite(&xs, Some(&fixed), None, 1e-5),
        )?;
    }
    let (xs, weight) = (random((3, 0), 1)?, random(0, 1)?);
    assert_eq!(rms_norm(&xs, &weight, 1e-5)?.dims(), [3, 0]);
    assert!(rms_norm(random((3, 4), 1)?.as_tensor(), random(5, 1)?.as_tensor(), 1e-5).is_err());
    Ok(())
}

#[test]
fn sums_are_normed_as_if_apart() -> Result<()> {
    let tensors = [random((7, 33), 1)?, random((7, 33), 2)?].map(|var| var.detach());
    let parameters = [random(33, 3)?, random(33, 4)?];
    let [xs, residual] = &tensors;
    let [weight, bias] = &parameters.each_ref().map(|var| var.detach());
    let sum = (xs + residual)?;
    let (a, b) = add_rms_norm(xs, residual, weight, 1e-6)?;
    close(&a, &sum, "sum");
    close(&b, &rms::composite(&sum, weight, 1e-6)?, "rms norm");
    let (a, b) = add_layer_norm(xs, residual, Some(weight), Some(bias), 1e-6)?;
    close(&a, &sum, "sum");
    close(&b, &layer::composite(&sum, Some(weight), Some(bias), 1e-6)?, "layer norm");
    // the same where gradients are asked
    let [weight, bias] = &parameters;
    compare(
        &[weight],
        || Ok(add_rms_norm(xs, residual, weight, 1e-6)?.1),
        || rms::composite(&sum, weight, 1e-6),
    )?;
    compare(
        &[weight, bias],
        || Ok(add_layer_norm(xs, residual, Some(weight), Some(bias), 1e-6)?.1),
        || layer::composite(&sum, Some(weight), Some(bias), 1e-6),
    )
}

#[test]
fn groups_equal_a_reference_at_every_level_and_any_mean() {
    for (dims, groups) in [
        ([1, 1, 1], 1),
        ([2, 6, 5], 3),
        ([2, 6, 5], 1),
        ([1, 4, 9000], 2),
        ([1, 4, 40_000], 1),
        ([3, 8, 1], 4),
        ([0, 4, 3], 2),
        ([1, 4, 0], 2),
    ] {
        let [batch, channels, values] = dims;
        let count: usize = dims.iter().product();
        for mean in [0., 1e4, -1e6] {
            let xs: Vec<f32> = normal(count, 1).into_iter().map(|x| 5. * x + mean).collect();
            let (weight, bias) = (normal(channels, 2), normal(channels, 3));
            let channel = |i: usize| i / values % channels;
            let expected: Vec<f64> = normalised(&xs, count / (batch * groups).max(1), 1e-5)
                .into_iter()
                .enumerate()
                .map(|(i, x)| x * weight[channel(i)] as f64 + bias[channel(i)] as f64)
                .collect();
            let activated: Vec<f64> = expected.iter().map(|y| y / (1. + (-y).exp())).collect();
            for level in levels() {
                for (silu, expected) in [(false, &expected), (true, &activated)] {
                    let op = group::GroupNorm { groups, epsilon: 1e-5, silu };
                    let ys =
                        group::values(level, group::Size::new(&dims, groups), &op, [&xs, &weight, &bias]);
                    near(&ys, expected, 1e-6, &format!("{level:?} {dims:?} {groups} mean {mean}"));
                }
            }
        }
    }
}

#[test]
fn groups_and_their_gradients_equal_the_composite() -> Result<()> {
    for (dims, groups) in
        [(vec![2, 6, 3, 5], 3), (vec![1, 4, 9000], 2), (vec![3, 24], 4), (vec![2, 3, 700], 1)]
    {
        let (xs, weight, bias) = (random(dims.as_slice(), 1)?, random(dims[1], 2)?, random(dims[1], 3)?);
        let (w, b) = (Some(weight.as_tensor()), Some(bias.as_tensor()));
        let plain = || group::composite(&xs, groups, w, b, 1e-5);
        compare(&[&xs, &weight, &bias], || group_norm(&xs, groups, w, b, 1e-5), plain)?;
        let plain = || group::composite(&xs, groups, w, b, 1e-5)?.silu();
        compare(&[&xs, &weight, &bias], || group_norm_silu(&xs, groups, w, b, 1e-5), plain)?;
        let fused = group_norm_silu(&xs.detach(), groups, None, None, 1e-5)?;
        close(&fused, &group::composite(&xs, groups, None, None, 1e-5)?.silu()?, "fused");
    }
    assert!(group_norm(random((1, 6, 2), 1)?.as_tensor(), 4, None, None, 1e-5).is_err());
    assert!(group_norm(random((1, 6, 2), 1)?.as_tensor(), 0, None, None, 1e-5).is_err());
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (xs, grad) = (normal(700 * 96, 1), normal(700 * 96, 2));
    let (weight, bias) = (normal(96, 3), normal(96, 4));
    let size = group::Size::new(&[1, 96, 700], 1);
    let op = group::GroupNorm { groups: 1, epsilon: 1e-5, silu: true };
    let all = || {
        let level = crate::level::level();
        (
            layer::gradients(level, 1e-5, [&xs, &weight, &grad], true),
            rms::gradients(level, 1e-5, [&xs, &weight, &grad], true),
            group::values(level, size, &op, [&xs, &weight, &bias]),
            group::gradients(level, size, 1e-5, [&xs, &weight, &grad]),
        )
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let one = with(1);
    assert!(one == with(2) && one == with(3));
}
