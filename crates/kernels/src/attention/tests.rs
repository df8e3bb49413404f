//! Attention against a reference in f64, at every level.

use super::*;
use crate::level::levels;
use crate::testing::{close, compare, near, normal, random};
use candle_core::{D, Var};

/// One key after the other, in f64: (batch, time, heads, head_dim).
fn reference(q: &Tensor, k: &Tensor, v: &Tensor, options: &Options) -> Vec<f64> {
    let Sizes { batch, time, heads, positions, size, v_size, .. } = Sizes::new(q, k, v).unwrap();
    let group = Sizes::new(q, k, v).unwrap().group();
    let flat = |t: &Tensor| -> Vec<f64> {
        let t = t.to_dtype(DType::F64).unwrap().contiguous().unwrap();
        t.flatten_all().unwrap().to_vec1().unwrap()
    };
    let rows = |t: &Tensor| flat(&t.transpose(1, 2).unwrap());
    let spread = |t: &Tensor| flat(&t.broadcast_as((batch, heads, time, positions)).unwrap());
    let (q, k, v) = (rows(q), rows(k), rows(v));
    let added: Vec<_> = options.added().map(spread).collect();
    let scale = options.scale.unwrap_or((size as f64).powf(-0.5));
    let mut out = vec![0.; batch * time * heads * v_size];
    for (b, h, t) in (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..time).map(move |t| (b, h, t))))
    {
        let row = (b * heads + h) * time + t;
        let kv = (b * heads + h) / group * positions;
        let own = positions as i64 - time as i64 + t as i64;
        let scores: Vec<f64> = (0..positions)
            .map(|j| {
                let pairs = q[row * size..][..size].iter().zip(&k[(kv + j) * size..][..size]);
                let mut score = pairs.map(|(x, y)| x * y).sum::<f64>() * scale;
                if let Some(cap) = options.soft_cap {
                    score = (score / cap).tanh() * cap;
                }
                score += added.iter().map(|added| added[row * positions + j]).sum::<f64>();
                let distance = own - j as i64;
                let far = options.window.is_some_and(|window| distance.abs() >= window as i64);
                if far || (options.causal && distance < 0) { f64::NEG_INFINITY } else { score }
            })
            .collect();
        // as PyTorch's safe softmax: zeros where nothing is seen
        let seen = scores.iter().any(|x| *x != f64::NEG_INFINITY);
        let largest = scores.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
        let powers: Vec<f64> = scores.iter().map(|x| (x - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        for (c, out) in out[((b * time + t) * heads + h) * v_size..][..v_size].iter_mut().enumerate() {
            let terms = (0..positions).map(|j| powers[j] * v[(kv + j) * v_size + c]);
            *out = if seen { terms.sum::<f64>() / sum } else { 0. };
        }
    }
    out
}

fn at_level(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    options: &Options,
    level: Level,
    few: bool,
) -> Result<Vec<f32>> {
    let sizes = Sizes::new(q, k, v)?;
    let settings = Settings::new(options, sizes)?;
    read_added(&problem::spread(options, sizes)?, |added| {
        let guards = [q, k, v].map(|tensor| tensor.storage_and_layout());
        let heads = |i: usize| Heads::new(on_cpu(&guards[i].0)?, guards[i].1);
        let problem = Problem { q: heads(0)?, k: heads(1)?, v: heads(2)?, sizes, settings, added };
        let mut out = vec![0f32; sizes.batch * sizes.time * sizes.heads * sizes.v_size];
        if few {
            step::forward(&problem, level, &mut out);
        } else {
            forward::forward(&problem, level, &mut out, &mut []);
        }
        Ok(out)
    })
}

/// Both ways, at every level, and the composition agree with the reference within 1e-5 of the largest value.
fn check(q: &Tensor, k: &Tensor, v: &Tensor, options: &Options) -> Result<()> {
    let expected = reference(q, k, v, options);
    for level in levels() {
        for few in [false, true] {
            let found = at_level(q, k, v, options, level, few)?;
            near(
                &found,
                &expected,
                1e-5,
                &format!("{level:?} few {few} {options:?} {:?} {:?}", q.dims(), k.dims()),
            );
        }
    }
    let found = composite::attention(q, k, v, options)?.flatten_all()?.to_vec1()?;
    near(&found, &expected, 1e-5, "composite");
    let found = attention(q, k, v, options)?.flatten_all()?.to_vec1()?;
    near(&found, &expected, 1e-5, "operator");
    Ok(())
}

type Shape = (usize, usize, usize, usize, usize, usize, usize);

// batch, time, heads, kv_heads, positions, size, v_size
const SHAPES: [Shape; 9] = [
    (1, 1, 1, 1, 1, 1, 1),
    (2, 1, 7, 1, 300, 64, 64),
    (1, 3, 4, 2, 5, 7, 9),
    (2, 13, 2, 2, 31, 16, 16),
    (1, 97, 2, 1, 97, 40, 40),
    (1, 200, 1, 1, 129, 24, 80),
    (2, 5, 3, 3, 640, 33, 17),
    (1, 64, 6, 2, 259, 64, 64),
    (1, 300, 1, 1, 300, 8, 100),
];

fn operands(shape: Shape) -> Result<(Var, Var, Var)> {
    let (batch, time, heads, kv_heads, positions, size, v_size) = shape;
    let q = random((batch, time, heads, size), 1)?;
    Ok((q, random((batch, positions, kv_heads, size), 2)?, random((batch, positions, kv_heads, v_size), 3)?))
}

#[test]
fn values_equal_the_reference() -> Result<()> {
    for shape in SHAPES {
        let (q, k, v) = operands(shape)?;
        let (q, k, v) = (q.detach(), k.detach(), v.detach());
        let (batch, time, heads, _, positions, ..) = shape;
        let mask =
            Tensor::from_vec(normal(batch * time * positions, 4), (batch, 1, time, positions), &Device::Cpu)?;
        let bias =
            Tensor::from_vec(normal(heads * time * positions, 5), (heads, time, positions), &Device::Cpu)?;
        let plain = Options::default();
        for options in [
            plain,
            Options::causal(),
            Options { window: Some(4), ..plain },
            Options { window: Some(130), ..Options::causal() },
            Options { mask: Some(&mask), scale: Some(1.), ..plain },
            Options { mask: Some(&mask), bias: Some(&bias), ..Options::causal() },
            Options { bias: Some(&bias), soft_cap: Some(2.), window: Some(50), ..Options::causal() },
        ] {
            check(&q, &k, &v, &options)?;
        }
    }
    Ok(())
}

#[test]
fn caches_are_read_where_they_lie() -> Result<()> {
    let (batch, heads, kv_heads, capacity, positions, size) = (2, 4, 2, 400, 270, 48);
    let k = random((batch, kv_heads, capacity, size), 1)?.detach();
    let v = random((batch, kv_heads, capacity, size), 2)?.detach();
    let seen = |cache: &Tensor| cache.narrow(2, 3, positions)?.transpose(1, 2);
    for time in [1, 3, 70] {
        let q = random((batch, heads, time, size), 3)?.detach().transpose(1, 2)?;
        check(&q, &seen(&k)?, &seen(&v)?, &Options::causal())?;
        for dtype in [DType::BF16, DType::F16] {
            let (k, v) = (seen(&k.to_dtype(dtype)?)?, seen(&v.to_dtype(dtype)?)?);
            check(&q, &k, &v, &Options::causal())?;
            let half = attention(&q.to_dtype(dtype)?, &k, &v, &Options::causal())?;
            assert_eq!(half.dtype(), dtype);
        }
    }
    // a head's values that are not contiguous
    let q = random((batch, 30, size, heads), 3)?.detach().transpose(2, 3)?;
    let found = attention(&q, &seen(&k)?, &seen(&v)?, &Options::default())?;
    let expected = reference(&q, &seen(&k)?, &seen(&v)?, &Options::default());
    near(&found.flatten_all()?.to_vec1()?, &expected, 1e-5, "copied");
    Ok(())
}

#[test]
fn masks_hide_as_in_pytorch() -> Result<()> {
    for (time, positions) in [(2, 200), (40, 200)] {
        let (q, k, v) = operands((1, time, 2, 1, positions, 16, 16))?;
        let (q, k, v) = (q.detach(), k.detach(), v.detach());
        for (hide, nothing_seen) in [(f32::NEG_INFINITY, true), (f32::MIN, false)] {
            // the first query sees nothing, the others what is not in the middle
            let mask: Vec<f32> = (0..time * positions)
                .map(|i| if i < positions || (50..190).contains(&(i % positions)) { hide } else { 0. })
                .collect();
            let mask = Tensor::from_vec(mask, (time, positions), &Device::Cpu)?;
            let options = Options { mask: Some(&mask), ..Options::default() };
            check(&q, &k, &v, &options)?;
            let first = attention(&q, &k, &v, &options)?.narrow(1, 0, 1)?.abs()?.max_all()?;
            assert_eq!(first.to_scalar::<f32>()? == 0., nothing_seen);
        }
        let mask = Tensor::from_vec(normal(positions, 1), (1, 1, 1, positions), &Device::Cpu)?;
        check(&q, &k, &v, &Options { mask: Some(&mask), ..Options::default() })?;
        let mask = Tensor::from_vec(normal(time, 1), (time, 1), &Device::Cpu)?;
        check(&q, &k, &v, &Options { mask: Some(&mask), ..Options::default() })?;
    }
    // more queries than keys: the first see none
    let (q, k, v) = operands((1, 150, 2, 1, 20, 16, 16))?;
    check(&q.detach(), &k.detach(), &v.detach(), &Options::causal())
}

#[test]
fn nan_and_infinity_stay_in_their_rows() -> Result<()> {
    let (positions, size) = (150, 16);
    for time in [1, 30] {
        let (q, k, v) = operands((1, time, 1, 1, positions, size, size))?;
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY] {
            let mut mask = vec![0f32; time * positions];
            mask[140] = bad;
            let mask = Tensor::from_vec(mask, (time, positions), &Device::Cpu)?;
            let options = Options { mask: Some(&mask), ..Options::default() };
            for level in levels() {
                for few in [false, true] {
                    let found = at_level(&q, &k, &v, &options, level, few)?;
                    assert!(found[..size].iter().all(|x| x.is_nan()), "{level:?} {bad}");
                    assert!(found[size..].iter().all(|x| x.is_finite()), "{level:?} {bad}");
                }
            }
        }
        let mut spoilt = k.flatten_all()?.to_vec1::<f32>()?;
        spoilt[3] = f32::NAN;
        let k = Tensor::from_vec(spoilt, k.shape(), &Device::Cpu)?;
        check(&q.detach(), &k, &v.detach(), &Options::default())?;
    }
    Ok(())
}

