//! The main job, and every flag of it.

use super::{folder, golden, image_gen, model, must, read, refused};
use serde_json::Value;

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_picture_says_how_it_was_made_and_is_made_again_byte_by_byte() {
    let (folder, model) = (folder("again"), golden("sd1"));
    let words = ["--model", &model, "a (red:1.3) cat", "--negative", "dög", "--steps", "4", "--seed", "7"];
    let path = must(&folder, &words);
    assert_eq!(path, "picture.png\n");
    let told = must(&folder, &["show", "picture.png"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["a (red:1.3) cat", "Negative prompt: dög"]);
    assert!(
        lines[2].starts_with("Steps: 4, Sampler: pndm, CFG scale: 7.5, Seed: 7, Size: 32x32, Model: "),
        "{told}"
    );
    let recipe = json(&must(&folder, &["show", "--json", "picture.png"]));
    assert_eq!((recipe["seed"].as_u64(), recipe["sampler"].as_str()), (Some(7), Some("pndm")));
    assert_eq!(must(&folder, &["again", "picture.png"]), "picture-again.png\n");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("picture.png"), bytes("picture-again.png"));
    // from a picture, inside a mask, with another sampler
    let (init, mask) = (golden("init.png"), golden("mask.png"));
    let mut words = vec!["--model", &model, "--init", &init, "--mask", &mask, "--strength", "0.7"];
    words.extend(["--scheduler", "euler-a", "--steps", "5", "--text", "train", "-o", "masked"]);
    must(&folder, &words);
    must(&folder, &["again", "masked.png", "-o", "twice.png"]);
    assert_eq!(bytes("masked.png"), bytes("twice.png"));
    must(&folder, &["--model", &model, "--no-metadata", "--steps", "2", "-o", "plain.png", "x"]);
    assert!(refused(&folder, &["again", "plain.png"], 1).contains("does not say how it was made"));
}

