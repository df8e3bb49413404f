//! Going through a folded part of a text: what comes next, what has been said.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::fold::Folded;
use super::{Pause, Spoken, dates, marks, money, numbers, phone, times, web, words};
use crate::english::phones::Phone;

/// An expression at the place where it is looked for, and what says it: false if it is something else after all.
pub struct Rule {
    pattern: Regex,
    say: Say,
}

/// Says an expression that was found.
pub type Say = fn(&mut Scan, &Captures) -> bool;

impl Rule {
    fn new(pattern: &str, say: Say) -> Self {
        match Regex::new(&format!("^(?:{pattern})")) {
            Ok(pattern) => Self { pattern, say },
            // the patterns stand in this program, and its tests use each of them
            Err(error) => unreachable!("{error}"),
        }
    }
}

/// Rules in the order in which they are tried.
pub type Rules = LazyLock<Vec<Rule>>;

/// Bytes that an expression may have.
const LONGEST: usize = 256;

/// How far a part has been gone through.
pub struct Scan<'a> {
    folded: &'a Folded<'a>,
    /// The folded text.
    pub text: &'a str,
    /// The place that is looked at.
    pub at: usize,
    spoken: Vec<Spoken>,
    /// The last two written words, the later one first.
    previous: [Range<usize>; 2],
    /// Whether nothing was said since the end of a sentence.
    pub begins: bool,
}

impl<'a> Scan<'a> {
    /// Begins at the beginning.
    pub fn new(folded: &'a Folded<'a>) -> Self {
        Self { folded, text: &folded.text, at: 0, spoken: Vec::new(), previous: [0..0, 0..0], begins: true }
    }

    /// Goes through all of it.
    pub fn run(mut self) -> Vec<Spoken> {
        while let Some(letter) = self.rest().chars().next() {
            let before = self.at;
            self.step(letter);
            if self.at <= before {
                // whatever was not understood is passed over
                self.at = before + letter.len_utf8();
            }
        }
        self.spoken
    }

    fn step(&mut self, letter: char) {
        if letter == ' ' {
            self.at += 1;
            return;
        }
        let fresh = !self.before().is_some_and(char::is_alphanumeric);
        if fresh && self.is_number(letter) {
            let rules = [&phone::RULES, &dates::RULES, &times::RULES, &money::RULES, &numbers::RULES];
            if rules.into_iter().any(|rules| self.try_rules(rules)) || numbers::quantity(self) {
                return;
            }
        }
        if letter.is_ascii_digit() {
            return numbers::beside_letters(self);
        }
        if letter.is_alphabetic() || (letter == '\'' && words::begins_with_apostrophe(self)) {
            let found =
                fresh && (web::say(self) || dates::named(self) || money::named(self) || words::dotted(self));
            if !found {
                words::say(self);
            }
            return;
        }
        marks::say(self, letter);
    }

    // a digit, or a sign or a point that has one behind it
    fn is_number(&self, letter: char) -> bool {
        let mut behind = self.rest().chars().skip(1).take(4).filter(|letter| *letter != ' ');
        match letter {
            '0'..='9' | '½' | '⅓' | '⅔' | '¼' | '¾' | '⅕'..='⅞' | '⅐' | '⅑' | '⅒' => true,
            '.' | '+' | '-' | '(' | '#' | '~' | '\'' | '±' => {
                behind.next().is_some_and(|next| next.is_ascii_digit() || money::is_sign(next) || next == '.')
            }
            sign => {
                money::is_sign(sign) && behind.next().is_some_and(|next| next.is_ascii_digit() || next == '.')
            }
        }
    }

    /// Says the first expression of the rules that stands here.
    pub fn try_rules(&mut self, rules: &Rules) -> bool {
        let mut end = self.text.len().min(self.at + LONGEST);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let text = self.text;
        let here = &text[self.at..end];
        rules.iter().any(|rule| match rule.pattern.captures(here) {
            Some(found) => (rule.say)(self, &found),
            None => false,
        })
    }

    /// What is still to be said.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// How bytes from here were written before they were folded.
    pub fn source(&self, length: usize) -> &'a str {
        self.folded.source(self.at..self.at + length)
    }

    /// The character before.
    pub fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// The character so many bytes further.
    pub fn after(&self, length: usize) -> Option<char> {
        self.text.get(self.at + length..)?.chars().next()
    }

    /// Whether an expression of that many bytes ends where a word or a number ends too.
    pub fn ends(&self, length: usize) -> bool {
        !self.after(length).is_some_and(char::is_alphanumeric)
    }

    /// The written words before, the last one first; empty where there are none.
    pub fn previous(&self, back: usize) -> &'a str {
        self.previous.get(back).map_or("", |range| &self.text[range.clone()])
    }

    /// Whether an expression of that many bytes says of which kind a thing is: `a $5 bill`, `a 5 ft wall`.
    pub fn is_kind(&self, length: usize) -> bool {
        let article = matches!(self.previous(0), "a" | "A" | "an" | "An");
        let thing = self.rest()[length..].strip_prefix([' ', '-']).and_then(|rest| rest.chars().next());
        article && thing.is_some_and(char::is_lowercase)
    }

    /// Says words, which are separated by spaces, for bytes from here.
    pub fn say(&mut self, words: &str, range: Range<usize>) {
        let range = self.at + range.start..self.at + range.end;
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            let span = self.folded.original(range.clone());
            self.spoken.push(Spoken::Word { text: word.into(), span, phones: None });
            self.begins = false;
        }
    }

    /// Says phones that the text gave.
    pub fn say_phones(&mut self, phones: Vec<Phone>, length: usize) {
        let span = self.folded.original(self.at..self.at + length);
        let text = self.text[self.at + 1..self.at + length - 1].to_string();
        self.spoken.push(Spoken::Word { text, span, phones: Some(phones) });
        self.begins = false;
    }

    /// Notes a pause for bytes from here. Of two that meet the stronger one stays; none comes first.
    pub fn pause(&mut self, kind: Pause, range: Range<usize>) {
        self.begins |= kind.ends_sentence();
        match self.spoken.last_mut() {
            None => {}
            Some(Spoken::Pause { kind: before, .. }) => *before = kind.max(*before),
            Some(_) => {
                let span = self.folded.original(self.at + range.start..self.at + range.end);
                self.spoken.push(Spoken::Pause { kind, span });
            }
        }
    }

    /// Goes on after so many bytes, which were a word or number.
    pub fn advance(&mut self, length: usize) {
        self.previous[1] = std::mem::replace(&mut self.previous[0], self.at..self.at + length);
        self.at += length;
    }

    /// Says words for the next bytes and goes on after them.
    pub fn take(&mut self, words: &str, length: usize) -> bool {
        self.say(words, 0..length);
        self.advance(length);
        true
    }
}

/// The text of a group, empty where it is not there.
pub fn group<'t>(found: &Captures<'t>, number: usize) -> &'t str {
    found.get(number).map_or("", |group| group.as_str())
}

/// The bytes of a group, none where it is not there.
pub fn place(found: &Captures, number: usize) -> Range<usize> {
    found.get(number).map_or(0..0, |group| group.range())
}

/// Rules from their patterns.
pub fn rules(all: &[(&str, Say)]) -> Vec<Rule> {
    all.iter().map(|(pattern, say)| Rule::new(pattern, *say)).collect()
}
