//! A model's files -> a method, the items that it knows, and what its people had.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::DType;
use hub::Location;
use models::checkpoint::Files;
use serde_json::{Map, Value, json};

use crate::data::{Catalogue, Log, Table, csv_row, read_catalogue};
use crate::methods::{self, Method};

const CONFIG: &str = "config.json";
const ITEMS: &str = "items.csv";
const HISTORIES: &str = "histories.csv";
/// No table of items is larger.
const LIMIT: u64 = 4 << 30;

/// What recommends.
pub struct Model {
    /// The method.
    pub method: Box<dyn Method>,
    /// Its items.
    pub catalogue: Catalogue,
    /// Whether what somebody had may come again.
    pub repeats: bool,
    files: Files,
}

impl Model {
    /// Loads the model at a place.
    ///
    /// # Errors
    /// What is no model of this app, and another number of items than the weights have.
    pub fn load(location: &Location, device: &str) -> Result<Self> {
        let files = studio::model::files(location, "config.json and items.csv")?;
        let config: Map<String, Value> = files.json(CONFIG)?;
        let device = models::device::open(device)?;
        let method = methods::open(&files, &device)?;
        let catalogue = catalogue(&files)?;
        if catalogue.len() != method.items() {
            bail!(
                "{}: {} items, where the weights have {}: row n must be item n",
                files.describe(ITEMS),
                catalogue.len(),
                method.items()
            );
        }
        let repeats = config.get("repeats").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { method, catalogue, repeats, files })
    }

    /// What somebody of the training had.
    ///
    /// # Errors
    /// A model that keeps no histories, and a person who is not there.
    pub fn history_of(&self, person: &str) -> Result<Vec<u32>> {
        let mut found = self.histories_of(&[person])?;
        found.pop().flatten().with_context(|| {
            format!(
                "{person}: nobody of that id is in {}; --history takes what was had",
                self.files.describe(HISTORIES)
            )
        })
    }

    /// What each of some people had, where they are known.
    ///
    /// # Errors
    /// A model that keeps no histories, or keeps them wrongly.
    pub fn histories_of(&self, people: &[&str]) -> Result<Vec<Option<Vec<u32>>>> {
        let Files::Dir(folder) = &self.files else {
            bail!("the built-in model knows nobody by id: --history takes what was had")
        };
        let path = folder.join(HISTORIES);
        if !path.exists() {
            bail!(
                "{}: the model keeps no histories, so that it knows nobody by id: --history and --history-ids take what was had",
                path.display()
            );
        }
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        people.iter().enumerate().for_each(|(place, person)| places.entry(person).or_default().push(place));
        let mut found = vec![None; people.len()];
        let mut table = Table::open(&path)?;
        table.skip_heading();
        table.each(&mut |cells, line| {
            let cell = |place: usize| cells.get(place).map_or(Ok(""), |cell| std::str::from_utf8(cell));
            let (person, had) = (cell(0)?, cell(1)?);
            let Some(places) = places.get(person) else { return Ok(()) };
            let place = || format!("{}: line {line}", path.display());
            let items = had.split_whitespace().map(|item| item.parse::<u32>());
            let items = items.collect::<Result<Vec<_>, _>>().with_context(place)?;
            if !items.iter().all(|&item| item >= 1 && item as usize <= self.catalogue.len()) {
                bail!("{}: {person} had an item that is not in items.csv", place());
            }
            for &place in places {
                found[place] = Some(items.iter().map(|item| item - 1).collect());
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn catalogue(files: &Files) -> Result<Catalogue> {
    match files {
        Files::Dir(folder) => {
            let path = folder.join(ITEMS);
            if !path.is_file() {
                bail!(
                    "{}: there is no such file: it names the items, `id,title`, row n being row n of the embedding",
                    path.display()
                );
            }
            read_catalogue(&path)
        }
        embedded => {
            let file = tempfile::Builder::new().suffix(".csv").tempfile()?;
            std::fs::write(file.path(), embedded.read(ITEMS, LIMIT)?)?;
            read_catalogue(file.path())
        }
    }
}

/// What `config.json` says beside what shapes the method.
fn more(repeats: bool) -> Map<String, Value> {
    let mut more = Map::new();
    if repeats {
        more.insert("repeats".into(), json!(true));
    }
    more
}

/// What each person had, as [`Model::history_of`] reads it.
fn histories_csv(log: &Log) -> String {
    let mut text = csv_row(["user", "items"]);
    for (person, history) in log.people.iter().zip(log.histories.iter()) {
        let items: Vec<String> = history.iter().map(|item| (item + 1).to_string()).collect();
        text.push_str(&csv_row([person.as_str(), &items.join(" ")]));
    }
    text
}

/// Writes a model's folder: items, histories where they are kept, then weights and configuration.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(
    folder: &Path,
    method: &dyn Method,
    log: &Log,
    histories: bool,
    dtype: DType,
    repeats: bool,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(HISTORIES);
    // an older model's go first: their numbers are those of other items
    match std::fs::remove_file(&path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            return Err(why).with_context(|| path.display().to_string());
        }
        _ => {}
    }
    batch::write_bytes(&folder.join(ITEMS), log.catalogue.to_csv().as_bytes(), true)?;
    if histories {
        batch::write_bytes(&path, histories_csv(log).as_bytes(), true)?;
    }
    methods::write(method, folder, dtype, &more(repeats))
}
