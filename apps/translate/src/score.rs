//! How near translations come to others that are right: BLEU (Papineni et al., 2002) and chrF (Popović, 2015), with the
//! tokens, smoothing and rounding of sacrebleu, so that figures can be compared (Post, 2018).

use std::collections::HashMap;

use serde::Serialize;

/// The longest run of words that BLEU counts, and of characters that chrF does.
const WORDS: usize = 4;
const CHARACTERS: usize = 6;
/// How much more recall counts than precision in chrF2.
const BETA: f64 = 2.;

/// BLEU of a set of lines, 0 to 100, and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bleu {
    /// The geometric mean of the precisions, times the penalty.
    pub score: f64,
    /// Of runs of one to four words, in percent.
    pub precisions: [f64; WORDS],
    /// Below 1 where the translations are shorter than what is right.
    pub brevity_penalty: f64,
    /// Words of the translations.
    pub found: usize,
    /// Words of what is right.
    pub right: usize,
}

/// BLEU as sacrebleu's default: 13a tokens, case kept, zero counts smoothed exponentially.
pub fn bleu(found: &[&str], right: &[&str]) -> Bleu {
    let (mut correct, mut total) = ([0usize; WORDS], [0usize; WORDS]);
    let (mut found_words, mut right_words) = (0, 0);
    for (found, right) in found.iter().zip(right) {
        let (found, right) = (tokens(found), tokens(right));
        found_words += found.len();
        right_words += right.len();
        for order in 1..=WORDS {
            let (ours, theirs) = (counts(&found, order), counts(&right, order));
            correct[order - 1] += common(&ours, &theirs);
            total[order - 1] += found.len().saturating_sub(order - 1);
        }
    }
    let mut precisions = [0.; WORDS];
    let mut smooth = 1.;
    let mut orders = 0;
    for ((precision, correct), total) in precisions.iter_mut().zip(correct).zip(total) {
        if total == 0 {
            break;
        }
        orders += 1;
        *precision = if correct == 0 {
            smooth *= 2.;
            100. / (smooth * total as f64)
        } else {
            100. * correct as f64 / total as f64
        };
    }
    let brevity_penalty = match found_words {
        0 => 0.,
        words if words < right_words => (1. - right_words as f64 / words as f64).exp(),
        _ => 1.,
    };
    let none = orders < WORDS || correct.iter().all(|correct| *correct == 0);
    let mean = precisions.iter().map(|precision| precision.ln()).sum::<f64>() / WORDS as f64;
    let score = if none { 0. } else { brevity_penalty * mean.exp() };
    Bleu { score, precisions, brevity_penalty, found: found_words, right: right_words }
}

/// chrF2 as sacrebleu's default: runs of one to six characters, white space left out.
pub fn chrf(found: &[&str], right: &[&str]) -> f64 {
    // found, right, both: per length
    let mut sums = [[0usize; 3]; CHARACTERS];
    for (found, right) in found.iter().zip(right) {
        let characters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>();
        let (found, right) = (characters(found), characters(right));
        for (order, sums) in (1..).zip(&mut sums) {
            let (ours, theirs) = (counts(&found, order), counts(&right, order));
            // what is right may be too short to say anything of this length
            if !theirs.is_empty() {
                sums[0] += found.len().saturating_sub(order - 1);
            }
            sums[1] += right.len().saturating_sub(order - 1);
            sums[2] += common(&ours, &theirs);
        }
    }
    let counted: Vec<[f64; 3]> = sums
        .iter()
        .filter(|sums| sums[0] > 0 && sums[1] > 0)
        .map(|sums| sums.map(|sum| sum as f64))
        .collect();
    let mean =
        |of: usize| counted.iter().map(|sums| sums[2] / sums[of]).sum::<f64>() / counted.len().max(1) as f64;
    let (precision, recall) = (mean(0), mean(1));
    let below = BETA * BETA * precision + recall;
    if below > 0. { 100. * (1. + BETA * BETA) * precision * recall / below } else { 0. }
}

fn counts<T: std::hash::Hash + Eq>(units: &[T], order: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for run in units.windows(order) {
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

fn common<T: std::hash::Hash + Eq>(ours: &HashMap<&[T], usize>, theirs: &HashMap<&[T], usize>) -> usize {
    ours.iter().map(|(run, count)| *count.min(theirs.get(run).unwrap_or(&0))).sum()
}

/// The words of mteval-v13a: marks stand alone, but for points and commas between figures.
fn tokens(text: &str) -> Vec<String> {
    let mut text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if text.contains('&') {
        for (name, mark) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            text = text.replace(name, mark);
        }
    }
    let marks: Vec<char> = format!(" {text} ").chars().collect();
    let alone = |c: char| matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/');
    let mut spaced = Vec::with_capacity(marks.len() * 2);
    for c in marks {
        match alone(c) {
            true => spaced.extend([' ', c, ' ']),
            false => spaced.push(c),
        }
    }
    let spaced = after(
        &spaced,
        |before, mark, _| !before.is_ascii_digit() && matches!(mark, '.' | ','),
        [false, true],
    );
    let spaced =
        after(&spaced, |_, mark, next| matches!(mark, '.' | ',') && !next.is_ascii_digit(), [true, false]);
    let spaced = after(&spaced, |before, mark, _| before.is_ascii_digit() && mark == '-', [false, true]);
    let text: String = spaced.into_iter().collect();
    text.split_whitespace().map(String::from).collect()
}

/// Puts spaces around marks, as the substitution of a regular expression would that takes the mark and, as `pairs` says, the
/// character after it (first) or before it (second), never a character twice.
fn after(text: &[char], is: impl Fn(char, char, char) -> bool, pairs: [bool; 2]) -> Vec<char> {
    let mut spaced = Vec::with_capacity(text.len() * 2);
    let mut at = 0;
    while at < text.len() {
        let taken = if pairs[1] {
            // (before)(mark)
            (at + 1 < text.len() && is(text[at], text[at + 1], ' '))
                .then(|| [text[at], ' ', text[at + 1], ' '])
        } else {
            // (mark)(next)
            (at + 1 < text.len() && is(' ', text[at], text[at + 1]))
                .then(|| [' ', text[at], ' ', text[at + 1]])
        };
        match taken {
            Some(four) => {
                spaced.extend(four);
                at += 2;
            }
            None => {
                spaced.push(text[at]);
                at += 1;
            }
        }
    }
    spaced
}
