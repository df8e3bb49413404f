//! Convolutions against sums in f64 over every pair of values that meet, at every level and gradients too.

use candle_core::{Device, Result, Tensor};

use super::geometry::Geometry;
use super::operator::Convolution;
use super::packed::pack;
use super::plan::Plan;
use super::run::{Finish, run};
use super::*;
use crate::level::levels;
use crate::testing::{close, near, normal, random};

/// Visits every product of a convolution: the places in the small tensor, the big one and the weight.
fn products(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let Geometry { batch, groups, big, small, axes: [down, right], .. } = *geometry;
    let meet = |axis: &geometry::Axis, place: usize, tap: usize| {
        let position = (place * axis.stride + tap * axis.dilation).checked_sub(axis.before)?;
        (position < axis.big).then_some(position)
    };
    for image in 0..batch * groups {
        for (m, c) in (0..small).flat_map(|m| (0..big).map(move |c| (m, c))) {
            for (y, x) in (0..down.small).flat_map(|y| (0..right.small).map(move |x| (y, x))) {
                for (v, u) in (0..down.kernel).flat_map(|v| (0..right.kernel).map(move |u| (v, u))) {
                    let (Some(line), Some(column)) = (meet(&down, y, v), meet(&right, x, u)) else {
                        continue;
                    };
                    let weight =
                        ((image % groups * small + m) * big + c) * geometry.taps() + v * right.kernel + u;
                    visit(
                        ((image * small + m) * down.small + y) * right.small + x,
                        ((image * big + c) * down.big + line) * right.big + column,
                        weight,
                    );
                }
            }
        }
    }
}

fn count(dims: Vec<usize>) -> usize {
    dims.into_iter().product()
}

/// Both directions and the weight's gradient of a geometry, at every level.
fn check(geometry: &Geometry, seed: u64) {
    let big = normal(count(geometry.big_dims()), seed);
    let small = normal(count(geometry.small_dims()), seed + 1);
    let weight = normal(count(geometry.weight_dims()), seed + 2);
    let (mut to_small, mut to_big) = (vec![0f64; small.len()], vec![0f64; big.len()]);
    let mut to_weight = vec![0f64; weight.len()];
    products(geometry, |s, b, w| {
        to_small[s] += big[b] as f64 * weight[w] as f64;
        to_big[b] += small[s] as f64 * weight[w] as f64;
        to_weight[w] += small[s] as f64 * big[b] as f64;
    });
    for level in levels() {
        let what = |which: &str| format!("{which} {level:?} {geometry:?}");
        let both = [(Plan::forward(geometry), &big, &to_small), (Plan::adjoint(geometry), &small, &to_big)];
        for (plan, xs, expected) in both {
            let packed = pack(level, &plan, &weight);
            near(&run(level, &plan, &packed, xs, Finish::default()), expected, 1e-5, &what("output"));
        }
        near(&weight::gradient(level, geometry, &big, &small), &to_weight, 1e-5, &what("weight"));
    }
}

/// So many numbers below their bounds, from a seed.
fn draws<const N: usize>(seed: u64, bounds: [usize; N]) -> [usize; N] {
    let values = normal(N, seed * 31 + 5);
    std::array::from_fn(|i| (values[i].abs() * 1e4) as usize % bounds[i])
}

#[test]
fn random_geometries_over_time_equal_sums_in_f64() -> Result<()> {
    let mut done = 0;
    for seed in 0..220 {
        let [batch, groups, big, small, time, kernel, stride, dilation, before, after] =
            draws(seed, [3, 3, 7, 19, 90, 9, 5, 4, 12, 12]);
        let (groups, big, small) = (groups + 1, big + 1, small + 1);
        let options = Options {
            stride: [stride + 1],
            dilation: [dilation + 1],
            padding: [(before, after)],
            groups,
            ..Options::default()
        };
        let xs = [batch, groups * big, time];
        if let Ok(geometry) = Geometry::convolution(&xs, &[groups * small, big, kernel + 1], &options) {
            let room = (time + before + after) as isize - ((dilation + 1) * kernel + 1) as isize;
            let length = if time == 0 && room < 0 { 0 } else { room / (stride as isize + 1) + 1 };
            assert_eq!(geometry.small_dims(), [batch, groups * small, length as usize]);
            check(&geometry, seed);
            done += 1;
        }
    }
    assert!(done > 150, "{done}");
    Ok(())
}

