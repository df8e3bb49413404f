//! Repeat signs to the order in which measures are played.

/// No performance is longer, in measures.
const MAX_PERFORMED: usize = 100_000;

/// The repeat signs of one measure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// A repeated section begins with this measure.
    pub forward: bool,
    /// A repeated section ends with this measure; how often it is played in all.
    pub backward: Option<u32>,
    /// An ending begins with this measure: the passes that play it.
    pub ending_start: Vec<u32>,
    /// An ending ends with this measure.
    pub ending_stop: bool,
}

/// The measures in the order of performance; as written, where the signs contradict each other.
pub fn performed(marks: &[Marks]) -> Vec<usize> {
    let order = follow(marks).unwrap_or_default();
    let mut played = vec![false; marks.len()];
    for &measure in &order {
        played[measure] = true;
    }
    if played.contains(&false) { (0..marks.len()).collect() } else { order }
}

/// An ending: its measures, and the passes that play it.
struct Ending {
    first: usize,
    last: usize,
    passes: Vec<u32>,
    /// The highest pass that the endings side by side with it name.
    last_pass: u32,
}

fn follow(marks: &[Marks]) -> Option<Vec<usize>> {
    let endings = endings(marks);
    // whether another ending follows this one at once
    let beside = |index: usize| {
        let (ending, following) = (endings.get(index), endings.get(index + 1));
        ending.zip(following).is_some_and(|(ending, following)| following.first == ending.last + 1)
    };
    let mut order = Vec::with_capacity(marks.len());
    let (mut section, mut pass, mut next_ending) = (0, 1, 0);
    let mut at = 0;
    while let Some(mark) = marks.get(at) {
        if mark.forward && at != section {
            (section, pass) = (at, 1);
        }
        next_ending = next_ending.min(endings.len());
        while endings.get(next_ending).is_some_and(|ending| ending.last < at) {
            next_ending += 1;
        }
        let ending = endings.get(next_ending).filter(|ending| ending.first <= at);
        if let Some(ending) = ending
            && ending.first == at
            && !ending.passes.contains(&pass)
        {
            at = ending.last + 1;
            if !beside(next_ending) {
                (section, pass) = (at, 1);
            }
            continue;
        }
        order.push(at);
        if order.len() > MAX_PERFORMED {
            return None;
        }
        if let Some(times) = mark.backward {
            let times = ending.map_or(times, |ending| times.max(ending.last_pass));
            if pass < times {
                (at, pass) = (section, pass + 1);
                next_ending = endings.partition_point(|ending| ending.last < section);
                continue;
            }
            // an ending that follows belongs to the pass that is over
            if marks.get(at + 1).is_none_or(|following| following.ending_start.is_empty()) {
                (section, pass) = (at + 1, 1);
            }
        } else if let Some(ending) = ending
            && ending.last == at
            && !beside(next_ending)
        {
            (section, pass) = (at + 1, 1);
        }
        at += 1;
    }
    Some(order)
}

/// Where a bracket that is drawn only over the beginning of its ending really ends: at the repeat sign before
/// the next ending.
fn repeat_after(marks: &[Marks], stop: usize) -> Option<usize> {
    if marks[stop].backward.is_some() {
        return None;
    }
    let signs = |mark: &Marks| mark.backward.is_some() || mark.forward || !mark.ending_start.is_empty();
    let sign = stop + 1 + marks[stop + 1..].iter().position(signs)?;
    let plain = !marks[sign].forward && marks[sign].ending_start.is_empty();
    let before_ending = marks.get(sign + 1).is_some_and(|following| !following.ending_start.is_empty());
    (plain && before_ending).then_some(sign)
}

