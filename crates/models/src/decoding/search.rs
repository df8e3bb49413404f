//! Greedy and beam search over many inputs at once, as transformers' `generate` of encoders with decoders does it.

use super::{
    Banned, Beam, BeamOptions, DecodeError, Forced, Hypothesis, LogitFilter, NoRepeat, TokenLogProb, check,
};
use candle_core::{DType, Device, Error, Result, Tensor};
use kernels::rows;
use kernels::top_k::largest;
use rayon::prelude::*;

/// How ids are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOptions {
    /// Hypotheses; 1 is greedy.
    pub beams: usize,
    /// Ids to add at most.
    pub max_tokens: usize,
    /// Scores are sums of log-probabilities over the length to the power of this.
    pub length_penalty: f32,
    /// Whether a search ends as soon as so many hypotheses are finished.
    pub early_stopping: bool,
    /// Runs of so many ids come once at most; 0 is no such rule.
    pub no_repeat: usize,
}

/// Ids that mean something to the decoder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Marks {
    /// Begins every text.
    pub start: u32,
    /// What every text begins with after that: the token of a language.
    pub first: Option<u32>,
    /// End one.
    pub ends: Vec<u32>,
    /// What the last id that there is room for is, whatever the net says.
    pub last: Option<u32>,
    /// Never said.
    pub banned: Vec<u32>,
    /// Whether probabilities add up to one again after rules have taken some away.
    pub renormalises: bool,
}

/// A search under way.
struct Running {
    /// The input that it is of.
    place: usize,
    beam: Beam,
    rows: usize,
}

/// The hypotheses of each of `count` inputs, best first; ids as they were added, `first` and the end included.
///
/// `next` has the net: it is given which row of the last batch each row of this one goes on from (at first one an input),
/// and the ids that follow there, (rows, time), and answers with the logits after the last of them, (rows, vocab). Rows of
/// one input lie together, as many for each; inputs whose search has ended are left out.
///
/// # Errors
/// What the net refuses, logits that are not finite, and rules that leave nothing to say.
pub fn search(
    count: usize,
    marks: &Marks,
    options: &SearchOptions,
    device: &Device,
    mut next: impl FnMut(&[usize], &Tensor) -> Result<Tensor>,
) -> Result<Vec<Vec<Hypothesis>>> {
    let (beams, max_tokens) = (options.beams, options.max_tokens);
    if beams == 0 || max_tokens == 0 {
        refuse!("a search of {beams} hypotheses of {max_tokens} tokens");
    }
    let beam_options = BeamOptions {
        beams,
        max_tokens,
        length_penalty: options.length_penalty,
        // a greedy search ends with its text
        early_stopping: options.early_stopping || beams == 1,
        eos: marks.ends.clone(),
    };
    let mut found = vec![Vec::new(); count];
    let (mut running, mut ids) = (Vec::new(), Vec::new());
    for (place, found) in found.iter_mut().enumerate() {
        let mut beam = Beam::new(&[marks.start], beam_options.clone());
        ids.push(marks.start);
        if let Some(first) = marks.first {
            ids.push(first);
            let only = vec![TokenLogProb { id: first, logprob: 0. }];
            if beam.advance_best(&[only], 1).map_err(refused)?.is_none() {
                *found = beam.finish();
                continue;
            }
        }
        running.push(Running { place, beam, rows: 1 });
    }
    let mut parents: Vec<usize> = (0..count).collect();
    while !running.is_empty() {
        let rows = parents.len();
        let ids_of_rows = Tensor::from_vec(std::mem::take(&mut ids), (rows, ()), device)?;
        let logits = next(&parents, &ids_of_rows)?;
        let (given, vocab) = logits.dims2()?;
        if given != rows {
            refuse!("logits of {given} rows where there are {rows}");
        }
        let best = best(&logits, &running, marks, options)?;
        parents.clear();
        let (mut row, mut left) = (0, Vec::new());
        for mut one in running {
            match one.beam.advance_best(&best[row..row + one.rows], vocab).map_err(refused)? {
                Some(step) => {
                    parents.extend(step.parents.iter().map(|parent| row + parent));
                    row += one.rows;
                    one.rows = step.tokens.len();
                    ids.extend(step.tokens);
                    left.push(one);
                }
                None => {
                    row += one.rows;
                    found[one.place] = one.beam.finish();
                }
            }
        }
        running = left;
    }
    Ok(found)
}

