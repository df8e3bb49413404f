//! `recommend`: a list for one person, for many, or of what is like an item.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use ::recommend::data::{self, Table, csv_row};
use ::recommend::{Listed, Model, Request, Titles, like, recommend};
use anyhow::{Context, Result, anyhow, bail};
use cli::{Exit, Progress, Target, Timings, one_line, print_json, print_line, usage};
use hub::Resolved;
use serde::Serialize;

use crate::cli::{Format, RecommendArgs};

/// Items of a history that are told as reasons.
const REASONS: usize = 3;
/// People who are scored at once: what limits the memory.
const TOGETHER: usize = 256;

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    model: &'a str,
    revision: Option<&'a str>,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    like: Option<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Item<'a>>>,
    items: Vec<ListedItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    title: &'a str,
}

#[derive(Serialize)]
struct ListedItem<'a> {
    id: &'a str,
    title: &'a str,
    score: f32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<Because<'a>>,
}

#[derive(Serialize)]
struct Because<'a> {
    id: &'a str,
    title: &'a str,
    weight: f32,
}

struct Run<'a> {
    args: &'a RecommendArgs,
    model: Model,
    found: Resolved,
    request: Request,
    progress: Progress,
    load_s: f64,
}

/// Somebody by id, with what was had.
type Person = (String, Vec<u32>);

/// Recommends what was asked for.
pub fn run(args: &RecommendArgs) -> Result<Exit> {
    args.compute.apply()?;
    let typed = typed(args)?;
    let target = args.output.target();
    match &target {
        Target::Folder(folder) => {
            return Err(usage(format!("-o {}: lists go into one file, or to stdout", folder.display())));
        }
        Target::File(path) if path.exists() && !args.output.force => {
            bail!("{} exists already: give another -o, or --force to overwrite it", path.display());
        }
        _ => {}
    }
    if args.users.is_none() && (args.format.is_some() || matches!(target, Target::File(_))) {
        return Err(usage("-o and --format are for the lists of many people: --users"));
    }
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let (model, found) = super::load(&args.model, &args.compute, &progress)?;
    let request = Request {
        top: args.top as usize,
        seen: args.seen,
        reasons: if args.explain { REASONS } else { 0 },
        diverse: args.diverse.unwrap_or(0.),
        temperature: args.temperature,
        filters: Vec::new(),
        seed: if args.temperature.is_some() { args.compute.seed() } else { 0 },
    };
    let request = request.with_filters(&model, &args.filter)?;
    let load_s = began.elapsed().as_secs_f64();
    let run = Run { args, model, found, request, progress, load_s };
    if let Some(path) = &args.users {
        return run.many(path, &target);
    }
    if let Some(item) = &args.like {
        return run.like(item);
    }
    let history = match &args.user {
        Some(user) => run.model.history_of(user)?,
        None => run.history(&typed)?,
    };
    run.one(&history)
}

/// Titles or ids, as typed or as they come by stdin.
fn typed(args: &RecommendArgs) -> Result<Vec<String>> {
    let mut typed: Vec<String> = args.history.iter().chain(&args.history_ids).cloned().collect();
    let asks = args.user.is_some() || args.users.is_some() || args.like.is_some();
    let reads = typed == ["-"] || (typed.is_empty() && !asks && cli::stdin_is_piped());
    if reads {
        let bytes = cli::read_stdin()?;
        let text = String::from_utf8(bytes).context("stdin: not UTF-8 text")?;
        typed = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    }
    if typed.is_empty() && !asks {
        return Err(usage(match reads {
            true => "stdin held no titles: a line each",
            false => {
                "no history: recommend --history \"Toy Story\" \"The Matrix\" (or --history-ids, --user, --users FILE, --like; --help says more)"
            }
        }));
    }
    Ok(typed)
}

