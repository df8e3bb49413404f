//! What somebody typed -> an item. Titles are matched loosely: without regard to case, accents and marks, with or without the
//! year, with an article at either end ("The Matrix", "Matrix, The"), and where nothing is equal, by the words in them.

use std::collections::HashMap;

use anyhow::{Result, bail};

use crate::data::Catalogue;

/// Items by title and by id.
pub struct Titles<'a> {
    catalogue: &'a Catalogue,
    ids: HashMap<&'a str, u32>,
    /// Places by what a title comes down to, the most often had first.
    titles: HashMap<String, Vec<u32>>,
    plain: Vec<String>,
}

/// An item that was found, and whether it was not what was typed to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The item.
    pub item: u32,
    /// Whether the title was matched by some of its words alone, or is of another year.
    pub loosely: bool,
}

/// Small letters and digits, without accents; words apart by one space, an article at the end comes first.
fn plain(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match unaccented(c) {
            // "Schindler's" is one word
            '\'' | '’' => {}
            '&' => words.push_str(" and "),
            c if c.is_alphanumeric() => words.push(c),
            _ => words.push(' '),
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The letter below the accents of Latin scripts.
fn unaccented(c: char) -> char {
    const FROM: &str = "àáâãäåāăąçćčďèéêëēėęěìíîïīįłñńňòóôõöøōőřśšşťùúûüūůűýÿźżž";
    const TO: &str = "aaaaaaaaacccdeeeeeeeeiiiiiilnnnoooooooorssstuuuuuuuyyzzz";
    FROM.chars().zip(TO.chars()).find(|(from, _)| *from == c).map_or(c, |(_, to)| to)
}

/// A title and the year in brackets at its end.
fn without_year(title: &str) -> (&str, Option<&str>) {
    let name = title.trim_end();
    match name.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((name, year)) if year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name.trim_end(), Some(year))
        }
        _ => (name, None),
    }
}

/// A title's forms: whole; without a year at its end; with its article at its beginning; and without the names that stand
/// behind it in brackets.
fn forms(title: &str) -> Vec<String> {
    let mut forms = vec![title.to_string()];
    let (name, year) = without_year(title);
    let mut names = vec![name.to_string()];
    // "Seven (a.k.a. Se7en)"
    if let Some((first, rest)) = name.split_once(" (") {
        names.push(first.to_string());
        let other = rest.trim_end_matches(')').trim_start_matches("a.k.a. ");
        names.extend(other.split(") (").map(|other| other.trim_start_matches("a.k.a. ").to_string()));
    }
    for name in names {
        if let Some((rest, article)) = name.rsplit_once(", ") {
            const ARTICLES: [&str; 14] =
                ["the", "a", "an", "le", "la", "les", "l'", "el", "los", "las", "der", "die", "das", "il"];
            if ARTICLES.contains(&article.to_lowercase().as_str()) {
                let whole = format!("{article} {rest}");
                forms.extend(year.map(|year| format!("{whole} {year}")));
                forms.extend([whole, rest.to_string()]);
            }
        }
        let bare = name.to_lowercase();
        if let Some(rest) = bare.strip_prefix("the ") {
            forms.push(rest.to_string());
        }
        forms.extend(year.map(|year| format!("{name} {year}")));
        forms.push(name);
    }
    forms.iter().map(|form| plain(form)).filter(|form| !form.is_empty()).collect()
}

impl<'a> Titles<'a> {
    /// Of a model's items.
    pub fn new(catalogue: &'a Catalogue) -> Self {
        let mut titles: HashMap<String, Vec<u32>> = HashMap::new();
        for (title, place) in catalogue.titles.iter().zip(0u32..) {
            let mut own = forms(title);
            own.sort_unstable();
            own.dedup();
            own.into_iter().for_each(|form| titles.entry(form).or_default().push(place));
        }
        for places in titles.values_mut() {
            places.sort_by_key(|&place| (std::cmp::Reverse(catalogue.counts[place as usize]), place));
        }
        let plain = catalogue.titles.iter().map(|title| plain(title)).collect();
        Self { ids: catalogue.places(), catalogue, titles, plain }
    }

