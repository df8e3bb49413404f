//! The marks of a segment laid into its translation: each once, closed after it is opened, nested as before, around the
//! words that are aligned to those which it enclosed.

mod keeps;
mod places;

use std::ops::Range;

use super::run::{Mark, Raw};
use super::units::{links, units};
use keeps::anchors;
use places::{Laying, in_order, tighten};

/// Most marks times units that are laid by alignment; beyond they keep their order, which takes linear time.
const MOST_WORK: usize = 8_000_000;

/// A text and the marks in it.
#[derive(Clone, Copy)]
pub struct Marked<'a> {
    pub text: &'a str,
    pub marks: &'a [Mark],
    /// Marks keep their order.
    pub loose: bool,
}

/// How a target is written.
pub struct Writer<'a> {
    /// Appends markup of the source.
    pub raw: &'a dyn Fn(&Raw, &mut String),
    /// Appends a part of the target.
    pub text: &'a dyn Fn(Range<usize>, &mut String),
    /// Marks enclose no signs at their ends.
    pub tight: bool,
    /// White space stands around what marks enclose.
    pub padded: bool,
    /// Emphasis of nothing, which Markdown does not have, is left out.
    pub omits: bool,
}

/// Where a mark comes to stand, in bytes of the target.
#[derive(Clone, Debug)]
struct Place {
    range: Range<usize>,
    /// Its kept text stands at `range`; without, it is written where there was none.
    found: bool,
}

/// Writes a target with the marks of its source. `alignment` pairs bytes of the source with bytes of the target.
pub fn lay(
    source: &Marked<'_>,
    target: &str,
    alignment: &[(Range<usize>, Range<usize>)],
    writer: &Writer<'_>,
) -> String {
    let mut out = String::with_capacity(target.len() + 16 * source.marks.len());
    if source.marks.is_empty() {
        (writer.text)(0..target.len(), &mut out);
        return out;
    }
    let fits = |text: &str, range: &Range<usize>| text.get(range.clone()).is_some();
    let alignment: Vec<_> =
        alignment.iter().filter(|(from, to)| fits(source.text, from) && fits(target, to)).cloned().collect();
    let anchors = anchors(source, target, &alignment);
    let mut whole: Vec<Range<usize>> = anchors.iter().flatten().cloned().collect();
    whole.sort_by_key(|range| range.start);
    let to = units(target, &whole);
    let found = source.marks.iter().zip(&anchors).filter(|(_, anchor)| anchor.is_some());
    let kept: Vec<Range<usize>> = found.map(|(mark, _)| mark.range.clone()).collect();
    let from = units(source.text, &kept);
    let aligned = !source.loose && source.marks.len().saturating_mul(to.len()) <= MOST_WORK;
    let mut places = if aligned {
        let links = links((source.text, &from), (target, &to), &alignment);
        let anchored = source.marks.iter().zip(&anchors);
        let kept = anchored
            .filter_map(|(mark, anchor)| Some((anchor.as_ref()?.start, mark.range.clone())))
            .collect();
        Laying {
            source,
            text: target,
            target: &to,
            links: &links,
            anchors: &anchors,
            kept,
            owners: vec![None; to.len()],
        }
        .places()
    } else {
        in_order(source, (&from, &kept), (&to, &whole))
    };
    if writer.tight {
        tighten(source.marks, &to, &mut places);
    }
    // kept texts that stand elsewhere than their marks
    let is_cut = |(place, anchor): (&Place, &Option<Range<usize>>)| {
        anchor.clone().filter(|anchor| !place.found || *anchor != place.range)
    };
    let mut cuts: Vec<Range<usize>> = places.iter().zip(&anchors).filter_map(is_cut).collect();
    cuts.sort_by_key(|cut| cut.start);
    for (place, anchor) in places.iter_mut().zip(&anchors) {
        place.found &= anchor.as_ref() == Some(&place.range);
    }
    let children = children(source.marks, &places, aligned);
    Emission {
        source,
        target,
        places: &places,
        children: &children,
        cuts: &cuts,
        writer,
        at: 0,
        cut: 0,
        gap: false,
    }
    .write(&mut out);
    out
}

