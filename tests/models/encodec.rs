//! EnCodec: the codes and samples that transformers computes, of a recording, whole and in pieces.

use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::nets::encodec::{Config, Encodec};
use models::vars::VarBuilder;
use std::collections::HashMap;

use super::golden::{assert_close, expected, folder};

/// From scripts/golden/encodec.py, whose seeds were chosen by the tolerance.
const GOLDEN: [&str; 3] = ["encodec/music", "encodec/speech", "encodec/stereo"];
const TOLERANCE: f32 = 1e-4;

fn load(name: &str) -> Result<(Encodec, HashMap<String, Tensor>)> {
    let checkpoint = Checkpoint::open(Files::Dir(folder(name)))?;
    let config: Config = checkpoint.config()?;
    Ok((Encodec::new(&config, checkpoint.vb(DType::F32, &Device::Cpu))?, expected(name)?))
}

fn assert_equal(found: &Tensor, expected: &Tensor, what: &str) -> Result<()> {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let flat = |codes: &Tensor| codes.to_dtype(DType::U32)?.flatten_all()?.to_vec1::<u32>();
    assert_eq!(flat(found)?, flat(expected)?, "{what}");
    Ok(())
}

#[test]
fn transformers_codes_are_reproduced_whole_and_in_pieces() -> Result<()> {
    for name in GOLDEN {
        let (net, golden) = load(name)?;
        let bandwidths = net.config().target_bandwidths.clone();
        for piece in [1, 7, 20, 1000] {
            let codes = net.encode_in_pieces(&golden["samples"], bandwidths.last().copied(), piece)?;
            assert_equal(&codes, &golden["codes"], &format!("{name} by {piece}"))?;
        }
        let fewer = net.config().codebooks_at(None)?;
        assert_eq!(fewer, 4 / bandwidths.len());
        assert_equal(&net.encode(&golden["samples"], None)?, &golden["codes"].narrow(1, 0, fewer)?, name)?;
    }
    Ok(())
}

#[test]
fn transformers_samples_are_reproduced_whole_and_in_pieces() -> Result<()> {
    for name in GOLDEN {
        let (net, golden) = load(name)?;
        assert_close(&net.decode(&golden["codes"])?, &golden["decoded"], TOLERANCE, name);
        for piece in [1, 7, 20] {
            let pieces = net.pieces(&golden["codes"], piece)?.collect::<Result<Vec<_>>>()?;
            assert!(pieces[0].dim(2)? == piece * net.config().hop());
            assert_close(
                &Tensor::cat(&pieces, 2)?,
                &golden["decoded"],
                TOLERANCE,
                &format!("{name} by {piece}"),
            );
        }
    }
    Ok(())
}

/// The largest difference of two tensors.
fn apart(a: &Tensor, b: &Tensor) -> Result<f32> {
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()
}

#[test]
fn joins_of_pieces_cannot_be_told() -> Result<()> {
    for name in GOLDEN {
        let (net, golden) = load(name)?;
        let whole = net.pieces(&golden["codes"], 1000)?.collect::<Result<Vec<_>>>()?.remove(0);
        let pieces = net.pieces(&golden["codes"], 5)?.collect::<Result<Vec<_>>>()?;
        let largest = whole.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
        assert!(apart(&Tensor::cat(&pieces, 2)?, &whole)? <= 1e-6 * largest, "{name}");
    }
    Ok(())
}

#[test]
fn a_causal_codec_hears_nothing_of_what_comes_later() -> Result<()> {
    let (net, golden) = load("encodec/speech")?;
    let first = golden["samples"].narrow(2, 0, 900)?;
    assert_equal(&net.encode(&first, None)?, &golden["codes"].narrow(1, 0, 2)?.narrow(2, 0, 30)?, "beginning")
}

#[test]
fn what_is_no_sound_and_no_code_is_refused() -> Result<()> {
    let (net, golden) = load("encodec/music")?;
    let refused = |result: Result<Tensor>, part: &str| {
        let said = result.unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    };
    let samples = &golden["samples"];
    refused(net.encode(samples, Some(3.)), "3 kilobits");
    refused(net.encode(&samples.narrow(2, 0, 0)?, None), "no samples");
    refused(net.encode(&Tensor::cat(&[samples, samples], 1)?, None), "given 2");
    let codes = &golden["codes"];
    refused(net.decode(&codes.narrow(2, 0, 0)?), "0 frames");
    refused(net.decode(&Tensor::cat(&[codes, codes], 1)?), "8 rows");
    refused(net.decode(&(codes + 64.)?), "none of a codebook of 64");
    Ok(())
}

#[test]
fn options_of_other_codecs_are_refused_by_name() -> Result<()> {
    let refused = |change: &dyn Fn(&mut Config), part: &str| {
        let mut config = Config::default();
        change(&mut config);
        let said = match Encodec::new(&config, VarBuilder::zeros(DType::F32, &Device::Cpu)) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{part} was not refused"),
        };
        assert!(said.contains(part), "{said}");
    };
    refused(&|c| c.model_type = "dac".into(), "model_type `dac`");
    refused(&|c| c.norm_type = "time_group_norm".into(), "norm_type `time_group_norm`");
    refused(&|c| c.normalize = true, "normalize");
    refused(&|c| c.chunk_length_s = Some(1.), "chunk_length_s");
    refused(&|c| c.pad_mode = "circular".into(), "pad_mode `circular`");
    refused(&|c| c.upsampling_ratios = vec![], "upsampling_ratios []");
    refused(&|c| c.upsampling_ratios = vec![8, 0], "upsampling_ratios [8, 0]");
    refused(&|c| c.upsampling_ratios = vec![64; 4], "upsampling_ratios");
    refused(&|c| c.audio_channels = 3, "audio_channels 3");
    refused(&|c| c.target_bandwidths = vec![], "codebooks");
    refused(&|c| c.target_bandwidths = vec![f64::NAN], "codebooks");
    refused(&|c| c.compress = 0, "compress 0");
    refused(&|c| c.codebook_dim = Some(64), "codebook_dim");
    refused(&|c| c.trim_right_ratio = 1.5, "trim_right_ratio 1.5");
    refused(&|c| (c.dilation_growth_rate, c.num_residual_layers) = (16, 16), "dilation_growth_rate 16");
    refused(&|c| c.num_filters = 4096, "num_filters 4096");
    // the sizes of both public codecs
    assert_eq!((Config::default().codebooks(), Config::default().frame_rate()), (32, 75));
    let music = Config {
        sampling_rate: 32_000,
        upsampling_ratios: vec![8, 5, 4, 4],
        codebook_size: 2048,
        target_bandwidths: vec![2.2],
        ..Config::default()
    };
    assert_eq!((music.codebooks(), music.codebooks_at(None)?, music.frame_rate()), (4, 4, 50));
    assert_eq!(Config::default().codebooks_at(Some(6.))?, 8);
    Ok(())
}
