//! Rows of tables to what each person had, in the order of time. Ids stay text; a row takes 16 bytes, so that ten million
//! take 160 MB.

use std::collections::HashMap;

use anyhow::{Result, bail};

use super::catalogue::Catalogue;
use super::columns::{self, Asked};
use super::table::{Table, text};

/// What each of many had, one after the other, in one piece of memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Histories {
    starts: Vec<usize>,
    items: Vec<u32>,
}

impl Default for Histories {
    fn default() -> Self {
        Self { starts: vec![0], items: Vec::new() }
    }
}

impl Histories {
    /// One more, at the end.
    pub fn push(&mut self, items: &[u32]) {
        self.items.extend_from_slice(items);
        self.starts.push(self.items.len());
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn get(&self, place: usize) -> &[u32] {
        &self.items[self.starts[place]..self.starts[place + 1]]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.starts.windows(2).map(|pair| &self.items[pair[0]..pair[1]])
    }

    /// How many items they have together.
    pub fn total(&self) -> usize {
        self.items.len()
    }

    /// How often each of so many items comes.
    pub fn counts(&self, items: usize) -> Vec<u32> {
        let mut counts = vec![0; items];
        self.items.iter().for_each(|&item| counts[item as usize] += 1);
        counts
    }
}

impl<'a> FromIterator<&'a [u32]> for Histories {
    fn from_iter<I: IntoIterator<Item = &'a [u32]>>(all: I) -> Self {
        let mut histories = Self::default();
        all.into_iter().for_each(|items| histories.push(items));
        histories
    }
}

/// Each item once, where it came first.
pub fn once(items: &[u32]) -> Vec<u32> {
    let mut seen = std::collections::HashSet::new();
    items.iter().copied().filter(|item| seen.insert(*item)).collect()
}

/// What tables say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// People by their places.
    pub people: Vec<String>,
    /// Items by theirs.
    pub catalogue: Catalogue,
    /// What each person had, in the order of time.
    pub histories: Histories,
    /// Whether the tables say when.
    pub timed: bool,
}

/// What was met on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noted {
    /// Rows that were read.
    pub rows: usize,
    /// Rows that repeat a person's item, which are left out unless repeats count.
    pub repeats: usize,
    /// Rows with a rating below the least.
    pub rated_low: usize,
    /// Rows that come after a later one of the same person.
    pub late: usize,
}

struct Row {
    person: u32,
    item: u32,
    time: f64,
}

/// Numbers for names, in the order of their coming.
#[derive(Default)]
struct Numbers {
    places: HashMap<Box<str>, u32>,
    names: Vec<String>,
}

impl Numbers {
    fn of(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.names.len() as u32;
        self.places.insert(name.into(), place);
        self.names.push(name.to_string());
        place
    }
}

/// Reads tables, each opened when its turn comes. Rows below `min_rating` are left out; a person's further rows of the same
/// item too, unless `repeats`.
///
/// # Errors
/// Tables without people or items, and cells that are no number where one must be, with their line.
pub fn read(
    tables: impl IntoIterator<Item = Result<Table>>,
    asked: &Asked,
    min_rating: Option<f64>,
    repeats: bool,
    on_row: &mut dyn FnMut(usize),
) -> Result<(Log, Noted)> {
    let (mut people, mut items) = (Numbers::default(), Numbers::default());
    let (mut rows, mut titles) = (Vec::new(), HashMap::new());
    let (mut noted, mut timed) = (Noted::default(), true);
    let mut names = Vec::new();
    for table in tables {
        let table = table?;
        names.push(table.name());
        let has_time = read_table(table, asked, min_rating, &mut |cells| {
            noted.rows += 1;
            if noted.rows.is_multiple_of(100_000) {
                on_row(noted.rows);
            }
            if cells.low {
                noted.rated_low += 1;
                return;
            }
            let (person, item) = (people.of(&cells.user), items.of(&cells.item));
            if let Some(title) = &cells.title {
                titles.entry(item).or_insert_with(|| title.to_string());
            }
            rows.push(Row { person, item, time: cells.time.unwrap_or(0.) });
        })?;
        timed &= has_time;
    }
    if rows.is_empty() {
        match noted.rows {
            0 => bail!("{}: no rows but the heading", names.join(", ")),
            rows => bail!("{}: none of its {rows} rows is rated as high as --min-rating", names.join(", ")),
        }
    }
    drop((people.places, items.places));
    let histories = ordered(&mut rows, people.names.len(), repeats, &mut noted);
    let counts = histories.counts(items.names.len());
    let titled =
        items.names.iter().zip(0u32..).map(|(id, place)| titles.remove(&place).unwrap_or_else(|| id.clone()));
    let catalogue = Catalogue {
        titles: titled.collect(),
        cells: vec![Vec::new(); items.names.len()],
        ids: items.names,
        counts,
        columns: Vec::new(),
    };
    Ok((Log { people: people.names, catalogue, histories, timed }, noted))
}

