//! Sentences and their translations, from a table or from two texts that go line by line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A sentence in two languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// In the first language.
    pub from: String,
    /// In the second.
    pub to: String,
}

/// Pairs to learn from and pairs to measure on, which share no sentence of either language.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// To learn from.
    pub train: Vec<Pair>,
    /// To measure on.
    pub held_out: Vec<Pair>,
    /// Lines that are no pair.
    pub skipped: usize,
}

/// Of pairs that are kept aside, so many at most.
const MOST_HELD_OUT: usize = 2000;
/// Characters of a sentence at most: longer lines are paragraphs, which no net here sees at once.
const LONGEST: usize = 1000;

/// Reads pairs: one table (`.tsv`: two columns, more are left alone), or two texts of the same number of lines.
///
/// # Errors
/// One line on files that cannot be read, are no text or do not fit together, and if there is no pair.
pub fn read(paths: &[PathBuf]) -> Result<(Vec<Pair>, usize), String> {
    let lines: Vec<Pair> = match paths {
        [table] => table_of(&text(table)?),
        [first, second] if !is_table(first) && !is_table(second) => {
            let (from, to) = (text(first)?, text(second)?);
            let count = [&from, &to].map(|text| text.lines().count());
            if count[0] != count[1] {
                return Err(format!(
                    "{} has {} lines and {} has {}: they must go line by line",
                    first.display(),
                    count[0],
                    second.display(),
                    count[1]
                ));
            }
            from.lines().zip(to.lines()).map(|(from, to)| pair(from, to)).collect()
        }
        tables if tables.iter().all(|path| is_table(path)) => {
            let mut all = Vec::new();
            for path in tables {
                all.extend(table_of(&text(path)?));
            }
            all
        }
        _ => return Err("--data takes tables (.tsv), or two texts that go line by line".into()),
    };
    let count = lines.len();
    let good = |pair: &Pair| {
        let length = |text: &str| text.chars().count();
        !pair.from.is_empty() && !pair.to.is_empty() && length(&pair.from).max(length(&pair.to)) <= LONGEST
    };
    let pairs: Vec<Pair> = lines.into_iter().filter(good).collect();
    if pairs.is_empty() {
        let name = paths[0].display();
        return Err(format!("{name}: no line has a sentence, a tab and its translation"));
    }
    Ok((pairs.clone(), count - pairs.len()))
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"))
}

fn table_of(text: &str) -> Vec<Pair> {
    text.lines()
        .map(|line| {
            let mut columns = line.split('\t');
            pair(columns.next().unwrap_or_default(), columns.next().unwrap_or_default())
        })
        .collect()
}

fn pair(from: &str, to: &str) -> Pair {
    Pair { from: from.trim().to_string(), to: to.trim().to_string() }
}

fn text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_string()),
        Err(error) => {
            let place = error.utf8_error().valid_up_to();
            Err(format!("{}: not UTF-8 text at byte {place}", path.display()))
        }
    }
}

/// Keeps a share of the pairs aside, 2,000 at most. Pairs that share a sentence, directly or through others, stay on one
/// side: what is held out was never learned in another wording's company.
pub fn split(pairs: Vec<Pair>, share: f64, skipped: usize) -> Corpus {
    let groups = groups(&pairs);
    let wanted = ((pairs.len() as f64 * share) as usize).min(MOST_HELD_OUT);
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    groups.iter().enumerate().for_each(|(place, group)| members.entry(*group).or_default().push(place));
    // in an order that depends on the sentences alone; small groups, so that they are like the rest
    let mut order: Vec<(u64, &Vec<usize>)> = members
        .values()
        .filter(|places| places.len() <= 8)
        .map(|places| (hash(&pairs[places[0]]), places))
        .collect();
    order.sort_unstable();
    let mut aside = vec![false; pairs.len()];
    let mut count = 0;
    for (_, places) in order {
        if count + places.len() <= wanted {
            count += places.len();
            places.iter().for_each(|place| aside[*place] = true);
        }
        if count == wanted {
            break;
        }
    }
    let mut corpus = Corpus { skipped, ..Corpus::default() };
    for (pair, aside) in pairs.into_iter().zip(aside) {
        if aside { corpus.held_out.push(pair) } else { corpus.train.push(pair) }
    }
    corpus
}

/// Of each pair the number of its group: two pairs with a sentence in common are of one.
fn groups(pairs: &[Pair]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..pairs.len()).collect();
    for side in [|pair: &Pair| plain(&pair.from), |pair: &Pair| plain(&pair.to)] {
        let mut first: HashMap<String, usize> = HashMap::new();
        for (place, pair) in pairs.iter().enumerate() {
            let other = *first.entry(side(pair)).or_insert(place);
            let (a, b) = (root(&mut parents, place), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    (0..pairs.len()).map(|place| root(&mut parents, place)).collect()
}

fn root(parents: &mut [usize], mut place: usize) -> usize {
    while parents[place] != place {
        parents[place] = parents[parents[place]];
        place = parents[place];
    }
    place
}

/// A sentence without what another writing of it might have: capitals, marks, spaces.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn hash(pair: &Pair) -> u64 {
    training::hash(pair.from.bytes().chain([0]).chain(pair.to.bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_held_out_shares_no_sentence_with_what_is_learned() {
        let pairs: Vec<Pair> =
            (0..400).map(|i| pair(&format!("Word {}!", i / 3), &format!("mot {}", (i + 1) / 3))).collect();
        let corpus = split(pairs.clone(), 0.1, 0);
        assert_eq!(corpus.held_out.len(), 0, "all hang together, so none can be kept aside");
        let pairs: Vec<Pair> =
            (0..400).map(|i| pair(&format!("Word {}!", i / 2), &format!("mot {i}, {}", i / 2))).collect();
        let corpus = split(pairs.clone(), 0.1, 0);
        assert_eq!((corpus.held_out.len(), corpus.train.len()), (40, 360));
        for one in &corpus.held_out {
            assert!(corpus.train.iter().all(|other| plain(&other.from) != plain(&one.from)));
        }
        let mut turned = pairs;
        turned.reverse();
        let same: Vec<Pair> = split(turned, 0.1, 0).held_out.into_iter().rev().collect();
        assert_eq!(same.len(), corpus.held_out.len());
    }

    #[test]
    fn tables_and_texts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let table = file("a.tsv", "\u{feff}Hi.\tSalut !\tCC-BY\n\nRun!\tCours !\nalone\n".as_bytes());
        let expected = vec![pair("Hi.", "Salut !"), pair("Run!", "Cours !")];
        assert_eq!(read(&[table]).unwrap(), (expected.clone(), 2));
        let (from, to) = (file("a.en", b"Hi.\nRun!\n"), file("a.fr", b"Salut !\r\nCours !"));
        assert_eq!(read(&[from.clone(), to]).unwrap(), (expected, 0));
        let short = file("b.fr", b"Salut !");
        assert!(read(&[from, short]).unwrap_err().contains("has 2 lines and"));
        let bad = file("c.tsv", b"a\tb\n\xff");
        assert!(read(&[bad]).unwrap_err().ends_with("not UTF-8 text at byte 4"));
        assert!(read(&[file("d.tsv", b"")]).unwrap_err().contains("no line has a sentence"));
    }
}
