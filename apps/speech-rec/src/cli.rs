//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    StatusCommand, TalkArgs, TrainArgs, values,
};
use speech_rec::languages;

/// Write down what is said, with times
#[derive(Parser, Debug)]
#[command(name = "speech-rec", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  speech-rec digits.wav                                    the digits in it, by the model that is built in
  speech-rec --model whisper-base talk.mp3                 the words, as they come
  speech-rec --model whisper-base talk.m4a -o talk.srt     subtitles
  speech-rec --model whisper-base --word-times --json a.wav  each word with its times
  speech-rec --model whisper-base --task translate ein.ogg   into English
  speech-rec --model whisper-base lectures/ --recursive -o text/ --format txt,vtt
  speech-rec score --reference right.txt talk.mp3          errors in words and characters
  speech-rec train --data recordings/ --out mine           learn from recordings with .txt beside them")]
pub struct Cli {
    /// Another verb than writing down.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Writing down.
    #[command(flatten)]
    pub transcribe: TranscribeArgs,
}

/// The verbs beside writing down.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from recordings and their words
    Train(Train),
    /// Errors in words and characters against a text that is right
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

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The words, a line a segment
    Txt,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// Start and end in milliseconds, and the words
    Tsv,
    /// Lyrics with times
    Lrc,
    /// All that is known, as openai/whisper writes it
    Json,
}

impl Format {
    /// The end of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Tsv => "tsv",
            Self::Lrc => "lrc",
            Self::Json => "json",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Task {
    /// In the language that is spoken
    #[default]
    Transcribe,
    /// In English
    Translate,
}

/// Which times words get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WordTimes {
    /// Without the silence beside them
    Trimmed,
    /// As the alignment says
    Raw,
}

/// `speech-rec [INPUT...]`
#[derive(Args, Debug, Default)]
pub struct TranscribeArgs {
    /// Sound or video files, or folders of such; `-` is stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// The folders inside folders too
    #[arg(long)]
    pub recursive: bool,

    /// Stdin is samples of 16 bits without a header, so many a second
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    pub raw_rate: Option<u32>,

    /// Channels of them
    #[arg(long, value_name = "N", default_value_t = 1, requires = "raw_rate", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub raw_channels: u16,

    /// Listen to what is whole of files that are cut off or damaged, instead of refusing them
    #[arg(long)]
    pub damaged: bool,

    /// The language that is spoken, by code or name [default: found out]
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    pub language: Option<&'static str>,

    /// Write it down as it is, or in English
    #[arg(long, value_enum, default_value_t)]
    pub task: Task,

    /// Each word with its times
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, default_missing_value = "trimmed", require_equals = true)]
    pub word_times: Option<WordTimes>,

    /// Let the model say no times
    #[arg(long, conflicts_with = "word_times")]
    pub no_timestamps: bool,

    /// Decode only where somebody speaks: windows begin with speech and end at pauses [default: as the model was taught]
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on", value_parser = on_or_off)]
    pub vad: Option<bool>,

    /// Decode N windows together, as --vad cuts them; none is told what was said before it [default: one after the other]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub batch: Option<u16>,

    /// What is written, with commas between [default: txt, or by the name behind -o]
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', help_heading = "Output")]
    pub format: Vec<Format>,

    /// Characters of a subtitle's line; needs --word-times
    #[arg(long, value_name = "N", requires = "word_times", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub max_line_width: Option<u16>,

    /// Lines of a subtitle; needs --max-line-width
    #[arg(long, value_name = "N", requires = "max_line_width", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub max_line_count: Option<u16>,

    /// Words of a subtitle's line; needs --word-times
    #[arg(long, value_name = "N", requires = "word_times", conflicts_with = "max_line_width", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub max_words: Option<u16>,

    /// Underline each word of a subtitle while it is said; needs --word-times
    #[arg(long, requires = "word_times", help_heading = "Output")]
    pub highlight_words: bool,

    /// What is said before the sound begins: names, spelling, manner
    #[arg(long, value_name = "TEXT", help_heading = "Decoding")]
    pub prompt: Option<String>,

    /// Words that each window begins with, which are not written again
    #[arg(long, value_name = "TEXT", help_heading = "Decoding")]
    pub prefix: Option<String>,

    /// Do not tell a window what was said before it
    #[arg(long, help_heading = "Decoding")]
    pub no_context: bool,

    /// Search with N hypotheses
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Decoding")]
    pub beam: u16,

    /// Of a beam search: it ends when X times N hypotheses are finished
    #[arg(long, value_name = "X", requires = "beam", default_value_t = 1., value_parser = patience, help_heading = "Decoding")]
    pub patience: f32,

    /// Scores are divided by ((5 + length) / 6) to the power of X [default: by the length]
    #[arg(long, value_name = "X", value_parser = values::share, help_heading = "Decoding")]
    pub length_penalty: Option<f32>,

    /// Decode once, at this temperature [default: 0, and up to 1 while the text is not good enough]
    #[arg(long, value_name = "X", value_parser = temperature, help_heading = "Decoding")]
    pub temperature: Option<f64>,

    /// Texts that are drawn above temperature 0, of which the likeliest is kept
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Decoding")]
    pub best_of: u16,

    /// Tokens of a window at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Decoding")]
    pub max_tokens: Option<u32>,

    /// A text that compresses better than this repeats itself, and is decoded again
    #[arg(long, value_name = "X", default_value_t = 2.4, value_parser = positive, help_heading = "Decoding")]
    pub compression_threshold: f64,

    /// So is one whose tokens have a mean log-probability below this
    #[arg(long, value_name = "X", default_value_t = -1., allow_negative_numbers = true, value_parser = number, help_heading = "Decoding")]
    pub logprob_threshold: f64,

    /// Above this probability nobody speaks, unless the text is likely
    #[arg(long, value_name = "P", default_value_t = 0.6, value_parser = number, help_heading = "Decoding")]
    pub no_speech_threshold: f64,

    /// Times that a word or phrase may come in a row, 0 for any number [default: 3, and any with --temperature]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000), help_heading = "Decoding")]
    pub max_repeats: Option<u16>,

    /// Skip silences longer than S seconds around words that sound made up; needs --word-times
    #[arg(long, value_name = "S", requires = "word_times", conflicts_with = "batch", value_parser = positive, help_heading = "Decoding")]
    pub skip_silence: Option<f64>,

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

