//! GGUF files: transformers' logits and ids from scripts/golden/gguf_files.py, and files that are not what they say.

use crate::golden::{assert_close, folder};
use candle_core::{DType, Device, Result, Tensor};
use models::checkpoint::Files;
use models::checkpoint::gguf::Gguf;
use models::nets::llama::gguf::{config, load};
use models::nets::llama::{Cache, Config, Llama};
use std::sync::Arc;

fn open(name: &str) -> Result<Gguf> {
    Gguf::open(&Files::Dir(folder("gguf")), name)
}

fn net(gguf: &Arc<Gguf>, packed: bool) -> Result<(Llama, Cache)> {
    let (cfg, net): (Config, Llama) = load(gguf.clone(), packed, &Device::Cpu)?;
    Ok((net, Cache::new(&cfg)))
}

fn expected(name: &str) -> Result<std::collections::HashMap<String, Tensor>> {
    candle_core::safetensors::load(folder("gguf").join(format!("{name}.safetensors")), &Device::Cpu)
}

#[test]
fn transformers_logits_and_greedy_ids_are_reproduced() -> Result<()> {
    for name in ["llama3", "linear", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "blocks"] {
        let (gguf, expected) = (Arc::new(open(&format!("{name}.gguf"))?), expected(name)?);
        let (net, cache) = net(&gguf, false)?;
        let ids = expected["ids"].to_dtype(DType::U32)?;
        assert_close(&net.forward(&ids, &mut cache.clone())?, &expected["logits"], 1e-4, name);
        let (mut cache, mut ids) = (cache, expected["prompt"].to_dtype(DType::U32)?.unsqueeze(0)?);
        let mut greedy = Vec::new();
        for _ in 0..64 {
            ids = net.forward_last(&ids, &mut cache)?.argmax_keepdim(1)?;
            greedy.push(ids.flatten_all()?.to_vec1::<u32>()?[0] as i64);
        }
        assert_eq!(greedy, expected["greedy"].to_vec1::<i64>()?, "{name}");
    }
    Ok(())
}

// activations are rounded to bytes then, as in llama.cpp
#[test]
fn weights_that_stay_in_blocks_give_nearly_the_same() -> Result<()> {
    let (gguf, expected) = (Arc::new(open("blocks.gguf")?), expected("blocks")?);
    let (net, mut cache) = net(&gguf, true)?;
    let logits = net.forward(&expected["ids"].to_dtype(DType::U32)?, &mut cache)?;
    assert_close(&logits, &expected["logits"], 2e-2, "blocks");
    Ok(())
}

/// A file with an entry, a list and a tensor of four floats.
fn small() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |number: u32| number.to_le_bytes().to_vec();
    let long = |number: u64| number.to_le_bytes().to_vec();
    let mut file = [b"GGUF".to_vec(), number(3), long(1), long(2)].concat();
    file.extend([text("general.alignment"), number(4), number(8)].concat());
    file.extend([text("ids"), number(9), number(5), long(2), number(7), number(9)].concat());
    file.extend([text("a"), number(2), long(2), long(2), number(0), long(0)].concat());
    file.resize(file.len().next_multiple_of(8), 0);
    file.extend([1f32, 2., 3., 4.].iter().flat_map(|x| x.to_le_bytes()));
    file
}

fn parse(bytes: &[u8]) -> Result<Gguf> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.gguf"), bytes)?;
    Gguf::open(&Files::Dir(folder.path().into()), "a.gguf")
}

#[test]
fn a_small_file_is_read() -> Result<()> {
    let gguf = parse(&small())?;
    assert_eq!(gguf.tensor("a", DType::F32, &Device::Cpu)?.to_vec2::<f32>()?, [[1., 2.], [3., 4.]]);
    assert_eq!(gguf.metadata().size("general.alignment")?, Some(8));
    assert_eq!(gguf.metadata().list("ids")?.unwrap().len(), 2);
    Ok(())
}

