//! Linear maps against f64, in all forms of the weight.

use candle_core::DType;

use super::*;
use crate::gemm::tile::Kind;
use crate::level::levels;
use crate::testing::{close, compare, near, normal, random};

const SIZES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (1, 300, 700),
    (2, 33, 5),
    (3, 64, 17),
    (4, 130, 96),
    (9, 31, 33),
    (13, 7, 64),
    (40, 48, 80),
    (200, 101, 70),
];

#[test]
fn own_operator_equals_the_composite_one() -> Result<()> {
    for (count, inputs, outputs) in SIZES {
        let (xs, weight) = (random((count, 1, inputs), 1)?, random((outputs, inputs), 2)?);
        let bias = random(outputs, 3)?;
        compare(&[&xs, &weight], || linear(&xs, &weight, None), || composite(&xs, &weight, None))?;
        let own = || linear(&xs, &weight, Some(&bias));
        compare(&[&xs, &weight, &bias], own, || composite(&xs, &weight, Some(&bias)))?;
    }
    Ok(())
}

#[test]
fn rounded_products_have_rounded_gradients() -> Result<()> {
    let (xs, weight) = (random((3, 40, 66), 1)?, random((50, 66), 2)?);
    let (bias, by) = (random(50, 3)?, random((3, 40, 50), 4)?);
    let run = |precision| {
        let ys = with_precision(precision, || linear(&xs, &weight, Some(&bias)))?;
        let grads = (&ys * by.as_tensor())?.sum_all()?.backward()?;
        let grads = [&xs, &weight, &bias].map(|var| grads.get(var).unwrap().clone());
        Ok::<_, candle_core::Error>([vec![ys], grads.to_vec()].concat())
    };
    let (rounded, exact) = (run(Precision::Bf16)?, run(Precision::F32)?);
    for (i, (rounded, exact)) in rounded.iter().zip(&exact).enumerate() {
        let flat = |xs: &Tensor| xs.flatten_all()?.to_vec1::<f32>();
        let (rounded, exact) = (flat(rounded)?, flat(exact)?);
        // the sums of a bias have no products
        let same = i == 3 || crate::level::level() < crate::level::Level::Avx512Products;
        assert_eq!(rounded == exact, same, "{i}");
        near(&rounded, &exact.into_iter().map(f64::from).collect::<Vec<_>>(), 1e-2, &format!("{i}"));
    }
    assert_eq!(PRECISION.get(), Precision::F32);
    let caught = std::panic::catch_unwind(|| with_precision::<()>(Precision::Bf16, || panic!("within")));
    assert!(caught.is_err() && PRECISION.get() == Precision::F32);
    Ok(())
}

#[test]
fn any_layout_and_no_values() -> Result<()> {
    let (xs, weight, bias) = (random((5, 7, 6), 1)?, random((7, 9), 2)?, random(18, 3)?);
    let (xs, weight) = (xs.transpose(1, 2)?, weight.t()?);
    let bias = bias.reshape((9, 2))?.narrow(1, 0, 1)?.squeeze(1)?;
    let own = linear(&xs, &weight, Some(&bias))?;
    close(&own, &composite(&xs.contiguous()?, &weight.contiguous()?, Some(&bias))?, "turned");
    for (dims, outputs) in [([0, 3, 7], 9), ([2, 3, 0], 9), ([2, 3, 7], 0)] {
        let xs = Tensor::ones(&dims, DType::F32, &Device::Cpu)?;
        let weight = Tensor::ones((outputs, dims[2]), DType::F32, &Device::Cpu)?;
        let bias = Tensor::ones(outputs, DType::F32, &Device::Cpu)?;
        for weight in [Weight::f32(&weight)?, Weight::bf16(&weight)?, Weight::int8(&weight)?] {
            let ys = weight.forward(&xs, Some(&bias))?;
            assert_eq!(ys.dims(), [dims[0], dims[1], outputs]);
            assert!(ys.flatten_all()?.to_vec1::<f32>()?.iter().all(|&y| y == dims[2] as f32 + 1.));
        }
        assert_eq!(linear(&xs, &weight, Some(&bias))?.dims(), [dims[0], dims[1], outputs]);
    }
    assert!(linear(&xs, &weight.t()?, None).is_err());
    assert!(linear(&xs, &weight, Some(&bias.narrow(0, 0, 3)?)).is_err());
    Ok(())
}