/// Rows by person and time; those of one time stay in the table's order.
fn ordered(rows: &mut [Row], people: usize, repeats: bool, noted: &mut Noted) -> Histories {
    // a person's rows are brought together first, in their order, so that late ones can be counted
    rows.sort_by_key(|row| row.person);
    let mut histories =
        Histories { starts: Vec::with_capacity(people + 1), items: Vec::with_capacity(rows.len()) };
    histories.starts.push(0);
    let mut seen = std::collections::HashSet::new();
    for own in rows.chunk_by_mut(|a, b| a.person == b.person) {
        noted.late += own.windows(2).filter(|pair| pair[1].time < pair[0].time).count();
        own.sort_by(|a, b| a.time.total_cmp(&b.time));
        seen.clear();
        for row in own.iter() {
            if repeats || seen.insert(row.item) {
                histories.items.push(row.item);
            } else {
                noted.repeats += 1;
            }
        }
        histories.starts.push(histories.items.len());
    }
    histories
}

struct Cells<'a> {
    user: std::borrow::Cow<'a, str>,
    item: std::borrow::Cow<'a, str>,
    title: Option<std::borrow::Cow<'a, str>>,
    time: Option<f64>,
    low: bool,
}

/// Calls `f` for each row; tells whether there is a time.
fn read_table(
    mut table: Table,
    asked: &Asked,
    min_rating: Option<f64>,
    f: &mut dyn FnMut(Cells<'_>),
) -> Result<bool> {
    let name = table.name();
    let (columns, heading) = columns::find(&name, table.first(), asked)?;
    if heading || table.is_named() {
        table.skip_heading();
    }
    if min_rating.is_some() && columns.rating.is_none() {
        bail!("{name}: --min-rating needs a column of ratings: name it with --rating-column");
    }
    table.each(&mut |cells, line| {
        let cell = |place: usize, what: &str| match cells.get(place).map(|cell| text(cell)) {
            Some(found) if !found.trim().is_empty() => Ok(found),
            Some(_) => bail!("{name}: line {line}: no {what} in column {}", place + 1),
            None => bail!(
                "{name}: line {line}: {} columns, the {what} should be in column {}",
                cells.len(),
                place + 1
            ),
        };
        let number = |place: usize, what: &str| {
            let found = cell(place, what)?;
            match found.trim().parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => bail!("{name}: line {line}: the {what} {:?} is no number", shortened(&found)),
            }
        };
        // a rating that is no number is told even where no least is asked
        let rating = columns.rating.map(|place| number(place, "rating")).transpose()?;
        let time = columns.time.map(|place| {
            let found = cell(place, "time")?;
            match moment(found.trim()) {
                Some(time) => Ok(time),
                None => bail!(
                    "{name}: line {line}: the time {:?} is no number and no date like 2026-01-31 12:00:00",
                    shortened(&found)
                ),
            }
        });
        let time = time.transpose()?;
        let low = min_rating.is_some_and(|least| rating.is_some_and(|rating| rating < least));
        let title = columns.title.and_then(|place| cells.get(place)).map(|cell| text(cell));
        let trimmed = |cell: std::borrow::Cow<'_, str>| cell.trim().to_string();
        f(Cells {
            user: trimmed(cell(columns.user, "person")?).into(),
            item: trimmed(cell(columns.item, "item")?).into(),
            title: title.filter(|title| !title.trim().is_empty()).map(trimmed).map(Into::into),
            time,
            low,
        });
        Ok(())
    })?;
    Ok(columns.time.is_some())
}

fn shortened(cell: &str) -> String {
    cell.chars().take(40).collect()
}

/// Seconds or any other number; else a date, with or without the time of day.
fn moment(text: &str) -> Option<f64> {
    if let Ok(value) = text.parse::<f64>() {
        return Some(value).filter(|value| value.is_finite());
    }
    let (date, clock) = text.split_at_checked(10)?;
    let mut parts = date.split(['-', '/', '.']).map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = of_day(clock.trim_start_matches(['T', 't', ' ']))?;
    // days of the civil calendar (Hinnant, 2013)
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = (year - era * 400) * 365 + (year - era * 400) / 4 - (year - era * 400) / 100 + of_year;
    Some((era * 146_097 + of_era - 719_468) as f64 * 86_400. + seconds)
}

