//! The items that a model knows: `items.csv`, whose row n is row n of the embedding. Columns `id` and `title`, then what
//! else is known of them (genres, a price), and `count`, how often each was had.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::columns::{self, Asked, near};
use super::table::{Table, csv_row, text};

/// Items by their places, from 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// What the table calls them.
    pub ids: Vec<String>,
    /// What people call them; the id where nothing else is known.
    pub titles: Vec<String>,
    /// How often each was had; all 0 where that is not known.
    pub counts: Vec<u32>,
    /// Names of further columns.
    pub columns: Vec<String>,
    /// Of each item, what they hold.
    pub cells: Vec<Vec<String>>,
}

impl Catalogue {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Places by id.
    pub fn places(&self) -> HashMap<&str, u32> {
        self.ids.iter().zip(0..).map(|(id, place)| (id.as_str(), place)).collect()
    }

    /// Takes titles and further columns from a table of items; tells how many of its own items are there.
    ///
    /// # Errors
    /// A table that has no column of ids, and one that has none of the items.
    pub fn describe(&mut self, path: &Path, asked: &Asked) -> Result<usize> {
        let (other, titled) = open(path, asked, false)?;
        let places: HashMap<&str, usize> =
            other.ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        self.columns = other.columns.clone();
        let mut found = 0;
        self.cells = vec![vec![String::new(); self.columns.len()]; self.len()];
        for (place, id) in self.ids.iter().enumerate() {
            if let Some(&there) = places.get(id.as_str()) {
                found += 1;
                if titled[there] {
                    self.titles[place] = other.titles[there].clone();
                }
                self.cells[place] = other.cells[there].clone();
            }
        }
        if found == 0 && !self.is_empty() {
            bail!(
                "{}: none of its items ({}, ...) is in the data ({}, ...)",
                path.display(),
                other.ids.first().map_or("none", String::as_str),
                self.ids[0]
            );
        }
        Ok(found)
    }

    /// The table as it is written.
    pub fn to_csv(&self) -> String {
        // a column of theirs that is called so is not taken for it
        let known =
            self.counts.iter().any(|&count| count > 0) || self.columns.iter().any(|name| name == COUNT);
        let mut heading = vec!["id", "title"];
        heading.extend(self.columns.iter().map(String::as_str));
        heading.extend(known.then_some(COUNT));
        let mut text = csv_row(heading);
        for place in 0..self.len() {
            let mut row = vec![self.ids[place].clone(), self.titles[place].clone()];
            row.extend(self.cells[place].iter().cloned());
            row.extend(known.then(|| self.counts[place].to_string()));
            text.push_str(&csv_row(row));
        }
        text
    }

    /// The places of a column's name among `columns`.
    ///
    /// # Errors
    /// A column that is not there, with those that are near.
    pub fn column(&self, name: &str) -> Result<usize> {
        match self.columns.iter().position(|column| column.eq_ignore_ascii_case(name)) {
            Some(place) => Ok(place),
            None => {
                let near = near(name, self.columns.iter().map(String::as_str), 3);
                let near = if near.is_empty() { self.columns.join(", ") } else { near.join(", ") };
                match near.is_empty() {
                    true => bail!("{name}: the model knows no columns of its items but id and title"),
                    false => bail!("{name}: the items have no such column; there is {near}"),
                }
            }
        }
    }
}

/// The column that says how often an item was had, the last of a model's table.
const COUNT: &str = "count";

/// Reads a table of items, a model's own or another, and tells which have titles.
fn open(path: &Path, asked: &Asked, own: bool) -> Result<(Catalogue, Vec<bool>)> {
    let mut table = Table::open(path)?;
    let heading = table.first().to_vec();
    let name = table.name();
    // MovieLens' movies.dat: id, title, genres
    let places = columns::of_items(&heading, asked);
    let named = table.is_named() || places.is_some() || columns::is_heading(&heading, &Asked::default());
    let (names, places) = if named {
        table.skip_heading();
        let (id, title) =
            places.with_context(|| format!("{name}: no column `id` among {}", heading.join(", ")))?;
        (heading.clone(), (id, title))
    } else {
        let numbered = (3..=heading.len())
            .map(|place| if place == 3 { "genres".into() } else { format!("column {place}") });
        let names = [String::from("id"), String::from("title")].into_iter().chain(numbered).collect();
        (names, (0, (heading.len() > 1).then_some(1)))
    };
    let (id, title) = places;
    let count = names.iter().rposition(|cell| own && cell == COUNT);
    let rest: Vec<usize> = (0..names.len())
        .filter(|&place| place != id && Some(place) != title && Some(place) != count)
        .collect();
    let mut catalogue = Catalogue {
        columns: rest.iter().map(|&place| names[place].clone()).collect(),
        ..Catalogue::default()
    };
    let mut titled = Vec::new();
    table.each(&mut |cells, line| {
        let cell =
            |place: usize| cells.get(place).map(|cell| text(cell).trim().to_string()).unwrap_or_default();
        let own = cell(id);
        if own.is_empty() {
            bail!("{name}: line {line}: no id");
        }
        let called = title.map(cell).filter(|title| !title.is_empty());
        titled.push(called.is_some());
        catalogue.titles.push(called.unwrap_or_else(|| own.clone()));
        catalogue.ids.push(own);
        catalogue.cells.push(rest.iter().map(|&place| cell(place)).collect());
        catalogue.counts.push(count.and_then(|place| cell(place).parse().ok()).unwrap_or(0));
        Ok(())
    })?;
    Ok((catalogue, titled))
}

/// Reads `items.csv` of a model.
///
/// # Errors
/// A table that has no column of ids, and an id that comes twice.
pub fn read_catalogue(path: &Path) -> Result<Catalogue> {
    let (catalogue, _) = open(path, &Asked::default(), true)?;
    let mut seen = std::collections::HashSet::new();
    if let Some(id) = catalogue.ids.iter().find(|id| !seen.insert(id.as_str())) {
        bail!("{}: the id {id} comes twice", path.display());
    }
    Ok(catalogue)
}