/// The most probable tokens after each row, as the rules leave them.
fn best(
    logits: &Tensor,
    running: &[Running],
    marks: &Marks,
    options: &SearchOptions,
) -> Result<Vec<Vec<TokenLogProb>>> {
    let (_, vocab) = logits.dims2()?;
    let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let rows = running.iter().flat_map(|one| one.beam.rows().map(|ids| (ids, one.beam.wanted())));
    let rows: Vec<(&[u32], usize)> = rows.collect();
    let best_of = |(row, (ids, wanted)): (&[f32], &(&[u32], usize))| {
        let mut scores = row.to_vec();
        normalise(&mut scores)?;
        let mut filters = filters(marks, options);
        if !filters.is_empty() {
            let tokens = [&[marks.start], *ids].concat();
            filters.iter_mut().try_for_each(|filter| filter.apply(&tokens, &mut scores))?;
        }
        if marks.renormalises && scores.iter().any(|score| *score > f32::NEG_INFINITY) {
            normalise(&mut scores)?;
        }
        Ok(largest(&scores, *wanted).into_iter().map(TokenLogProb::from).collect())
    };
    let best: std::result::Result<_, DecodeError> =
        rows::read([&logits], |[values]| values.par_chunks(vocab.max(1)).zip(&rows).map(best_of).collect())?;
    best.map_err(refused)
}

/// Logits to log-probabilities.
fn normalise(logits: &mut [f32]) -> std::result::Result<(), DecodeError> {
    let sum = rows::vectorised(|| {
        let most = rows::max(logits);
        most + rows::sum(logits, |x| rows::exp(x - most)).ln()
    });
    if !sum.is_finite() {
        check(logits)?;
    }
    rows::vectorised(|| logits.iter_mut().for_each(|x| *x -= sum));
    Ok(())
}

type Filters = Vec<Box<dyn LogitFilter>>;

/// The rules, in transformers' order. That of the first id is no rule here: the net is not asked for it.
fn filters(marks: &Marks, options: &SearchOptions) -> Filters {
    let mut filters: Filters = Vec::new();
    if options.no_repeat > 0 {
        filters.push(Box::new(NoRepeat(options.no_repeat)));
    }
    if !marks.banned.is_empty() {
        filters.push(Box::new(Banned(marks.banned.clone())));
    }
    if let Some(id) = marks.last {
        filters.push(Box::new(Forced { after: options.max_tokens, id }));
    }
    filters
}

fn refused(error: DecodeError) -> Error {
    Error::Msg(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: SearchOptions =
        SearchOptions { beams: 1, max_tokens: 6, length_penalty: 1., early_stopping: false, no_repeat: 0 };

    /// A net that counts up from what it was last told, more or less surely, and ends with 7.
    fn count_up(ids: &Tensor) -> Result<Tensor> {
        let rows = ids.to_vec2::<u32>()?;
        let lasts = rows.iter().map(|row| row[row.len() - 1] as f32);
        let logits = lasts.flat_map(|last| (0..8u8).map(move |id| -(f32::from(id) - last - 1.).abs()));
        Tensor::from_vec(logits.collect::<Vec<_>>(), (rows.len(), 8), &Device::Cpu)
    }

    fn greedy(marks: &Marks, options: &SearchOptions) -> Result<Vec<u32>> {
        let found = search(2, marks, options, &Device::Cpu, |_, ids| count_up(ids))?;
        assert_eq!(found[0], found[1]);
        Ok(found[0][0].ids.clone())
    }

    #[test]
    fn rules_are_obeyed() -> Result<()> {
        let marks = Marks { start: 1, ends: vec![7], ..Marks::default() };
        assert_eq!(greedy(&marks, &OPTIONS)?, [2, 3, 4, 5, 6, 7]);
        assert_eq!(greedy(&Marks { start: 4, ..marks.clone() }, &OPTIONS)?, [5, 6, 7]);
        assert_eq!(greedy(&Marks { first: Some(4), ..marks.clone() }, &OPTIONS)?, [4, 5, 6, 7]);
        assert_eq!(greedy(&Marks { first: Some(7), ..marks.clone() }, &OPTIONS)?, [7]);
        assert_eq!(greedy(&Marks { banned: vec![4, 99], ..marks.clone() }, &OPTIONS)?[..3], [2, 3, 3]);
        let short = SearchOptions { max_tokens: 3, ..OPTIONS };
        assert_eq!(greedy(&Marks { last: Some(0), ..marks.clone() }, &short)?, [2, 3, 0]);
        let once = SearchOptions { no_repeat: 1, ..OPTIONS };
        assert_eq!(greedy(&Marks { start: 7, ends: vec![], ..marks.clone() }, &once)?[..2], [6, 5]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        let marks = Marks::default();
        let none = SearchOptions { beams: 0, ..OPTIONS };
        assert!(search(1, &marks, &none, &Device::Cpu, |_, ids| count_up(ids)).is_err());
        let all = Marks { banned: (0..8).collect(), ..Marks::default() };
        let error = search(1, &all, &OPTIONS, &Device::Cpu, |_, ids| count_up(ids)).unwrap_err().to_string();
        assert!(error.contains("no token is allowed"), "{error}");
        let damaged = |_: &[usize], ids: &Tensor| count_up(ids)? * f64::NAN;
        let error = search(1, &marks, &OPTIONS, &Device::Cpu, damaged).unwrap_err().to_string();
        assert!(error.contains("NaN") && !error.contains('\n'), "{error}");
        assert!(search(0, &marks, &OPTIONS, &Device::Cpu, damaged).unwrap().is_empty());
    }
}
