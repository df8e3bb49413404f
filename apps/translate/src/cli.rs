//! What can be typed.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    SamplingArgs, StatusCommand, TalkArgs, TrainArgs, values,
};
use media::document;

/// Translate text and documents
#[derive(Parser, Debug)]
#[command(name = "translate", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  translate --from en --to fr \"Where is the library?\"
  translate --model nllb-600m --from en --to de notes.md -o notizen.md
  translate --model opus-mt-en-fr site/ --recursive -o fr/       a folder; done files are skipped the next time
  translate --model opus-mt-de-en --then opus-mt-en-fr --from de --to fr brief.txt
  translate --from en --to fr --alternatives 4 \"It is raining.\"  the next best too
  translate score --reference right.txt found.txt                BLEU and chrF
  translate train --data pairs.tsv --from en --to de --out mine  learn from sentences and their translations")]
pub struct Cli {
    /// Another verb than translating.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Translating.
    #[command(flatten)]
    pub translate: TranslateArgs,
}

/// The verbs beside translating.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from sentences and their translations
    Train(Train),
    /// BLEU and chrF against translations that are right
    Score(Score),
    /// Say how far the runs in an output folder have come
    Status(StatusCommand),
    /// List, show, download and delete models
    Models(ModelsCommand),
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
    /// Print the manual page of the app or of a verb
    Man(ManCommand),
}

/// What is done about words that go round and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnLoop {
    /// Translate the sentence again, without repetition
    Retry,
    /// Leave it as it came
    Keep,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text, a line at a time
    Txt,
    /// Markdown
    Md,
    /// HTML
    Html,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// The strings of one JSON value
    Json,
    /// The strings of JSON values, one a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// Tab-separated values
    Tsv,
}

impl Format {
    /// As the library calls it.
    pub fn kind(self) -> document::Kind {
        match self {
            Self::Txt => document::Kind::Text,
            Self::Md => document::Kind::Markdown,
            Self::Html => document::Kind::Html,
            Self::Srt => document::Kind::Srt,
            Self::Vtt => document::Kind::Vtt,
            Self::Json => document::Kind::Json,
            Self::Jsonl => document::Kind::JsonLines,
            Self::Csv => document::Kind::Csv,
            Self::Tsv => document::Kind::Tsv,
        }
    }
}

/// `translate [INPUT...]`
#[derive(Args, Debug)]
pub struct TranslateArgs {
    /// Words to translate, or files and folders; `-` is stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// As INPUT, but never a file or a verb
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,

    /// The language of INPUT by code or name, or `auto` to find out
    #[arg(long, value_name = "LANGUAGE", value_parser = NonEmptyStringValueParser::new())]
    pub from: Option<String>,

    /// The language that it is translated into
    #[arg(long, value_name = "LANGUAGE", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,

    /// A second model, which translates what the first has written
    #[arg(long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub then: Option<String>,

    /// The language between two models
    #[arg(long, value_name = "LANGUAGE", default_value = "en", requires = "then", value_parser = NonEmptyStringValueParser::new())]
    pub via: String,

    /// Search with N hypotheses [default: what the model asks for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Decoding")]
    pub beam: Option<u16>,

    /// Tell the N best translations of each sentence
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Decoding")]
    pub alternatives: Option<u16>,

    /// Scores are divided by the length to the power of X [default: the model's, or 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = penalty, help_heading = "Decoding")]
    pub length_penalty: Option<f32>,

    /// Runs of N tokens come once at most in a sentence; 0 is no such rule [default: the model's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64), help_heading = "Decoding")]
    pub no_repeat: Option<u16>,

    /// Tokens of a sentence's translation at most [default: the model's, or 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096), help_heading = "Decoding")]
    pub max_tokens: Option<u16>,

    /// What is done about words that go round and round
    #[arg(long, value_enum, value_name = "HOW", default_value_t = OnLoop::Retry, help_heading = "Decoding")]
    pub on_loop: OnLoop,

    /// Sentences that the net sees at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Decoding")]
    pub batch: u16,

    /// What stands before each sentence, for models that are told so what to do [default: the model's, for T5]
    #[arg(long, value_name = "TEXT", help_heading = "Decoding")]
    pub prefix: Option<String>,

    /// What INPUT is [default: by its name, else plain text]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Documents")]
    pub format: Option<Format>,

    /// Look into folders inside folders
    #[arg(long, help_heading = "Documents")]
    pub recursive: bool,

    /// Bytes that are not UTF-8 become a replacement character instead of an error
    #[arg(long, help_heading = "Documents")]
    pub lossy: bool,

    /// Plain text: lines of a paragraph belong together
    #[arg(long, help_heading = "Documents")]
    pub paragraphs: bool,

    /// HTML and Markdown: what stands in for pictures, and tips, too
    #[arg(long, help_heading = "Documents")]
    pub attributes: bool,

    /// JSON: the keys whose strings are translated, `title` or `menu.items.title` [default: all]
    #[arg(long, value_name = "KEY,...", value_delimiter = ',', help_heading = "Documents")]
    pub keys: Vec<String>,

    /// CSV, TSV: the columns that are translated, by name or number from 1 [default: all]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',', help_heading = "Documents")]
    pub columns: Vec<String>,

    /// CSV, TSV: the first row is no heading
    #[arg(long, help_heading = "Documents")]
    pub no_header: bool,

    /// Subtitles: characters of a line at most [default: as in INPUT]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=1000), help_heading = "Documents")]
    pub line_length: Option<u16>,

    /// How tokens are drawn, where they are.
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

/// `translate score`
#[derive(Args, Debug)]
pub struct Score {
    /// Translations, a line each; or with --translate what is translated first
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,

    /// What is right, a line each
    #[arg(long, value_name = "FILE")]
    pub reference: PathBuf,

    /// Translate INPUT by the model first
    #[arg(long, requires_all = ["from", "to"])]
    pub translate: bool,

    /// The language of INPUT, to translate it
    #[arg(long, value_name = "LANGUAGE", requires = "translate", value_parser = NonEmptyStringValueParser::new())]
    pub from: Option<String>,

    /// The language of the reference
    #[arg(long, value_name = "LANGUAGE", requires = "translate", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,

    /// Search with N hypotheses [default: what the model asks for]
    #[arg(long, value_name = "N", requires = "translate", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub beam: Option<u16>,

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

/// `translate train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// The language of the first column, or of the first text
    #[arg(long, value_name = "LANGUAGE", value_parser = NonEmptyStringValueParser::new())]
    pub from: String,

    /// The language of the second
    #[arg(long, value_name = "LANGUAGE", value_parser = NonEmptyStringValueParser::new())]
    pub to: String,

    /// Learn one way only, not back as well
    #[arg(long, help_heading = "Training")]
    pub one_way: bool,

    /// Tokens of a new tokenizer, 320 to 65536 [default: by the size of the data, up to 8192]
    #[arg(conflicts_with = "base", long, value_name = "N", value_parser = clap::value_parser!(u32).range(320..=65_536), help_heading = "Training")]
    pub vocabulary: Option<u32>,

    /// Width of a new net, a multiple of 64
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 256, value_parser = values::width, help_heading = "Training")]
    pub width: usize,

    /// Layers of a new net's encoder, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub layers: u16,

    /// Layers of its decoder, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub decoder_layers: u16,

    /// Share of the activations that are dropped while learning, 0 to 0.9
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = values::dropout, help_heading = "Training")]
    pub dropout: f32,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

fn penalty(text: &str) -> Result<f32, String> {
    values::number(text, -100., 100., "a number from -100 to 100")
}
