//! What recommends: seven methods behind one small trait. Each scores all items after a history that it need not have
//! learned from, so that people who come later are served like all others.

mod autoencoder;
mod ease;
mod ials;
mod inverse;
mod item_knn;
mod popular;
mod sequence;

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use models::checkpoint::{Checkpoint, Files, save};
use serde_json::{Map, Value, json};

use crate::data::Histories;
use crate::plan::Plan;

pub use autoencoder::{AutoEncoder, set};
pub use ease::Ease;
pub use ials::Ials;
pub use item_knn::ItemKnn;
pub use popular::Popular;
pub use sequence::Sequence;

/// What a method is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SASRec: attention over the order of a history.
    SasRec,
    /// The same net with gSASRec's loss.
    GSasRec,
    /// Mult-VAE.
    MultVae,
    /// EASE: one matrix, in closed form.
    Ease,
    /// Implicit alternating least squares.
    Ials,
    /// Items that the same people had.
    ItemKnn,
    /// What most people had.
    Popular,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::SasRec, Self::GSasRec, Self::MultVae, Self::Ease, Self::Ials, Self::ItemKnn, Self::Popular];

    /// The word after `--method`, and in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SasRec => "sasrec",
            Self::GSasRec => "gsasrec",
            Self::MultVae => "multvae",
            Self::Ease => "ease",
            Self::Ials => "ials",
            Self::ItemKnn => "itemknn",
            Self::Popular => "popular",
        }
    }

    /// Whether the order of a history counts.
    pub fn has_order(self) -> bool {
        matches!(self, Self::SasRec | Self::GSasRec)
    }

    /// Whether it learns by gradients, step by step.
    pub fn has_steps(self) -> bool {
        matches!(self, Self::SasRec | Self::GSasRec | Self::MultVae)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("use {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Scores items.
pub trait Method: Send + Sync {
    /// Which it is.
    fn kind(&self) -> Kind;

    /// How many items it knows.
    fn items(&self) -> usize;

    /// Scores of all items after each of some histories, one after the other. Only their order matters, and for nets their
    /// differences: chances are `exp(score)`.
    ///
    /// # Errors
    /// Those of the operators.
    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>>;

    /// How like an item each of some others is: 1 is the same, 0 has nothing in common.
    ///
    /// # Errors
    /// A method that knows no such thing.
    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>>;

    /// `config.json` without the method's name, and the tensors.
    ///
    /// # Errors
    /// Those of the operators.
    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)>;
}

/// Writes a method's `config.json` and `model.safetensors`; `more` goes into the former.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(method: &dyn Method, folder: &Path, dtype: DType, more: &Map<String, Value>) -> Result<()> {
    let (mut config, tensors) = method.parts()?;
    if let Value::Object(fields) = &mut config {
        fields.insert("method".into(), json!(method.kind().name()));
        fields.extend(more.clone());
    }
    Ok(save(folder, &config, &tensors, dtype)?)
}

/// Opens the method that a model's files hold. A `config.json` without a method is a SASRec of the reference.
///
/// # Errors
/// A method that is not known, and what the nets refuse.
pub fn open(files: &Files, device: &Device) -> Result<Box<dyn Method>> {
    let config: Map<String, Value> = files.json("config.json")?;
    let name = match config.get("method") {
        Some(name) => name.as_str().unwrap_or_default(),
        None if config.contains_key("hidden_units") => "sasrec",
        None => {
            bail!("{}: not the configuration of a recommender (no `method`)", files.describe("config.json"))
        }
    };
    let Ok(kind) = Kind::from_str(name) else {
        bail!(
            "{}: the method {name} is not known: {}",
            files.describe("config.json"),
            Kind::ALL.map(Kind::name).join(", ")
        )
    };
    let checkpoint = Checkpoint::open(files.clone())?;
    Ok(match kind {
        Kind::SasRec | Kind::GSasRec => Box::new(Sequence::open(kind, &checkpoint, device)?),
        Kind::MultVae => Box::new(AutoEncoder::open(&checkpoint, device)?),
        Kind::Ease => Box::new(Ease::open(&checkpoint)?),
        Kind::Ials => Box::new(Ials::open(&checkpoint)?),
        Kind::ItemKnn => Box::new(ItemKnn::open(&checkpoint)?),
        Kind::Popular => Box::new(Popular::open(&checkpoint)?),
    })
}

/// Learns by a method without steps. `on_part` is told how many of how many parts are done.
///
/// # Errors
/// Data that is too large for the method.
pub fn fit(
    plan: &Plan,
    train: &Histories,
    items: usize,
    on_part: &mut dyn FnMut(usize, usize),
) -> Result<Box<dyn Method>> {
    Ok(match plan.kind {
        Kind::Ease => Box::new(Ease::fit(plan, train, items, on_part)?),
        Kind::Ials => Box::new(Ials::fit(plan, train, items, on_part)?),
        Kind::ItemKnn => Box::new(ItemKnn::fit(plan, train, items)?),
        Kind::Popular => Box::new(Popular::fit(train, items)),
        kind => bail!("{} learns by steps", kind.name()),
    })
}

/// The tensor of a checkpoint as plain values.
fn values(checkpoint: &Checkpoint, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    Ok(checkpoint.vb(DType::F32, &Device::Cpu).get(shape, name)?.flatten_all()?.to_vec1()?)
}

/// A number of items or the like in `config.json`.
fn size(checkpoint: &Checkpoint, name: &str) -> Result<usize> {
    let config: Map<String, Value> = checkpoint.config()?;
    let found = config.get(name).and_then(Value::as_u64).filter(|&size| (1..1 << 28).contains(&size));
    found.map(|size| size as usize).with_context(|| format!("config.json: {name} is no size"))
}

/// Cosines of row `item` of a table (items, width) with some others of its rows.
fn cosines(table: &Tensor, item: u32, others: &[u32]) -> Result<Vec<f32>> {
    let mut places = vec![item];
    places.extend_from_slice(others);
    let count = places.len();
    let rows = table.index_select(&Tensor::from_vec(places, count, table.device())?, 0)?;
    let rows = rows.to_vec2::<f32>()?;
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    let dot = |xs: &[f32], ys: &[f32]| xs.iter().zip(ys).map(|(x, y)| x * y).sum::<f32>();
    let own = &rows[0];
    Ok(rows[1..].iter().map(|row| dot(row, own) / (length(row) * length(own))).collect())
}

/// Items to people, by people to items.
fn turned(histories: &Histories, items: usize) -> Histories {
    let counts = histories.counts(items);
    let mut starts = vec![0usize; items + 1];
    for (item, count) in counts.iter().enumerate() {
        starts[item + 1] = starts[item] + *count as usize;
    }
    let mut people = vec![0u32; histories.total()];
    let mut next = starts.clone();
    for (person, history) in (0u32..).zip(histories.iter()) {
        for &item in history {
            people[next[item as usize]] = person;
            next[item as usize] += 1;
        }
    }
    starts.windows(2).map(|pair| &people[pair[0]..pair[1]]).collect()
}
