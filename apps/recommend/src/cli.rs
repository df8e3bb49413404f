//! What can be typed.

use std::path::PathBuf;

use ::recommend::data;
use ::recommend::evaluate;
use ::recommend::methods::Kind;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{
    CompletionsCommand, ComputeArgs, ManCommand, ModelArgs, ModelsCommand, OutputArgs, TalkArgs, TrainArgs,
    values,
};
use models::nets::sasrec::Norm;

/// Recommend what comes next
#[derive(Parser, Debug)]
#[command(name = "recommend", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  recommend --history \"Toy Story\" \"The Matrix\"                  films, by the model that is built in
  recommend --like \"Alien\"                                      what is like it
  recommend train --data ratings.csv --items films.csv --out mine  learn from a table of people and items
  recommend --model mine --user 42 --top 20                      for somebody of that table
  recommend --model mine --users new.csv -o lists.csv            for many, who may be new
  recommend compare --data ratings.csv --protocol full           several methods on one split, with a chart")]
pub struct Cli {
    /// Another verb than recommending.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Recommending.
    #[command(flatten)]
    pub recommend: RecommendArgs,
}

/// The verbs beside recommending.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Learn from a table of people and items
    Train(Train),
    /// Learn by one method, or take a model, and measure how well it foretells
    Evaluate(Evaluate),
    /// Learn by several methods and measure them on one split
    Compare(Compare),
    /// List, show, download and delete models
    Models(ModelsCommand),
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
    /// Print the manual page of the app or of a verb
    Man(ManCommand),
}

/// `recommend`
#[derive(Args, Debug)]
pub struct RecommendArgs {
    /// What was had, by title, in its order; `-` reads titles from stdin, a line each
    #[arg(long, value_name = "TITLE", num_args = 1..)]
    pub history: Vec<String>,

    /// What was had, by id
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "history")]
    pub history_ids: Vec<String>,

    /// Somebody of the data that the model learned from
    #[arg(long, value_name = "ID", conflicts_with_all = ["history", "history_ids"])]
    pub user: Option<String>,

    /// Many people: a table of people and items, who may be new, or of people alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "history_ids", "user"])]
    pub users: Option<PathBuf>,

    /// What is like one item, by title or id
    #[arg(
        long,
        value_name = "ITEM",
        conflicts_with_all = ["history", "history_ids", "user", "users", "seen", "diverse", "temperature"]
    )]
    pub like: Option<String>,

    /// How many items are listed
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "List")]
    pub top: u32,

    /// List what was had already, too
    #[arg(long, help_heading = "List")]
    pub seen: bool,

    /// Tell which items of the history weigh most
    #[arg(long, help_heading = "List", conflicts_with = "like")]
    pub explain: bool,

    /// Trade likeness among the listed for score: 0 is by score alone, 1 as unlike as can be
    #[arg(long, value_name = "X", num_args = 0..=1, default_missing_value = "0.3", value_parser = values::share, help_heading = "List")]
    pub diverse: Option<f32>,

    /// Only items whose title, or whose COLUMN, holds TEXT; several must all hold
    #[arg(long, value_name = "[COLUMN=]TEXT", help_heading = "List")]
    pub filter: Vec<String>,

    /// Draw the list by chances exp(score / X) instead of taking the best
    #[arg(long, value_name = "X", value_parser = temperature, help_heading = "List")]
    pub temperature: Option<f32>,

    /// Form of a table of many lists [default: by -o, else CSV]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "List")]
    pub format: Option<Format>,

    /// Columns of --users.
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How many lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A row an item: user, rank, id, title, score; with --explain what it is there for, too
    Csv,
    /// A line a person
    Jsonl,
}

/// Which column is what.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Columns")]
pub struct ColumnArgs {
    /// The column of people, by name or number from 1 [default: by usual names]
    #[arg(long = "user-column", value_name = "COLUMN")]
    pub user_column: Option<String>,

    /// The column of items
    #[arg(long = "item-column", value_name = "COLUMN")]
    pub item_column: Option<String>,

    /// The column of times; without one, rows are in their order
    #[arg(long = "time-column", value_name = "COLUMN")]
    pub time_column: Option<String>,

    /// The column of ratings
    #[arg(long = "rating-column", value_name = "COLUMN")]
    pub rating_column: Option<String>,

    /// The column of titles
    #[arg(long = "title-column", value_name = "COLUMN")]
    pub title_column: Option<String>,

    /// The first row is no heading
    #[arg(long)]
    pub no_header: bool,
}

impl ColumnArgs {
    /// As the library takes them.
    pub fn asked(&self) -> data::Asked {
        data::Asked {
            user: self.user_column.clone(),
            item: self.item_column.clone(),
            time: self.time_column.clone(),
            rating: self.rating_column.clone(),
            title: self.title_column.clone(),
            no_header: self.no_header,
        }
    }
}

/// What of the data counts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// A table of items: id, title, and what else is known (genres, prices), for --filter
    #[arg(long, value_name = "FILE")]
    pub items: Option<PathBuf>,

    /// Leave out people that had less than N items
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_user: u32,

    /// Leave out items that less than N people had
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_item: u32,

    /// Leave out rows that are rated below X
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = any_number)]
    pub min_rating: Option<f64>,

    /// What somebody had may come again (pages, songs), and counts each time
    #[arg(long)]
    pub repeats: bool,

    /// Which column is what.
    #[command(flatten)]
    pub columns: ColumnArgs,
}

/// How a method learns; what is not said is usual for the method and the size of the data.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Method")]
pub struct MethodArgs {
    /// Nets: passes over the data at most [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub epochs: Option<u64>,

