//! The model that is built in.
#![cfg(feature = "embedded")]

use super::{folder, must, read};

#[test]
fn the_first_run_makes_a_picture() {
    let folder = folder("embedded");
    let path = must(&folder, &["a cat", "--offline", "--seed", "1"]);
    assert_eq!(path, "picture.png\n");
    let picture = read(folder.join("picture.png"));
    assert_eq!((picture.width, picture.height, picture.is_opaque()), (256, 256, true));
    // something stands on the white, and not all over it
    let white = picture.rgba.chunks_exact(4).filter(|pixel| pixel[..3] == [255; 3]).count();
    let share = white as f64 / f64::from(256 * 256);
    assert!((0.2..0.95).contains(&share), "{share} is white");
    must(&folder, &["again", "picture.png", "-o", "again.png"]);
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("picture.png"), bytes("again.png"));
}

#[test]
fn nothing_asked_makes_something() {
    let folder = folder("embedded-nothing");
    must(&folder, &["--seed", "3", "--steps", "12", "--transparent", "--scale", "1"]);
    let picture = read(folder.join("picture.png"));
    let seen = picture.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 127).count();
    assert_eq!((picture.width, picture.height), (32, 32));
    assert!(seen > 40, "{seen} pixels are seen");
}

#[test]
fn colours_are_those_that_are_asked_for() {
    let folder = folder("embedded-colours");
    // red less blue of what is not see-through
    let warmth = |colour: &str| {
        let prompt = format!("a {colour} potion");
        let few = ["--count", "6", "--seed", "1", "--steps", "16", "--transparent", "--scale", "1"];
        must(&folder, &[&[prompt.as_str()], &few[..], &["-o", colour]].concat());
        let of = |number: u32| {
            let picture = read(folder.join(format!("{colour}-{number}.png")));
            let seen: Vec<&[u8]> = picture.rgba.chunks_exact(4).filter(|pixel| pixel[3] > 127).collect();
            let sum: i64 = seen.iter().map(|pixel| i64::from(pixel[0]) - i64::from(pixel[2])).sum();
            sum as f64 / seen.len().max(1) as f64
        };
        (1..=6).map(of).sum::<f64>() / 6.
    };
    let (red, blue) = (warmth("red"), warmth("blue"));
    assert!(red > blue + 40., "{red} for red, {blue} for blue");
}

#[test]
fn its_card_and_licence_come_along() {
    let told = must(&folder("embedded-card"), &["models", "show", "embedded"]);
    assert!(told.contains("cc0-1.0"), "{told}");
}
