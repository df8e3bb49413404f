//! Pictures of tiny random models, beside those that diffusers' pipelines made of the same models and seeds.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hub::Location;
use image_gen::{Model, Request};
use media::image_file::Pixels;
use serde::Deserialize;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/pipelines");
/// Mean difference of a value of 8 bits.
const MOST: f64 = 0.1;

#[derive(Deserialize, Clone, Debug)]
struct Case {
    prompt: String,
    negative: Option<String>,
    steps: usize,
    guidance: f64,
    seed: u64,
    #[serde(default)]
    rescale: f64,
    scheduler: Option<String>,
    #[serde(default)]
    clip_skip: usize,
    #[serde(default)]
    init: bool,
    #[serde(default)]
    mask: bool,
    strength: Option<f64>,
    width: Option<usize>,
    height: Option<usize>,
    #[serde(default)]
    tiled: bool,
}

fn folder(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn picture(path: PathBuf) -> Pixels {
    Pixels::decode(&std::fs::read(path).unwrap()).unwrap()
}

fn cases(name: &str) -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(folder(name).join("cases.json")).unwrap()).unwrap()
}

fn load(name: &str) -> Model {
    Model::load(&Location::Dir(folder(name)), None, "cpu", "f32").unwrap()
}

fn request(case: &Case) -> Request {
    with(case, folder("init.png"), folder("mask.png"))
}

fn with(case: &Case, init: PathBuf, mask: PathBuf) -> Request {
    Request {
        prompt: case.prompt.clone(),
        negative: case.negative.clone(),
        width: case.width.unwrap_or(32),
        height: case.height.unwrap_or(32),
        steps: case.steps,
        guidance: case.guidance,
        rescale: case.rescale,
        scheduler: case.scheduler.clone(),
        clip_skip: case.clip_skip,
        init: case.init.then(|| picture(init)),
        strength: case.strength.unwrap_or(1.),
        mask: case.mask.then(|| picture(mask)),
        tiled: case.tiled,
        seed: case.seed,
    }
}

fn made(model: &Model, request: &Request) -> Pixels {
    model.generate(request, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

/// The mean difference of the values of two pictures.
fn apart(a: &Pixels, b: &Pixels) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: u64 = a.rgb().iter().zip(b.rgb()).map(|(a, b)| u64::from(a.abs_diff(b))).sum();
    sum as f64 / a.rgb().len() as f64
}

fn check(name: &str) {
    let model = load(name);
    let mut wrong = vec![];
    for (number, case) in cases(name).iter().enumerate() {
        let own =
            |what: &str| Some(folder(name).join(format!("{number}-{what}.png"))).filter(|path| path.exists());
        let file = |what: &str| own(what).unwrap_or_else(|| folder(&format!("{what}.png")));
        let request = with(case, file("init"), file("mask"));
        let apart = apart(&made(&model, &request), &picture(folder(name).join(format!("{number}.png"))));
        if apart > MOST {
            wrong.push(format!("{name} {number}: {apart:.3} apart: {case:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stable_diffusion_1_is_diffusers_with_every_sampler_from_noise_pictures_and_masks() {
    check("sd1");
}

#[test]
fn stable_diffusion_2_predicts_velocities() {
    check("sd2");
}

#[test]
fn a_turbo_takes_a_step_without_guidance() {
    check("turbo");
}

#[test]
fn a_consistency_model_is_told_the_guidance() {
    check("lcm");
}

#[test]
fn a_net_of_nine_channels_fills_in() {
    check("inpaint");
}

#[test]
fn taesd_stands_in_for_the_autoencoder() {
    check("taesd");
}

#[test]
fn stable_diffusion_xl_has_two_encoders() {
    check("sdxl");
    check("sdxl-v");
}

#[test]
fn a_wrong_guidance_would_be_seen() {
    let model = load("sd1");
    let case = &cases("sd1")[0];
    let right = made(&model, &request(case));
    let wrong = made(&model, &Request { guidance: case.guidance - 0.3, ..request(case) });
    assert!(apart(&right, &wrong) > 2. * MOST, "{}", apart(&right, &wrong));
}
