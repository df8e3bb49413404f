//! Which column of a table is what: by a name that was given, by its number, or by the names that such columns have.

use anyhow::{Result, bail};

/// What was said of a table's columns: names, or numbers from 1.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Who.
    pub user: Option<String>,
    /// What.
    pub item: Option<String>,
    /// When.
    pub time: Option<String>,
    /// How well it was liked.
    pub rating: Option<String>,
    /// What the item is called.
    pub title: Option<String>,
    /// The first row is no heading.
    pub no_header: bool,
}

/// Places of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Who.
    pub user: usize,
    /// What.
    pub item: usize,
    /// When.
    pub time: Option<usize>,
    /// How well it was liked.
    pub rating: Option<usize>,
    /// What the item is called.
    pub title: Option<usize>,
}

const USER: &[&str] = &[
    "user",
    "userid",
    "uid",
    "users",
    "usr",
    "person",
    "personid",
    "customer",
    "customerid",
    "reviewerid",
    "visitor",
    "visitorid",
    "session",
    "sessionid",
    "member",
    "memberid",
    "account",
    "accountid",
    "client",
    "clientid",
    "buyer",
];
const ITEM: &[&str] = &[
    "item",
    "itemid",
    "iid",
    "items",
    "movie",
    "movieid",
    "film",
    "filmid",
    "product",
    "productid",
    "parentasin",
    "asin",
    "sku",
    "book",
    "bookid",
    "isbn",
    "track",
    "trackid",
    "song",
    "songid",
    "artist",
    "artistid",
    "article",
    "articleid",
    "page",
    "pageid",
    "game",
    "gameid",
    "video",
    "videoid",
    "contentid",
    "id",
];
const TIME: &[&str] =
    &["time", "timestamp", "ts", "date", "datetime", "unixreviewtime", "createdat", "ratedat", "when", "at"];
const RATING: &[&str] = &["rating", "ratings", "score", "stars", "overall", "value", "weight"];
const TITLE: &[&str] = &["title", "name", "itemtitle", "itemname", "productname", "label"];

/// Small letters and digits alone: `userId`, `user_id` and `User ID` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a row names columns: one of them has such a name, or was asked for.
pub fn is_heading(row: &[String], asked: &Asked) -> bool {
    if asked.no_header {
        return false;
    }
    let all = [&asked.user, &asked.item, &asked.time, &asked.rating, &asked.title];
    let named =
        |cell: &String| all.into_iter().flatten().any(|name| name.trim() == cell && number(name).is_none());
    let known = |cell: &String| {
        let cell = plain(cell);
        [USER, ITEM, TIME, RATING, TITLE].iter().any(|names| names.contains(&cell.as_str()))
    };
    row.iter().any(|cell| named(cell) || known(cell))
        || all.into_iter().flatten().any(|name| number(name).is_none())
}

/// The places of ids and titles in the heading of a table of items; nothing without ids.
pub fn of_items(heading: &[String], asked: &Asked) -> Option<(usize, Option<usize>)> {
    let of = |name: &str| heading.iter().position(|cell| plain(cell) == plain(name));
    let named = |asked: &Option<String>| asked.as_deref().filter(|name| number(name).is_none()).and_then(of);
    let id = named(&asked.item).or_else(|| of("id"));
    let id = id.or_else(|| ITEM.iter().find_map(|name| of(name)))?;
    let title = named(&asked.title).or_else(|| TITLE.iter().find_map(|name| of(name)));
    Some((id, title.filter(|title| *title != id)))
}

/// Whether a table of people alone begins with the name of its column.
pub fn names_people(cell: &str, asked: &Asked) -> bool {
    let name = plain(cell);
    let is_asked = asked.user.as_deref().is_some_and(|user| plain(user) == name);
    !asked.no_header && (is_asked || name == "id" || USER.contains(&name.as_str()))
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|&place| place > 0)
}

/// The place of a column that was asked for.
///
/// # Errors
/// A column that is not there, with those that are near.
fn place(table: &str, row: &[String], heading: bool, flag: &str, asked: &str) -> Result<usize> {
    let found = if heading { row.iter().position(|cell| cell == asked) } else { None };
    let found = found.or_else(|| {
        let same = |cell: &String| plain(cell) == plain(asked);
        if heading { row.iter().position(same) } else { None }
    });
    if let Some(place) = found {
        return Ok(place);
    }
    match number(asked) {
        Some(place) if place <= row.len() => Ok(place - 1),
        Some(place) => bail!("{table}: {flag} {place}: the rows have {} columns", row.len()),
        None if heading => {
            let near = near(asked, row.iter().map(String::as_str), 3);
            let near =
                if near.is_empty() { String::new() } else { format!(" (perhaps {})", near.join(", ")) };
            bail!("{table}: {flag} {asked}: no such column{near}; there are {}", listed(row))
        }
        None => bail!("{table}: {flag} {asked}: the table has no heading, so columns are numbers from 1"),
    }
}

fn listed(row: &[String]) -> String {
    const MOST: usize = 12;
    let mut names: Vec<&str> = row.iter().take(MOST).map(String::as_str).collect();
    if row.len() > MOST {
        names.push("...");
    }
    names.join(", ")
}