/// `speech-rec score`
#[derive(Args, Debug)]
pub struct Score {
    /// What was found: sound, which is heard by the model, or a text (.txt .srt .vtt .json); none where the reference is a list
    #[arg(value_name = "INPUT")]
    pub input: Option<PathBuf>,

    /// What is right: a text or subtitles, or a list (.tsv) of files and their words, which are heard by the model
    #[arg(long, value_name = "FILE")]
    pub reference: PathBuf,

    /// The language that is spoken, by code or name [default: found out]
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    pub language: Option<&'static str>,

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

/// `speech-rec train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// The language that is spoken, by code or name
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = language)]
    pub language: &'static str,

    /// Tokens of a new tokenizer, 256 to 65536 [default: by the size of the data, up to 4096]
    #[arg(conflicts_with = "base", long, value_name = "N", value_parser = clap::value_parser!(u32).range(256..=65_536), help_heading = "Training")]
    pub vocabulary: Option<u32>,

    /// Width of a new net, a multiple of 64
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 192, value_parser = values::width, help_heading = "Training")]
    pub width: usize,

    /// Layers of a new net's encoder, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub layers: u16,

    /// Layers of its decoder, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub decoder_layers: u16,

    /// Seconds that a new net hears at once, 2 to 30
    #[arg(conflicts_with = "base", long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=30), help_heading = "Training")]
    pub window: u16,

    /// Share of the activations that are dropped while learning, 0 to 0.9
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = values::dropout, help_heading = "Training")]
    pub dropout: f32,

    /// Share of the windows that are changed as by another room, a telephone or noise, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.7, value_parser = values::share, help_heading = "Training")]
    pub augment: f32,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

fn language(text: &str) -> Result<&'static str, String> {
    languages::code(text).ok_or_else(|| match near(text) {
        Some(near) => format!("no language that Whisper knows; did you mean {near}?"),
        None => "no language that Whisper knows: use a code such as en, pt, zh, or an English name".into(),
    })
}

/// A name that begins alike.
fn near(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let begins = |name: &&str| {
        text.chars().count() >= 3 && name.starts_with(&text.chars().take(3).collect::<String>())
    };
    languages::LANGUAGES.iter().map(|(_, name)| *name).find(begins)
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".into()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    values::number(text, 0., 10., "a number from 0 to 10").and_then(|temperature| match temperature {
        0. | 0.01.. => Ok(temperature),
        _ => Err("0, or a number from 0.01 to 10".into()),
    })
}

fn patience(text: &str) -> Result<f32, String> {
    values::number(text, 0.01, 100., "a number from 0.01 to 100")
}

fn positive(text: &str) -> Result<f64, String> {
    values::number(text, 0.001, 1e9, "a number above 0")
}

fn number(text: &str) -> Result<f64, String> {
    values::number(text, -1e9, 1e9, "a number")
}
