//! Models at the terminal: `--model` with its download bar, and `APP models list|show|pull|remove`.

use anyhow::Result;
use clap::{Args, Subcommand};
use hub::{Embedded, Env, Listed, Options, Resolved, Shown, Want};
use serde::Serialize;

use crate::args::{ModelArgs, TalkArgs};
use crate::print::{one_line, print_json, print_line};
use crate::progress::{Bar, Progress};

impl ModelArgs {
    /// Finds the model, downloading what is not here yet behind a bar. `wants` are the files of a
    /// repository that the app needs, none means all.
    ///
    /// # Errors
    /// As [`hub::resolve`].
    pub fn resolve(
        &self,
        embedded: Option<Embedded>,
        wants: &[Want<'_>],
        progress: &Progress,
    ) -> Result<Resolved> {
        let options = Options { offline: self.offline, wants };
        let mut bars = Downloads::new(progress);
        let found =
            hub::resolve(&self.model, embedded, &options, &Env::from_process(), &mut |file, done, total| {
                bars.show(file, done, total);
            })?;
        if let Some(note) = &found.note {
            progress.status(note);
        }
        Ok(found)
    }
}

/// One bar, for the file that is coming.
struct Downloads<'a> {
    progress: &'a Progress,
    bar: Option<(String, Bar)>,
}

impl<'a> Downloads<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self { progress, bar: None }
    }

    fn show(&mut self, file: &str, done: u64, total: u64) {
        if self.bar.as_ref().is_none_or(|(name, _)| name != file) {
            // The old bar goes before the new one comes, else both stand for a moment.
            self.bar = None;
            self.bar = Some((file.to_string(), self.progress.bytes(total, file)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.total(total.max(done));
            bar.set(done);
        }
    }
}

/// List, show, download and delete models
#[derive(Args, Clone, Debug)]
pub struct ModelsCommand {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ModelsVerb,
}

/// The verbs below `APP models`.
#[derive(Subcommand, Clone, Debug)]
pub enum ModelsVerb {
    /// List the models that this app knows and those on this disk
    List {
        /// Those of the other apps too
        #[arg(long)]
        all: bool,
        /// How much is said.
        #[command(flatten)]
        talk: TalkArgs,
    },
    /// Show a model's files, licence and place
    Show {
        /// `embedded`, a folder, a file, OWNER/NAME[@REVISION] or an alias
        #[arg(value_name = "MODEL")]
        model: String,
        /// How much is said.
        #[command(flatten)]
        talk: TalkArgs,
    },
    /// Download a model, or what is missing of it, into the cache
    Pull {
        /// OWNER/NAME[@REVISION] or an alias
        #[arg(value_name = "MODEL")]
        model: String,
        /// How much is said.
        #[command(flatten)]
        talk: TalkArgs,
    },
    /// Delete a model from the cache
    Remove {
        /// OWNER/NAME or an alias
        #[arg(value_name = "MODEL")]
        model: String,
        /// How much is said.
        #[command(flatten)]
        talk: TalkArgs,
    },
}

#[derive(Serialize)]
struct Pulled<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    path: String,
}

