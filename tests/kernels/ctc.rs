//! The CTC loss and its gradient: against PyTorch's, and against all paths of tiny lattices.

use candle_core::{DType, Device, Result, Tensor, Var};
use kernels::ctc::ctc;

/// Logits by a formula that the Python lines below follow to the bit.
fn logits(shape: &[usize], scale: f32) -> Result<Var> {
    let count: u32 = shape.iter().product::<usize>() as u32;
    let value = |i: u32| ((i.wrapping_mul(2_654_435_761) >> 8) % 2001) as f32 / 1000. - 1.;
    Var::from_vec((0..count).map(|i| value(i) * scale).collect(), shape, &Device::Cpu)
}

/// The loss and the values of its gradient.
fn run(logits: &Var, labels: &[Vec<u32>], lengths: &[usize], blank: u32) -> Result<(f32, Vec<f32>)> {
    let loss = ctc(logits, labels, lengths, blank)?;
    let grads = loss.backward()?;
    let grad = grads.get(logits).expect("a gradient").flatten_all()?.to_vec1()?;
    let loss = loss.to_scalar::<f32>()?;
    let untrained = ctc(&logits.detach(), labels, lengths, blank)?.to_scalar::<f32>()?;
    assert!(untrained == loss || untrained.is_nan() && loss.is_nan(), "{untrained} for {loss}");
    Ok((loss, grad))
}

#[track_caller]
fn near(found: &[f32], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((*found as f64 - expected).abs() <= bound, "{found} for {expected} at {i}");
    }
}

fn norm(grad: &[f32]) -> f32 {
    grad.iter().map(|x| (*x as f64).powi(2)).sum::<f64>().sqrt() as f32
}

// The expected numbers are those of PyTorch 2 in f64:
//     i = numpy.arange(n, dtype="uint64")
//     k = (i * 2654435761 % 2**32 >> 8) % 2001
//     x = (k.astype("float32") / numpy.float32(1000) - numpy.float32(1)) * numpy.float32(scale)
//     x = torch.tensor(x.reshape(shape)).double().requires_grad_()
//     loss = ctc_loss(x.log_softmax(-1).transpose(0, 1), concatenated_labels, lengths, label_lengths, blank=blank,
//                     reduction="sum", zero_infinity=True) / label_lengths.sum()

#[test]
fn equals_pytorch_at_each_logit() -> Result<()> {
    let (loss, grad) = run(&logits(&[2, 4, 3], 3.)?, &[vec![1, 2], vec![2, 2]], &[4, 3], 0)?;
    near(&[loss], &[2.8184745521997776], 1e-6);
    let expected = [
        [5.1990144e-05, -0.00830004819, 0.00824805804],
        [0.000170667916, -0.00649003169, 0.00631936377],
        [0.0001034372, 0.000588390109, -0.000691827309],
        [0.0348498759, 0.00125795548, -0.0361078314],
        [0.0121287538, 0.167935357, -0.180064111],
        [-0.248573686, 0.240349382, 0.00822430359],
        [0.174740197, 0.0727697593, -0.247509956],
        [0., 0., 0.],
    ];
    near(&grad, &expected.concat(), 1e-7);
    Ok(())
}

/// The loss, the norm of the gradient and some of its values.
type Summary = (f64, f64, [(usize, f64); 3]);

fn check(
    logits: &Var,
    labels: &[Vec<u32>],
    lengths: &[usize],
    blank: u32,
    (loss, size, places): Summary,
) -> Result<()> {
    let (found, grad) = run(logits, labels, lengths, blank)?;
    near(&[found], &[loss], 3e-7 * loss);
    near(&[norm(&grad)], &[size], 1e-6 * size);
    for (place, expected) in places {
        near(&[grad[place]], &[expected], 1e-7);
    }
    Ok(())
}

#[test]
fn equals_pytorch_with_repeated_no_and_impossible_labels() -> Result<()> {
    let places = [(0, -0.000149777745), (46, 0.0176357188), (71, 0.0304239717)];
    let labels = [vec![1, 2, 2], vec![3], vec![], vec![1; 4]];
    let summary = (2.5842826643116723, 0.3390208475684515, places);
    check(&logits(&[4, 7, 5], 3.)?, &labels, &[7, 5, 6, 6], 0, summary)
}

#[test]
fn equals_pytorch_with_a_blank_that_is_last() -> Result<()> {
    let places = [(0, -0.0835109869), (30, 0.00161034729), (46, -0.015239362)];
    let summary = (4.691109736622207, 0.49941274537481706, places);
    check(&logits(&[3, 6, 5], 3.)?, &[vec![0, 0], vec![3, 1, 0], vec![2]], &[5, 6, 1], 4, summary)
}

