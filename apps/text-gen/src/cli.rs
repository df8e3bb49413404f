//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    SamplingArgs, StatusCommand, TalkArgs, TrainArgs, values,
};

/// Continue, answer and score text
#[derive(Parser, Debug)]
#[command(name = "text-gen", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  text-gen \"The old house\"                     go on from a few words
  text-gen --model smollm2-360m \"Why is it so?\" ask a model that was taught to answer
  text-gen --model smollm2-360m --chat          talk to it
  text-gen --model llama.gguf --raw notes.txt   go on from a file, without a chat template
  text-gen score book.txt                       how likely a text is
  text-gen train --data letters/ --out mine     learn from text files
  text-gen --model mine                         and write in their manner")]
pub struct Cli {
    /// Another verb than generating.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Generating.
    #[command(flatten)]
    pub generate: GenerateArgs,
}

/// The verbs beside generating.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from text files
    Train(Train),
    /// Log-likelihood, perplexity and bits per byte of texts
    Score(Score),
    /// The table of a model card: held-out text under the model and under n-grams
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

/// `text-gen [PROMPT...]`
#[derive(Args, Debug, Default)]
pub struct GenerateArgs {
    /// Words to go on from or to answer, or files with them, or folders of such; `-` is stdin [default: the model begins]
    #[arg(value_name = "PROMPT")]
    pub prompts: Vec<String>,

    /// As PROMPT, but never a file or a verb
    #[arg(long, value_name = "PROMPT")]
    pub text: Vec<String>,

    /// A conversation to answer: a JSON array of objects with role and content
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompts", "text", "list", "raw", "system", "chat"])]
    pub messages: Option<PathBuf>,

    /// Talk: each line that you type is answered, and what was said is remembered
    #[arg(long, conflicts_with_all = ["prompts", "text", "raw", "count", "output", "logprobs", "beam", "json_schema", "regex"])]
    pub chat: bool,

    /// What the model is told before a conversation
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub system: Option<String>,

    /// Go on from PROMPT as it is, without the model's chat template
    #[arg(long)]
    pub raw: bool,

    /// Tokens to add at most [default: what the model asks for, or 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,

    /// Text that ends the answer; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,

    /// Token that ends the answer, by its id; may be given several times
    #[arg(long, value_name = "ID")]
    pub stop_id: Vec<u32>,

    /// The answer must be JSON of this schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|JSON", help_heading = "Constraint")]
    pub json_schema: Option<String>,

    /// The whole answer must match this expression
    #[arg(long, value_name = "REGEX", conflicts_with = "json_schema", help_heading = "Constraint")]
    pub regex: Option<String>,

    /// How many answers to each prompt, each with the next seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: Option<u32>,

    /// Search with N hypotheses instead of drawing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Sampling")]
    pub beam: Option<u16>,

    /// Of a beam search: scores are divided by the length to the power of X [default: the model's, or 1]
    #[arg(long, value_name = "X", requires = "beam", allow_negative_numbers = true, value_parser = penalty, help_heading = "Sampling")]
    pub length_penalty: Option<f32>,

    /// Taken off a token's logit for each time that it was added already
    #[arg(long, value_name = "X", default_value_t = 0., allow_negative_numbers = true, value_parser = penalty, help_heading = "Sampling")]
    pub frequency_penalty: f32,

    /// Taken off a token's logit once it was added
    #[arg(long, value_name = "X", default_value_t = 0., allow_negative_numbers = true, value_parser = penalty, help_heading = "Sampling")]
    pub presence_penalty: f32,

    /// With --json: the N most likely tokens at each step, with their log-probabilities
    #[arg(long, value_name = "N", requires = "json", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub logprobs: Option<u16>,

    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArgs,
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

/// `text-gen score`
#[derive(Args, Debug)]
pub struct Score {
    /// Texts to score; `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Tokens from one window to the next [default: half of what the model sees at once]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub stride: Option<u32>,

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

/// `text-gen evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// What the model learned from: the same files or folders
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,

    /// Share of the data that was kept aside, as it was trained
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = values::held_out)]
    pub held_out: f64,

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

/// `text-gen train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// Tokens of a new tokenizer, 258 to 65536 [default: by the size of the data, up to 8192]
    #[arg(conflicts_with = "base", long, value_name = "N", value_parser = clap::value_parser!(u32).range(258..=65_536), help_heading = "Training")]
    pub vocabulary: Option<u32>,

    /// Width of a new net, a multiple of 64
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 256, value_parser = values::width, help_heading = "Training")]
    pub width: usize,

    /// Layers of a new net, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub layers: u16,

    /// Tokens that a new net sees at once, 32 to 8192
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(32..=8192), help_heading = "Training")]
    pub context: u16,

    /// Share of the activations that are dropped while learning, 0 to 0.9
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = values::dropout, help_heading = "Training")]
    pub dropout: f32,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

fn penalty(text: &str) -> Result<f32, String> {
    values::number(text, -100., 100., "a number from -100 to 100")
}
