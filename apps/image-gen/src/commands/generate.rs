//! `image-gen PROMPT`: pictures from words, written.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use batch::{Content, Item};
use cli::{Exit, Progress, Prompt, Target, Timings, print_bytes, print_json, print_path, usage};
use image_gen::Autoencoder;
use image_gen::recipe::{Recipe, Source};
use media::image_file::{Format, Pixels};
use serde::Serialize;

use super::studio::{Drawn, Studio, picture};
use crate::cli::{GenerateArgs, Tiling};

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;
/// The longest prompt, in bytes.
const LONGEST: usize = 10_000;
/// Pictures beyond so many pixels are decoded in tiles, unless told.
const TILED: usize = 1024 * 1024;
/// Pictures up to so many pixels a side are enlarged to be seen.
const SMALL: u32 = 64;
const ENLARGED: u32 = 8;
/// Between the pictures of a grid.
const GAP: u32 = 8;

/// One picture to make.
#[derive(Debug, Clone)]
struct Task {
    /// What a list calls it.
    id: Option<String>,
    prompt: String,
    seed: u64,
}

/// A picture that others begin with.
struct Given {
    width: u32,
    height: u32,
    init: Source,
    mask: Option<Source>,
}

struct Run<'a> {
    args: &'a GenerateArgs,
    studio: Studio,
    given: Option<Given>,
    progress: Progress,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    recipe: &'a Recipe,
    outputs: Vec<String>,
    timings: Timings,
}

/// Makes what was asked for.
pub fn run(args: &GenerateArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    let tasks = tasks(args)?;
    let places = places(args, tasks.len())?;
    if let Places::Files(paths, grid) = &places
        && let Some(path) = paths.iter().chain(grid).find(|path| path.exists() && !args.output.force)
    {
        bail!("{}: exists; --force overwrites it", path.display());
    }
    let given = given(args)?;
    let progress = Progress::new(&args.output.talk);
    let studio = Studio::open(&args.model, args.vae.as_deref(), &args.compute, &progress)?;
    let run = Run { args, studio, given, progress };
    match places {
        Places::Stdout => run.to_stdout(&tasks[0]),
        Places::Files(paths, grid) => run.to_files(&tasks, &paths, grid.as_deref()),
        Places::Folder(folder) => run.to_folder(&tasks, &folder),
    }
}

fn tasks(args: &GenerateArgs) -> Result<Vec<Task>> {
    let typed = args.shares.typed(&args.prompts, &args.text);
    let mut prompts = cli::prompts(&typed, LONGEST, true)?;
    if prompts.is_empty() {
        prompts.push(Prompt { id: None, text: String::new() });
    }
    if let Some(long) = args.negative.as_ref().filter(|negative| negative.len() > LONGEST) {
        return Err(usage(format!("a prompt of {} bytes: the most is {LONGEST}", long.len())));
    }
    let seed = args.compute.seed();
    let each = |Prompt { id, text }: Prompt| {
        (0..u64::from(args.count)).map(move |number| Task {
            id: id.clone(),
            prompt: text.clone(),
            seed: seed.wrapping_add(number),
        })
    };
    Ok(prompts.into_iter().flat_map(each).collect())
}

/// Where the pictures go.
enum Places {
    Stdout,
    /// The path of each picture, and that of the grid.
    Files(Vec<PathBuf>, Option<PathBuf>),
    Folder(PathBuf),
}

fn places(args: &GenerateArgs, count: usize) -> Result<Places> {
    let named = |base: &Path, extension: &str| {
        let name = |end: String| {
            let mut name = base.as_os_str().to_owned();
            name.push(format!("{end}.{extension}"));
            PathBuf::from(name)
        };
        let number = |number: usize| if count > 1 { format!("-{}", number + 1) } else { String::new() };
        let paths = (0..count).map(|i| name(number(i))).collect();
        Places::Files(paths, args.grid.then(|| name("-grid".into())))
    };
    Ok(match args.output.target() {
        Target::Stdout if count > 1 => return Err(usage("-o - takes one picture: give -o DIR/ for more")),
        Target::Stdout if args.output.talk.json => {
            return Err(usage("-o - and --json both want stdout: give -o a file"));
        }
        Target::Stdout if std::io::stdout().is_terminal() => {
            return Err(usage("-o - would write a picture to the terminal: send it to a file or a pipe"));
        }
        Target::Stdout => Places::Stdout,
        Target::Folder(folder) => Places::Folder(folder),
        Target::Default => {
            let numbers = std::iter::once(String::new()).chain((2u32..).map(|number| format!("-{number}")));
            let free = |places: &Places| match places {
                Places::Files(paths, grid) => !paths.iter().chain(grid).any(|path| path.exists()),
                _ => true,
            };
            let mut all = numbers.map(|number| named(Path::new(&format!("picture{number}")), "png"));
            all.find(|places| args.output.force || free(places)).unwrap_or(Places::Stdout)
        }
        Target::File(path) => match path.extension().map(|end| end.to_string_lossy().into_owned()) {
            None => named(&path, "png"),
            Some(end) if Format::of_extension(&end).is_some() => named(&path.with_extension(""), &end),
            Some(end) => {
                return Err(usage(format!(
                    "-o {}: .{end} cannot be written, only .png, .jpg and .webp",
                    path.display()
                )));
            }
        },
    })
}