    /// Nets: looks at held-out people without a gain, after which the training stops [default: 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: Option<u64>,

    /// Nets: width [default: 32 or 64; Mult-VAE 600]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub width: Option<u32>,

    /// SASRec: blocks [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=48))]
    pub blocks: Option<u16>,

    /// SASRec: heads [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub heads: Option<u16>,

    /// SASRec: last items of a history that are seen [default: by the data, 10 to 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub longest: Option<u32>,

    /// SASRec: where layer norms stand: query, pre or post [default: query]
    #[arg(long, value_name = "WHERE", value_parser = norm)]
    pub norm: Option<Norm>,

    /// Nets: share of activations that are dropped, 0 to 0.9 [default: 0.2 or 0.5]
    #[arg(long, value_name = "P", value_parser = values::dropout)]
    pub dropout: Option<f32>,

    /// SASRec, gSASRec: items drawn against each that came [default: 1, 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub negatives: Option<u32>,

    /// gSASRec: calibration t, 0 to 1 [default: 0.75]
    #[arg(long, value_name = "T", value_parser = values::share)]
    pub calibration: Option<f32>,

    /// EASE, iALS: regularisation [default: 250, 10]
    #[arg(long, value_name = "X", value_parser = weight)]
    pub regularisation: Option<f64>,

    /// iALS: numbers of a vector [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2048))]
    pub factors: Option<u32>,

    /// iALS: times to and fro [default: 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub iterations: Option<u32>,

    /// iALS: how much more it counts that something was had [default: 5]
    #[arg(long, value_name = "X", value_parser = weight)]
    pub alpha: Option<f64>,

    /// Item neighbours that are kept [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub neighbours: Option<u32>,
}

/// `recommend train`
#[derive(Args, Debug)]
pub struct Train {
    /// What every training takes.
    #[command(flatten)]
    pub train: TrainArgs,

    /// sasrec, gsasrec, multvae, ease, ials, itemknn or popular [default: by the data]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<Kind>,

    /// Do not keep what each person had: --user needs it, new people do not
    #[arg(long)]
    pub no_histories: bool,

    /// What of the data counts.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the method learns.
    #[command(flatten)]
    pub settings: MethodArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How a method is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Each person's last item among all items
    Full,
    /// The last item among 100 that are drawn, as in SASRec's paper
    Sampled100,
    /// The last fifth of people that nothing was learned from
    Strong,
}

impl Protocol {
    /// As the library calls it.
    pub fn of(self) -> evaluate::Protocol {
        match self {
            Self::Full => evaluate::Protocol::Full,
            Self::Sampled100 => evaluate::Protocol::Sampled,
            Self::Strong => evaluate::Protocol::Strong,
        }
    }
}

/// What `evaluate` and `compare` share.
#[derive(Args, Clone, Debug)]
pub struct JudgeArgs {
    /// What to learn from and to judge by: tables of people and items
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,

    /// How: figures of different protocols must not be compared
    #[arg(long, value_enum, value_name = "PROTOCOL", default_value_t = Protocol::Full)]
    pub protocol: Protocol,

    /// Share of the people that `strong` keeps aside
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = values::held_out)]
    pub held_out: f64,

    /// Nets: stop each training after this many minutes
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub minutes: Option<f64>,

    /// Nets: people a step [default: 128; Mult-VAE 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,

    /// Nets: the highest learning rate [default: 0.001]
    #[arg(long, value_name = "X", value_parser = weight)]
    pub learning_rate: Option<f64>,
}

/// `recommend evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// The data and the protocol.
    #[command(flatten)]
    pub judge: JudgeArgs,

    /// The method that learns [default: by the data]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<Kind>,

    /// A model that has learned already: whatever it learned from must not hold what it is judged by
    #[arg(long, value_name = "MODEL", conflicts_with = "method", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,

    /// Another model, that is held against it person by person
    #[arg(long, value_name = "MODEL", requires = "model", value_parser = NonEmptyStringValueParser::new())]
    pub against: Option<String>,

    /// Keep the model that was learned; a training that was cut off goes on there
    #[arg(long, value_name = "MODEL", conflicts_with = "model")]
    pub out: Option<PathBuf>,

    /// What of the data counts.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the method learns.
    #[command(flatten)]
    pub settings: MethodArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// How much is said.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `recommend compare`
#[derive(Args, Debug)]
pub struct Compare {
    /// The data and the protocol.
    #[command(flatten)]
    pub judge: JudgeArgs,

    /// The methods, the first of which the others are held against
    #[arg(
        long,
        value_name = "METHOD,...",
        value_delimiter = ',',
        default_value = "popular,itemknn,ease,ials,multvae,sasrec,gsasrec"
    )]
    pub methods: Vec<Kind>,

    /// What of the data counts.
    #[command(flatten)]
    pub data: DataArgs,
    /// How the methods learn.
    #[command(flatten)]
    pub settings: MethodArgs,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Where the chart goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn norm(text: &str) -> Result<Norm, String> {
    match text {
        "query" => Ok(Norm::Query),
        "pre" => Ok(Norm::Pre),
        "post" => Ok(Norm::Post),
        _ => Err("use query, pre or post".to_string()),
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    values::number(text, 1e-4, 1e4, "a number from 0.0001 to 10000")
}

fn weight(text: &str) -> Result<f64, String> {
    values::number(text, 1e-12, 1e12, "a number above 0")
}

fn minutes(text: &str) -> Result<f64, String> {
    values::number(text, 1e-3, 1e6, "a number above 0")
}

fn any_number(text: &str) -> Result<f64, String> {
    values::number(text, f64::MIN, f64::MAX, "a number")
}
