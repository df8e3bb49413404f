//! What Whisper's ids mean: text, languages, tasks, times.

use std::ops::Range;

use anyhow::{Result, bail};
use models::checkpoint::Files;
use models::tokens::Tokens;
use serde::Deserialize;

use crate::languages::{LANGUAGES, WITHOUT_SPACES};

/// `generation_config.json`, as far as it bears on ids.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Generation {
    /// Whether the model knows languages.
    pub is_multilingual: Option<bool>,
    /// Ids that are never said.
    pub suppress_tokens: Option<Vec<i64>>,
    /// The decoder's heads, as (layer, head), that look where a word is.
    pub alignment_heads: Option<Vec<(usize, usize)>>,
    /// Whether the net was taught on windows that begin with speech and end at pauses, as those learned here are.
    pub cut_at_pauses: Option<bool>,
    /// Whether a window is told what was said in those before; transformers' name.
    pub condition_on_prev_tokens: Option<bool>,
}

/// Seconds from one time token to the next.
pub const TICK: f64 = 0.02;

/// The ids of a model, and what each adds to a text.
pub struct Vocabulary {
    tokens: Tokens,
    bytes: Vec<Option<Vec<u8>>>,
    /// Ends a text; all smaller ids are text.
    pub end: u32,
    /// Begins a transcript.
    pub start: u32,
    /// Comes before what was said earlier.
    pub previous: Option<u32>,
    /// What is to be done: write down, or put into English.
    pub tasks: Option<[u32; 2]>,
    /// There is nobody speaking.
    pub no_speech: Option<u32>,
    /// No times are to follow.
    pub no_times: u32,
    /// The time 0.00; the ids after it are later ones.
    pub zero: u32,
    /// Languages that there are tokens for: id and code.
    pub languages: Vec<(u32, &'static str)>,
    /// Ids that are never said.
    pub suppressed: Vec<u32>,
    /// Ids that do not begin a text.
    pub blank: Vec<u32>,
}

impl Vocabulary {
    /// Reads tokenizer and `generation_config.json`; the net has `count` ids.
    ///
    /// # Errors
    /// One line on a tokenizer that is not Whisper's.
    pub fn open(files: &Files, generation: &Generation, count: usize) -> Result<Self> {
        let tokens = Tokens::open(files)?;
        let find = |names: &[&str]| names.iter().find_map(|name| tokens.id(name));
        let must = |name: &str| match tokens.id(name) {
            Some(id) => Ok(id),
            None => bail!("the tokenizer has no {name}: it is not one of Whisper's"),
        };
        let (end, start) = (must("<|endoftext|>")?, must("<|startoftranscript|>")?);
        let no_times = must("<|notimestamps|>")?;
        // older files leave the times out of the tokenizer
        let zero = tokens.id("<|0.00|>").unwrap_or(no_times + 1);
        if zero as usize >= count {
            bail!(
                "the net has {count} ids, and times begin at {zero}: tokenizer and net do not belong together"
            );
        }
        // openai's models for English alone have one id less, and the languages' tokens nevertheless
        let many = generation.is_multilingual.unwrap_or(count >= 51_865);
        let mut languages = Vec::new();
        if many {
            let token = |code: &'static str| tokens.id(&format!("<|{code}|>")).map(|id| (id, code));
            languages = LANGUAGES.iter().filter_map(|(code, _)| token(code)).collect();
        }
        let tasks = match (find(&["<|transcribe|>"]), find(&["<|translate|>"])) {
            (Some(write), Some(translate)) if many => Some([write, translate]),
            _ => None,
        };
        let previous = find(&["<|startofprev|>"]);
        let no_speech = find(&["<|nospeech|>", "<|nocaptions|>"]);
        let mut suppressed = match &generation.suppress_tokens {
            Some(ids) => ids.iter().filter_map(|id| u32::try_from(*id).ok()).collect(),
            None => non_speech(&tokens)?,
        };
        suppressed.extend([start]);
        let others = [
            "<|transcribe|>",
            "<|translate|>",
            "<|startoflm|>",
            "<|startofprev|>",
            "<|nospeech|>",
            "<|nocaptions|>",
        ];
        suppressed.extend(others.iter().filter_map(|name| tokens.id(name)));
        suppressed.retain(|id| (*id as usize) < count);
        suppressed.sort_unstable();
        suppressed.dedup();
        let mut blank = tokens.encode(" ", false)?;
        blank.push(end);
        let bytes = tokens.bytes();
        Ok(Self {
            tokens,
            bytes,
            end,
            start,
            previous,
            tasks,
            no_speech,
            no_times,
            zero,
            languages,
            suppressed,
            blank,
        })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Text that the tokenizer has no ids for.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokens.encode(text, false)?)
    }

