//! Against candle's values, and products in f64, in all formats.

use super::*;
use crate::level::levels;
use crate::testing::{near, normal};

const SIZES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 2, 17),
    (2, 1, 16),
    (3, 3, 5),
    (4, 2, 33),
    (5, 5, 31),
    (8, 3, 48),
    (12, 1, 7),
    (13, 2, 40),
    (30, 6, 20),
    (1, 5, 130),
    (65, 9, 64),
];

/// Random values in a format's blocks, as candle quantises them.
fn blocks(kind: Kind, outputs: usize, inputs: usize, seed: u64) -> Result<QTensor> {
    let values = Tensor::from_vec(normal(outputs * inputs, seed), (outputs, inputs), &Device::Cpu)?;
    QTensor::quantize(&values, kind.dtype())
}

fn flat(xs: &Tensor) -> Result<Vec<f32>> {
    xs.flatten_all()?.to_vec1()
}

#[test]
fn values_are_candles_to_the_bit() -> Result<()> {
    for kind in Kind::ALL {
        let (outputs, inputs) = (37, 3 * kind.block());
        let weight = blocks(kind, outputs, inputs, 3)?;
        let random: Vec<u8> =
            normal(weight.data()?.len(), 4).iter().map(|x| (x * 100.) as i32 as u8).collect();
        for bytes in [weight.data()?.to_vec(), random] {
            let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, kind.dtype())?;
            let expected = flat(&QTensor::new(storage, (outputs, inputs))?.dequantize(&Device::Cpu)?)?;
            for level in levels() {
                let found = Weight::at(level, &bytes, kind, outputs, inputs)?;
                let values = flat(&found.dequantise()?)?;
                for (i, (a, b)) in values.iter().zip(&expected).enumerate() {
                    assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{kind:?} {i}: {a} {b}");
                }
                let ids = Tensor::new(&[[36u32, 0], [5, 36]], &Device::Cpu)?;
                let rows = found.rows(&ids)?;
                assert_eq!(rows.dims(), [2, 2, inputs]);
                let rows = flat(&rows)?;
                for (row, id) in rows.chunks(inputs).zip([36, 0, 5, 36]) {
                    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan();
                    assert!(row.iter().zip(&values[id * inputs..][..inputs]).all(same), "{kind:?} {id}");
                }
            }
        }
    }
    Ok(())
}

/// The product in f64.
fn reference(xs: &[f64], weight: &[f32], inputs: usize) -> Vec<f64> {
    let dot = |x: &[f64], w: &[f32]| x.iter().zip(w).map(|(x, w)| x * *w as f64).sum::<f64>();
    xs.chunks(inputs).flat_map(|x| weight.chunks(inputs).map(move |w| dot(x, w))).collect()
}

/// Values as the bytes with scales that they become.
fn rounded(xs: &[f32]) -> Vec<f64> {
    let block = |xs: &[f32]| {
        let scale = xs.iter().fold(0f32, |m, x| m.max(x.abs())) / 127.;
        let factor = if scale > 0. { 1. / scale } else { 0. };
        xs.iter().map(|x| (x * factor).round_ties_even() as f64 * scale as f64).collect::<Vec<_>>()
    };
    xs.chunks(32).flat_map(block).collect()
}