    /// The item of an id.
    ///
    /// # Errors
    /// An id that is not there, with those that are near.
    pub fn by_id(&self, id: &str) -> Result<u32> {
        if let Some(&item) = self.ids.get(id.trim()) {
            return Ok(item);
        }
        let near = crate::data::near(id, self.catalogue.ids.iter().map(String::as_str), 3);
        match near.is_empty() {
            true => bail!("{id}: no item has this id"),
            false => bail!("{id}: no item has this id; near are {}", near.join(", ")),
        }
    }

    /// The item of a title to the letter, else of one that is like it, else of an id.
    ///
    /// # Errors
    /// A title that nothing is like, with suggestions.
    pub fn by_title(&self, typed: &str) -> Result<Found> {
        let (typed, count) = (typed.trim(), |place: &u32| self.catalogue.counts[*place as usize]);
        // "C++" is not "C"
        let same = (0u32..).zip(&self.catalogue.titles).filter(|(_, title)| *title == typed);
        let same = same.map(|(place, _)| place).max_by_key(|place| (count(place), std::cmp::Reverse(*place)));
        if let Some(item) = same {
            return Ok(Found { item, loosely: false });
        }
        // what was typed has forms too: an article at its end, a year
        let equal = forms(typed).into_iter().find_map(|form| self.titles.get(&form)?.first().copied());
        if let Some(item) = equal {
            let found_year = without_year(&self.catalogue.titles[item as usize]).1;
            // a film of another year
            let loosely = without_year(typed).1.is_some_and(|year| found_year != Some(year));
            return Ok(Found { item, loosely });
        }
        if let Some(&item) = self.ids.get(typed) {
            return Ok(Found { item, loosely: false });
        }
        let wanted = plain(typed);
        if wanted.is_empty() {
            bail!("{typed:?}: no title");
        }
        if let Some(item) = self.by_words(&wanted) {
            return Ok(Found { item, loosely: true });
        }
        let near = self.suggestions(&wanted);
        match near.is_empty() {
            true => bail!("{typed}: the model knows no such title"),
            false => bail!("{typed}: the model knows no such title; perhaps {}", near.join(" or ")),
        }
    }

    /// The title that has all the words: the most often had, if it was by far.
    fn by_words(&self, wanted: &str) -> Option<u32> {
        if wanted.len() < 3 {
            return None;
        }
        let words: Vec<&str> = wanted.split(' ').collect();
        let has = |title: &str| words.iter().all(|word| title.split(' ').any(|other| other == *word));
        let mut found: Vec<u32> =
            (0u32..).zip(&self.plain).filter(|(_, title)| has(title)).map(|(place, _)| place).collect();
        let count = |place: &u32| self.catalogue.counts[*place as usize];
        found.sort_by_key(|place| std::cmp::Reverse(count(place)));
        match found.as_slice() {
            [only] => Some(*only),
            [first, second, ..] if count(first) > 2 * count(second) => Some(*first),
            // "Star Wars" is the one of them that most people had
            [first, ..] if self.plain[*first as usize].starts_with(&format!("{wanted} ")) => Some(*first),
            _ => None,
        }
    }

