//! Which frames a phone lasts, where nobody says: monotonic alignment search (Kim et al., "Glow-TTS", 2020).

use candle_core::Result;

/// How many of the `frames` (frames, size) each phone lasts, at least one, so that the squared distances to the phones'
/// guesses (phones, size) are the least in all.
///
/// # Errors
/// Fewer frames than phones, no phones.
pub fn align(guesses: &[f32], frames: &[f32], size: usize) -> Result<Vec<usize>> {
    let size = size.max(1);
    let (phones, count) = (guesses.len() / size, frames.len() / size);
    if phones == 0 || count < phones {
        refuse!("{phones} phones cannot last {count} frames");
    }
    // the least cost that ends at each phone, and whether the frame before was the same phone's
    let mut costs = vec![f32::INFINITY; phones];
    let mut stays = vec![false; count * phones];
    for (t, frame) in frames.chunks_exact(size).enumerate() {
        // only what leaves a frame for each phone before and behind
        let (first, last) = ((phones + t).saturating_sub(count), t.min(phones - 1));
        for phone in (first..=last).rev() {
            let guess = &guesses[phone * size..][..size];
            let apart: f32 = frame.iter().zip(guess).map(|(x, y)| (x - y) * (x - y)).sum();
            let came = if phone > 0 { costs[phone - 1] } else { f32::INFINITY };
            let stay = costs[phone] <= came;
            stays[t * phones + phone] = stay;
            let before = if t == 0 { 0. } else { costs[phone].min(came) };
            costs[phone] = before + apart;
        }
        costs[..first].fill(f32::INFINITY);
    }
    let mut durations = vec![0usize; phones];
    let mut phone = phones - 1;
    for t in (0..count).rev() {
        durations[phone] += 1;
        if t > 0 && !stays[t * phones + phone] {
            phone -= 1;
        }
    }
    Ok(durations)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The best of all ways to share out the frames.
    fn searched(guesses: &[f32], frames: &[f32]) -> (f32, Vec<usize>) {
        if guesses.len() == 1 {
            return (frames.iter().map(|x| (x - guesses[0]).powi(2)).sum(), vec![frames.len()]);
        }
        let ways = (1..=frames.len() + 1 - guesses.len()).map(|own| {
            let (cost, rest) = searched(&guesses[1..], &frames[own..]);
            let first: f32 = frames[..own].iter().map(|x| (x - guesses[0]).powi(2)).sum();
            (first + cost, [vec![own], rest].concat())
        });
        ways.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    }

    #[test]
    fn the_best_way_is_found() {
        let mut state = 3u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32
        };
        for (phones, count) in [(1, 1), (1, 5), (3, 3), (2, 7), (4, 9), (5, 11)] {
            for _ in 0..20 {
                let guesses: Vec<f32> = (0..phones).map(|_| next()).collect();
                let frames: Vec<f32> = (0..count).map(|_| next()).collect();
                let found = align(&guesses, &frames, 1).unwrap();
                assert_eq!(found, searched(&guesses, &frames).1, "{guesses:?} {frames:?}");
            }
        }
    }

    #[test]
    fn steps_of_several_values_are_found() {
        let guesses = [0., 0., 5., 1., 0., 5.];
        let rows = [[0.1, 0.], [0., 0.2], [4., 1.], [5., 1.], [5., 2.], [0., 4.]];
        assert_eq!(align(&guesses, rows.as_flattened(), 2).unwrap(), [2, 3, 1]);
    }

    #[test]
    fn too_few_frames_are_refused() {
        assert!(align(&[1., 2.], &[1.], 1).is_err() && align(&[], &[1.], 1).is_err());
    }
}
