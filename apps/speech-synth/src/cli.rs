//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    StatusCommand, TalkArgs, TrainArgs, values,
};
use media::wav::Depth;

/// Read text aloud
#[derive(Parser, Debug)]
#[command(name = "speech-synth", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  speech-synth \"Hello, world.\"                             writes speech.wav
  speech-synth book.txt -o book.wav --subtitles book.srt   a text, with the times of its words
  speech-synth book/ --recursive -o sound/                 a folder; done files are skipped the next time
  echo \"Hello.\" | speech-synth - -o - | aplay              spoken while it is made
  speech-synth --model mms-tts-fra lettre.txt -o lettre.wav   another voice
  speech-synth --model vits-vctk --speaker 4 --ipa \"həlˈoʊ\"   phonemes, for a voice that takes them")]
pub struct Cli {
    /// Another verb than speaking.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Speaking.
    #[command(flatten)]
    pub speak: SpeakArgs,
}

/// The verbs beside speaking.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn a voice from recordings and their texts
    Train(Train),
    /// Measure how near a voice that was learned here comes to recordings
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

/// `speech-synth train`
#[derive(Args, Debug)]
pub struct Train {
    /// Data, place and length.
    #[command(flatten)]
    pub train: TrainArgs,

    /// Samples a second of a new voice, 8000 to 48000
    #[arg(long, value_name = "N", default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(8000..=48_000))]
    pub sample_rate: u32,

    /// Width of a new voice
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = width)]
    pub width: usize,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `speech-synth evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// Recordings that it has not learned from, in the form that `train` takes
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,

    /// Recordings that are used, at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,

    /// Also write, to hear it, ID.copy.wav (what becomes of a recording's frames) and ID.wav (of its text) to this folder
    #[arg(long, value_name = "DIR")]
    pub sounds: Option<PathBuf>,

    /// The voice.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

fn width(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (8..=1024).contains(n)).ok_or_else(|| "a whole number from 8 to 1024".into())
}

/// What sound is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A WAV file
    Wav,
    /// A FLAC file, some two thirds of it, without loss
    Flac,
    /// The samples alone, little end first
    Raw,
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    /// Whole numbers of 16 bits
    #[value(name = "16")]
    Int16,
    /// Whole numbers of 24 bits
    #[value(name = "24")]
    Int24,
    /// Floating-point numbers of 32 bits
    #[value(name = "32")]
    Float32,
}

impl Bits {
    /// As the library calls it.
    pub fn depth(self) -> Depth {
        match self {
            Self::Int16 => Depth::Sixteen,
            Self::Int24 => Depth::TwentyFour,
            Self::Float32 => Depth::Float,
        }
    }
}

/// `speech-synth [INPUT...]`
#[derive(Args, Debug)]
pub struct SpeakArgs {
    /// Words to speak, or files (txt, md, html, srt, vtt) and folders; `-` is stdin
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// As INPUT, but never a file or a verb
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,

    /// Look into folders inside folders
    #[arg(long)]
    pub recursive: bool,

    /// INPUT is phonemes of the IPA, in the voice's own spelling if it has one
    #[arg(long, conflicts_with = "arpabet")]
    pub ipa: bool,

    /// INPUT is phonemes of ARPABET (`HH AH0 L OW1 | W ER1 L D`)
    #[arg(long)]
    pub arpabet: bool,

    /// Words and how they are said, a line each: the word, a tab, its phones in ARPABET or IPA
    #[arg(long, value_name = "FILE", help_heading = "Speech")]
    pub lexicon: Option<PathBuf>,

    /// Which speaker of a voice that has several, by number from 0 [default: 0]
    #[arg(long, value_name = "N", help_heading = "Speech")]
    pub speaker: Option<u32>,

    /// This much faster than the voice speaks by itself, 0.1 to 10
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed, help_heading = "Speech")]
    pub speed: f64,

    /// How much the sound varies, 0 to 10 [default: what the voice asks for]
    #[arg(long, value_name = "X", value_parser = noise, help_heading = "Speech")]
    pub noise: Option<f64>,

    /// How much the rhythm varies, 0 to 10 [default: what the voice asks for]
    #[arg(long, value_name = "X", value_parser = noise, help_heading = "Speech")]
    pub noise_duration: Option<f64>,

    /// Silence between sentences, and twice as much between paragraphs, 0 to 60 seconds [default: none]
    #[arg(long, value_name = "SECONDS", value_parser = pause, help_heading = "Speech")]
    pub pause: Option<f64>,

    /// What the sound is written as [default: by the name after -o, else WAV]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Sound")]
    pub format: Option<Format>,

    /// Bits of a sample: 16, 24, or 32 for floating-point numbers
    #[arg(
        long,
        value_enum,
        value_name = "BITS",
        default_value = "16",
        hide_possible_values = true,
        help_heading = "Sound"
    )]
    pub bits: Bits,

    /// Samples a second, 1000 to 768000 [default: as the voice makes them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=768_000), help_heading = "Sound")]
    pub sample_rate: Option<u32>,

    /// Bring the sound to this loudness (EBU R128), -70 to 0, without clipping [default: as the voice makes it]
    #[arg(long, value_name = "LUFS", allow_negative_numbers = true, value_parser = lufs, help_heading = "Sound")]
    pub lufs: Option<f64>,

    /// Write the times of the words too: to FILE.srt, .vtt or .json; with many inputs `.srt`, beside each sound
    #[arg(long, value_name = "FILE", help_heading = "Sound")]
    pub subtitles: Option<PathBuf>,

    /// The voice.
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

fn speed(text: &str) -> Result<f64, String> {
    values::number(text, 0.1, 10., "a number from 0.1 to 10")
}

fn noise(text: &str) -> Result<f64, String> {
    values::number(text, 0., 10., "a number from 0 to 10")
}

fn pause(text: &str) -> Result<f64, String> {
    values::number(text, 0., 60., "a number from 0 to 60")
}

fn lufs(text: &str) -> Result<f64, String> {
    values::number(text, -70., 0., "a number from -70 to 0")
}
