//! Which items of a list a run is to do.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// One of several equal parts of a list, for job arrays: every process gets the same list and another part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    pub number: usize,
    /// Of how many.
    pub count: usize,
}

/// Parts of a list at most.
const MOST: usize = 100_000;

impl Shard {
    /// Whether the item at this place of the list is this part's.
    pub fn has(self, index: usize) -> bool {
        index % self.count == self.number - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-of-{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `2/8`
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(number, count)| {
            Some(Self { number: number.parse().ok()?, count: count.parse().ok()? })
        });
        parts
            .filter(|shard| (1..=shard.count).contains(&shard.number) && shard.count <= MOST)
            .ok_or_else(|| "two numbers such as 2/8, the first from 1 to the second".to_string())
    }
}

/// What is done of a list, and what may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whether files that no run made here may be replaced.
    pub force: bool,
    /// Only the items that failed the last time.
    pub failed_only: bool,
    /// A part of the list.
    pub shard: Option<Shard>,
    /// How many items are at work at a time.
    pub jobs: NonZeroUsize,
}

impl Default for Choice {
    fn default() -> Self {
        Self { force: false, failed_only: false, shard: None, jobs: NonZeroUsize::MIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_a_list_out() {
        let shards: Vec<Shard> = (1..=3).map(|number| format!("{number}/3").parse().unwrap()).collect();
        for index in 0..100 {
            assert_eq!(shards.iter().filter(|shard| shard.has(index)).count(), 1);
        }
        assert_eq!(shards[1].to_string(), "2-of-3");
        for wrong in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/3/3", "-1/3", "1/1000000"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
