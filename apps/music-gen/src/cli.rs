//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cli::{
    BatchArgs, CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs,
    SamplingArgs, StatusCommand, TalkArgs, TrainArgs, values,
};
use media::score::{Key, Metre};
use music_gen::corpus::Source;
use music_gen::finish::Finish;
use music_gen::vocabulary::{Token, key_of};

/// Compose music: as MIDI, as sound, and as a picture; with a MusicGen model, sound from words
#[derive(Parser, Debug)]
#[command(name = "music-gen", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  music-gen                                   a chorale that nobody wrote
  music-gen --style song --bars 12 -o song    song.mid, song.wav and song.png
  music-gen --harmonise melody.mid -o choir   three voices under a melody
  music-gen train --data scores/ --out mine   learn from MIDI and MusicXML files
  music-gen --model mine                      and play in their style
  music-gen --model musicgen-small \"a slow piano waltz\" --seconds 30
  music-gen --model musicgen-melody \"rock\" --melody hum.mp3 -o rock.wav
  music-gen codes speech.flac --model musicgen-small --json > codes.json
  music-gen --from-codes codes.json --model musicgen-small -o again.wav")]
pub struct Cli {
    /// Another verb than composing.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Composing.
    #[command(flatten)]
    pub compose: ComposeArgs,
}

/// The verbs beside composing.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from MIDI and MusicXML files
    Train(Train),
    /// Measure a model on held-out pieces, as its model card shows it
    Evaluate(Evaluate),
    /// Print the codes that a sound becomes, or make codes heard
    Codes(Codes),
    /// Say how far the runs in an output folder have come
    Status(StatusCommand),
    /// List, show, download and delete models
    Models(ModelsCommand),
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
    /// Print the manual page of the app or of a verb
    Man(ManCommand),
}

/// `music-gen [PROMPT...]`
#[derive(Args, Debug, Default)]
pub struct ComposeArgs {
    /// What to play, in words, each a piece of its own, or text files with one a line; `-` is stdin: for MusicGen's models
    #[arg(value_name = "PROMPT")]
    pub prompts: Vec<String>,

    /// As PROMPT, but never a file or a verb
    #[arg(long, value_name = "PROMPT")]
    pub text: Vec<String>,

    /// Style, one of the model's; the embedded one has chorale and song [default: the model's first]
    #[arg(long, value_name = "NAME", help_heading = "Music")]
    pub style: Option<String>,

    /// Key: C, F#, Bb, Am, "E minor" [default: the model chooses]
    #[arg(long, value_name = "KEY", value_parser = key, help_heading = "Music")]
    pub key: Option<Key>,

    /// Time signature, such as 3/4 [default: the style's]
    #[arg(long, value_name = "N/D", value_parser = metre, help_heading = "Music")]
    pub metre: Option<Metre>,

    /// Bars to compose, 1 to 512 [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512), help_heading = "Music")]
    pub bars: Option<u32>,

    /// Quarter notes a minute, 20 to 400 [default: the style's]
    #[arg(long, value_name = "BPM", value_parser = tempo, help_heading = "Music")]
    pub tempo: Option<f64>,

    /// How many pieces, each with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Music")]
    pub count: u32,

    /// Go on from these pieces (`-` is stdin): MIDI or MusicXML for --bars more bars, with MusicGen's models any sound
    #[arg(long = "continue", value_name = "FILE", num_args = 1.., conflicts_with_all = ["harmonise", "key", "metre"], help_heading = "Music")]
    pub continue_from: Vec<PathBuf>,

    /// Write the other parts under these melodies (the first part of MIDI or MusicXML, `-` is stdin)
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["metre", "bars"], help_heading = "Music")]
    pub harmonise: Vec<PathBuf>,

    /// Play with the instruments of a SoundFont instead of the built-in ones
    #[arg(long, value_name = "FILE.sf2", help_heading = "Music")]
    pub soundfont: Option<PathBuf>,

    /// What MusicGen's models take.
    #[command(flatten)]
    pub playing: PlayingArgs,
    /// How a sound is written.
    #[command(flatten)]
    pub finish: FinishArgs,
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

/// What models that make sound take.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Sound, with MusicGen's models")]
pub struct PlayingArgs {
    /// Length in seconds, with those of --continue; beyond 30 by windows that overlap [default: 10, or 10 more]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,

    /// How closely the prompt is followed; 1 is without guidance [default: the model's, 3]
    #[arg(long, value_name = "X", value_parser = guidance)]
    pub guidance: Option<f64>,

    /// A sound whose melody is followed (any audio file, `-` is stdin): for models with `melody` in their names
    #[arg(long, value_name = "FILE")]
    pub melody: Option<PathBuf>,

    /// Where in the file of --continue the new music begins [default: its end]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "continue_from")]
    pub start: Option<f64>,

    /// Write a picture of the sound too
    #[arg(long)]
    pub picture: bool,

    /// Make codes heard instead (`-` is stdin): a JSON object with `codes`, as `codes` and --json print it
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["prompts", "text", "seconds", "melody", "continue_from"])]
    pub from_codes: Option<PathBuf>,
}

/// How a sound is written.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct FinishArgs {
    /// Bits of a sample in a WAV file: 16, 24, or 32 for floats [default: 16]
    #[arg(long, value_name = "N", value_parser = bits)]
    pub bits: Option<u16>,

    /// Bring the whole to this loudness, in LUFS (-14 is common) [default: as it comes]
    #[arg(long, value_name = "X", value_parser = lufs, allow_negative_numbers = true)]
    pub lufs: Option<f64>,

    /// Seconds at the end over which it fades away [default: none]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub fade: Option<f64>,
}