#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    let error = parse(bytes).err().expect("refused").to_string();
    assert!(error.contains(words) && !error.contains('\n'), "{error}");
}

#[test]
fn what_is_not_as_it_says_is_refused() {
    let file = small();
    for end in 0..file.len() {
        assert!(parse(&file[..end]).is_err(), "cut to {end}");
    }
    let change = |place: usize, bytes: &[u8]| {
        let mut changed = file.clone();
        changed[place..place + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let find = |bytes: &[u8]| file.windows(bytes.len()).position(|part| part == bytes).unwrap();
    refused(b"PK\x03\x04 something else", "not such a file");
    refused(&change(4, &[0, 0, 0, 3]), "big-endian");
    refused(&change(4, &[1]), "version 1");
    refused(&change(8, &[255; 8]), "tensors are announced");
    refused(&change(16, &[255; 8]), "entries are announced");
    let alignment = find(b"general.alignment") + 21;
    refused(&change(alignment, &[0]), "general.alignment is 0");
    refused(&change(alignment, &[12]), "general.alignment is 12");
    let list = find(b"ids") + 7;
    refused(&change(list, &[9]), "kind 9");
    refused(&change(list + 4, &[255; 7]), "values of a list are announced");
    let tensor = find(b"a\x02\x00\x00\x00");
    refused(&change(tensor + 1, &[5]), "5 dimensions");
    refused(&change(tensor + 5, &[0]), "no possible size");
    refused(&change(tensor + 5, &[255; 8]), "truncated");
    refused(&change(tensor + 5, &[0, 0, 0, 0, 0, 0, 0, 64]), "truncated");
    refused(&change(tensor + 21, &[16]), "IQ2_XXS");
    refused(&change(tensor + 21, &[8]), "whole blocks");
    refused(&change(tensor + 25, &[4]), "no multiple of 8");
    refused(&change(tensor + 25, &[8]), "truncated");
}

#[test]
fn keys_that_the_net_needs_are_asked_for_by_name() -> Result<()> {
    let error = config(&parse(&small())?).unwrap_err().to_string();
    assert!(error.contains("general.architecture is missing"), "{error}");
    Ok(())
}

/// Changes bytes, cuts and repeats; most of what comes is refused, none may panic or take much.
#[test]
fn mutated_files_never_panic() -> Result<()> {
    let tries: u64 = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let seeds = [small(), std::fs::read(folder("gguf").join("qwen3.gguf"))?];
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below.max(1)
    };
    let folder = tempfile::tempdir()?;
    let (path, mut read) = (folder.path().join("a.gguf"), 0);
    for i in 0..tries {
        // the head of the larger file, so that most changes meet its description
        let mut bytes = seeds[i as usize % 2].clone();
        let head = bytes.len().min(3000);
        for _ in 0..1 + random(4) {
            let place = random(head.min(bytes.len()));
            match random(4) {
                0 => bytes[place] = random(256) as u8,
                1 => bytes[place] ^= 1 << random(8),
                2 => {
                    let end = (place + 8).min(bytes.len());
                    bytes[place..end].fill([0, 255, 127][random(3)]);
                }
                _ if i % 8 == 0 => bytes.truncate(bytes.len() - random(bytes.len())),
                _ => bytes[place] = bytes[place].wrapping_add(1),
            }
            if bytes.is_empty() {
                break;
            }
        }
        std::fs::write(&path, &bytes)?;
        let Ok(gguf) = Gguf::open(&Files::Dir(folder.path().into()), "a.gguf") else { continue };
        read += 1;
        if let Ok(cfg) = config(&gguf)
            && cfg.validate().is_ok()
            && cfg.hidden_size <= 64
            && cfg.num_hidden_layers <= 8
            && i % 16 == 1
        {
            let _ = load(Arc::new(gguf), true, &Device::Cpu);
        }
    }
    assert!(read > 0, "every change was refused");
    Ok(())
}