#[test]
fn random_geometries_of_images_equal_sums_in_f64() -> Result<()> {
    let mut done = 0;
    for seed in 300..420 {
        let [batch, groups, big, small, height, width, down, right, y, x, apart, padding] =
            draws(seed, [3, 2, 5, 12, 14, 40, 4, 4, 3, 3, 2, 4]);
        let (groups, big, small) = (groups + 1, big + 1, small + 1);
        let options = Options {
            stride: [y + 1, x + 1],
            dilation: [apart + 1, 2 - apart],
            padding: [(padding, y), (x, padding)],
            groups,
            ..Options::default()
        };
        let weight = [groups * small, big, down + 1, right + 1];
        if let Ok(geometry) = Geometry::convolution(&[batch, groups * big, height, width], &weight, &options)
        {
            check(&geometry, seed);
            done += 1;
        }
    }
    assert!(done > 80, "{done}");
    Ok(())
}

#[test]
fn transposed_lengths_are_those_of_pytorch() -> Result<()> {
    for seed in 0..60 {
        let [time, kernel, stride, dilation, before, after, more] = draws(seed, [20, 9, 5, 3, 3, 3, 5]);
        let (kernel, stride, dilation, more) = (kernel + 1, stride + 1, dilation + 1, more % (stride + 1));
        let options = Options {
            stride: [stride],
            dilation: [dilation],
            padding: [(before, after)],
            output_padding: [more],
            groups: 2,
        };
        let full = (time.max(1) - 1) * stride + dilation * (kernel - 1) + more + 1;
        match Geometry::transposed(&[2, 6, time], &[6, 5, kernel], &options) {
            Ok(geometry) => {
                let length = if time == 0 { 0 } else { full - before - after };
                assert_eq!(geometry.big_dims(), [2, 10, length]);
                assert_eq!(geometry.small_dims(), [2, 6, time]);
                check(&geometry, seed);
            }
            Err(_) => assert!(full < before + after),
        }
    }
    Ok(())
}

#[test]
fn many_channels_and_places_are_cut_into_tiles() -> Result<()> {
    // more channels, outputs and places than one task takes; widths that fill vectors, and that do not
    let time = Options { dilation: [3], ..Options::<1>::new(1, 9) };
    check(&Geometry::convolution(&[1, 150, 1300], &[70, 150, 7], &time)?, 1);
    check(&Geometry::convolution(&[1, 40, 700], &[33, 40, 16], &Options::<1>::new(8, 4))?, 2);
    check(&Geometry::convolution(&[1, 90, 19, 9], &[40, 90, 3, 3], &Options::<2>::new(1, 1))?, 3);
    check(
        &Geometry::convolution(
            &[3, 64, 5, 34],
            &[80, 32, 3, 3],
            &Options { groups: 2, ..Options::<2>::new(1, 2) },
        )?,
        8,
    );
    let uneven = Options { padding: [(0, 3), (1, 0)], ..Options::default() };
    check(&Geometry::convolution(&[2, 35, 12, 131], &[44, 35, 3, 3], &uneven)?, 9);
    check(&Geometry::convolution(&[1, 12, 40, 150], &[10, 12, 3, 3], &Options::<2>::new(1, 1))?, 4);
    check(&Geometry::convolution(&[1, 12, 31, 141], &[10, 12, 3, 3], &Options::<2>::new(2, 1))?, 5);
    let depthwise = Options { groups: 64, ..Options::<1>::new(1, 15) };
    check(&Geometry::convolution(&[2, 64, 300], &[64, 1, 31], &depthwise)?, 6);
    Ok(())
}