impl FinishArgs {
    /// What is asked for.
    pub fn finish(&self) -> Finish {
        Finish { lufs: self.lufs, fade: self.fade, bits: self.bits.unwrap_or(16) }
    }
}

/// `music-gen codes`
#[derive(Args, Debug)]
pub struct Codes {
    /// A sound: any audio file, `-` is stdin
    #[arg(value_name = "FILE", required_unless_present = "from_codes", conflicts_with = "from_codes")]
    pub file: Option<PathBuf>,

    /// Make codes heard instead (`-` is stdin): a JSON object with `codes`
    #[arg(long, value_name = "FILE.json")]
    pub from_codes: Option<PathBuf>,

    /// Kilobits a second, one of the codec's [default: its first]
    #[arg(long, value_name = "KBPS", conflicts_with = "from_codes")]
    pub bandwidth: Option<f64>,

    /// How a sound is written.
    #[command(flatten)]
    pub finish: FinishArgs,
    /// The model: of MusicGen, or a codec.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `music-gen train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// Width of a new net, a multiple of 64
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 256, value_parser = values::width, help_heading = "Training")]
    pub width: usize,

    /// Layers of a new net, 1 to 48
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=48), help_heading = "Training")]
    pub layers: u16,

    /// Tokens that a new net sees at once, 128 to 8192
    #[arg(conflicts_with = "base", long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(128..=8192), help_heading = "Training")]
    pub context: u16,

    /// Share of the activations that are dropped while learning, 0 to 0.9
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = values::dropout, help_heading = "Training")]
    pub dropout: f32,

    /// How often the style of each --data is shown, as many numbers as paths [default: alike]
    #[arg(long, value_name = "X,Y", value_delimiter = ',', help_heading = "Training")]
    pub shares: Vec<f64>,

    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `music-gen evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// The data that the model was trained with: [STYLE=]FOLDER or file; its held-out pieces are the measure
    #[arg(long, value_name = "[STYLE=]PATH", required = true, num_args = 1..)]
    pub data: Vec<Source>,

    /// Share of a folder's files that was kept aside in training
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = values::held_out)]
    pub held_out: f64,

    /// Pieces to compose for the table of statistics
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,

    /// Style of the table of statistics, which is made for four voices [default: the model's first]
    #[arg(long, value_name = "NAME")]
    pub style: Option<String>,

    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArgs,
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

/// Tonic and mode: `C`, `f#m`, `Bb minor`.
fn key(text: &str) -> Result<Key, String> {
    let wanted =
        || format!("{text:?} is no key: a letter A to G, # or b, then nothing for major or m for minor");
    let mut rest = text.trim().chars();
    let letter = rest.next().ok_or_else(wanted)?;
    let natural =
        "C.D.EF.G.A.B".find(letter.to_ascii_uppercase()).filter(|_| letter != '.').ok_or_else(wanted)?;
    let rest = rest.as_str();
    let (shift, mode) = match rest.chars().next() {
        Some('#' | '♯') => (1, &rest[rest.chars().next().map_or(0, char::len_utf8)..]),
        Some('b' | '♭') => (11, &rest[rest.chars().next().map_or(0, char::len_utf8)..]),
        _ => (0, rest),
    };
    let minor = match mode.trim().trim_start_matches('-') {
        "" | "major" | "maj" | "M" => false,
        "m" | "minor" | "min" => true,
        _ => return Err(wanted()),
    };
    Ok(key_of(((natural + shift) % 12) as u8, minor))
}

fn metre(text: &str) -> Result<Metre, String> {
    let parts = text.split_once('/').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
    parts
        .map(|(numerator, denominator)| Metre { numerator, denominator })
        .filter(|metre| Token::of_metre(*metre).is_some())
        .ok_or_else(|| {
            format!(
                "{text:?} is no time signature that can be written: 1 to 16 over 2, 4, 8 or 16, up to 9/4"
            )
        })
}

fn seconds(text: &str) -> Result<f64, String> {
    let wanted = "a number above 0, up to 3600";
    values::number(text, 0.0, 3600.0, wanted).and_then(|s| if s > 0.0 { Ok(s) } else { Err(wanted.into()) })
}

fn guidance(text: &str) -> Result<f64, String> {
    values::number(text, 1.0, 100.0, "a number from 1 to 100")
}

fn bits(text: &str) -> Result<u16, String> {
    let wanted = "16, 24 or 32";
    text.parse().ok().filter(|bits| [16, 24, 32].contains(bits)).ok_or_else(|| wanted.to_string())
}

fn lufs(text: &str) -> Result<f64, String> {
    values::number(text, -70.0, 0.0, "a number from -70 to 0")
}

fn tempo(text: &str) -> Result<f64, String> {
    values::number(text, 20.0, 400.0, "a number from 20 to 400")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_many_spellings() {
        for (text, fifths, minor) in [
            ("C", 0, false),
            ("c#m", 4, true),
            ("Bb", -2, false),
            ("B♭ major", -2, false),
            ("E minor", 1, true),
            ("f#", 6, false),
            ("Am", 0, true),
        ] {
            assert_eq!(key(text), Ok(Key { fifths, minor }), "{text}");
        }
        for text in ["", "H", "H#", "C##", "C flat", ".", "Cmm", "é"] {
            assert!(key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metres_are_those_of_the_vocabulary() {
        assert_eq!(metre("6/8"), Ok(Metre { numerator: 6, denominator: 8 }));
        for text in ["5/0", "0/4", "4", "4/3", "17/8", "10/4", "-3/4", "3/4/5", ""] {
            assert!(metre(text).is_err(), "{text}");
        }
    }
}