#[test]
fn pictures_are_counted_laid_in_a_grid_and_told_as_json() {
    let (folder, model) = (folder("count"), golden("turbo"));
    let words =
        ["--model", &model, "a", "b", "--count", "2", "--seed", "3", "--grid", "--json", "--scale", "2"];
    let lines = must(&folder, &words);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4], "picture-grid.png");
    let seeds: Vec<u64> = lines[..4].iter().map(|line| json(line)["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [3, 4, 3, 4]);
    let first = json(lines[0]);
    assert_eq!(first["outputs"], serde_json::json!(["picture-1.png"]));
    assert_eq!((first["width"].as_u64(), first["scale"].as_u64()), (Some(32), Some(2)));
    // the folder's name says turbo, so it takes one step, without guidance
    assert_eq!((first["steps"].as_u64(), first["guidance"].as_f64()), (Some(1), Some(0.)));
    assert!(first["timings"]["generate_s"].as_f64().unwrap() > 0.);
    let (picture, grid) = (read(folder.join("picture-1.png")), read(folder.join("picture-grid.png")));
    assert_eq!((picture.width, grid.width, grid.height), (64, 2 * 64 + 3 * 8, 2 * 64 + 3 * 8));
    // the same pictures do not lose the ones before
    must(&folder, &["--model", &model, "a", "--count", "2", "--seed", "3", "-q"]);
    assert!(folder.join("picture-2-1.png").exists());
}

#[test]
fn a_folder_of_prompts_goes_on_where_it_stopped() {
    let (folder, model) = (folder("batch"), golden("sd1"));
    std::fs::write(folder.join("prompts.txt"), "A red cat\n\na blue dog!\n").unwrap();
    let words = ["--model", &model, "prompts.txt", "--steps", "2", "--seed", "1", "-o", "out/"];
    must(&folder, &words);
    let red = folder.join("out/a-red-cat-1.png");
    let before = std::fs::metadata(&red).unwrap().modified().unwrap();
    std::fs::remove_file(folder.join("out/a-blue-dog-1.png")).unwrap();
    let output = image_gen(&folder, &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 made, 1 done before, 0 failed"), "{said}");
    assert_eq!(std::fs::metadata(&red).unwrap().modified().unwrap(), before);
    let dog = std::fs::read(folder.join("out/a-blue-dog-1.png")).unwrap();
    // a list gives names; two at a time make the same
    let jobs = "{\"text\": \"A red cat\", \"id\": \"cats/red\"}\n{\"text\": \"a blue dog!\"}\n";
    std::fs::write(folder.join("jobs"), jobs).unwrap();
    let listed = ["--list", "jobs", "--jobs-in-flight", "2", "-o", "listed/"];
    must(&folder, &[&["--model", &model, "--steps", "2", "--seed", "1"][..], &listed].concat());
    assert_eq!(std::fs::read(folder.join("listed/cats/red.png")).unwrap(), std::fs::read(&red).unwrap());
    assert_eq!(std::fs::read(folder.join("listed/a-blue-dog-1.png")).unwrap(), dog);
    std::fs::write(folder.join("jobs"), "{\"input\": \"prompts.txt\"}").unwrap();
    assert!(refused(&folder, &["--list", "jobs", "-o", "x/"], 2).contains("line 1: this takes words"));
}

#[test]
fn kinds_of_files_follow_the_name() {
    let (folder, model) = (folder("kinds"), golden("turbo"));
    for name in ["a.jpg", "b.webp", "c.png"] {
        must(&folder, &["--model", &model, "x", "--seed", "1", "-o", name]);
        assert_eq!(read(folder.join(name)).width, 256);
    }
    assert_eq!(read(folder.join("b.webp")), read(folder.join("c.png")));
    let bytes = image_gen(&folder, &["--model", &model, "x", "--seed", "1", "-o", "-"]).stdout;
    assert_eq!(bytes, std::fs::read(folder.join("c.png")).unwrap());
}

#[test]
fn a_long_prompt_counts_to_its_end_and_tiles_are_nearly_the_whole() {
    let (folder, model) = (folder("long"), golden("sd1"));
    let long = "word ".repeat(90);
    for (name, prompt) in [("a", format!("{long} cat")), ("b", format!("{long} dog"))] {
        must(&folder, &["--model", &model, &prompt, "--steps", "2", "--seed", "1", "-o", name]);
    }
    assert_ne!(read(folder.join("a.png")), read(folder.join("b.png")));
    let words = ["--model", &model, "x", "--steps", "1", "--seed", "1", "--width", "320", "--height", "288"];
    let made = |name: &str, tiling: &str| {
        must(&folder, &[&words[..], &["--tiling", tiling, "-o", name]].concat());
        read(folder.join(name))
    };
    let (whole, tiled) = (made("whole.png", "off"), made("tiled.png", "on"));
    assert_ne!(whole, tiled);
    let apart: u64 = whole.rgba.iter().zip(&tiled.rgba).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!((apart as f64) < 24. * whole.rgba.len() as f64, "{}", apart as f64 / whole.rgba.len() as f64);
}

#[test]
fn a_model_of_ones_own_makes_small_transparent_pictures() {
    let folder = folder("own");
    must(
        &folder,
        &["--model", model(), "red square", "--steps", "3", "--seed", "1", "--transparent", "-o", "t"],
    );
    must(
        &folder,
        &["--model", model(), "red square", "--steps", "3", "--seed", "1", "--scale", "1", "-o", "w"],
    );
    let (seen_through, white) = (read(folder.join("t.png")), read(folder.join("w.png")));
    assert_eq!((seen_through.width, white.width, white.is_opaque()), (256, 32, true));
    must(&folder, &["again", "t.png"]);
    assert_eq!(read(folder.join("t-again.png")), seen_through);
    // and from one of its data
    let data = std::path::Path::new(model()).with_file_name("data").join("bar/red_0.png");
    must(&folder, &["--model", model(), "blue", "--init", data.to_str().unwrap(), "--steps", "4", "-o", "i"]);
    assert_eq!(read(folder.join("i.png")).width, 256);
}

#[test]
fn an_autoencoder_can_be_replaced() {
    let (folder, model, other) = (folder("vae"), golden("sd1"), golden("taesd"));
    let words = ["--model", &model, "x", "--steps", "2", "--seed", "1"];
    must(&folder, &[&words[..], &["-o", "own"]].concat());
    must(&folder, &[&words[..], &["--vae", &other, "-o", "other"]].concat());
    assert_ne!(read(folder.join("own.png")), read(folder.join("other.png")));
    must(&folder, &["again", "other.png"]);
    assert_eq!(read(folder.join("other.png")), read(folder.join("other-again.png")));
}

#[test]
fn help_is_what_it_was() {
    let help = must(&folder("help"), &["--help"]);
    let kept = include_str!("help.txt");
    assert_eq!(help.trim_end(), kept.trim_end(), "\n{help}");
}