    /// The text of ids; times add nothing, and a language or a task its own spelling.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids.iter().filter(|id| **id < self.zero) {
            match self.bytes.get(*id as usize) {
                Some(Some(text)) if *id < self.end => bytes.extend(text),
                _ => bytes.extend(self.tokens.token(*id).unwrap_or_default().into_bytes()),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether an id is a time.
    pub fn is_time(&self, id: u32) -> bool {
        id >= self.zero
    }

    /// The tokens that begin a transcript: in a language, for a task, where the model knows such.
    pub fn beginning(&self, language: Option<u32>, translate: bool) -> Vec<u32> {
        let task = self.tasks.map(|tasks| tasks[usize::from(translate)]);
        [Some(self.start), language, task].into_iter().flatten().collect()
    }

    /// The token of a language by its code.
    pub fn language(&self, code: &str) -> Option<u32> {
        self.languages.iter().find(|(_, known)| *known == code).map(|(id, _)| *id)
    }

    /// Cuts text ids into words of a language: their text and the range of their ids.
    pub fn words(&self, ids: &[u32], language: &str) -> Vec<(String, Range<usize>)> {
        let pieces = self.characters(ids);
        if WITHOUT_SPACES.contains(&language) {
            return pieces;
        }
        let mut words: Vec<(String, Range<usize>)> = Vec::new();
        for (text, range) in pieces {
            let begins = text.starts_with(' ') || PUNCTUATION.contains(text.trim());
            match words.last_mut() {
                Some((word, whole)) if !begins => {
                    word.push_str(&text);
                    whole.end = range.end;
                }
                _ => words.push((text, range)),
            }
        }
        words
    }

    /// Cuts ids wherever whole characters end, since one may be spread over several ids.
    fn characters(&self, ids: &[u32]) -> Vec<(String, Range<usize>)> {
        let whole: Vec<char> = self.decode(ids).chars().collect();
        let (mut pieces, mut first, mut offset) = (Vec::new(), 0, 0);
        for end in 1..=ids.len() {
            let text = self.decode(&ids[first..end]);
            let broken = text.chars().position(|c| c == REPLACEMENT);
            // a character that is broken in the whole text too will not get better
            let complete = broken.is_none_or(|at| whole.get(offset + at) == Some(&REPLACEMENT));
            if complete || end == ids.len() {
                offset += text.chars().count();
                pieces.push((text, first..end));
                first = end;
            }
        }
        pieces
    }
}

const REPLACEMENT: char = '\u{fffd}';

/// Python's `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Ids of what is written but not spoken, as openai/whisper lists it: brackets, notes, dashes at the beginning of words.
fn non_speech(tokens: &Tokens) -> Result<Vec<u32>> {
    const SINGLE: &str = "\"#()*+/:;<=>@[\\]^_`{|}~「」『』";
    const LONGER: &str = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
    const NOTES: &str = "♩♪♫♬♭♮♯";
    let mut found = Vec::new();
    for dash in [" -", " '"] {
        found.extend(tokens.encode(dash, false)?.first());
    }
    let symbols =
        SINGLE.chars().chain(NOTES.chars()).map(String::from).chain(LONGER.split(' ').map(String::from));
    for symbol in symbols {
        for text in [symbol.clone(), format!(" {symbol}")] {
            let ids = tokens.encode(&text, false)?;
            // notes share their first bytes with nothing that is said
            if ids.len() == 1 || NOTES.contains(&symbol) {
                found.extend(ids.first());
            }
        }
    }
    Ok(found)
}