/// For each mark those directly in it, and behind them those in none; in the order in which they are written.
fn children(marks: &[Mark], places: &[Place], by_place: bool) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); marks.len() + 1];
    for (at, mark) in marks.iter().enumerate() {
        children[mark.parent.unwrap_or(marks.len())].push(at);
    }
    if by_place {
        for siblings in &mut children {
            siblings.sort_by_key(|at| (places[*at].range.start, !places[*at].range.is_empty(), *at));
        }
    }
    children
}

/// The target as it is written.
struct Emission<'a> {
    source: &'a Marked<'a>,
    target: &'a str,
    places: &'a [Place],
    children: &'a [Vec<usize>],
    cuts: &'a [Range<usize>],
    writer: &'a Writer<'a>,
    /// How far the target is written.
    at: usize,
    /// The first cut that lies ahead.
    cut: usize,
    /// A word must not follow at once.
    gap: bool,
}

impl Emission<'_> {
    fn write(mut self, out: &mut String) {
        let marks = self.source.marks;
        let mut stack = vec![(marks.len(), 0)];
        while let Some((node, next)) = stack.last_mut() {
            let node = *node;
            if let Some(&child) = self.children[node].get(*next) {
                *next += 1;
                self.text_up_to(self.places[child].range.start, out);
                match marks[child].keep {
                    true => self.keep(child, out),
                    false if self.is_omitted(child) => {}
                    false => self.begin(out, &marks[child]),
                }
                if !marks[child].keep {
                    stack.push((child, 0));
                }
                continue;
            }
            stack.pop();
            if let Some(mark) = marks.get(node) {
                self.text_up_to(self.places[node].range.end, out);
                if self.is_omitted(node) {
                    continue;
                }
                (self.writer.raw)(&mark.close, out);
                self.gap |= self.writer.padded && !mark.close.is_empty();
            }
        }
        self.text_up_to(self.target.len(), out);
    }

    fn is_omitted(&self, mark: usize) -> bool {
        let of_nothing = self.places[mark].range.is_empty() && !self.source.marks[mark].range.is_empty();
        let is_emphasis = || {
            let mut open = String::new();
            (self.writer.raw)(&self.source.marks[mark].open, &mut open);
            open.chars().all(|c| "*_~".contains(c))
        };
        self.writer.omits && of_nothing && is_emphasis()
    }

    fn begin(&mut self, out: &mut String, mark: &Mark) {
        let padded = self.writer.padded && !mark.range.is_empty();
        let touches = out.chars().next_back().is_some_and(|c| !c.is_whitespace());
        if (self.gap || padded) && touches {
            out.push(' ');
        }
        self.gap = false;
        (self.writer.raw)(&mark.open, out);
        if mark.spaced {
            out.push(' ');
        }
    }

    fn keep(&mut self, mark: usize, out: &mut String) {
        let place = &self.places[mark];
        let ends_word = out.chars().next_back().is_some_and(char::is_alphanumeric);
        if (!place.found || self.gap) && ends_word {
            out.push(' ');
        }
        (self.writer.raw)(&self.source.marks[mark].open, out);
        self.gap = !place.found;
        if place.found {
            self.at = self.at.max(place.range.end);
        }
    }

    fn text_up_to(&mut self, end: usize, out: &mut String) {
        while self.at < end {
            while self.cuts.get(self.cut).is_some_and(|cut| cut.end <= self.at) {
                self.cut += 1;
            }
            let cut = self.cuts.get(self.cut).filter(|cut| cut.start < end);
            let stop = cut.map_or(end, |cut| cut.start.max(self.at));
            if stop > self.at {
                let word = self.target[self.at..].starts_with(char::is_alphanumeric);
                if self.gap
                    && (word || self.writer.padded)
                    && !self.target[self.at..].starts_with(char::is_whitespace)
                {
                    out.push(' ');
                }
                self.gap = false;
                (self.writer.text)(self.at..stop, out);
            }
            self.at = stop.max(cut.map_or(0, |cut| cut.end.min(end)));
            // a space on either side of what is cut is one too many
            if cut.is_some()
                && (out.is_empty() || out.ends_with(' '))
                && self.target[self.at..].starts_with(' ')
            {
                self.at += 1;
            }
        }
    }
}