#[test]
fn tiles_over_time_equal_sums_in_f64() -> Result<()> {
    // kernels of whole pieces and not, tiles of whole vectors and not, one place, groups, either side longer
    for (seed, (dims, weight, dilation, before, after)) in [
        ([2, 96, 333], [90, 96, 3], 1, 1, 1),
        ([1, 48, 1031], [48, 48, 11], 5, 25, 25),
        ([1, 40, 200], [56, 40, 4], 3, 9, 0),
        ([3, 70, 1], [36, 70, 9], 1, 4, 4),
        ([1, 33, 530], [121, 33, 8], 2, 0, 9),
        ([2, 128, 77], [130, 64, 7], 1, 3, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let groups = dims[1] / weight[1];
        let options =
            Options { dilation: [dilation], padding: [(before, after)], groups, ..Options::default() };
        let geometry = Geometry::convolution(&dims, &weight, &options)?;
        assert!(toom::applies(&Plan::forward(&geometry)) && toom::applies(&Plan::adjoint(&geometry)));
        check(&geometry, seed as u64 + 40);
    }
    // strides, other axes and few channels are for others
    for (dims, weight, stride) in [([1, 96, 50], [96, 96, 7], 2), ([1, 6, 50], [6, 6, 7], 1)] {
        let geometry = Geometry::convolution(&dims, &weight, &Options::<1>::new(stride, 0))?;
        assert!(!toom::applies(&Plan::forward(&geometry)));
    }
    let row = Geometry::convolution(&[1, 96, 1, 50], &[96, 96, 1, 7], &Options::<2>::new(1, 0))?;
    assert!(!toom::applies(&Plan::forward(&row)));
    Ok(())
}

#[test]
fn what_is_not_finite_goes_no_farther_than_its_taps() -> Result<()> {
    // values that no padding or neighbouring row may take up: the last of a row, with a tail of a vector
    let geometry = Geometry::convolution(&[1, 3, 5, 21], &[9, 3, 3, 3], &Options::<2>::new(1, 1))?;
    for odd in [f32::NAN, f32::INFINITY] {
        let (mut big, mut small) = (normal(3 * 5 * 21, 1), normal(9 * 5 * 21, 2));
        let weight = normal(9 * 3 * 9, 3);
        big[21 * 2 + 20] = odd;
        small[21 * 3] = 0.;
        let (mut to_small, mut to_weight) = (vec![0f64; small.len()], vec![0f64; weight.len()]);
        products(&geometry, |s, b, w| {
            to_small[s] += big[b] as f64 * weight[w] as f64;
            to_weight[w] += small[s] as f64 * big[b] as f64;
        });
        for level in levels() {
            let plan = Plan::forward(&geometry);
            let packed = pack(level, &plan, &weight);
            near(&run(level, &plan, &packed, &big, Finish::default()), &to_small, 1e-5, "output");
            near(&weight::gradient(level, &geometry, &big, &small), &to_weight, 1e-5, "weight");
        }
    }
    Ok(())
}

/// Gradients of both formulations against sums in f64.
fn check_gradients(convolution: Convolution, own: impl Fn([&Tensor; 3]) -> Result<Tensor>) -> Result<()> {
    let geometry = convolution.geometry;
    let (big, small) = (geometry.big_dims(), geometry.small_dims());
    let (input, output) = if convolution.transposed { (small, big) } else { (big, small) };
    let (xs, weight, bias) = (random(input, 1)?, random(geometry.weight_dims(), 2)?, random(output[1], 3)?);
    let grad = random(output.as_slice(), 4)?.detach();
    let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    let (x, w, g) = (flat(&xs)?, flat(&weight)?, flat(&grad)?);
    let (mut of_xs, mut of_weight) = (vec![0f64; x.len()], vec![0f64; w.len()]);
    products(&geometry, |s, b, k| {
        let (i, o) = if convolution.transposed { (s, b) } else { (b, s) };
        of_xs[i] += g[o] as f64 * w[k] as f64;
        of_weight[k] += g[o] as f64 * x[i] as f64;
    });
    let plane: usize = output[2..].iter().product();
    let mut of_bias = vec![0f64; output[1]];
    g.iter().enumerate().for_each(|(i, g)| of_bias[i / plane % output[1]] += *g as f64);
    let values = own([&xs, &weight, &bias])?;
    let composite = convolution.composite(&xs, &weight, Some(&bias))?;
    close(&values, &composite, "values");
    for (which, values) in [("own", values), ("composite", composite)] {
        let grads = (values * &grad)?.sum_all()?.backward()?;
        for (name, var, expected) in
            [("xs", &xs, &of_xs), ("weight", &weight, &of_weight), ("bias", &bias, &of_bias)]
        {
            let Some(found) = grads.get(var) else { panic!("no gradient of {name}") };
            assert_eq!(found.dims(), var.dims());
            near(&flat(found)?, expected, 1e-5, &format!("{which} {name} {convolution:?}"));
        }
    }
    Ok(())
}

#[test]
fn gradients_are_sums_in_f64() -> Result<()> {
    let odd = Options { padding: [(5, 2)], dilation: [2], groups: 2, ..Options::<1>::new(3, 0) };
    let geometry = Geometry::convolution(&[2, 4, 37], &[6, 2, 4], &odd)?;
    check_gradients(Convolution { geometry, transposed: false }, |[xs, weight, bias]| {
        conv1d(xs, weight, Some(bias), &odd)
    })?;
    let odd = Options { padding: [(1, 3)], output_padding: [1], groups: 2, ..Options::<1>::new(3, 0) };
    let geometry = Geometry::transposed(&[2, 6, 13], &[6, 3, 5], &odd)?;
    check_gradients(Convolution { geometry, transposed: true }, |[xs, weight, bias]| {
        conv_transpose1d(xs, weight, Some(bias), &odd)
    })?;
    let odd = Options { stride: [2, 1], dilation: [1, 2], padding: [(1, 0), (2, 3)], ..Options::default() };
    let geometry = Geometry::convolution(&[2, 3, 9, 20], &[4, 3, 3, 3], &odd)?;
    check_gradients(Convolution { geometry, transposed: false }, |[xs, weight, bias]| {
        conv2d(xs, weight, Some(bias), &odd)
    })?;
    let geometry = Geometry::transposed(&[2, 3, 9, 20], &[3, 4, 3, 3], &odd)?;
    check_gradients(Convolution { geometry, transposed: true }, |[xs, weight, bias]| {
        conv_transpose2d(xs, weight, Some(bias), &odd)
    })
}

#[test]
fn packed_convolutions_equal_plain_ones_with_what_stands_around() -> Result<()> {
    let options = Options { dilation: [2], ..Options::<1>::new(1, 6) };
    for (channels, outputs) in [(10, 12), (64, 50)] {
        let xs = random((2, channels, 130), 1)?.detach();
        let weight = random((outputs, channels, 7), 2)?.detach();
        let (bias, residual) = (random(outputs, 3)?.detach(), random((2, outputs, 130), 4)?.detach());
        let around = Around { leaky_before: Some(0.1), residual: Some(&residual), leaky_after: Some(0.3) };
        let found = Packed1d::new(&weight, options)?.forward_with(&xs, Some(&bias), &around)?;
        let geometry = Geometry::convolution(xs.dims(), weight.dims(), &options)?;
        let theirs = plain(&Convolution { geometry, transposed: false }, &xs, &weight, Some(&bias), &around)?;
        close(&found, &theirs, "around");
    }

    let options = Options::<1>::new(3, 1);
    let weight = random((10, 6, 5), 5)?.detach();
    let packed = Packed1d::transposed(&weight, options)?;
    for time in [1, 2, 50] {
        let xs = random((2, 10, time), 1)?.detach();
        let residual = random((2, 6, (time - 1) * 3 + 3), 4)?.detach();
        let around = Around { residual: Some(&residual), ..Around::default() };
        let found = packed.forward_with(&xs, None, &around)?;
        let expected = (conv_transpose1d(&xs, &weight, None, &options)? + &residual)?;
        close(&found, &expected, "transposed");
    }
    let wanting = random((1, 10, 4), 1)?;
    let refused = packed.forward(&wanting, None).unwrap_err().to_string();
    assert_eq!(refused, "a packed convolution has no gradients; the plain one has");
    Ok(())
}

#[test]
fn each_image_may_have_its_own_bias() -> Result<()> {
    for (kernel, groups) in [(1, 1), (3, 1), (5, 2)] {
        let options = Options { groups, ..Options::<2>::new(1, kernel / 2) };
        let (xs, bias) = (random((3, 8, 9, 11), 1)?.detach(), random((3, 6), 2)?.detach());
        let weight = random((6, 8 / groups, kernel, kernel), 3)?.detach();
        let found = Packed2d::new(&weight, options)?.forward(&xs, Some(&bias))?;
        let expected = conv2d(&xs, &weight, None, &options)?.broadcast_add(&bias.reshape((3, 6, 1, 1))?)?;
        close(&found, &expected, "own bias");
    }
    Ok(())
}

#[test]
fn strided_inputs_and_other_numbers_are_taken() -> Result<()> {
    let xs = random((7, 33, 2), 1)?.detach().transpose(0, 2)?.transpose(1, 2)?; // (2, 7, 33) in another order
    let weight = random((5, 9, 7), 2)?.detach().transpose(1, 2)?;
    let options = Options::<1>::new(2, 4);
    let found = conv1d(&xs, &weight, None, &options)?;
    let expected = conv1d(&xs.contiguous()?, &weight.contiguous()?, None, &options)?;
    close(&found, &expected, "strided");
    let wide = conv1d(
        &xs.to_dtype(candle_core::DType::F64)?,
        &weight.to_dtype(candle_core::DType::F64)?,
        None,
        &options,
    )?;
    close(&found, &wide.to_dtype(candle_core::DType::F32)?, "f64");
    let empty = Tensor::zeros((0, 7, 33), candle_core::DType::F32, &Device::Cpu)?;
    assert_eq!(conv1d(&empty, &weight, None, &options)?.dims(), [0, 5, 17]);
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_in_one_line() -> Result<()> {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, candle_core::DType::F32, &Device::Cpu);
    let (xs, weight) = (zeros(&[1, 4, 5])?, zeros(&[6, 2, 3])?);
    let refused = |found: Result<Tensor>| {
        let words = found.unwrap_err().to_string();
        assert!(!words.contains('\n'), "{words}");
        words
    };
    let two = Options { groups: 2, ..Options::default() };
    assert!(conv1d(&xs, &weight, None, &two).is_ok());
    let wrong = refused(conv1d(&xs, &weight, None, &Options::default()));
    assert_eq!(wrong, "a convolution in 1 groups does not take 4 channels with a weight [6, 2, 3]");
    let short = refused(conv1d(&xs, &weight, None, &Options { dilation: [3], ..two }));
    assert_eq!(short, "a kernel that spans 7 is larger than 5 padded by 0 and 0");
    refused(conv1d(&xs, &weight, None, &Options { groups: 0, ..two }));
    refused(conv1d(&xs, &weight, None, &Options { stride: [0], ..two }));
    refused(conv1d(&xs, &weight, None, &Options { output_padding: [1], ..two }));
    refused(conv1d(&xs, &weight, Some(&zeros(&[5])?), &two));
    refused(conv1d(&xs, &zeros(&[6, 2, 0])?, None, &two));
    refused(conv1d(&zeros(&[4, 5])?, &weight, None, &two));
    refused(conv_transpose1d(&xs, &weight, None, &Options::default()));
    let weight = zeros(&[4, 6, 3])?;
    refused(conv_transpose1d(&xs, &weight, None, &Options::<1>::new(1, 4)));
    refused(conv_transpose1d(
        &xs,
        &weight,
        None,
        &Options { output_padding: [2], ..Options::<1>::new(2, 0) },
    ));
    Ok(())
}

#[test]
fn a_bias_for_each_image_has_its_gradient() -> Result<()> {
    let (xs, weight, bias) = (random((3, 4, 6, 5), 1)?, random((7, 4, 3, 3), 2)?, random((3, 7), 3)?);
    let options = Options::<2>::new(1, 1);
    crate::testing::compare(
        &[&xs, &weight, &bias],
        || convolve(&xs, &weight, Some(&bias), &options, false),
        || {
            let plain = convolve(&xs, &weight, None, &options, false)?;
            plain.broadcast_add(&bias.reshape((3, 7, 1, 1))?)
        },
    )?;
    let other = random((2, 7), 3)?;
    assert!(convolve(&xs, &weight, Some(&other), &options, false).is_err());
    Ok(())
}

#[test]
fn gradients_of_small_images_are_sums_in_f64() -> Result<()> {
    let cases = [
        ([5, 3, 4, 4], [9, 3, 3, 3], Options::<2>::new(1, 1)),
        ([3, 10, 8, 7], [8, 10, 3, 3], Options::new(2, 1)),
        (
            [2, 4, 9, 11],
            [16, 4, 3, 2],
            Options { dilation: [2, 1], padding: [(2, 1), (0, 3)], ..Options::default() },
        ),
        ([70, 6, 1, 1], [8, 6, 1, 1], Options::default()),
    ];
    for (xs, weight, options) in cases {
        let geometry = Geometry::convolution(&xs, &weight, &options)?;
        check_gradients(Convolution { geometry, transposed: false }, |[xs, weight, bias]| {
            conv2d(xs, weight, Some(bias), &options)
        })?;
    }
    Ok(())
}