/// The map in f64.
fn reference(xs: &[f32], weight: &[f32], bias: &[f32], inputs: usize) -> Vec<f64> {
    let mut ys = Vec::new();
    for x in xs.chunks(inputs) {
        for (w, b) in weight.chunks(inputs).zip(bias) {
            ys.push(x.iter().zip(w).map(|(x, w)| *x as f64 * *w as f64).sum::<f64>() + *b as f64);
        }
    }
    ys
}

/// Values as bytes with a scale for each row, and back.
fn quantised(values: &[f32], width: usize) -> Vec<f32> {
    let row = |row: &[f32]| {
        let scale = row.iter().fold(0f32, |m, x| m.max(x.abs())) / 127.;
        row.iter().map(|x| (x / scale).round_ties_even() * scale).collect::<Vec<_>>()
    };
    values.chunks(width).flat_map(row).collect()
}

#[test]
fn packed_weights_equal_the_reference() -> Result<()> {
    for level in levels() {
        for (count, inputs, outputs) in SIZES.into_iter().chain([(2, 2000, 40), (130, 1001, 40)]) {
            let (xs, bias) = (normal(count * inputs, 1), normal(outputs, 2));
            let weight = normal(outputs * inputs, 3);
            let exact = reference(&xs, &weight, &bias, inputs);
            let rough = reference(&quantised(&xs, inputs), &quantised(&weight, inputs), &bias, inputs);
            let tensor = |values: &[f32], dims: &[usize]| Tensor::from_slice(values, dims, &Device::Cpu);
            let (xs, bias) = (tensor(&xs, &[count, inputs])?, tensor(&bias, &[outputs])?);
            let weight = tensor(&weight, &[outputs, inputs])?;
            let half = weight.to_dtype(DType::BF16)?;
            let run = |kind, weight: &Tensor, expected: &[f64], bound| {
                let ys = Weight::new(weight, kind, level)?.forward(&xs, Some(&bias))?;
                let what = format!("{kind:?} {level:?} {count} {inputs} {outputs}");
                near(&ys.flatten_all()?.to_vec1()?, expected, bound, &what);
                Ok::<_, candle_core::Error>(())
            };
            run(Kind::Single, &weight, &exact, 1e-5)?;
            run(Kind::Single, &half, &exact, 1e-2)?;
            run(Kind::Pair, &weight, &exact, 1e-2)?;
            run(Kind::Pair, &half, &exact, 1e-2)?;
            // a value between two bytes may go either way, which is a 254th of the largest
            run(Kind::Quad, &weight, &rough, 4e-3)?;
        }
    }
    Ok(())
}

#[test]
fn a_row_that_is_not_finite_is_not_hidden() -> Result<()> {
    let weight = random((40, 50), 1)?;
    for bad in [f32::NAN, f32::INFINITY] {
        let mut xs = normal(3 * 50, 2);
        xs[50 + 17] = bad;
        let xs = Tensor::from_vec(xs, (3, 50), &Device::Cpu)?;
        for level in levels() {
            for kind in [Kind::Single, Kind::Pair, Kind::Quad] {
                let ys = Weight::new(&weight, kind, level)?.forward(&xs, None)?.to_vec2::<f32>()?;
                assert!(ys[1].iter().all(|y| !y.is_finite()), "{kind:?} {level:?}");
                assert!(ys[0].iter().chain(&ys[2]).all(|y| y.is_finite()), "{kind:?} {level:?}");
            }
        }
    }
    Ok(())
}