#[test]
fn equals_pytorch_over_many_steps() -> Result<()> {
    let labels = [(0..20).map(|i| i * i % 10 + 1).collect(), (0..45).map(|i| 7 * i % 10 + 1).collect()];
    let places = [(0, -4.87658268e-05), (440, -7.60909211e-06), (661, -0.0132273552)];
    let summary = (4.574862566855028, 0.12839251021553513, places);
    check(&logits(&[2, 60, 11], 4.)?, &labels, &[60, 55], 0, summary)
}

#[test]
fn probabilities_below_the_smallest_number_are_no_zeros() -> Result<()> {
    let summary = (1708.326667427445, 0.61237710813657, [(0, -0.25), (12, 0.), (19, 0.)]);
    check(&logits(&[1, 9, 4], 2000.)?, &[vec![3, 1, 1, 2]], &[9], 0, summary)
}

/// Minus the logarithm of the summed probabilities of all paths over `vocab` symbols that spell the labels.
fn over_all_paths(logits: &[f64], vocab: usize, labels: &[u32], blank: u32) -> f64 {
    let log_probs: Vec<f64> = logits
        .chunks(vocab)
        .flat_map(|row| {
            let log = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            row.iter().map(move |x| x - log)
        })
        .collect();
    let steps = logits.len() / vocab;
    let mut sum = 0.;
    for path in 0..vocab.pow(steps as u32) {
        let mut path: Vec<u32> = (0..steps).map(|t| (path / vocab.pow(t as u32) % vocab) as u32).collect();
        let log: f64 =
            path.iter().enumerate().map(|(t, symbol)| log_probs[t * vocab + *symbol as usize]).sum();
        path.dedup();
        path.retain(|symbol| *symbol != blank);
        if path == labels {
            sum += log.exp();
        }
    }
    -sum.ln()
}

#[test]
fn equals_the_sum_over_all_paths_and_its_differences() -> Result<()> {
    for (steps, vocab, blank) in [(1, 1, 0), (1, 3, 1), (2, 2, 1), (3, 3, 0), (4, 3, 2)] {
        let xs = logits(&[1, steps, vocab], 2.)?;
        let wide = xs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        // every sequence of up to `steps + 1` labels
        let mut all = vec![Vec::new()];
        let mut first = 0;
        for _ in 0..=steps {
            let longer = |labels: &Vec<u32>| {
                let label = (0..vocab as u32).filter(|label| *label != blank);
                label.map(|label| [&labels[..], &[label]].concat()).collect::<Vec<_>>()
            };
            let next: Vec<Vec<u32>> = all[first..].iter().flat_map(longer).collect();
            first = all.len();
            all.extend(next);
        }
        for labels in all {
            let (loss, grad) = run(&xs, std::slice::from_ref(&labels), &[steps], blank)?;
            let count = labels.len().max(1) as f64;
            let reference = |logits: &[f64]| over_all_paths(logits, vocab, &labels, blank) / count;
            let expected = reference(&wide);
            if expected.is_infinite() {
                assert!(
                    loss == 0. && grad.iter().all(|x| *x == 0.),
                    "{labels:?} in {steps}: {loss} {grad:?}"
                );
                continue;
            }
            near(&[loss], &[expected], 1e-6 * expected.max(0.1));
            let slope = |i: usize| {
                let at = |step: f64| {
                    let mut moved = wide.clone();
                    moved[i] += step;
                    reference(&moved)
                };
                (at(1e-5) - at(-1e-5)) / 2e-5
            };
            near(&grad, &(0..wide.len()).map(slope).collect::<Vec<_>>(), 3e-7);
        }
    }
    Ok(())
}

/// Labels of several lengths: none, repeated ones, and more than fit.
fn batch() -> ([Vec<u32>; 5], [usize; 5]) {
    ([vec![], vec![4, 4, 2], (1..20).collect(), vec![7], vec![5, 6, 5, 6]], [13, 17, 15, 0, 16])
}

#[test]
fn a_batch_equals_its_items_and_what_comes_after_a_length_does_not_matter() -> Result<()> {
    let (labels, lengths) = batch();
    let xs = logits(&[5, 17, 23], 3.)?;
    let (loss, grad) = run(&xs, &labels, &lengths, 0)?;
    let total: usize = labels.iter().map(Vec::len).sum();
    let mut sum = 0.;
    for (i, (labels, length)) in labels.iter().zip(lengths).enumerate() {
        let share = labels.len().max(1) as f64 / total as f64;
        let grad = &grad[i * 17 * 23..][..17 * 23];
        assert!(grad[length * 23..].iter().all(|x| *x == 0.));
        if length == 0 {
            continue;
        }
        let short = Var::from_tensor(&xs.narrow(0, i, 1)?.narrow(1, 0, length)?)?;
        let (single, expected) = run(&short, std::slice::from_ref(labels), &[length], 0)?;
        sum += single as f64 * share;
        let expected: Vec<f64> = expected.into_iter().map(|x| x as f64 * share).collect();
        near(&grad[..length * 23], &expected, 1e-8);
    }
    near(&[loss], &[sum], 1e-6 * sum);

    let mut values = xs.flatten_all()?.to_vec1::<f32>()?;
    for (item, length) in values.chunks_mut(17 * 23).zip(lengths) {
        item[length * 23..].fill(f32::NAN);
    }
    let garbage = Var::from_vec(values, (5, 17, 23), &Device::Cpu)?;
    assert_eq!(run(&garbage, &labels, &lengths, 0)?, (loss, grad));
    Ok(())
}

