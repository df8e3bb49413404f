//! Words that go round and round, which translators fall into where they are lost.

/// Ids of a phrase at most.
const LONGEST: usize = 32;
/// So often in a row is too often, where the source does nothing like it.
const MOST: usize = 4;

/// Whether some phrase comes more than four times in a row, and oftener than any does in what was translated.
pub fn goes_round(ids: &[u32], source: &[u32]) -> bool {
    let times = most_in_a_row(ids);
    times > MOST && times > most_in_a_row(source) + 1
}

/// How often in a row a phrase comes, at most.
fn most_in_a_row(ids: &[u32]) -> usize {
    let mut most = usize::from(!ids.is_empty());
    for size in 1..=LONGEST.min(ids.len() / 2) {
        let mut same = 0;
        for place in size..ids.len() {
            same = if ids[place] == ids[place - size] { same + 1 } else { 0 };
            most = most.max(same / size + 1);
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted() {
        assert_eq!(most_in_a_row(&[]), 0);
        assert_eq!(most_in_a_row(&[1, 2, 3]), 1);
        assert_eq!(most_in_a_row(&[9, 1, 2, 1, 2, 1, 2, 8]), 3);
        assert_eq!(most_in_a_row(&[7, 7, 7, 7, 7, 7]), 6);
        assert!(goes_round(&[7, 7, 7, 7, 7, 7], &[1, 2, 3]));
        assert!(!goes_round(&[7, 7, 7, 7, 7, 7], &[1, 1, 1, 1, 1, 2]), "the source does so too");
        assert!(!goes_round(&[1, 2, 1, 2, 1, 2, 1, 2], &[5]));
    }
}