#[test]
fn gradients_equal_those_of_the_composition() -> Result<()> {
    for shape in SHAPES {
        let (q, k, v) = operands(shape)?;
        let (_, time, heads, _, positions, ..) = shape;
        let bias =
            Tensor::from_vec(normal(heads * time * positions, 5), (heads, time, positions), &Device::Cpu)?;
        let plain = Options::default();
        let windowed = Options { window: Some(40), scale: Some(0.3), ..Options::causal() };
        let dropout = Some((Dropout { rate: 0.3, seed: 1, step: 2 }, 3));
        let [dropped, dropped_causal] = [plain, windowed].map(|options| Options { dropout, ..options });
        let biased = Options { bias: Some(&bias), ..plain };
        for options in [plain, Options::causal(), windowed, biased, dropped, dropped_causal] {
            compare(
                &[&q, &k, &v],
                || attention(&q, &k, &v, &options),
                || composite::attention(&q, &k, &v, &options),
            )?;
        }
    }
    // what is added may be learned, and scores may be capped
    let (q, k, v) = operands((2, 9, 2, 1, 12, 8, 8))?;
    let bias = random((2, 9, 12), 4)?;
    let options = Options { bias: Some(&bias), soft_cap: Some(3.), ..Options::causal() };
    let out = attention(&q, &k, &v, &options)?;
    let grads = out.sqr()?.sum_all()?.backward()?;
    assert!([&q, &k, &v, &bias].iter().all(|var| grads.get(var).is_some()));
    Ok(())
}