    /// Titles that are least unlike what was typed.
    fn suggestions(&self, wanted: &str) -> Vec<String> {
        const MOST: usize = 3;
        let pairs = |text: &str| {
            let letters: Vec<char> = format!(" {text} ").chars().collect();
            let mut pairs: Vec<[char; 2]> = letters.windows(2).map(|pair| [pair[0], pair[1]]).collect();
            pairs.sort_unstable();
            pairs
        };
        let own = pairs(wanted);
        let likeness = |title: &str| {
            let other = pairs(title);
            let (mut i, mut j, mut both) = (0, 0, 0);
            while i < own.len() && j < other.len() {
                match own[i].cmp(&other[j]) {
                    std::cmp::Ordering::Less => i += 1,
                    std::cmp::Ordering::Greater => j += 1,
                    std::cmp::Ordering::Equal => (i, j, both) = (i + 1, j + 1, both + 1),
                }
            }
            // of the pairs of letters of both (Dice, 1945)
            2. * f64::from(both) / (own.len() + other.len()) as f64
        };
        let mut found: Vec<(f64, u32)> = Vec::new();
        for (title, place) in self.catalogue.titles.iter().zip(0u32..) {
            let best = forms(title).iter().map(|form| likeness(form)).fold(0., f64::max);
            if best > 0.45 {
                found.push((best, place));
            }
        }
        let count = |place: u32| std::cmp::Reverse(self.catalogue.counts[place as usize]);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(count(a.1).cmp(&count(b.1))));
        found.into_iter().take(MOST).map(|(_, place)| self.catalogue.titles[place as usize].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let titles = [
            ("Toy Story (1995)", 200),
            ("Matrix, The (1999)", 250),
            ("Matrix Reloaded, The (2003)", 90),
            ("Seven (a.k.a. Se7en) (1995)", 180),
            ("Amélie (2001)", 100),
            ("Sabrina (1954)", 10),
            ("Sabrina (1995)", 20),
            ("Star Wars: Episode IV - A New Hope (1977)", 240),
            ("Schindler's List (1993)", 210),
        ];
        let titles: Vec<(String, u32)> = titles.map(|(title, count)| (title.to_string(), count)).to_vec();
        Catalogue {
            ids: (1..=titles.len()).map(|id| id.to_string()).collect(),
            counts: titles.iter().map(|(_, count)| *count).collect(),
            cells: vec![vec![]; titles.len()],
            titles: titles.into_iter().map(|(title, _)| title).collect(),
            columns: vec![],
        }
    }

    #[test]
    fn a_title_has_many_forms() {
        let catalogue = catalogue();
        let titles = Titles::new(&catalogue);
        for (typed, item) in [
            ("Toy Story", 0),
            ("toy story (1995)", 0),
            ("The Matrix", 1),
            ("matrix", 1),
            ("Matrix, The", 1),
            ("the matrix 1999", 1),
            ("Seven", 3),
            ("se7en", 3),
            ("amelie", 4),
            ("Sabrina", 6),
            ("Sabrina (1954)", 5),
            ("schindlers list", 8),
            ("9", 8),
        ] {
            assert_eq!(titles.by_title(typed).unwrap(), Found { item, loosely: false }, "{typed}");
        }
        let other_year = titles.by_title("Toy Story (2019)").unwrap();
        assert_eq!(other_year, Found { item: 0, loosely: true });
        assert_eq!(titles.by_title("new hope").unwrap(), Found { item: 7, loosely: true });
    }

    #[test]
    fn a_title_to_the_letter_comes_before_what_is_like_it() {
        let titles: Vec<String> = ["C", "C++", "🎬", "a1", "A1"].map(String::from).to_vec();
        let catalogue = Catalogue {
            ids: titles.clone(),
            counts: vec![9, 1, 1, 9, 1],
            cells: vec![vec![]; titles.len()],
            titles,
            columns: vec![],
        };
        let titles = Titles::new(&catalogue);
        for (typed, item) in [("C", 0), ("c", 0), (" C++ ", 1), ("🎬", 2), ("a1", 3), ("A1", 4)] {
            assert_eq!(titles.by_title(typed).unwrap(), Found { item, loosely: false }, "{typed}");
        }
        assert!(titles.by_title("???").is_err());
    }

    #[test]
    fn a_miss_has_suggestions() {
        let catalogue = catalogue();
        let titles = Titles::new(&catalogue);
        let said = titles.by_title("Toy Storey").unwrap_err().to_string();
        assert!(said.contains("perhaps Toy Story (1995)"), "{said}");
        assert!(titles.by_title("zzzz").unwrap_err().to_string().ends_with("no such title"));
        assert!(titles.by_title(" ").is_err());
        assert!(titles.by_id("77").is_err());
        assert_eq!(titles.by_id("3").unwrap(), 2);
    }
}