#[test]
fn the_number_of_threads_and_the_layout_do_not_matter() -> Result<()> {
    let (labels, lengths) = (vec![vec![4, 4, 2, 9, 1]; 6], vec![150; 6]);
    let xs = logits(&[6, 150, 80], 3.)?;
    let results = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&xs, &labels, &lengths, 0).unwrap())
    });
    assert_eq!(results[0], results[1]);

    let turned = Var::from_tensor(&xs.transpose(0, 1)?.contiguous()?)?;
    let loss = ctc(&turned.transpose(0, 1)?, &labels, &lengths, 0)?;
    let grads = (loss * 2.)?.backward()?;
    let grad = grads.get(&turned).expect("a gradient").transpose(0, 1)?.flatten_all()?.to_vec1::<f32>()?;
    assert_eq!(grad, results[0].1.iter().map(|x| 2. * x).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn other_types_have_a_loss_and_a_gradient_of_their_type() -> Result<()> {
    let (labels, lengths) = batch();
    let xs = logits(&[5, 17, 23], 3.)?;
    let (loss, grad) = run(&xs, &labels, &lengths, 0)?;
    let wide = Var::from_tensor(&xs.to_dtype(DType::F64)?)?;
    let found = ctc(&wide, &labels, &lengths, 0)?;
    assert_eq!(found.to_scalar::<f64>()?, loss as f64);
    let grads = found.backward()?;
    let found = grads.get(&wide).expect("a gradient").flatten_all()?.to_vec1::<f64>()?;
    near(&grad, &found, 0.);
    Ok(())
}

#[test]
fn nothing_costs_nothing_and_nan_is_not_hidden() -> Result<()> {
    let none = Var::zeros((0, 3, 4), DType::F32, &Device::Cpu)?;
    assert_eq!(run(&none, &[], &[], 0)?, (0., vec![]));
    let short = Var::zeros((1, 0, 4), DType::F32, &Device::Cpu)?;
    assert_eq!(run(&short, &[vec![]], &[0], 0)?, (0., vec![]));
    let bad = |value| Var::from_vec(vec![0., 1., value, 1., 0., 1.], (1, 3, 2), &Device::Cpu);
    for labels in [vec![], vec![1], vec![1, 1]] {
        let (loss, grad) = run(&bad(f32::NAN)?, std::slice::from_ref(&labels), &[3], 0)?;
        assert!(loss.is_nan() && grad.iter().any(|x| x.is_nan()), "{labels:?}: {loss} {grad:?}");
    }
    // the label that alone can be said there has no probability
    let closed = Var::new(&[[[0f32, f32::NEG_INFINITY]]], &Device::Cpu)?;
    assert_eq!(run(&closed, &[vec![1]], &[1], 0)?, (0., vec![0.; 2]));
    assert_eq!(run(&closed, &[vec![]], &[1], 0)?, (0., vec![0.; 2]));
    Ok(())
}

#[test]
fn what_does_not_fit_together_is_refused_in_one_line() -> Result<()> {
    let xs = Tensor::zeros((2, 3, 4), DType::F32, &Device::Cpu)?;
    let refused = |xs: &Tensor, labels: [&[u32]; 2], lengths: &[usize], blank: u32, words: &str| {
        let error = ctc(xs, &labels.map(<[u32]>::to_vec), lengths, blank).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    refused(&xs, [&[1], &[4]], &[3, 3], 0, "label 4 of item 1 is not below 4");
    refused(&xs, [&[1, 0], &[3]], &[3, 3], 0, "labels of item 0 hold the blank, 0");
    refused(&xs, [&[1], &[3]], &[4, 3], 0, "item 0 has a length of 4, more than the 3 steps");
    refused(&xs, [&[1], &[3]], &[3], 0, "2 sequences of labels and 1 lengths for 2 items");
    refused(&xs, [&[1], &[3]], &[3, 3], 4, "blank 4 is not below 4");
    refused(&xs.narrow(0, 0, 1)?, [&[1], &[3]], &[3, 3], 0, "for 1 items");
    refused(&xs.flatten_to(1)?, [&[1], &[3]], &[3, 3], 0, "(batch, time, vocab), not [6, 4]");
    Ok(())
}
