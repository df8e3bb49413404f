//! Against words that go round and round: what comes more often in a row than allowed is left out.

/// Ids that a phrase has at most.
const LONGEST: usize = 32;

/// The ends of a text, and how often a word or a phrase may come in a row.
#[derive(Debug, Clone)]
pub struct Loops {
    most: usize,
    said: Vec<u32>,
}

impl Loops {
    /// At the beginning of a text.
    pub fn new(most: usize) -> Self {
        Self { most, said: Vec::new() }
    }

    /// Which ids may follow: whatever completes one repetition too many is left out, and what comes after it stays.
    pub fn kept(&self, ids: &[u32]) -> Vec<bool> {
        let mut kept = vec![true; ids.len()];
        let (mut all, earlier) = (self.said.clone(), self.said.len());
        // the numbers of those that were added
        let mut places: Vec<usize> = Vec::new();
        for (place, id) in ids.iter().enumerate() {
            all.push(*id);
            places.push(place);
            if let Some(size) = ending(&all, self.most) {
                // what was told before stays told
                let added = (all.len() - earlier).min(size);
                all.truncate(all.len() - added);
                places.drain(places.len() - added..).for_each(|place| kept[place] = false);
            }
        }
        kept
    }

    /// Notes ids that were told.
    pub fn tell(&mut self, ids: &[u32]) {
        self.said.extend(ids);
        let enough = (self.most + 1) * LONGEST;
        self.said.drain(..self.said.len().saturating_sub(enough));
    }
}

/// The length of the phrase that ends a text more often than allowed.
fn ending(ids: &[u32], most: usize) -> Option<usize> {
    (1..=LONGEST.min(ids.len() / (most + 1))).find(|size| {
        let end = &ids[ids.len() - (most + 1) * size..];
        end[*size..].iter().zip(end).all(|(a, b)| a == b)
    })
}

/// Whether a word or a phrase comes more often in a row than allowed.
pub fn loops(ids: &[u32], most: usize) -> bool {
    (1..=ids.len()).any(|end| ending(&ids[..end], most).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinned(ids: &[u32], most: usize) -> Vec<u32> {
        let kept = Loops::new(most).kept(ids);
        let ids: Vec<u32> = ids.iter().zip(kept).filter(|(_, kept)| *kept).map(|(id, _)| *id).collect();
        assert!(!loops(&ids, most), "{ids:?}");
        ids
    }

    #[test]
    fn the_fourth_time_is_left_out_and_what_follows_stays() {
        assert_eq!(thinned(&[7, 5, 5, 5, 5, 5, 8], 3), [7, 5, 5, 5, 8]);
        assert_eq!(thinned(&[5, 5, 5, 8, 5], 3), [5, 5, 5, 8, 5]);
        let phrase = [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4];
        assert_eq!(
            thinned(&[&phrase[..], &phrase, &[1, 2, 9]].concat(), 3),
            [&phrase[..], &[1, 2, 9]].concat()
        );
        assert!(thinned(&[], 3).is_empty());
        assert_eq!(thinned(&[4, 4, 4], 1), [4]);
    }

    #[test]
    fn loops_go_over_the_ends_of_windows() {
        let mut loops = Loops::new(3);
        loops.tell(&[6, 7, 8, 6, 7, 8, 6, 7, 8, 6]);
        // the first of the fourth time was told already
        assert_eq!(loops.kept(&[7, 8, 6, 7, 8, 1]), [false, false, true, true, true, true]);
        let mut alike = Loops::new(3);
        for (window, tells) in [true, true, true, false, false].into_iter().enumerate() {
            let kept = alike.kept(&[3, 4]);
            assert_eq!(kept, [tells; 2], "{window}");
            let told: Vec<u32> =
                [3, 4].into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(id, _)| id).collect();
            alike.tell(&told);
        }
    }

    #[test]
    fn whatever_comes_there_is_no_loop_left() {
        // all texts of two words, and many of three
        for number in 0..1 << 14 {
            thinned(&(0..14).map(|bit| number >> bit & 1).collect::<Vec<u32>>(), 3);
        }
        let mut number = 1u32;
        for _ in 0..300 {
            let mut id = || {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (number >> 28) % 3
            };
            thinned(&(0..200).map(|_| id()).collect::<Vec<u32>>(), 2);
        }
    }

    #[test]
    fn loops_are_found() {
        assert!(loops(&[1, 2, 1, 2, 1, 2, 1, 2], 3) && loops(&[0, 9, 9, 9, 9, 1], 3));
        assert!(!loops(&[1, 2, 1, 2, 1, 2, 1], 3) && !loops(&[], 3));
        let phrase: Vec<u32> = (0..LONGEST as u32).collect();
        assert!(loops(&phrase.repeat(4), 3) && !loops(&phrase.repeat(3), 3));
    }
}