impl ModelsCommand {
    /// Does what was asked. `app` is the app's name in the catalogue, `wants` what it needs of a repository.
    ///
    /// # Errors
    /// As the functions of `hub`, and where stdout cannot be written.
    pub fn run(&self, app: &str, embedded: Option<Embedded>, wants: &[Want<'_>]) -> Result<()> {
        let env = Env::from_process();
        match &self.verb {
            ModelsVerb::List { all, talk } => {
                list(&hub::list(&env, (!all).then_some(app)), embedded, &env, talk.json)
            }
            ModelsVerb::Show { model, talk } => {
                let shown = hub::show(model, embedded, &env)?;
                if talk.json { print_json(&shown) } else { show(&shown) }
            }
            ModelsVerb::Pull { model, talk } => pull(model, wants, &env, talk),
            ModelsVerb::Remove { model, talk } => {
                let removed = hub::remove(model, &env)?;
                if talk.json {
                    return print_json(&removed);
                }
                Progress::new(talk).status(format!("{}: {} freed", removed.repo, size(removed.bytes)));
                crate::print_path(&removed.folder)
            }
        }
    }
}

fn pull(model: &str, wants: &[Want<'_>], env: &Env, talk: &TalkArgs) -> Result<()> {
    let progress = Progress::new(talk);
    let mut bars = Downloads::new(&progress);
    let options = Options { offline: false, wants };
    let found = hub::pull(model, &options, env, &mut |file, done, total| bars.show(file, done, total))?;
    drop(bars);
    if let Some(note) = &found.note {
        progress.status(note);
    }
    let path = match &found.location {
        hub::Location::Dir(path) | hub::Location::File(path) => path.display().to_string(),
        hub::Location::Embedded(_) => "embedded".to_string(),
    };
    if talk.json {
        return print_json(&Pulled { model: &found.name, revision: found.revision.as_deref(), path });
    }
    print_line(one_line(&path))
}

#[derive(Serialize)]
struct EmbeddedLine {
    repo: &'static str,
    bytes: u64,
    licence: Option<String>,
}

fn list(listed: &[Listed], embedded: Option<Embedded>, env: &Env, json: bool) -> Result<()> {
    let built_in = match embedded {
        None => None,
        Some(_) => {
            let shown = hub::show("embedded", embedded, env)?;
            let bytes = shown.files.iter().map(|(_, bytes)| bytes).sum();
            Some(EmbeddedLine { repo: "embedded", bytes, licence: shown.licence })
        }
    };
    if json {
        built_in.iter().try_for_each(print_json)?;
        return listed.iter().try_for_each(print_json);
    }
    let mut rows = vec![["NAME", "SIZE", "WHERE", "LICENCE", "REPOSITORY"].map(String::from)];
    if let Some(model) = built_in {
        let licence = model.licence.unwrap_or_default();
        rows.push(["embedded".into(), size(model.bytes), "built in".into(), licence, String::new()]);
    }
    rows.extend(listed.iter().map(row));
    table(&rows).iter().try_for_each(print_line)
}

fn row(model: &Listed) -> [String; 5] {
    let entry = model.entry;
    let is_here = !model.revisions.is_empty();
    let told =
        entry.and_then(|entry| entry.size_mb).map(|megabytes| format!("~{}", size(megabytes * 1_000_000)));
    [
        entry.map_or(model.repo.clone(), |entry| entry.alias.clone()),
        if model.bytes > 0 { size(model.bytes) } else { told.unwrap_or_default() },
        if is_here {
            "cached"
        } else if model.bytes > 0 {
            "unfinished"
        } else {
            ""
        }
        .to_string(),
        entry.map_or(String::new(), |entry| entry.licence.clone()),
        entry.map_or(String::new(), |_| model.repo.clone()),
    ]
}

/// Rows with each column as wide as its widest cell, sizes to the right.
fn table(rows: &[[String; 5]]) -> Vec<String> {
    let rows: Vec<[String; 5]> = rows.iter().map(|row| row.each_ref().map(|cell| one_line(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            1 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

fn show(model: &Shown) -> Result<()> {
    let absent = "not on this disk: `models pull` gets it".to_string();
    let place = match &model.path {
        Some(path) => path.display().to_string(),
        None if model.name == "embedded" => "built in".to_string(),
        None => absent,
    };
    let mut facts = vec![("name", model.name.clone()), ("place", place)];
    facts.extend(model.revision.iter().map(|revision| ("revision", revision.clone())));
    facts.extend(model.licence.iter().map(|licence| ("licence", licence.clone())));
    if let Some(entry) = model.entry {
        facts.push(("alias", entry.alias.clone()));
        facts.push(("app", entry.app.clone()));
    }
    for (name, value) in facts {
        print_line(one_line(&format!("{name:<9} {value}")))?;
    }
    model
        .files
        .iter()
        .try_for_each(|(name, bytes)| print_line(one_line(&format!("{:>10}  {name}", size(*bytes)))))
}

/// Bytes as a person says them, in powers of a thousand as disks and downloads count.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would round up to 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_as_people_do() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(999_949, "999.9 kB");
        check(999_950, "1.0 MB");
        check(2_364_000_000, "2.4 GB");
        check(u64::MAX, "18446744.1 TB");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 5]| cells.map(String::from);
        let rows = [row(["NAME", "SIZE", "W", "L", "R"]), row(["é\u{1b}", "1.0 kB", "", "MIT", "a/b"])];
        assert_eq!(table(&rows), ["NAME       SIZE  W  L    R", "é\\u{1b}  1.0 kB     MIT  a/b"]);
    }
}