impl Run<'_> {
    fn title(&self, item: u32) -> &str {
        &self.model.catalogue.titles[item as usize]
    }

    fn item(&self, item: u32) -> Item<'_> {
        Item { id: &self.model.catalogue.ids[item as usize], title: self.title(item) }
    }

    fn history(&self, typed: &[String]) -> Result<Vec<u32>> {
        let titles = Titles::new(&self.model.catalogue);
        let by_id = !self.args.history_ids.is_empty();
        let item = |typed: &String| if by_id { titles.by_id(typed) } else { self.by_title(&titles, typed) };
        let history = typed.iter().map(item).collect::<Result<Vec<u32>>>()?;
        // an order is taken as it was typed, a set has nothing twice
        let counts = self.model.repeats || self.model.method.kind().has_order();
        Ok(if counts { history } else { data::once(&history) })
    }

    fn by_title(&self, titles: &Titles<'_>, typed: &str) -> Result<u32> {
        let found = titles.by_title(typed)?;
        if found.loosely {
            self.progress.status(format!("{typed}: taken for {}", self.title(found.item)));
        }
        Ok(found.item)
    }

    fn line<'a>(&'a self, list: &'a [Listed]) -> Line<'a> {
        let items = list.iter().map(|listed| {
            let because = listed.reasons.iter().map(|reason| {
                let Item { id, title } = self.item(reason.item);
                Because { id, title, weight: reason.weight }
            });
            let Item { id, title } = self.item(listed.item);
            ListedItem { id, title, score: listed.score, because: because.collect() }
        });
        Line {
            user: None,
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
            method: self.model.method.kind().name(),
            seed: self.request.temperature.map(|_| self.request.seed),
            like: None,
            history: None,
            items: items.collect(),
            timings: None,
        }
    }

    fn print(&self, list: &[Listed]) -> Result<()> {
        if list.is_empty() {
            self.progress.status(
                "nothing is left to recommend (--seen lists what was had, --filter may be too narrow)",
            );
        }
        for (rank, listed) in list.iter().enumerate() {
            print_line(format!(
                "{:>3}  {:>8.3}  {}",
                rank + 1,
                listed.score,
                one_line(self.title(listed.item))
            ))?;
            if !listed.reasons.is_empty() {
                let reasons: Vec<String> = listed
                    .reasons
                    .iter()
                    .map(|reason| format!("{} ({:+.3})", one_line(self.title(reason.item)), reason.weight))
                    .collect();
                print_line(format!("               because of {}", reasons.join(", ")))?;
            }
        }
        Ok(())
    }

    fn one(&self, history: &[u32]) -> Result<Exit> {
        if history.is_empty() {
            bail!("the history is empty: nothing is known of this person");
        }
        let began = Instant::now();
        let list = recommend(&self.model, &[history], &self.request)?.remove(0);
        if !self.args.output.talk.json {
            self.print(&list)?;
            return Ok(Exit::Done);
        }
        let timings =
            Timings { load_s: self.load_s, generate_s: began.elapsed().as_secs_f64(), ..Timings::default() };
        let history = history.iter().map(|&item| self.item(item)).collect();
        print_json(&Line {
            user: self.args.user.as_deref(),
            history: Some(history),
            timings: Some(timings),
            ..self.line(&list)
        })?;
        Ok(Exit::Done)
    }

    fn like(&self, typed: &str) -> Result<Exit> {
        let titles = Titles::new(&self.model.catalogue);
        let item = self.by_title(&titles, typed)?;
        let began = Instant::now();
        let list = like(&self.model, item, &self.request)?;
        if !self.args.output.talk.json {
            self.progress.status(format!("like {}:", self.title(item)));
            self.print(&list)?;
            return Ok(Exit::Done);
        }
        let timings =
            Timings { load_s: self.load_s, generate_s: began.elapsed().as_secs_f64(), ..Timings::default() };
        print_json(&Line { like: Some(self.item(item)), timings: Some(timings), ..self.line(&list) })?;
        Ok(Exit::Done)
    }

    /// Lists for all people of a table.
    fn many(&self, path: &Path, target: &Target) -> Result<Exit> {
        let (people, unknown) = self.people(path)?;
        if unknown > 0 {
            self.progress.status(format!(
                "{unknown} rows have items that the model does not know, and count for nothing"
            ));
        }
        let format = self.args.format.unwrap_or(match target {
            _ if self.args.output.talk.json => Format::Jsonl,
            Target::File(path) if path.extension().is_some_and(|name| name == "jsonl" || name == "json") => {
                Format::Jsonl
            }
            _ => Format::Csv,
        });
        let mut failed = 0;
        let result = match target {
            Target::File(path) => {
                let force = self.args.output.force;
                let written = batch::write_whole(path, force, |file| {
                    self.lists(&people, format, &mut |bytes| Ok(file.write_all(bytes)?))
                        .map(|count| failed = count)
                });
                written.map(|_| ()).map_err(|why| anyhow!(why))
            }
            Target::Stdout | Target::Default | Target::Folder(_) => {
                let text = |bytes: &[u8]| cli::print_text(&String::from_utf8_lossy(bytes));
                self.lists(&people, format, &mut |bytes| text(bytes)).map(|count| failed = count)
            }
        };
        result?;
        if let Target::File(path) = target {
            cli::print_path(path)?;
        }
        Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
    }

    /// People with what they had; and how many rows name items that are not known.
    fn people(&self, path: &Path) -> Result<(Vec<Person>, usize)> {
        let table = Table::open(path)?;
        let (alone, heading) = (table.first().len() == 1, table.first().first().cloned().unwrap_or_default());
        if alone {
            return Ok((self.known(table, &heading)?, 0));
        }
        let places: HashMap<&str, u32> = self.model.catalogue.places();
        let asked = self.args.columns.asked();
        let (log, _) = data::read([Ok(table)], &asked, None, self.model.repeats, &mut |_| {})?;
        let mut unknown = 0;
        let number = |item: &u32| places.get(log.catalogue.ids[*item as usize].as_str()).copied();
        let people = log.people.iter().zip(log.histories.iter()).map(|(person, history)| {
            let items: Vec<u32> = history.iter().filter_map(number).collect();
            unknown += history.len() - items.len();
            (person.clone(), items)
        });
        Ok((people.collect(), unknown))
    }

    /// People of the training, by their ids alone.
    fn known(&self, mut table: Table, heading: &str) -> Result<Vec<Person>> {
        if table.is_named() || data::names_people(heading, &self.args.columns.asked()) {
            table.skip_heading();
        }
        let mut ids = Vec::new();
        table.each(&mut |cells, _| {
            ids.push(String::from_utf8_lossy(cells[0]).trim().to_string());
            Ok(())
        })?;
        let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found = self.model.histories_of(&asked)?;
        Ok(ids.into_iter().zip(found.into_iter().map(Option::unwrap_or_default)).collect())
    }

    /// Writes a list a person; returns for how many there is none.
    fn lists(
        &self,
        people: &[Person],
        format: Format,
        write: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<usize> {
        let mut failed = 0;
        if format == Format::Csv {
            let because = self.args.explain.then_some("because");
            write(csv_row(["user", "rank", "id", "title", "score"].into_iter().chain(because)).as_bytes())?;
        }
        let bar = self.progress.bar(people.len() as u64, "recommending");
        let (known, strangers): (Vec<_>, Vec<_>) =
            people.iter().partition(|(_, history)| !history.is_empty());
        for (person, _) in strangers {
            failed += 1;
            self.progress.error(format!("{person}: nothing is known of what this person had"));
        }
        for (part, people) in known.chunks(TOGETHER).enumerate() {
            let histories: Vec<&[u32]> = people.iter().map(|(_, history)| history.as_slice()).collect();
            let request =
                Request { seed: self.request.seed.wrapping_add(part as u64), ..self.request.clone() };
            let lists = recommend(&self.model, &histories, &request)?;
            let mut text = Vec::new();
            for ((person, _), list) in people.iter().zip(&lists) {
                match format {
                    Format::Jsonl => {
                        serde_json::to_writer(&mut text, &Line { user: Some(person), ..self.line(list) })?;
                        text.push(b'\n');
                    }
                    Format::Csv => {
                        for (rank, listed) in list.iter().enumerate() {
                            let Item { id, title } = self.item(listed.item);
                            let (rank, score) = ((rank + 1).to_string(), listed.score.to_string());
                            let titles: Vec<&str> =
                                listed.reasons.iter().map(|reason| self.title(reason.item)).collect();
                            let because = self.args.explain.then(|| titles.join("; "));
                            let row = [person.as_str(), &rank, id, title, &score];
                            text.extend(csv_row(row.into_iter().chain(because.as_deref())).into_bytes());
                        }
                    }
                }
            }
            write(&text)?;
            bar.set(((part + 1) * TOGETHER).min(people.len()) as u64);
        }
        bar.finish();
        Ok(failed)
    }
}
