//! What is left out of a log: people and items that come too seldom, again and again until none does.

use anyhow::{Result, bail};

use super::log::{Histories, Log};

/// The least that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filters {
    /// Items of a person.
    pub min_user: usize,
    /// People of an item.
    pub min_item: usize,
}

/// The log without people that had less than `min_user` items, and items that came less than `min_item` times.
///
/// # Errors
/// If nothing is left.
pub fn filter(log: Log, filters: Filters) -> Result<Log> {
    let mut kept = vec![true; log.catalogue.len()];
    let mut people = vec![true; log.people.len()];
    loop {
        // people of each item, and the last of them
        let (mut counts, mut last) = (vec![0usize; kept.len()], vec![usize::MAX; kept.len()]);
        let mut changed = false;
        for ((person, history), stays) in log.histories.iter().enumerate().zip(&mut people) {
            let left = || history.iter().filter(|&&item| kept[item as usize]);
            if *stays && left().count() < filters.min_user.max(1) {
                (*stays, changed) = (false, true);
            }
            if *stays {
                for &item in left() {
                    counts[item as usize] += usize::from(last[item as usize] != person);
                    last[item as usize] = person;
                }
            }
        }
        for (stays, count) in kept.iter_mut().zip(&counts) {
            if *stays && *count < filters.min_item.max(1) {
                (*stays, changed) = (false, true);
            }
        }
        if !changed {
            break;
        }
    }
    let mut numbers = vec![None; kept.len()];
    (0u32..).zip(kept.iter().enumerate().filter(|(_, stays)| **stays)).for_each(|(number, (place, _))| {
        numbers[place] = Some(number);
    });
    let (mut histories, mut left) = (Histories::default(), Vec::new());
    for ((history, person), _) in
        log.histories.iter().zip(log.people).zip(&people).filter(|(_, stays)| **stays)
    {
        let items: Vec<u32> = history.iter().filter_map(|&item| numbers[item as usize]).collect();
        histories.push(&items);
        left.push(person);
    }
    if histories.is_empty() {
        bail!(
            "nothing is left of the data: no person has {} items that {} people had (--min-user, --min-item)",
            filters.min_user,
            filters.min_item
        );
    }
    let mut catalogue = log.catalogue;
    keep(&mut catalogue.ids, &kept);
    keep(&mut catalogue.titles, &kept);
    keep(&mut catalogue.cells, &kept);
    catalogue.counts = histories.counts(catalogue.len());
    Ok(Log { people: left, catalogue, histories, timed: log.timed })
}

fn keep<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut stays = kept.iter();
    values.retain(|_| stays.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Catalogue;

    #[test]
    fn what_is_seldom_goes_until_nothing_is() {
        let ids: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
        let catalogue = Catalogue {
            titles: ids.clone(),
            cells: vec![vec![]; 4],
            counts: vec![0; 4],
            columns: vec![],
            ids,
        };
        let all: [&[u32]; 4] = [&[0, 1], &[0, 1, 2], &[2, 3], &[1, 0]];
        let log = Log {
            people: ["p", "q", "r", "s"].map(String::from).to_vec(),
            catalogue,
            histories: all.into_iter().collect(),
            timed: true,
        };
        let found = filter(log.clone(), Filters { min_user: 2, min_item: 2 }).unwrap();
        assert_eq!(found.people, ["p", "q", "s"]);
        assert_eq!(found.catalogue.ids, ["a", "b"]);
        assert_eq!(found.catalogue.counts, [3, 3]);
        assert_eq!(found.histories.iter().collect::<Vec<_>>(), [&[0, 1][..], &[0, 1], &[1, 0]]);
        assert!(filter(log.clone(), Filters { min_user: 9, min_item: 1 }).is_err());
        // one person's three times are one person
        let all: [&[u32]; 2] = [&[0, 1, 1, 1], &[0, 2]];
        let log = Log { people: log.people[..2].to_vec(), histories: all.into_iter().collect(), ..log };
        let found = filter(log, Filters { min_user: 1, min_item: 2 }).unwrap();
        assert_eq!(found.catalogue.ids, ["a"]);
    }
}