fn endings(marks: &[Marks]) -> Vec<Ending> {
    let mut endings: Vec<Ending> = Vec::new();
    for (first, mark) in marks.iter().enumerate().filter(|(_, mark)| !mark.ending_start.is_empty()) {
        // an ending that never stops lasts to the repeat sign or to the next ending
        let stops = |&at: &usize| {
            let following = marks.get(at + 1);
            marks[at].ending_stop
                || marks[at].backward.is_some()
                || following.is_none_or(|following| !following.ending_start.is_empty())
        };
        if endings.last().is_some_and(|ending| ending.last >= first) {
            continue;
        }
        let stop = (first..marks.len()).find(stops).unwrap_or(first);
        let last = repeat_after(marks, stop).unwrap_or(stop);
        let last_pass = mark.ending_start.iter().copied().max().unwrap_or(1);
        endings.push(Ending { first, last, passes: mark.ending_start.clone(), last_pass });
    }
    for index in 1..endings.len() {
        if endings[index].first == endings[index - 1].last + 1 {
            endings[index].last_pass = endings[index].last_pass.max(endings[index - 1].last_pass);
        }
    }
    for index in (1..endings.len()).rev() {
        if endings[index].first == endings[index - 1].last + 1 {
            endings[index - 1].last_pass = endings[index].last_pass;
        }
    }
    endings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures as words: `|:` begins a repeat, `:|` ends one (`:|3` played thrice), `[1,2` an ending, `]` its end.
    fn check(measures: &[&str], expected: &[usize]) {
        let mark = |measure: &&str| {
            let mut mark = Marks::default();
            for word in measure.split(' ') {
                if let Some(times) = word.strip_prefix(":|") {
                    mark.backward = Some(times.parse().unwrap_or(2));
                } else if let Some(passes) = word.strip_prefix('[') {
                    mark.ending_start = passes.split(',').map(|pass| pass.parse().unwrap()).collect();
                }
                mark.forward |= word == "|:";
                mark.ending_stop |= word == "]";
            }
            mark
        };
        let marks: Vec<Marks> = measures.iter().map(mark).collect();
        let counted: Vec<usize> = performed(&marks).into_iter().map(|measure| measure + 1).collect();
        assert_eq!(counted, expected);
    }

    #[test]
    fn repeats_go_back_to_their_beginning() {
        check(&["", "", ""], &[1, 2, 3]);
        check(&["", ":|", ""], &[1, 2, 1, 2, 3]);
        check(&["", "|:", ":|", ""], &[1, 2, 3, 2, 3, 4]);
        check(&["|: :|3", "|: :|"], &[1, 1, 1, 2, 2]);
        check(&["", ":|", "", ":|"], &[1, 2, 1, 2, 3, 4, 3, 4]);
    }

    #[test]
    fn endings_are_played_in_their_passes() {
        check(&["", "[1 ] :|", "[2 ]", ""], &[1, 2, 1, 3, 4]);
        check(&["|:", "[1", ":| ]", "[2", "]", "|:", ":|"], &[1, 2, 3, 1, 4, 5, 6, 7, 6, 7]);
        check(&["", "[1,2 ] :|", "[3 ]", ""], &[1, 2, 1, 2, 1, 3, 4]);
        check(&["", "[1,3 ] :|", "[2,4 ] :|", ""], &[1, 2, 1, 3, 1, 2, 1, 3, 4]);
        check(&["", "[1 ] :|", "[2 ] :|", ""], &[1, 2, 1, 3, 4]);
        check(&["", "[1 ] :|", "", ":|"], &[1, 2, 1, 3, 4, 3, 4]);
        check(&["", "[1 :|", "[2"], &[1, 2, 1, 3]);
        check(&["", "[1 ]", ":|", "[2 ]", ""], &[1, 2, 3, 1, 4, 5]);
        check(&["", ":|3", "[3 ]", ""], &[1, 2, 1, 2, 1, 2, 3, 4]);
    }

    #[test]
    fn contradictions_are_read_as_written() {
        check(&["", "[2 ]", ""], &[1, 2, 3]);
        check(&["", ":|4000000000", ""], &[1, 2, 3]);
    }
}
