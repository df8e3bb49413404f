//! WAV files against the bytes that the format asks for.

use media::wav::{self, Depth};

fn check(samples: &[f32], expected: &[i16]) {
    let bytes = wav::encode(samples, 1, 44_100).unwrap();
    let data: Vec<i16> =
        bytes[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    assert_eq!(data, expected);
}

#[test]
fn samples_are_rounded_and_saturate() {
    check(&[0.0, 1.0, -1.0, 0.5, -0.5], &[0, 32767, -32767, 16384, -16384]);
    check(&[1.5, -1.5, 1e30, -1e30], &[32767, -32768, 32767, -32768]);
    check(&[0.4 / 32767.0, 0.6 / 32767.0, -0.6 / 32767.0], &[0, 1, -1]);
    check(&[], &[]);
}

#[test]
fn header_names_channels_rate_and_sizes() {
    let bytes = wav::encode(&[0.0; 6], 2, 32_000).unwrap();
    let mut expected = Vec::new();
    expected.extend_from_slice(b"RIFF\x30\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0");
    expected.extend_from_slice(&32_000u32.to_le_bytes());
    expected.extend_from_slice(&128_000u32.to_le_bytes());
    expected.extend_from_slice(b"\x04\0\x10\0data\x0c\0\0\0");
    expected.extend_from_slice(&[0; 12]);
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_no_sound_is_refused() {
    let refuse = |samples: &[f32], channels, rate, expected: &str| {
        let error = wav::encode(samples, channels, rate).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    refuse(&[0.0, f32::NAN], 1, 8000, "cannot write WAV: sample 1 is NaN, expected a finite number");
    refuse(&[f32::INFINITY], 1, 8000, "cannot write WAV: sample 0 is inf, expected a finite number");
    let shape = "cannot write WAV: 3 samples of 2 channels at 8000 Hz make no whole frames";
    refuse(&[0.0; 3], 2, 8000, shape);
    assert!(wav::encode(&[0.0], 0, 8000).is_err());
    assert!(wav::encode(&[0.0], 1, 0).is_err());
    assert!(wav::encode(&[0.0; 65_535], 65_535, 8000).is_err());
    assert!(wav::encode(&[0.0], 1, u32::MAX).is_err());
}

/// A file of one channel as a reader that is not ours understands it.
fn read(bytes: Vec<u8>) -> (hound::WavSpec, Vec<f32>) {
    let mut wav = hound::WavReader::new(std::io::Cursor::new(bytes)).unwrap();
    let spec = wav.spec();
    let scale = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
    let samples = match spec.sample_format {
        hound::SampleFormat::Float => wav.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => wav.samples::<i32>().map(|x| x.unwrap() as f32 / scale).collect(),
    };
    (spec, samples)
}

#[test]
fn files_that_grow_are_read_back() {
    let samples = [0.0, 0.25, -0.25, 1.0, -1.0, 1.5, -7.0];
    for (depth, bits, error) in
        [(Depth::Sixteen, 16, 4e-5), (Depth::TwentyFour, 24, 2e-7), (Depth::Float, 32, 0.)]
    {
        let bytes = depth.stored(&samples);
        assert_eq!(bytes.len(), samples.len() * usize::from(depth.bytes()));
        let header = wav::header(depth, 22_050, Some(bytes.len() as u64));
        assert_eq!(header.len(), wav::header(depth, 8000, None).len());
        let (spec, found) = read([header, bytes].concat());
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 22_050, bits));
        for (found, x) in found.iter().zip(samples) {
            let wanted = if bits == 32 { x } else { x.clamp(-1., 1.) };
            assert!((found - wanted).abs() <= error, "{bits} bits: {found} for {x}");
        }
        assert_eq!(found.len(), samples.len());
    }
    let whole = wav::encode(&samples, 1, 16_000).unwrap();
    let bytes = Depth::Sixteen.stored(&samples);
    assert_eq!(whole, [wav::header(Depth::Sixteen, 16_000, Some(14)), bytes].concat());
}

#[test]
fn more_bits_keep_more_of_a_sample() {
    let data = |depth| {
        let bytes = wav::encode_as(&[0.25, -1.0, 2.0, 1e-6], 1, 8000, depth).unwrap();
        let start = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
        bytes[start..].to_vec()
    };
    let low = |value: i32| value.to_le_bytes()[..3].to_vec();
    assert_eq!(data(Depth::TwentyFour), [low(2_097_152), low(-8_388_607), low(8_388_607), low(8)].concat());
    let floats = [0.25f32, -1.0, 2.0, 1e-6].map(f32::to_le_bytes);
    assert_eq!(data(Depth::Float), floats.concat());
}