#[test]
fn gradients_are_the_same_at_every_level() -> Result<()> {
    let (q, k, v) = operands((2, 150, 4, 2, 150, 40, 24))?;
    let options = Options::causal();
    let ys = composite::attention(&q, &k, &v, &options)?;
    let weights = random(ys.shape(), 9)?.detach();
    let expected = (&ys * &weights)?.sum_all()?.backward()?;
    let sizes = Sizes::new(&q, &k, &v)?;
    let settings = Settings::new(&options, sizes)?;
    for level in levels() {
        let guards = [&*q, &k, &v, &weights].map(|tensor| tensor.storage_and_layout());
        let heads = |i: usize| Heads::new(on_cpu(&guards[i].0)?, guards[i].1);
        let problem = Problem { q: heads(0)?, k: heads(1)?, v: heads(2)?, sizes, settings, added: &[] };
        let mut out = vec![0f32; ys.elem_count()];
        let mut log_sums = vec![0f32; 2 * 4 * 150];
        forward::forward(&problem, level, &mut out, &mut log_sums);
        let out = Tensor::from_vec(out, ys.shape(), &Device::Cpu)?;
        let (out, layout) = out.storage_and_layout();
        let out = Heads::new(on_cpu(&out)?, layout)?;
        let found = backward::backward(&problem, level, &out, &heads(3)?, &log_sums);
        for ((found, var), name) in found.into_iter().zip([&q, &k, &v]).zip(["q", "k", "v"]) {
            let found = Tensor::from_vec(found, var.shape(), &Device::Cpu)?;
            close(&found, expected.get(var).unwrap(), &format!("{level:?} {name}"));
        }
    }
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() -> Result<()> {
    for shape in SHAPES {
        let (q, k, v) = operands(shape)?;
        let run = || -> Result<Vec<Vec<f32>>> {
            let ys = attention(&q, &k, &v, &Options::causal())?;
            let few = attention(&q.detach(), &k.detach(), &v.detach(), &Options::causal())?;
            let grads = ys.sqr()?.sum_all()?.backward()?;
            let flat = |t: &Tensor| t.flatten_all()?.to_vec1();
            [&ys, &few]
                .into_iter()
                .chain([&q, &k, &v].into_iter().filter_map(|v| grads.get(v)))
                .map(flat)
                .collect()
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let [one, three] = [1, 3].map(|threads| pool(threads).install(run));
        assert_eq!(one?, three?);
    }
    Ok(())
}

#[test]
fn weights_are_those_that_the_values_are_summed_with() -> Result<()> {
    let (q, k, _) = operands((2, 5, 4, 2, 37, 8, 8))?;
    let (q, k) = (q.detach(), k.detach());
    let mask = Tensor::from_vec(normal(4 * 37, 5), (4, 1, 37), &Device::Cpu)?;
    let options = Options { mask: Some(&mask), ..Options::causal() };
    let weights = attention_weights(&q, &k, &[3, 0], &options)?;
    assert_eq!(weights.dims(), [2, 2, 5, 37]);
    let sums = weights.sum(D::Minus1)?;
    close(&sums, &sums.ones_like()?, "sums");
    // values that are unit vectors read the weights off
    let units =
        Tensor::eye(37, DType::F32, &Device::Cpu)?.reshape((1, 37, 1, 37))?.broadcast_as((2, 37, 2, 37))?;
    let read = attention(&q, &k, &units, &options)?.transpose(1, 2)?;
    close(&weights.narrow(1, 0, 1)?, &read.narrow(1, 3, 1)?.contiguous()?, "head 3");
    close(&weights.narrow(1, 1, 1)?, &read.narrow(1, 0, 1)?.contiguous()?, "head 0");
    assert!(attention_weights(&q, &k, &[4], &options).is_err());
    Ok(())
}

#[test]
fn nothing_gives_nothing_and_what_does_not_fit_is_refused() -> Result<()> {
    for shape in [(0, 3, 2, 1, 4, 8, 8), (1, 0, 2, 1, 4, 8, 8), (2, 3, 2, 1, 0, 8, 8), (1, 3, 2, 1, 4, 8, 0)]
    {
        let (q, k, v) = operands(shape)?;
        let ys = attention(&q, &k, &v, &Options::causal())?;
        assert_eq!(ys.dims(), [shape.0, shape.1, shape.2, shape.6]);
        assert!(ys.flatten_all()?.to_vec1::<f32>()?.iter().all(|x| *x == 0.));
    }
    let (q, k, v) = operands((1, 3, 4, 2, 5, 8, 8))?;
    let refused = |q: &Tensor, k: &Tensor, v: &Tensor| attention(q, k, v, &Options::default()).is_err();
    assert!(refused(&q, &k.narrow(1, 0, 4)?, &v));
    assert!(refused(&q, &k.narrow(3, 0, 4)?, &v));
    assert!(refused(&q.narrow(2, 0, 3)?, &k, &v));
    assert!(refused(&q.narrow(3, 0, 0)?, &k.narrow(3, 0, 0)?, &v));
    let mask = Tensor::zeros((3, 4), DType::F32, &Device::Cpu)?;
    assert!(attention(&q, &k, &v, &Options { mask: Some(&mask), ..Options::default() }).is_err());
    assert!(attention(&q, &k, &v, &Options { soft_cap: Some(0.), ..Options::default() }).is_err());
    Ok(())
}
