//! Bad input of every kind: one line, and nothing written.

use super::{folder, golden, model, refused};
use media::image_file::{Format, Pixels};

#[test]
fn flags_that_cannot_be_are_refused() {
    let (folder, model) = (folder("flags"), golden("sd1"));
    let with =
        |words: &[&str], code: i32| refused(&folder, &[&["--model", &model, "x"], words].concat(), code);
    assert!(with(&["--width", "30"], 1).contains("--width 30 is not a multiple of 4"));
    assert!(with(&["--width", "9000"], 2).contains("9000 is not in 8..=8192"));
    assert!(with(&["--steps", "0"], 2).contains("0 is not in 1..=1000"));
    assert!(with(&["--steps", "1000000000"], 2).contains("not in 1..=1000"));
    assert!(with(&["--guidance", "NaN"], 2).contains("a number from 0 to 1000"));
    assert!(with(&["--scheduler", "magic"], 2).contains("dpmpp-2m-karras"));
    assert!(with(&["--strength", "0.5"], 2).contains("--init"));
    assert!(with(&["--clip-skip", "3"], 1).contains("has 3 layers"));
    assert!(with(&["-o", "a.gif"], 2).contains(".gif cannot be written"));
    assert!(with(&["y", "-o", "-"], 2).contains("takes one picture"));
    assert!(refused(&folder, &["--model", &model, "missing.txt"], 2).contains("--text"));
    let long = "word ".repeat(20_000);
    assert!(refused(&folder, &["--model", &model, &long], 2).contains("a prompt of 100000 bytes"));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn pictures_that_cannot_be_begun_with_are_refused() {
    let (folder, model) = (folder("pictures"), golden("sd1"));
    let write = |name: &str, picture: &Pixels| {
        std::fs::write(folder.join(name), picture.encode(Format::Png, &[]).unwrap()).unwrap();
    };
    write("dot.png", &Pixels::new(1, 1, [9; 4]));
    write("small.png", &Pixels::new(16, 16, [9; 4]));
    let mut bomb = Pixels::new(4, 4, [9, 9, 9, 255]).encode(Format::Png, &[]).unwrap();
    // sides of 30,000 and the checksum of that header
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let crc = crc(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&crc);
    std::fs::write(folder.join("bomb.png"), bomb).unwrap();
    std::fs::write(folder.join("text.png"), "no picture").unwrap();
    let with = |words: &[&str]| {
        refused(&folder, &[&["--model", &model, "x", "--steps", "2", "-o", "out.png"], words].concat(), 1)
    };
    assert!(with(&["--init", "none.png"]).contains("none.png"));
    assert!(with(&["--init", "text.png"]).contains("neither PNG, JPEG, WebP, GIF nor BMP"));
    assert!(with(&["--init", "."]).contains("not an ordinary file"));
    assert!(with(&["--init", "dot.png"]).contains("1x1 is too small"));
    assert!(with(&["--init", "bomb.png"]).contains("30000x30000: the most is 16384 pixels a side"));
    let init = golden("init.png");
    assert!(
        with(&["--init", &init, "--mask", "small.png"]).contains("a mask of 16x16 for a picture of 32x32")
    );
    assert!(with(&["--init", &init, "--strength", "0", "--scheduler", "ddim"]).contains("leaves none to do"));
    assert!(!folder.join("out.png").exists());
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn models_that_are_not_whole_are_refused() {
    let folder = folder("models");
    let copy = |name: &str| {
        let (from, to) = (std::path::PathBuf::from(golden("turbo")), folder.join(name));
        for part in ["", "unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
            std::fs::create_dir_all(to.join(part)).unwrap();
            for entry in std::fs::read_dir(from.join(part)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    std::fs::copy(&path, to.join(part).join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        to
    };
    let with = |name: &str| refused(&folder, &["--model", &format!("./{name}"), "x", "-o", "out.png"], 1);
    let gone = copy("gone");
    std::fs::remove_dir_all(gone.join("vae")).unwrap();
    assert!(with("gone").contains("vae"));
    let cut = copy("cut");
    let weights = cut.join("unet/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(with("cut").contains("truncated"));
    let other = copy("other");
    std::fs::write(other.join("model_index.json"), r#"{"_class_name": "FluxPipeline"}"#).unwrap();
    assert!(with("other").contains("`FluxPipeline` is not supported"));
    let sampler = copy("sampler");
    std::fs::write(
        sampler.join("scheduler/scheduler_config.json"),
        r#"{"_class_name": "KDPM2DiscreteScheduler"}"#,
    )
    .unwrap();
    assert!(with("sampler").contains("--scheduler names another"));
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    assert!(with("empty").contains("model_index.json"));
    assert!(!folder.join("out.png").exists());
}

#[test]
fn data_that_nothing_is_learned_from_is_refused() {
    let folder = folder("data");
    std::fs::create_dir_all(folder.join("none")).unwrap();
    let with =
        |words: &[&str], code: i32| refused(&folder, &[&["train", "--out", "mine"], words].concat(), code);
    assert!(with(&["--data", "none"], 1).contains("no pictures"));
    std::fs::write(folder.join("none/a.png"), "no picture").unwrap();
    assert!(with(&["--data", "none"], 1).contains("1 could not be read, the first: none/a.png"));
    std::fs::write(folder.join("none/metadata.jsonl"), "{\"file_name\": 3}\n").unwrap();
    assert!(with(&["--data", "none"], 1).contains("line 1: wants an object with file_name and text"));
    assert!(with(&["--data", "none", "--size", "48"], 2).contains("16, 32 or 64"));
    assert!(with(&["--data", "none", "--base", &golden("sd1")], 1).contains("was not trained here"));
    assert!(
        refused(&folder, &["evaluate", "--data", "none", "--model", &golden("sd1")], 1)
            .contains("trained here")
    );
    let words = ["train", "--data", "none", "--out", model()];
    assert!(refused(&folder, &words, 1).contains("is a model already"));
    assert!(!folder.join("mine/model_index.json").exists());
}