/// Finds the columns of a table by its first row.
///
/// # Errors
/// A column that is asked for and not there, and a table of which nothing says what its columns are.
pub fn find(table: &str, row: &[String], asked: &Asked) -> Result<(Columns, bool)> {
    let heading = is_heading(row, asked);
    let usual = |names: &[&str]| {
        let of = |name: &&str| row.iter().position(|cell| plain(cell) == **name);
        if heading { names.iter().find_map(of) } else { None }
    };
    let given = |flag: &str, asked: &Option<String>| {
        asked.as_deref().map(|asked| place(table, row, heading, flag, asked)).transpose()
    };
    let numbers = row.iter().all(|cell| cell.parse::<f64>().is_ok());
    if !heading && !asked.no_header && !numbers && row.len() != 4 {
        bail!(
            "{table}: the first row names no columns that are known ({}): name them with --user-column and --item-column, or say --no-header",
            listed(row)
        );
    }
    let user = given("--user-column", &asked.user)?.or_else(|| usual(USER));
    let item = given("--item-column", &asked.item)?.or_else(|| {
        // an id may be of people too, so that it comes last and not twice
        ITEM.iter().find_map(|name| usual(&[name]).filter(|place| Some(*place) != user))
    });
    let (mut time, mut rating) = (
        given("--time-column", &asked.time)?.or_else(|| usual(TIME)),
        given("--rating-column", &asked.rating)?.or_else(|| usual(RATING)),
    );
    let title = given("--title-column", &asked.title)?.or_else(|| usual(TITLE));
    let (user, item) = if heading {
        let missing = |what: &str, flag: &str| {
            anyhow::anyhow!("{table}: no column of {what} among {}: name it with {flag}", listed(row))
        };
        (
            user.ok_or_else(|| missing("people", "--user-column"))?,
            item.ok_or_else(|| missing("items", "--item-column"))?,
        )
    } else {
        let (user, item) = (user.unwrap_or(0), item.unwrap_or(1));
        let taken = |place: usize| [Some(user), Some(item), time, rating, title].contains(&Some(place));
        if time.is_none() && rating.is_none() {
            if row.len() == 3 && !taken(2) {
                bail!(
                    "{table}: three columns and no heading: say what the third is, with --time-column 3 or --rating-column 3"
                );
            }
            // MovieLens: user, item, rating, time
            if row.len() >= 4 {
                (rating, time) = (Some(2).filter(|_| !taken(2)), Some(3).filter(|_| !taken(3)));
            }
        }
        (user, item)
    };
    if row.len() <= user.max(item) {
        bail!(
            "{table}: the first row has {} columns, which are no person and item ({})",
            row.len(),
            listed(row)
        );
    }
    if user == item {
        bail!("{table}: people and items are the same column");
    }
    Ok((Columns { user, item, time, rating, title }, heading))
}

/// Those of `names` that are least unlike a word, at most `most`, the likest first.
pub fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<String> {
    let word = plain(word);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let other = plain(name);
            let apart = if !word.is_empty()
                && (other.contains(&word) || (!other.is_empty() && word.contains(&other)))
            {
                1
            } else {
                edits(&word, &other)
            };
            (apart <= 1 + word.chars().count() / 3).then_some((apart, name))
        })
        .collect();
    found.sort_by_key(|(apart, _)| *apart);
    found.into_iter().take(most).map(|(_, name)| name.to_string()).collect()
}

/// Letters to put in, take out or change (Levenshtein, 1966).
pub fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &[&str], asked: &Asked) -> Result<(Columns, bool), String> {
        let row: Vec<String> = row.iter().map(|cell| cell.to_string()).collect();
        find("t.csv", &row, asked).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_by_usual_names_by_given_ones_and_by_number() {
        let films = Columns { user: 0, item: 1, time: Some(3), rating: Some(2), title: None };
        let usual = Asked::default();
        assert_eq!(found(&["userId", "Id", "rating", "timestamp"], &usual), Ok((films, true)));
        assert_eq!(found(&["1", "31", "2.5", "1260759144"], &usual), Ok((films, false)));
        let pair = Columns { user: 0, item: 1, time: None, rating: None, title: None };
        assert_eq!(found(&["1", "31"], &usual), Ok((pair, false)));
        let asked = Asked { user: Some("who".into()), item: Some("3".into()), ..Asked::default() };
        let turned = Columns { user: 1, item: 2, time: None, rating: None, title: None };
        assert_eq!(found(&["x", "who", "what"], &asked), Ok((turned, true)));
    }

    #[test]
    fn a_column_that_is_asked_for_is_nothing_else() {
        let asked = Asked { title: Some("3".into()), ..Asked::default() };
        let films = Columns { user: 0, item: 1, time: None, rating: None, title: Some(2) };
        assert_eq!(found(&["1", "31", "7"], &asked), Ok((films, false)));
        let timed = Columns { time: Some(3), ..films };
        assert_eq!(found(&["1", "31", "7", "1260759144"], &asked), Ok((timed, false)));
        let asked = Asked { user: Some("3".into()), item: Some("1".into()), ..Asked::default() };
        let turned = Columns { user: 2, item: 0, time: None, rating: None, title: None };
        assert_eq!(found(&["1", "31", "7"], &asked), Ok((turned, false)));
        assert!(found(&["who", "what", "why"], &asked).unwrap_err().contains("--no-header"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let usual = Asked::default();
        assert!(found(&["userId", "thing"], &usual).unwrap_err().contains("--item-column"));
        assert!(found(&["alice", "spoon"], &usual).unwrap_err().contains("--no-header"));
        assert!(found(&["1", "2", "3"], &usual).unwrap_err().contains("--rating-column 3"));
        assert!(found(&["1"], &usual).is_err());
        let asked = Asked { user: Some("usre".into()), ..Asked::default() };
        assert!(found(&["user", "item"], &asked).unwrap_err().contains("perhaps user"));
        let asked = Asked { user: Some("9".into()), ..Asked::default() };
        assert!(found(&["user", "item"], &asked).unwrap_err().contains("2 columns"));
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("é", "e"), 1);
    }
}
