//! The argument groups that apps flatten into theirs: the same word means the same thing everywhere.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

/// `--model`, `--offline`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// The model: `embedded`, a folder, a file, OWNER/NAME[@REVISION] or an alias of `models list`
    #[arg(long, default_value = "embedded", value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: String,

    /// Use no network: only what is built in or on this disk
    #[arg(long)]
    pub offline: bool,
}

impl Default for ModelArgs {
    fn default() -> Self {
        Self { model: "embedded".into(), offline: false }
    }
}

/// `--json`, `-q`, `-v`: how much is said, and in which form.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct TalkArgs {
    /// Print one JSON object a result, each on one line
    #[arg(long)]
    pub json: bool,

    /// Say nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more on stderr
    #[arg(short, long)]
    pub verbose: bool,
}

/// `-o`, `--force` and [`TalkArgs`].
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Where the result goes: a file, a folder (`DIR/`) for many inputs, or `-` for stdout
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Overwrite files that exist
    #[arg(long)]
    pub force: bool,

    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// What `-o` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// No `-o`: the app's own choice.
    Default,
    /// `-o -`
    Stdout,
    /// `-o DIR/`, or a folder that exists.
    Folder(PathBuf),
    /// `-o FILE`
    File(PathBuf),
}

impl OutputArgs {
    /// What `-o` means: a closing separator or an existing folder makes it a folder.
    pub fn target(&self) -> Target {
        let Some(path) = &self.output else { return Target::Default };
        if path.as_os_str() == "-" {
            Target::Stdout
        } else if ends_in_separator(path) || path.is_dir() {
            Target::Folder(path.clone())
        } else {
            Target::File(path.clone())
        }
    }

    /// The folder that `-o` means, if it means one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self.target() {
            Target::Folder(folder) => Some(folder),
            _ => None,
        }
    }
}

fn ends_in_separator(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last().copied();
    last == Some(b'/') || last.is_some_and(|byte| char::from(byte) == MAIN_SEPARATOR)
}

/// How tokens are drawn. What is not given comes from the model's `generation_config.json` or the app.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Higher is bolder; 0 always takes the most likely
    #[arg(long, value_name = "X", value_parser = temperature)]
    pub temperature: Option<f64>,

    /// Draw from the K most likely only; 0 is no limit
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,

    /// Draw from the smallest set of the most likely whose probabilities add up to P
    #[arg(long, value_name = "P", value_parser = share_above_zero)]
    pub top_p: Option<f64>,

    /// Leave out what is less likely than P times the most likely
    #[arg(long, value_name = "P", value_parser = share)]
    pub min_p: Option<f64>,

    /// Above 1 makes what came already less likely; 1 changes nothing
    #[arg(long, value_name = "X", value_parser = above_zero)]
    pub repetition_penalty: Option<f64>,
}

/// What every `train` verb takes, beside `ComputeArgs`. What is not given is the app's choice.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Training")]
pub struct TrainArgs {
    /// What to learn from: folders or files, as the app's README says
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,

    /// The folder that becomes the model; a training that was cut off goes on where it stood
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,

    /// The model to start from [default: a new one]
    #[arg(long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub base: Option<String>,

    /// Stop after this many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,

    /// Stop after this many minutes
    #[arg(long, value_name = "M", value_parser = above_zero)]
    pub minutes: Option<f64>,

    /// Examples a step
    #[arg(long, value_name = "N", value_parser = count)]
    pub batch: Option<usize>,

    /// The highest learning rate
    #[arg(long, value_name = "X", value_parser = above_zero)]
    pub learning_rate: Option<f64>,

    /// Share of the data that is kept aside to measure on, 0 to 0.9
    #[arg(long, value_name = "P", value_parser = crate::values::held_out)]
    pub held_out: Option<f64>,

    /// Seconds between two checkpoints, from which a training that was cut off goes on
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = crate::values::seconds)]
    pub checkpoint: f64,

    /// Overwrite a model that exists
    #[arg(long)]
    pub force: bool,

    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

fn number(text: &str, good: impl Fn(f64) -> bool, wanted: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|x| x.is_finite() && good(*x)).ok_or_else(|| wanted.to_string())
}

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..=100.0).contains(&x), "a number from 0 to 100")
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..=1.0).contains(&x), "a number from 0 to 1")
}

fn share_above_zero(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 1.0, "a number above 0, up to 1")
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "a whole number of 1 or more".to_string())
}