#[test]
fn products_equal_the_reference() -> Result<()> {
    for kind in Kind::ALL {
        for (rows, blocks_in, outputs) in SIZES {
            let inputs = blocks_in * if kind.shares() { 256 } else { 32 * 7 };
            let weight = blocks(kind, outputs, inputs, 5)?;
            let values = flat(&weight.dequantize(&Device::Cpu)?)?;
            let xs = normal(rows * inputs, 6);
            let exact = reference(&xs.iter().map(|&x| x as f64).collect::<Vec<_>>(), &values, inputs);
            let expected = reference(&rounded(&xs), &values, inputs);
            let xs = Tensor::from_vec(xs, (1, rows, inputs), &Device::Cpu)?;
            for level in levels() {
                let what = format!("{kind:?} {level:?} {rows} {inputs} {outputs}");
                let ys = Weight::at(level, &weight.data()?, kind, outputs, inputs)?.forward(&xs)?;
                assert_eq!(ys.dims(), [1, rows, outputs], "{what}");
                let ys = flat(&ys)?;
                near(&ys, &expected, 1e-5, &what);
                // against what the activations were before they became bytes, in the mean
                let error: f64 = ys.iter().zip(&exact).map(|(a, b)| (*a as f64 - b).powi(2)).sum();
                let size: f64 = values.iter().map(|w| (*w as f64).powi(2)).sum::<f64>() * rows as f64;
                assert!(error <= 1e-4 * size, "{what}: {error} of {size}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_largest_numbers_do_not_overflow() -> Result<()> {
    // all bytes -128, 127 or 255, activations of the largest magnitude and both signs
    for kind in Kind::ALL {
        let (outputs, inputs) = (18, 2 * kind.block());
        for byte in [0x80u8, 0x7f, 0xff] {
            let weight = blocks(kind, outputs, inputs, 7)?;
            let mut bytes = weight.data()?.to_vec();
            for block in bytes.chunks_mut(kind.bytes()) {
                let kept: Vec<u8> = block.to_vec();
                block.fill(byte);
                let halves = match kind {
                    Kind::Q2_K => 80..84,
                    Kind::Q3_K => 108..110,
                    Kind::Q6_K => 208..210,
                    kind if kind.has_minimum() => 0..4,
                    _ => 0..2,
                };
                block[halves.clone()].copy_from_slice(&kept[halves]);
            }
            let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, kind.dtype())?;
            let values = flat(&QTensor::new(storage, (outputs, inputs))?.dequantize(&Device::Cpu)?)?;
            for sign in [1f32, -1.] {
                let xs = vec![sign * 3.; 6 * inputs];
                let expected = reference(&rounded(&xs), &values, inputs);
                for level in levels() {
                    for rows in [1, 6] {
                        let xs = Tensor::from_slice(&xs[..rows * inputs], (rows, inputs), &Device::Cpu)?;
                        let ys = Weight::at(level, &bytes, kind, outputs, inputs)?.forward(&xs)?;
                        let what = format!("{kind:?} {level:?} {byte} {sign}");
                        near(&flat(&ys)?, &expected[..rows * outputs], 1e-5, &what);
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn rows_that_are_not_finite_give_nan_and_no_others_do() -> Result<()> {
    for kind in Kind::ALL {
        let (outputs, inputs) = (20, 256);
        let weight = blocks(kind, outputs, inputs, 8)?;
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for rows in [1, 3, 7] {
                let mut xs = normal(rows * inputs, 9);
                xs[(rows - 1) * inputs + 77] = bad;
                let xs = Tensor::from_vec(xs, (rows, inputs), &Device::Cpu)?;
                for level in levels() {
                    let ys = flat(&Weight::at(level, &weight.data()?, kind, outputs, inputs)?.forward(&xs)?)?;
                    let (good, nan) = ys.split_at((rows - 1) * outputs);
                    assert!(nan.iter().all(|y| y.is_nan()), "{kind:?} {level:?}");
                    assert!(good.iter().all(|y| y.is_finite()), "{kind:?} {level:?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn activations_of_any_size_keep_their_scale() -> Result<()> {
    let weight = blocks(Kind::Q8_0, 16, 64, 10)?;
    let values = flat(&weight.dequantize(&Device::Cpu)?)?;
    for (size, expects) in [(1e30f32, true), (1e-30, true), (0., true), (1e-40, false)] {
        let xs: Vec<f32> = normal(64, 11).into_iter().map(|x| x * size).collect();
        let largest = if expects { rounded(&xs) } else { vec![0.; 64] };
        let expected: Vec<f64> = reference(&largest, &values, 64);
        let factor = if size > 0. { 1. / size as f64 } else { 1. };
        for level in levels() {
            let xs = Tensor::from_slice(&xs, (1, 64), &Device::Cpu)?;
            let ys = flat(&Weight::at(level, &weight.data()?, Kind::Q8_0, 16, 64)?.forward(&xs)?)?;
            for (y, expected) in ys.iter().zip(&expected) {
                assert!((*y as f64 - expected).abs() * factor <= 1e-4, "{level:?} {size}: {y} {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn no_values_strides_and_other_formats_of_floats() -> Result<()> {
    for kind in Kind::ALL {
        for (dims, outputs) in [([0, 3, 256], 9), ([2, 3, 0], 9), ([2, 3, 256], 0)] {
            let weight = vec![0; outputs * dims[2] / kind.block() * kind.bytes()];
            let weight = Weight::new(&weight, kind, outputs, dims[2])?;
            let ys = weight.forward(&Tensor::ones(&dims, DType::F32, &Device::Cpu)?)?;
            assert_eq!(ys.dims(), [dims[0], dims[1], outputs]);
            assert!(flat(&ys)?.iter().all(|&y| y == 0.));
            assert_eq!(weight.dequantise()?.dims(), [outputs, dims[2]]);
        }
    }
    let weight = Weight::new(&blocks(Kind::Q4_0, 5, 64, 1)?.data()?, Kind::Q4_0, 5, 64)?;
    let xs = Tensor::from_vec(normal(64 * 3, 2), (64, 3), &Device::Cpu)?.t()?;
    let ys = flat(&weight.forward(&xs)?)?;
    assert_eq!(ys, flat(&weight.forward(&xs.contiguous()?)?)?);
    let half = weight.forward(&xs.to_dtype(DType::BF16)?)?;
    assert_eq!(half.dtype(), DType::BF16);
    let expected: Vec<f64> = ys.iter().map(|&y| y as f64).collect();
    near(&flat(&half.to_dtype(DType::F32)?)?, &expected, 2e-2, "bf16");
    assert_eq!(weight.forward(&xs.get(0)?)?.dims(), [5]);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let bytes = vec![0u8; 2 * 144];
    assert!(Weight::new(&bytes, Kind::Q4_K, 2, 256).is_ok());
    for (kind, outputs, inputs) in [
        (Kind::Q4_K, 1, 256),
        (Kind::Q4_K, 2, 255),
        (Kind::Q4_K, 9, 64),
        (Kind::Q4_0, 2, 256 + 32),
        (Kind::Q6_K, 2, 256),
        (Kind::Q4_K, usize::MAX / 4, 512),
    ] {
        assert!(Weight::new(&bytes, kind, outputs, inputs).is_err(), "{kind:?} {outputs} {inputs}");
    }
    let weight = Weight::new(&bytes, Kind::Q4_K, 2, 256)?;
    assert!(weight.forward(&Tensor::ones((3, 255), DType::F32, &Device::Cpu)?).is_err());
    assert!(weight.forward(&Tensor::new(1f32, &Device::Cpu)?).is_err());
    assert!(weight.rows(&Tensor::new(&[2u32], &Device::Cpu)?).is_err());
    Ok(())
}

#[test]
fn the_number_of_threads_changes_nothing() -> Result<()> {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for (kind, rows) in [(Kind::Q4_K, 1), (Kind::Q6_K, 30), (Kind::Q8_0, 30)] {
        let weight = blocks(kind, 3000, 1024, 12)?;
        let weight = Weight::new(&weight.data()?, kind, 3000, 1024)?;
        let xs = Tensor::from_vec(normal(rows * 1024, 13), (rows, 1024), &Device::Cpu)?;
        let run = |threads| pool(threads).install(|| weight.forward(&xs)).and_then(|ys| flat(&ys));
        let one = run(1)?;
        for threads in [2, 3] {
            assert!(run(threads)?.iter().zip(&one).all(|(a, b)| a.to_bits() == b.to_bits()), "{kind:?}");
        }
    }
    Ok(())
}