/// Seconds from midnight in Greenwich: `02:30`, `2:30:01.5 PM`, `02:30:00+05:30`; 0 for nothing.
fn of_day(clock: &str) -> Option<f64> {
    // hours, minutes and seconds, or less of them
    let sum = |parts: &mut dyn Iterator<Item = &str>| {
        let units = [3600., 60., 1.];
        let values = parts.map(|part| part.parse::<f64>().ok().filter(|value| (0. ..61.).contains(value)));
        let values = values.collect::<Option<Vec<f64>>>()?;
        if values.len() > units.len() || values.first().is_some_and(|&hours| hours > 24.) {
            return None;
        }
        Some(values.iter().zip(units).map(|(value, unit)| value * unit).sum::<f64>())
    };
    let clock = clock.trim().trim_end_matches(['Z', 'z']).trim_end().trim_end_matches("UTC").trim_end();
    let (clock, east) = match clock.find(['+', '-']) {
        None => (clock, 0.),
        Some(place) => {
            let (clock, zone) = clock.split_at(place);
            let digits: String = zone[1..].split(':').collect();
            let (hours, minutes) = digits.split_at_checked(2)?;
            let minutes = if minutes.is_empty() { "0" } else { minutes };
            let ahead = sum(&mut [hours, minutes].into_iter())?;
            (clock.trim_end(), if zone.starts_with('-') { -ahead } else { ahead })
        }
    };
    let lower = clock.to_lowercase();
    let (clock, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim_end(), Some(0.)),
        (_, Some(clock)) => (clock.trim_end(), Some(43_200.)),
        _ => (lower.as_str(), None),
    };
    if clock.is_empty() {
        return half.is_none().then_some(-east);
    }
    let seconds = sum(&mut clock.split(':'))?;
    Some(half.map_or(seconds, |half| seconds % 43_200. + half) - east)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str, text: &str, repeats: bool) -> Result<(Log, Noted), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let said = read([Table::open(&path)], &Asked::default(), None, repeats, &mut |_| {});
        said.map_err(|error| error.to_string())
    }

    #[test]
    fn a_history_is_in_the_order_of_time_and_has_each_item_once() {
        let text = "user,item,time\nb,x,5\na,y,3\na,x,1\na,y,9\n\"b, jr\",🎬,2020-01-02\n";
        let (found, noted) = log("a.csv", text, false).unwrap();
        assert_eq!(found.people, ["b", "a", "b, jr"]);
        assert_eq!(found.catalogue.ids, ["x", "y", "🎬"]);
        assert_eq!(found.histories.iter().collect::<Vec<_>>(), [&[0][..], &[0, 1], &[2]]);
        assert_eq!(found.catalogue.counts, [2, 1, 1]);
        assert_eq!(noted, Noted { rows: 5, repeats: 1, rated_low: 0, late: 1 });
        let (again, _) = log("a.csv", text, true).unwrap();
        assert_eq!(again.histories.get(1), [0, 1, 1]);
    }

    #[test]
    fn what_is_no_number_is_told_with_its_line() {
        let said = log("a.csv", "user,item,rating\na,x,4\na,y,good\n", false).unwrap_err();
        assert!(said.contains("line 3") && said.contains("good"), "{said}");
        let said = log("a.csv", "user,item,time\na,x,yesterday\n", false).unwrap_err();
        assert!(said.contains("line 2") && said.contains("yesterday"), "{said}");
        let said = log("a.csv", "user,item\na\n", false).unwrap_err();
        assert!(said.contains("line 2"), "{said}");
        assert!(log("a.csv", "user,item\n", false).unwrap_err().contains("no rows"));
    }

    #[test]
    fn dates_are_seconds() {
        assert_eq!(moment("1970-01-02"), Some(86_400.));
        assert_eq!(moment("2000-03-01T00:00:01Z"), Some(951_868_801.));
        assert_eq!(moment("2026-11-30 02:30:00"), Some(1_796_005_800.));
        assert_eq!(moment("2026-11-30T02:30:00.5Z"), Some(1_796_005_800.5));
        assert_eq!(moment("2026-11-30 08:00+05:30"), Some(1_796_005_800.));
        assert_eq!(moment("2026-11-29 21:30:00 -0500"), Some(1_796_005_800.));
        assert_eq!(moment("2026/11/30 2:30 AM"), Some(1_796_005_800.));
        assert_eq!(moment("2026-11-30 12:30 am"), Some(1_796_005_800. - 7200.));
        assert_eq!(moment("2026-11-30 2:30:00 PM"), Some(1_796_005_800. + 43_200.));
        assert!(moment("2026-11-30 half past two").is_none() && moment("2026-11-30 02:99").is_none());
        assert_eq!(moment("-5"), Some(-5.));
        assert!(moment("soon").is_none() && moment("2000-13-01").is_none() && moment("NaN").is_none());
    }
}
