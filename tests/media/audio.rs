//! Audio files: every format gives the sound that went in, at its place; the rate changes and nothing else.

use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec};
use media::audio::{Audio, AudioError, read};

const TONE_RATE: u32 = 44_100;
const TONE_FRAMES: usize = 13_230;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/audio")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The sound of shared/samples/audio, mixed to one channel.
fn tone(rate: u32, frames: usize) -> Vec<f32> {
    let pi = std::f64::consts::PI;
    let sample = |i: usize| {
        let t = i as f64 / f64::from(rate);
        let channels = [(2.0 * pi * (300.0 * t + 4500.0 * t * t)).sin(), (2.0 * pi * 660.0 * t).sin()];
        let quantised = channels.map(|x| (0.4 * x * 32767.0).round() / 32768.0);
        ((quantised[0] + quantised[1]) / 2.0) as f32
    };
    (0..frames).map(sample).collect()
}

fn sine(frequency: f64, rate: u32, frames: usize) -> Vec<f32> {
    let step = 2.0 * std::f64::consts::PI * frequency / f64::from(rate);
    (0..frames).map(|i| (0.5 * (step * i as f64).sin()) as f32).collect()
}

pub fn wav(samples: &[f32], channels: u16, sample_rate: u32, bits: u16) -> Vec<u8> {
    let float = bits == 32;
    let sample_format = if float { SampleFormat::Float } else { SampleFormat::Int };
    let spec = WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    let scale = (1i64 << (bits - 1)) as f32;
    for sample in samples {
        if float {
            writer.write_sample(*sample).unwrap();
        } else {
            writer.write_sample((sample * scale).round().clamp(-scale, scale - 1.0) as i32).unwrap();
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn open(bytes: Vec<u8>) -> Result<Audio, AudioError> {
    Audio::from_bytes(bytes, Path::new("x"))
}

/// All samples at a rate, or at the file's own.
fn mono(bytes: Vec<u8>, rate: Option<u32>) -> Vec<f32> {
    let audio = open(bytes).unwrap();
    let rate = rate.unwrap_or(audio.rate());
    audio.mono(rate).unwrap().flat_map(Result::unwrap).collect()
}

fn refuse(bytes: Vec<u8>, expected: &str) {
    let error = match open(bytes) {
        Err(error) => error,
        Ok(audio) => audio.mono(16_000).unwrap().find_map(Result::err).unwrap(),
    };
    assert_eq!(error.to_string(), expected);
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Power of what differs by that of what is expected, in decibels, with `found` moved by `lag`.
fn noise(found: &[f32], expected: &[f32], lag: isize) -> f64 {
    let (mut noise, mut signal) = (0.0, 0.0);
    // leaves the edges out, which an encoder may smear
    for (i, expected) in expected.iter().enumerate().take(expected.len() - 1000).skip(1000) {
        let a = found.get(i.wrapping_add_signed(lag)).map_or(0.0, |x| f64::from(*x));
        noise += (a - f64::from(*expected)).powi(2);
        signal += f64::from(*expected).powi(2);
    }
    10.0 * (noise / signal).log10()
}

#[test]
fn lossless_files_give_the_very_samples() {
    for name in ["tone.flac", "tone-alac.m4a", "tone.mka"] {
        let audio = open(bytes(name)).unwrap();
        assert_eq!((audio.rate(), audio.channels()), (TONE_RATE, 2), "{name}");
        assert!((audio.seconds().unwrap() - 0.3).abs() < 1e-9, "{name}");
        assert_eq!(mono(bytes(name), None), tone(TONE_RATE, TONE_FRAMES), "{name}");
    }
}

#[test]
fn lossy_files_give_the_sound_at_its_place_without_what_the_encoder_added() {
    // the padding at the end of Opus in Matroska is not known
    let files = [
        ("tone.mp3", TONE_FRAMES, -25.0),
        ("tone.ogg", TONE_FRAMES, -20.0),
        ("tone.m4a", TONE_FRAMES, -30.0),
        ("film.mp4", TONE_FRAMES, -15.0),
        ("tone.opus", 14_400, -30.0),
        ("tone.webm", 15_048, -30.0),
    ];
    for (name, frames, most) in files {
        let found = mono(bytes(name), None);
        assert_eq!(found.len(), frames, "{name}");
        let rate = open(bytes(name)).unwrap().rate();
        let expected = tone(rate, (0.3 * f64::from(rate)).round() as usize);
        let lags =
            (-60..=60).min_by(|a, b| noise(&found, &expected, *a).total_cmp(&noise(&found, &expected, *b)));
        let noise = noise(&found, &expected, 0);
        println!("{name}: {noise:.1} dB");
        assert_eq!(lags, Some(0), "{name}");
        assert!(noise < most, "{name}: {noise} dB");
    }
}

#[test]
fn streams_one_after_the_other_are_one_recording() {
    for name in ["tone.ogg", "tone.opus"] {
        let once = mono(bytes(name), None);
        assert_eq!(mono(bytes(name).repeat(2), None), once.repeat(2), "{name}");
    }
}

#[test]
fn an_mp3_that_goes_on_after_its_stated_end_is_read_on() {
    let (once, whole) = (mono(bytes("tone.mp3"), None), bytes("tone.mp3"));
    let frames = 13 * 1_152;
    let twice = mono(whole.repeat(2), None);
    // the delay and padding of the second are not known
    assert_eq!(twice.len(), TONE_FRAMES + frames);
    assert_eq!(twice[..TONE_FRAMES - 600], once[..TONE_FRAMES - 600]);
    // without its first frame nothing is known, whatever the bit rates let expect
    let mut starts = whole.windows(2).enumerate().filter(|(_, pair)| *pair == b"\xff\xfb");
    let rest = &whole[starts.nth(1).unwrap().0..];
    assert_eq!(mono(rest.to_vec(), None).len(), frames);
}

#[test]
fn he_aac_is_read_by_its_core() {
    let whole = bytes("tone.m4a");
    let config = whole.windows(5).position(|window| window == [0x12, 0x10, 0x56, 0xe5, 0]).unwrap();
    let expected = mono(whole.clone(), None);
    // the same configuration with a flag that there is more, then the other way to say so
    for said in [[0x12, 0x10, 0x56, 0xe5, 0x80], [0x2a, 0x12, 0x08, 0, 0]] {
        let mut bytes = whole.clone();
        bytes[config..config + 5].copy_from_slice(&said);
        assert_eq!(mono(bytes, None), expected);
    }
}

#[test]
fn wav_of_every_depth_is_read_and_channels_are_averaged() {
    let left = sine(440.0, 16_000, 4000);
    let stereo: Vec<f32> = left.iter().flat_map(|x| [*x, -0.5 * x]).collect();
    for bits in [8, 16, 24, 32] {
        let step = 2f32.powi(1 - i32::from(bits.min(24)));
        let found = mono(wav(&left, 1, 16_000, bits), None);
        assert_eq!(found.len(), 4000);
        assert!(largest_difference(&found, &left) <= step, "{bits} bits");
        let expected: Vec<f32> = left.iter().map(|x| 0.25 * x).collect();
        assert!(largest_difference(&mono(wav(&stereo, 2, 16_000, bits), None), &expected) <= step);
    }
    let six: Vec<f32> = (0..600).map(|i| (i % 6) as f32 / 16.0).collect();
    let found = mono(wav(&six, 6, 16_000, 16), None);
    assert!(found.len() == 100 && found.iter().all(|x| (x - 2.5 / 16.0).abs() < 1e-7));
}

#[test]
fn one_sample_is_a_recording() {
    for (rate, frames) in [(16_000, 1), (48_000, 0), (20_000, 1), (8_000, 2)] {
        assert_eq!(mono(wav(&[0.5], 1, rate, 16), Some(16_000)).len(), frames, "{rate}");
    }
}

#[test]
fn resampling_keeps_a_tone_and_its_phase() {
    for from in [8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 44_056, 48_000, 47_999, 96_000, 192_000] {
        for to in [16_000, 24_000, 44_100] {
            let frames = from as usize + 77;
            let found = mono(wav(&sine(440.0, from, frames), 1, from, 32), Some(to));
            let length = (frames as f64 * f64::from(to) / f64::from(from)).round() as usize;
            assert_eq!(found.len(), length, "{from} to {to}");
            let expected = sine(440.0, to, length);
            // a filter of 0.1 s needs what lies on both sides
            let middle = to as usize / 10..length - to as usize / 10;
            let difference = largest_difference(&found[middle.clone()], &expected[middle]);
            assert!(difference < if from == to { 1e-7 } else { 1e-4 }, "{from} to {to}: {difference}");
        }
    }
}

#[test]
fn what_the_new_rate_cannot_hold_is_gone_and_the_rest_stays() {
    let loudest = |frequency: f64| {
        let found = mono(wav(&sine(frequency, 44_100, 44_100), 1, 44_100, 32), Some(16_000));
        let middle = &found[4_000..12_000];
        20.0 * (middle.iter().fold(0f32, |most, x| most.max(x.abs())) / 0.5).log10()
    };
    for frequency in [8_100.0, 8_500.0, 10_000.0, 12_000.0, 15_900.0, 20_000.0] {
        assert!(loudest(frequency) < -90.0, "{frequency} Hz: {} dB", loudest(frequency));
    }
    for frequency in [50.0, 1_000.0, 4_000.0, 7_000.0, 7_700.0] {
        assert!(loudest(frequency).abs() < 0.1, "{frequency} Hz: {} dB", loudest(frequency));
    }
}

#[test]
fn packets_leave_no_trace_in_what_is_resampled() {
    let packets = mono(bytes("tone.flac"), Some(16_000));
    assert_eq!(packets.len(), 4_800);
    assert_eq!(packets, mono(bytes("tone-alac.m4a"), Some(16_000)));
    let samples = tone(TONE_RATE, TONE_FRAMES);
    assert_eq!(packets, mono(wav(&samples, 1, TONE_RATE, 32), Some(16_000)));
}

#[test]
fn blocks_last_half_a_second() {
    let audio = open(wav(&sine(440.0, 44_100, 100_000), 1, 44_100, 16)).unwrap();
    let sizes: Vec<usize> = audio.mono(16_000).unwrap().map(|block| block.unwrap().len()).collect();
    assert_eq!(sizes, [8_000, 8_000, 8_000, 8_000, 4_281]);
}

#[test]
fn headerless_samples_are_read_as_told() {
    let folder = std::env::temp_dir().join(format!("media-audio-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.raw");
    let frames: Vec<u8> = [100i16, 300, -7, -9, 1].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&path, &frames).unwrap();
    let audio = Audio::raw(&path, 8_000, 2).unwrap();
    assert_eq!((audio.rate(), audio.channels(), audio.seconds()), (8_000, 2, Some(2.0 / 8_000.0)));
    let found: Vec<f32> = audio.mono(8_000).unwrap().flat_map(Result::unwrap).collect();
    assert_eq!(found, [200.0 / 32768.0, -8.0 / 32768.0]);
    let error = |result: Result<Audio, AudioError>| result.err().unwrap().to_string();
    let name = path.display();
    assert_eq!(
        error(Audio::raw(&path, 8_000, 9)),
        format!("{name}: there is no sound in it, not one sample")
    );
    let shape = "expected 1 to 255 channels at 1000 to 768000 Hz";
    assert_eq!(error(Audio::raw(&path, 8_000, 0)), format!("{name}: 0 channels at 8000 Hz, {shape}"));
    assert_eq!(error(Audio::raw(&path, 10, 1)), format!("{name}: 1 channels at 10 Hz, {shape}"));
    assert_eq!(
        error(Audio::open(&folder)),
        format!("{} is a folder; name an audio file in it", folder.display())
    );
    std::fs::write(&path, wav(&[0.25; 10], 1, 16_000, 16)).unwrap();
    assert_eq!(read(&path, 16_000).unwrap(), [0.25; 10]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_wav_whose_length_was_never_known_gives_what_is_there() {
    let samples = sine(440.0, 16_000, 1_000);
    let whole = wav(&samples, 1, 16_000, 16);
    let with = |riff: [u8; 4], data: [u8; 4], length: usize| {
        let mut bytes = whole[..length].to_vec();
        bytes[4..8].copy_from_slice(&riff);
        bytes[40..44].copy_from_slice(&data);
        mono(bytes, None)
    };
    let expected = mono(whole.clone(), None);
    let piped = 0x7fff_f000u32.to_le_bytes();
    for (riff, data) in [([0xff; 4], [0xff; 4]), ([0; 4], [0; 4]), ([0xff; 4], piped)] {
        assert_eq!(with(riff, data, whole.len()), expected, "{data:?}");
        assert_eq!(with(riff, data, 44 + 300), expected[..150], "{data:?}");
    }
    // RF64: the sizes stand in a chunk of 64-bit numbers, and something follows the samples
    let sizes = [&b"ds64"[..], &28u32.to_le_bytes(), &[0; 8], &2000u64.to_le_bytes(), &[0; 12]].concat();
    let long = [
        b"RF64\xff\xff\xff\xffWAVE",
        &sizes[..],
        &whole[12..40],
        &[0xff; 4],
        &whole[44..],
        b"LIST\x04\0\0\0INFO",
    ];
    assert_eq!(mono(long.concat(), None), expected);
    // an empty recording, with a chunk after it
    refuse(
        [&whole[..40], &[0; 4], b"LIST\x04\0\0\0INFO"].concat(),
        "x: there is no sound in it, not one sample",
    );
}

#[test]
fn a_file_that_is_cut_gives_what_is_whole_then_an_error() {
    let cut = |name: &str| {
        let mut bytes = bytes(name);
        bytes.truncate(bytes.len() * 7 / 10);
        bytes
    };
    let until = |bytes: Vec<u8>| {
        let mut found = Vec::new();
        let audio = open(bytes).unwrap();
        let rate = audio.rate();
        let mut blocks = audio.mono(rate).unwrap();
        let error = blocks.find_map(|block| block.map(|block| found.extend(block)).err());
        assert!(blocks.next().is_none());
        (found, error.map(|error| error.to_string()))
    };
    for (name, packet) in [("tone.flac", 4_608), ("tone.mp3", 1_152)] {
        let (found, error) = until(cut(name));
        let whole = mono(bytes(name), None);
        assert!(found.len() >= packet && found.len() < whole.len(), "{name}: {}", found.len());
        assert!(largest_difference(&found, &whole) < 1e-6, "{name}");
        assert!(
            error.as_deref().is_some_and(|error| error.starts_with("x: cut off after 0.")),
            "{name}: {error:?}"
        );
    }
    let whole = wav(&sine(440.0, 16_000, 1_000), 1, 16_000, 16);
    let (found, error) = until(whole[..44 + 301].to_vec());
    assert_eq!((found.len(), error.as_deref()), (150, Some("x: cut off after 0.009 s of 0.062 s")));
    // the index stands at the end of the one, the other says how long it ought to be
    let reason = |reason: &str| format!("x: cannot be read as audio ({reason}); is the file whole?");
    refuse(cut("tone.ogg"), &reason("it ends too early"));
    refuse(cut("tone.m4a"), &reason("unsupported feature: isomp4: missing moov atom"));
    refuse(cut("tone.mka"), &reason("unsupported feature: mkv: missing segment element"));
}

#[test]
fn a_packet_that_cannot_be_decoded_becomes_silence_of_its_length() {
    let mut damaged = bytes("tone.mka");
    let mut frames = damaged.windows(2).enumerate().filter(|(_, pair)| *pair == b"\xff\xf8");
    let frame = frames.nth(1).unwrap().0;
    damaged[frame + 2..frame + 40].fill(0xff);
    let mut blocks = open(damaged).unwrap().mono(TONE_RATE).unwrap();
    let found: Vec<f32> = blocks.by_ref().flat_map(Result::unwrap).collect();
    assert_eq!(found.len(), TONE_FRAMES);
    let packet = 4_608;
    assert!((blocks.lost() - f64::from(packet) / f64::from(TONE_RATE)).abs() < 1e-3, "{}", blocks.lost());
    let expected = tone(TONE_RATE, TONE_FRAMES);
    let packet = packet as usize;
    assert_eq!(found[..packet], expected[..packet]);
    assert!(found[packet..2 * packet].iter().all(|x| *x == 0.0));
    assert_eq!(found[2 * packet..], expected[2 * packet..]);
}

#[test]
fn what_is_no_sound_is_refused_by_name() {
    let convert = "is not supported; convert it first: ffmpeg -i INPUT OUTPUT.wav";
    let kinds = "WAV, FLAC, MP3, Ogg, Opus, MP4, Matroska, WebM, AAC, AIFF and CAF are read";
    refuse(vec![], "x: there is no sound in it, not one sample");
    refuse(wav(&[], 1, 16_000, 16), "x: there is no sound in it, not one sample");
    refuse(b"To be, or not to be".to_vec(), &format!("x: not an audio file; {kinds}"));
    refuse(b"\x89PNG\r\n\x1a\n".repeat(3), &format!("x: not an audio file; {kinds}"));
    refuse(bytes("silent.mp4"), "x: no audio track in it");
    refuse(bytes("tone-ac3.mka"), &format!("x: AC-3 {convert}"));
    refuse(b"#!AMR\n".repeat(100), &format!("x: AMR {convert}"));
    refuse(b"MThd\0\0\0\x06".to_vec(), &format!("x: MIDI (notes, not sound) {convert}"));
    let mut header = wav(&[0.0; 100], 1, 16_000, 16);
    header[22] = 0;
    refuse(
        header,
        "x: cannot be read as audio (malformed stream: riff: invalid channel count); is the file whole?",
    );
    let slow = wav(&[0.0; 100], 1, 999, 16);
    refuse(slow, "x: 1 channels at 999 Hz, expected 1 to 255 channels at 1000 to 768000 Hz");
    let missing = Audio::open(Path::new("no such file.wav")).err().unwrap().to_string();
    assert!(missing.starts_with("no such file.wav: "), "{missing}");
    let rate = open(wav(&[0.0; 100], 1, 16_000, 16)).unwrap().mono(0).err().unwrap().to_string();
    assert_eq!(rate, "cannot resample to 0 Hz, expected 1000 to 768000");
}

#[test]
fn samples_that_are_no_numbers_end_the_file_with_their_time() {
    for value in [f32::NAN, f32::INFINITY, -3e38] {
        let mut samples = sine(440.0, 16_000, 20_000);
        samples[12_000] = value;
        let mut blocks = open(wav(&samples, 1, 16_000, 32)).unwrap().mono(16_000).unwrap();
        let first: Vec<f32> = blocks.next().unwrap().unwrap();
        assert_eq!(first, samples[..8_000]);
        let rest = blocks.next().unwrap().unwrap();
        assert_eq!(rest, samples[8_000..8_000 + rest.len()]);
        let error = blocks.next().unwrap().unwrap_err().to_string();
        assert_eq!(error, format!("x: the sample at 0.750 s is {value}, expected numbers of full scale 1"));
        assert!(blocks.next().is_none());
    }
}

#[test]
fn either_channel_is_heard_on_its_own() {
    let samples: Vec<f32> =
        (0..4000).flat_map(|i| [(i as f32 * 0.05).sin() * 0.5, (i as f32 * 0.11).sin() * 0.3]).collect();
    let bytes = media::wav::encode_as(&samples, 2, 8000, media::wav::Depth::Float).unwrap();
    let channels = media::audio::channels_of(&bytes, Path::new("two.wav"), 8000).unwrap();
    for (i, channel) in channels.iter().enumerate() {
        let expected: Vec<f32> = samples.iter().skip(i).step_by(2).copied().collect();
        assert_eq!(channel, &expected);
    }
    assert_eq!(channels.len(), 2);
    let resampled = media::audio::channels_of(&bytes, Path::new("two.wav"), 4000).unwrap();
    assert_eq!(resampled.iter().map(Vec::len).collect::<Vec<_>>(), [2000, 2000]);
    let one = media::wav::encode(&samples, 1, 8000).unwrap();
    assert_eq!(media::audio::channels_of(&one, Path::new("one.wav"), 8000).unwrap().len(), 1);
}
