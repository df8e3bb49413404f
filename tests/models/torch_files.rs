//! What `torch.save` writes, in all its formats, against the same tensors as safetensors.

use crate::golden;
use candle_core::{DType, Device, Result};
use models::checkpoint::{Checkpoint, Files, Stored, save_weights};
use std::fs;
use std::path::Path;

fn open(name: &str) -> Result<Checkpoint> {
    Checkpoint::open_file(&golden::folder("torch").join(name))
}

/// Names, number formats and sizes.
fn described(checkpoint: &Checkpoint) -> Vec<(String, String, Vec<usize>)> {
    let one =
        |(name, stored): (&str, &Stored)| (name.to_string(), stored.dtype.clone(), stored.shape.clone());
    checkpoint.tensors().map(one).collect()
}

/// The same tensors, to the bit: both are written as safetensors, byte by byte the same.
fn assert_same(found: &Checkpoint, expected: &Checkpoint, what: &str) {
    assert_eq!(described(found), described(expected), "{what}");
    let folder = tempfile::tempdir().unwrap();
    let written = [("found", found), ("expected", expected)].map(|(name, checkpoint)| {
        let path = folder.path().join(name);
        save_weights(&path, checkpoint, None).unwrap();
        fs::read(path).unwrap()
    });
    assert!(written[0] == written[1], "{what}: values differ");
}

#[test]
fn every_format_holds_the_same_tensors() {
    let expected = open("tensors.safetensors").unwrap();
    assert_eq!(expected.tensors().count(), 13);
    for name in ["archive.bin", "chain.bin", "protocol4.bin", "trainer.pt"] {
        assert_same(&open(name).unwrap(), &expected, name);
    }
}

#[test]
fn tensors_in_tensors_have_names_of_places() {
    let found = described(&open("parameters.pt").unwrap());
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["deep.y", "list.0", "x"]);
}

#[test]
fn a_folder_may_hold_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let open = || Checkpoint::open(Files::Dir(place.to_path_buf()));
    fs::copy(golden::folder("torch").join("chain.bin"), place.join("pytorch_model.bin")).unwrap();
    let read = |checkpoint: &Checkpoint| {
        let weights = checkpoint.vb(DType::F32, &Device::Cpu).get((5, 4), "turned").unwrap();
        weights.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let expected = read(&self::open("tensors.safetensors").unwrap());
    assert_eq!(read(&open().unwrap()), expected);
    // in several files, each tensor where the index says
    fs::rename(place.join("pytorch_model.bin"), place.join("pytorch_model-00001-of-00002.bin")).unwrap();
    fs::copy(golden::folder("torch").join("parameters.pt"), place.join("pytorch_model-00002-of-00002.bin"))
        .unwrap();
    let index = r#"{"weight_map": {"turned": "pytorch_model-00001-of-00002.bin", "x": "pytorch_model-00002-of-00002.bin"}}"#;
    fs::write(place.join("pytorch_model.bin.index.json"), index).unwrap();
    let both = open().unwrap();
    assert_eq!(both.tensors().map(|(name, _)| name).collect::<Vec<_>>(), ["turned", "x"]);
    assert_eq!(read(&both), expected);
    // safetensors are preferred
    fs::copy(golden::folder("torch").join("tensors.safetensors"), place.join("model.safetensors")).unwrap();
    assert_eq!(open().unwrap().tensors().count(), 13);
}

#[test]
fn converted_floats_are_rounded_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    save_weights(&path, &open("chain.bin").unwrap(), Some(DType::F16)).unwrap();
    let found = described(&Checkpoint::open_file(&path).unwrap());
    let format = |wanted: &str| found.iter().find(|(name, ..)| name == wanted).unwrap().1.as_str();
    assert_eq!(
        ["a.weight", "a.bias", "brain", "double", "places", "flags"].map(format),
        ["F16", "F16", "F16", "F16", "I64", "BOOL"]
    );
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let refused = |name: &str, part: &str| {
        let Err(error) = open(name) else { panic!("{name} is accepted") };
        let error = error.to_string();
        assert!(error.contains(part) && error.contains(name) && error.lines().count() == 1, "{error}");
    };
    refused("module.pt", "torch.save(net.state_dict(), FILE)");
    refused("script.pt", "TorchScript");
    refused("quantised.pt", "not a plain tensor");
    refused("nowhere.bin", "no such file");
}

/// Any byte changed, any end cut: one line, or tensors that lie within the file.
#[test]
fn damage_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.bin");
    let try_open = |path: &Path| {
        if let Err(error) = Checkpoint::open_file(path).map(|checkpoint| checkpoint.tensors().count()) {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    };
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for name in ["archive.bin", "chain.bin", "protocol4.bin", "trainer.pt"] {
        let whole = fs::read(golden::folder("torch").join(name)).unwrap();
        for _ in 0..1000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if random(4) == 0 {
                bytes.truncate(random(whole.len()));
            }
            fs::write(&path, bytes).unwrap();
            try_open(&path);
        }
    }
}

/// Dictionaries that hold each other without end, or the same one again and again.
#[test]
fn bombs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.bin");
    let refused = |object: &[u8]| {
        let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
        let system = b"\x80\x02}X\r\x00\x00\x00little_endian\x88s.";
        let bytes =
            [&magic[..], b"\x80\x02M\xe9\x03.", system, b"\x80\x02", object, b".", b"\x80\x02]."].concat();
        fs::write(&path, bytes).unwrap();
        let Err(error) = Checkpoint::open_file(&path) else { panic!("accepted") };
        error.to_string()
    };
    // a dictionary that holds itself
    let error = refused(b"}q\x00X\x01\x00\x00\x00ah\x00s");
    assert!(error.contains("dictionaries in each other"), "{error}");
    // twelve, each holding the one before ten times
    let mut doubled = b"}q\x00".to_vec();
    for i in 1..=12u8 {
        doubled.push(b'}');
        for key in b'0'..=b'9' {
            doubled.extend([b'X', 1, 0, 0, 0, key, b'h', i - 1, b's']);
        }
        doubled.extend([b'q', i]);
    }
    let error = refused(&doubled);
    assert!(error.contains("entries"), "{error}");
}
