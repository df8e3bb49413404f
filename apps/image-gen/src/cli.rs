//! What can be typed.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    StatusCommand, TalkArgs, TrainArgs, values,
};
use models::diffusion::NAMES;

/// Make pictures from words, from other pictures, and learn to make your own
#[derive(Parser, Debug)]
#[command(name = "image-gen", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  image-gen \"a red dragon\"                      a picture, picture.png
  image-gen \"a cat\" --count 16 --grid           sixteen of them, and all in one
  image-gen --model sd-1.5 \"a (blue:1.3) house\" --negative blurry
  image-gen --model sdxl-turbo \"a lighthouse\" --steps 2
  image-gen --model sd-1.5 \"in snow\" --init house.jpg --strength 0.6
  image-gen again picture.png                   the same picture once more
  image-gen train --data cats/ --out mine       learn from a folder of pictures
  image-gen --model mine \"cat\"                  and make new ones")]
pub struct Cli {
    /// Another verb than making pictures.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Making pictures.
    #[command(flatten)]
    pub generate: GenerateArgs,
}

/// The verbs beside making pictures.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Say how a picture was made
    Show(Show),
    /// Make a picture once more
    Again(Again),
    /// Learn from a folder of pictures
    Train(Train),
    /// The table of a model card: are pictures recognised, are they copies, how far from real ones
    Evaluate(Evaluate),
    /// Say how far the runs in an output folder have come
    Status(StatusCommand),
    /// List, show, download and delete models
    Models(ModelsCommand),
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
    /// Print the manual page of the app or of a verb
    Man(ManCommand),
}

/// `image-gen [PROMPT...]`
#[derive(Args, Debug, Default)]
pub struct GenerateArgs {
    /// What to show, each a picture of its own, or text files with one a line; `-` is stdin [default: anything]
    #[arg(value_name = "PROMPT")]
    pub prompts: Vec<String>,

    /// As PROMPT, but never a file or a verb
    #[arg(long, value_name = "PROMPT")]
    pub text: Vec<String>,

    /// What not to show
    #[arg(long, value_name = "TEXT")]
    pub negative: Option<String>,

    /// Pixels in a row [default: what the model was made for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=8192))]
    pub width: Option<u32>,

    /// Rows of pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=8192))]
    pub height: Option<u32>,

    /// How many pictures of each prompt, each with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,

    /// Also write all of them as one picture
    #[arg(long)]
    pub grid: bool,

    /// Each pixel this often in a row and in a column [default: 8 for pictures of 64 pixels or less, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub scale: Option<u32>,

    /// Leave see-through what is: for models that were taught transparent pictures
    #[arg(long)]
    pub transparent: bool,

    /// Do not write into a PNG how it was made
    #[arg(long)]
    pub no_metadata: bool,

    /// Show a small picture in the terminal as it forms
    #[arg(long)]
    pub preview: bool,

    /// Times that the net is asked [default: the model's; 50, 4 for consistency models, 1 for turbo]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Sampling")]
    pub steps: Option<u32>,

    /// How closely the prompt is followed; 1 is without guidance [default: the model's]
    #[arg(long, value_name = "X", value_parser = guidance, help_heading = "Sampling")]
    pub guidance: Option<f64>,

    /// How much of its contrast a guided picture gets back, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0., value_parser = share, help_heading = "Sampling")]
    pub guidance_rescale: f64,

    /// Another sampler than the model's
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES), help_heading = "Sampling")]
    pub scheduler: Option<String>,

    /// Layers of the text encoder to leave out at its end
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    pub clip_skip: usize,

    /// A picture to begin with
    #[arg(long, value_name = "FILE", help_heading = "From a picture")]
    pub init: Option<PathBuf>,

    /// How much of it is made anew, 0 to 1 [default: 0.8, and 1 inside a mask]
    #[arg(long, value_name = "X", requires = "init", value_parser = share, help_heading = "From a picture")]
    pub strength: Option<f64>,

    /// White where something new is to be made, as large as that picture
    #[arg(long, value_name = "FILE", requires = "init", help_heading = "From a picture")]
    pub mask: Option<PathBuf>,

    /// Decode large pictures in tiles, which takes less memory
    #[arg(long, value_name = "WHEN", default_value = "auto", value_enum, help_heading = "Model")]
    pub tiling: Tiling,

    /// An autoencoder instead of the model's own: a folder or OWNER/NAME, such as taesd
    #[arg(long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new(), help_heading = "Model")]
    pub vae: Option<String>,

    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Which of many inputs are done.
    #[command(flatten)]
    pub shares: BatchArgs,
}

/// When pictures are decoded in tiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Tiling {
    /// Beyond 1024 x 1024 pixels
    #[default]
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

/// `image-gen show`
#[derive(Args, Debug)]
pub struct Show {
    /// Pictures that were made here, or that say so in AUTOMATIC1111's way
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `image-gen again`
#[derive(Args, Debug)]
pub struct Again {
    /// A picture that was made here
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Use no network: only what is built in or on this disk
    #[arg(long, help_heading = "Model")]
    pub offline: bool,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `image-gen evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// What the model learned from: the same folders
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,

    /// Share of the data that was kept aside, as it was trained
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = values::held_out)]
    pub held_out: f64,

    /// Ask for this folder's kind alone [default: for all, as often as they are there]
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,

    /// Pictures to make
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub count: u32,

    /// Times that the net is asked [default: the model's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub steps: Option<u32>,

    /// How closely the prompt is followed [default: the model's]
    #[arg(long, value_name = "X", value_parser = guidance)]
    pub guidance: Option<f64>,

    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `image-gen train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// Pixels a side of a new model's pictures: 16, 32 or 64
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 32, value_parser = side, help_heading = "Training")]
    pub size: u32,

    /// Channels of a new net's finest level, a multiple of 16 up to 512
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 32, value_parser = width, help_heading = "Training")]
    pub width: usize,

    /// Show half of the pictures mirrored: good for cats, bad for letters
    #[arg(long, help_heading = "Training")]
    pub mirror: bool,

    /// Prompts of the sheet of samples that is written on the way [default: captions of the data]
    #[arg(long, value_name = "PROMPT", num_args = 1.., help_heading = "Training")]
    pub samples: Vec<String>,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

fn side(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|side| [16, 32, 64].contains(side)).ok_or_else(|| "16, 32 or 64".to_string())
}

fn width(text: &str) -> Result<usize, String> {
    let fits = |width: &usize| (16..=512).contains(width) && width.is_multiple_of(16);
    text.parse().ok().filter(fits).ok_or_else(|| "a multiple of 16, up to 512".to_string())
}

fn guidance(text: &str) -> Result<f64, String> {
    values::number(text, 0., 1000., "a number from 0 to 1000")
}

fn share(text: &str) -> Result<f64, String> {
    values::number(text, 0., 1., "a number from 0 to 1")
}