/// The picture to begin with and its mask, read before any work so that a bad one is refused.
fn given(args: &GenerateArgs) -> Result<Option<Given>> {
    let Some(path) = &args.init else { return Ok(None) };
    let (begun, init) = picture(path)?;
    let mask = args.mask.as_deref().map(picture).transpose()?;
    if let (Some((mask, _)), Some(path)) = (&mask, &args.mask)
        && (mask.width, mask.height) != (begun.width, begun.height)
    {
        bail!(
            "{}: a mask of {}x{} for a picture of {}x{}",
            path.display(),
            mask.width,
            mask.height,
            begun.width,
            begun.height
        );
    }
    let Pixels { width, height, .. } = begun;
    Ok(Some(Given { width, height, init, mask: mask.map(|(_, source)| source) }))
}

impl Run<'_> {
    /// Flags over what the model asks for.
    fn recipe(&self, task: &Task) -> Result<Recipe> {
        let (args, model) = (self.args, &self.studio.model);
        let (width, height) = self.sides()?;
        let is_turbo = self.studio.found.name.to_lowercase().contains("turbo");
        let (steps, guidance) = match is_turbo {
            true => (1, 0.),
            false => (model.defaults.steps, model.defaults.guidance),
        };
        let own = model.scheduler.name()?;
        let mask = self.given.as_ref().and_then(|given| given.mask.clone());
        Ok(Recipe {
            version: env!("CARGO_PKG_VERSION").into(),
            model: args.model.model.clone(),
            revision: self.studio.found.revision.clone(),
            weights: self.studio.weights.clone(),
            vae: args.vae.clone(),
            dtype: args.compute.dtype.to_string(),
            prompt: task.prompt.clone(),
            negative: args.negative.clone(),
            seed: task.seed,
            steps: args.steps.map_or(steps, |steps| steps as usize),
            sampler: args.scheduler.clone().unwrap_or_else(|| own.to_string()),
            resampled: args.scheduler.is_some(),
            guidance: args.guidance.unwrap_or(guidance),
            rescale: args.guidance_rescale,
            clip_skip: args.clip_skip,
            width: width as usize,
            height: height as usize,
            init: self.given.as_ref().map(|given| given.init.clone()),
            strength: args.strength.unwrap_or(if mask.is_some() || self.given.is_none() { 1. } else { 0.8 }),
            mask,
            tiled: match args.tiling {
                Tiling::Auto => width as usize * height as usize > TILED,
                Tiling::On => true,
                Tiling::Off => false,
            },
            scale: args.scale.unwrap_or(if width.max(height) <= SMALL { ENLARGED } else { 1 }),
            transparent: args.transparent,
        })
    }

    /// What was asked for; else those of the picture to begin with, no larger than the model was made for; else the model's.
    fn sides(&self) -> Result<(u32, u32)> {
        let side = self.studio.model.defaults.side as u32;
        let by = self.studio.model.multiple() as u32;
        let (wide, high) = match &self.given {
            None => (side, side),
            Some(_) if matches!(self.studio.model.autoencoder, Autoencoder::Pixels(_)) => (side, side),
            Some(given) => {
                let area = f64::from(given.width) * f64::from(given.height);
                let scale = (f64::from(side) / area.sqrt()).min(1.);
                let fitted = |pixels: u32| (f64::from(pixels) * scale / f64::from(by)) as u32 * by;
                (fitted(given.width), fitted(given.height))
            }
        };
        let (width, height) = (self.args.width.unwrap_or(wide), self.args.height.unwrap_or(high));
        match (&self.given, width.min(height)) {
            (Some(given), 0) => bail!(
                "{}: {}x{} is too small: this model's pictures have at least {by} pixels a side",
                given.init.path.display(),
                given.width,
                given.height
            ),
            _ => Ok((width, height)),
        }
    }

    fn to_stdout(&self, task: &Task) -> Result<Exit> {
        let recipe = self.recipe(task)?;
        let drawn = self.studio.draw(&recipe, self.args.preview)?;
        print_bytes(&recipe.file(&drawn.picture, Format::Png, !self.args.no_metadata)?)?;
        Ok(Exit::Done)
    }

    fn to_files(&self, tasks: &[Task], paths: &[PathBuf], grid: Option<&Path>) -> Result<Exit> {
        let mut pictures = vec![];
        for (task, path) in tasks.iter().zip(paths) {
            let drawn = self.to_file(task, path, self.args.output.force)?;
            pictures.extend(grid.is_some().then_some(drawn));
        }
        if let Some(path) = grid {
            self.write_grid(&pictures, path, self.args.output.force)?;
        }
        Ok(Exit::Done)
    }

    fn write_grid(&self, pictures: &[Pixels], path: &Path, force: bool) -> Result<()> {
        let columns = (pictures.len() as f64).sqrt().ceil() as u32;
        let ground = if self.args.transparent { [0; 4] } else { [255; 4] };
        let format = path.extension().and_then(|end| Format::of_extension(&end.to_string_lossy()));
        let grid = Pixels::sheet(pictures, columns, GAP, ground);
        batch::write_bytes(path, &grid.encode(format.unwrap_or(Format::Png), &[])?, force)?;
        told(print_path(path))
    }

    fn to_file(&self, task: &Task, path: &Path, force: bool) -> Result<Pixels> {
        let recipe = self.recipe(task)?;
        let Drawn { picture, seconds } = self.studio.draw(&recipe, self.args.preview)?;
        let end = path.extension().unwrap_or_default().to_string_lossy();
        let format = Format::of_extension(&end).ok_or_else(|| anyhow!("{}: no picture", path.display()))?;
        batch::write_bytes(path, &recipe.file(&picture, format, !self.args.no_metadata)?, force)?;
        if !self.args.output.talk.json {
            let Recipe { width, height, steps, sampler, seed, .. } = &recipe;
            let pace = recipe.steps as f64 / seconds.max(1e-9);
            self.progress.status(format!(
                "{width}x{height}, {steps} steps of {sampler} in {seconds:.1} s ({pace:.1} a second), seed {seed}"
            ));
            told(print_path(path))?;
            return Ok(picture);
        }
        let timings = Timings { load_s: self.studio.load_s, generate_s: seconds, ..Timings::default() }
            .with("steps_per_s", recipe.steps as f64 / seconds.max(1e-9));
        let outputs = vec![path.display().to_string()];
        told(print_json(&Line { recipe: &recipe, outputs, timings }))?;
        Ok(picture)
    }

    /// One item a picture: what an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, tasks: &[Task], folder: &Path) -> Result<Exit> {
        let args = self.args;
        let first = self.recipe(&tasks[0])?;
        // what all pictures share; prompt and seed are each one's own
        let shared = Recipe { prompt: String::new(), seed: 0, ..first };
        let options = serde_json::json!({
            "recipe": shared, "seed": args.compute.seed, "device": args.compute.device.to_string(),
            "told": !args.no_metadata,
        });
        let recipe = batch::Recipe::new(&self.studio.identity()?, &options, SCHEMA)?;
        let items: Vec<Item<Task>> = self
            .names(tasks)
            .into_iter()
            .zip(tasks)
            .map(|(id, task)| Item {
                id,
                content: Content::Bytes(task.prompt.clone().into_bytes()),
                payload: task.clone(),
            })
            .collect();
        let at = (&args.output, &args.shares, self.studio.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "made", |job| {
            let path = job.output("png");
            self.to_file(&job.item.payload, &path, job.replace)?;
            Ok(Some(vec![path]))
        })?;
        if args.grid && outcome.whole {
            let read = |item: &Item<Task>| {
                picture(&folder.join(format!("{}.png", item.id))).map(|(picture, _)| picture)
            };
            let pictures: Vec<Pixels> = items.iter().map(read).collect::<Result<_>>()?;
            self.write_grid(&pictures, &folder.join("grid.png"), true)?;
        }
        Ok(outcome.exit)
    }

    /// The name that a list gives, or else the prompt's words; and the seed that was asked for, or a number, so that the same
    /// command goes on where it stopped.
    fn names(&self, tasks: &[Task]) -> Vec<String> {
        let (count, seed) = (u64::from(self.args.count), self.args.compute.seed);
        let mut taken = std::collections::HashSet::new();
        let name = |(number, task): (usize, &Task)| {
            let words = task.prompt.to_lowercase();
            let words: Vec<&str> =
                words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            let mut base: String = words.join("-").chars().take(60).collect();
            if base.is_empty() {
                base.push_str("picture");
            }
            let label = seed.map_or(number as u64 % count + 1, |_| task.seed);
            let mut name = match &task.id {
                Some(id) if count == 1 => id.clone(),
                Some(id) => format!("{id}-{label}"),
                None => format!("{base}-{label}"),
            };
            let mut again = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}-{label}-{again}");
                again += 1;
            }
            name
        };
        tasks.iter().enumerate().map(name).collect()
    }
}

/// The files are what counts: of many pictures the rest is written though nobody reads their names.
fn told(printed: Result<()>) -> Result<()> {
    printed.or_else(|error| if error.is::<cli::StdoutClosed>() { Ok(()) } else { Err(error) })
}
