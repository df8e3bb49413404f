//! FLAC files are read back to the bit.

use std::path::Path;

use media::audio::channels_of;
use media::flac::encode;
use media::wav::Depth;

/// Encodes, decodes with another's decoder, and compares with the rounding of WAV.
fn check(samples: &[f32], channels: u16, rate: u32, depth: Depth) -> Vec<u8> {
    let bytes = encode(samples, channels, rate, depth).unwrap();
    let found = channels_of(&bytes, Path::new("x.flac"), rate).unwrap();
    assert_eq!(found.len(), usize::from(channels));
    let whole = |x: f32| match depth {
        Depth::Sixteen => f64::from((x * 32_767.0).round().clamp(-32_768.0, 32_767.0)) / 32_768.0,
        _ => (f64::from(x) * 8_388_607.0).round().clamp(-8_388_608.0, 8_388_607.0) / 8_388_608.0,
    };
    for (i, channel) in found.iter().enumerate() {
        let expected: Vec<f32> =
            samples.iter().skip(i).step_by(usize::from(channels)).map(|x| whole(*x) as f32).collect();
        assert_eq!(channel, &expected, "{channels} {rate} {depth:?}");
    }
    bytes
}

fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn sounds_of_every_kind_are_kept() {
    let tone = |count: usize| (0..count).map(|i| (i as f32 * 0.03).sin() * 0.4).collect::<Vec<f32>>();
    for depth in [Depth::Sixteen, Depth::TwentyFour] {
        check(&tone(50_000), 1, 32_000, depth);
        check(&tone(2 * 12_345), 2, 44_100, depth);
        check(&noise(9_000), 1, 8_000, depth);
        check(&noise(2 * 4096), 2, 48_000, depth);
        check(&[0.5], 1, 8_000, depth);
        check(&[0.5, -0.5, 0.25], 1, 8_000, depth);
        check(&vec![0.0; 10_000], 1, 16_000, depth);
        check(&vec![1.5; 5_000], 1, 16_000, depth);
        // from one end of the scale to the other
        check(
            &(0..9_000).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect::<Vec<f32>>(),
            1,
            16_000,
            depth,
        );
    }
    // frames whose numbers take two and three bytes
    check(&tone(4096 * 130), 1, 32_000, Depth::Sixteen);
    assert!(check(&tone(100_000), 1, 32_000, Depth::Sixteen).len() < 120_000);
}

#[test]
fn what_is_no_sound_is_refused() {
    assert!(encode(&[0.0; 3], 2, 8000, Depth::Sixteen).is_err());
    assert!(encode(&[0.0; 18], 9, 8000, Depth::Sixteen).is_err());
    assert!(encode(&[0.0], 1, 1 << 20, Depth::Sixteen).is_err());
    assert!(encode(&[0.0], 1, 8000, Depth::Float).is_err());
    assert!(encode(&[f32::NAN], 1, 8000, Depth::Sixteen).unwrap_err().to_string().contains("NaN"));
}
