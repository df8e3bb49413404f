//! An app in the shape of all apps: the main job at the top, verbs beside it, shared flags in both.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};
use cli::{
    CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs, SamplingArgs,
    TrainArgs,
};

/// Says things again
#[derive(Parser, Debug)]
#[command(name = "dummy", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Dummy {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub say: SayArgs,
}

#[derive(Args, Debug)]
pub struct SayArgs {
    /// What to say again: files, `-`, or text
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<OsString>,

    /// The next word is text, whatever it looks like
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,

    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from your own data
    Train {
        #[command(flatten)]
        train: TrainArgs,
        #[command(flatten)]
        compute: ComputeArgs,
    },
    Models(ModelsCommand),
    Completions(CompletionsCommand),
    /// Print the manual page
    Man(ManCommand),
}

/// The command line `dummy WORDS`, parsed as `cli::parse` does it.
pub fn parsed(words: &[&str]) -> Result<Dummy, (String, cli::Exit)> {
    let words = ["dummy"].iter().chain(words).map(OsString::from);
    cli::parse_from(words)
}
