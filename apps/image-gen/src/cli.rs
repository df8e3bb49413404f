//! What can be typed.

use clap::{Args, Parser, Subcommand};
use cli::{CompletionsCommand, ComputeArgs, ModelsCommand, TrainArgs};

/// Make pictures from words
#[derive(Parser, Debug)]
#[command(name = "image-gen", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Another verb than making pictures.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// The verbs beside making pictures.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from a folder of pictures
    Train(Train),
    /// List, show, download and delete models
    Models(ModelsCommand),
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
}

/// `image-gen train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// Pixels a side of a new model's pictures
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 32, value_parser = side, help_heading = "Training")]
    pub size: u32,

    /// Channels of a new net's finest level, a multiple of 16 up to 512
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 48, value_parser = width, help_heading = "Training")]
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
