//! JSON: strings that are values, whichever the keys; all else stays, to the last space.

use super::render::{Form, Slot, pieces};
use super::{Error, Found, Options};

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// Strings to translate; `many` for values one after the other.
pub fn find(source: &str, many: bool, options: &Options) -> Result<Found, Error> {
    let mut found = Found::default();
    // whoever wrote only ASCII and escaped the rest wants it so
    let ascii = source.is_ascii() && source.contains("\\u");
    let mut scan = Scan { source, at: 0, many, open: Vec::new(), path: Vec::new(), next: Next::Value };
    while scan.skip_space() {
        if scan.source.as_bytes()[scan.at] != b'"' {
            scan.sign_or_scalar()?;
            continue;
        }
        let start = scan.at + 1;
        let text = scan.string()?;
        let span = start..scan.at - 1;
        match scan.next {
            Next::Key | Next::KeyOrEnd => {
                if let Some(key) = scan.path.last_mut() {
                    *key = text.unwrap_or_default();
                }
                scan.next = Next::Colon;
            }
            Next::Value | Next::ValueOrEnd => {
                scan.next = scan.after_value();
                if let Some(text) = text.filter(|_| selected(&scan.path, &options.keys))
                    && let Some(pieces) = pieces(&text, &mut found)
                {
                    found.slots.push(Slot::Whole { span, pieces, form: Form::Json { ascii } });
                }
            }
            _ => return Err(scan.wrong(start - 1, "a string")),
        }
    }
    let whole = scan.open.is_empty() && (scan.next == Next::Nothing || source.trim().is_empty() || many);
    if whole { Ok(found) } else { Err(scan.error("the JSON is not complete".into())) }
}

/// Whether a value under these keys is asked for.
fn selected(path: &[String], wanted: &[String]) -> bool {
    let fits = |wanted: &String| {
        let last = path.last().is_some_and(|key| key == wanted || wanted == "*");
        let parts = || wanted.split('.');
        let same =
            || path.len() == parts().count() && path.iter().zip(parts()).all(|(a, b)| a == b || b == "*");
        last || (wanted.contains('.') && same())
    };
    wanted.is_empty() || wanted.iter().any(fits)
}

struct Scan<'a> {
    source: &'a str,
    at: usize,
    many: bool,
    /// Brackets that are open, without a word on the stack for each.
    open: Vec<u8>,
    /// The key in each open object.
    path: Vec<String>,
    next: Next,
}

impl Scan<'_> {
    fn skip_space(&mut self) -> bool {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.source.as_bytes()[self.at..].iter().take_while(|byte| space(byte)).count();
        self.at < self.source.len()
    }

    fn after_value(&self) -> Next {
        match (self.open.is_empty(), self.many) {
            (false, _) => Next::CommaOrEnd,
            (true, true) => Next::Value,
            (true, false) => Next::Nothing,
        }
    }

    fn sign_or_scalar(&mut self) -> Result<(), Error> {
        let start = self.at;
        let byte = self.source.as_bytes()[start];
        let value = matches!(self.next, Next::Value | Next::ValueOrEnd);
        self.at += 1;
        self.next = match byte {
            b'[' | b'{' if value => {
                self.open.push(byte);
                if byte == b'{' {
                    self.path.push(String::new());
                }
                if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd }
            }
            b']' if self.open.last() == Some(&b'[')
                && matches!(self.next, Next::ValueOrEnd | Next::CommaOrEnd) =>
            {
                self.open.pop();
                self.after_value()
            }
            b'}' if self.open.last() == Some(&b'{')
                && matches!(self.next, Next::KeyOrEnd | Next::CommaOrEnd) =>
            {
                self.open.pop();
                self.path.pop();
                self.after_value()
            }
            b',' if self.next == Next::CommaOrEnd => match self.open.last() {
                Some(b'{') => Next::Key,
                _ => Next::Value,
            },
            b':' if self.next == Next::Colon => Next::Value,
            _ if value => {
                let rest = &self.source[start..];
                let part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                let word = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
                let number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                    && word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
                    && word.parse::<f64>().is_ok();
                if !number && !matches!(word, "true" | "false" | "null") {
                    return Err(self.wrong(start, &format!("{:?}", shortened(rest))));
                }
                self.at = start + word.len();
                self.after_value()
            }
            _ => return Err(self.wrong(start, &format!("{:?}", shortened(&self.source[start..])))),
        };
        Ok(())
    }

    /// Reads the string that begins here; `None` where it is no text (half of a surrogate pair).
    fn string(&mut self) -> Result<Option<String>, Error> {
        let start = self.at + 1;
        let bytes = self.source.as_bytes();
        self.at = start;
        let mut plain = true;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    self.at += 2;
                }
                Some(byte) if *byte >= 0x20 => self.at += 1,
                _ => {
                    self.at = start - 1;
                    return Err(self.error("a string is not closed on its line".into()));
                }
            }
        }
        let inside = &self.source[start..self.at];
        self.at += 1;
        if plain {
            return Ok(Some(inside.to_owned()));
        }
        match unescaped(inside) {
            Ok(text) => Ok(text),
            Err(escape) => Err(self.error(format!("{escape:?} is no escape of JSON"))),
        }
    }

    fn wrong(&mut self, at: usize, what: &str) -> Error {
        self.at = at;
        let wanted = match self.next {
            Next::Value => "a value",
            Next::ValueOrEnd => "a value or ]",
            Next::Key => "a key",
            Next::KeyOrEnd => "a key or }",
            Next::Colon => "a colon",
            Next::CommaOrEnd => "a comma or the end of a list or object",
            Next::Nothing => "the end of the file",
        };
        self.error(format!("expected {wanted}, found {what}"))
    }

    fn error(&self, reason: String) -> Error {
        let before = &self.source.as_bytes()[..self.at.min(self.source.len())];
        Error::Form { line: 1 + before.iter().filter(|byte| **byte == b'\n').count(), reason }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take_while(|c| *c != '\n').take(20).collect()
}

/// The text of a string's inside, `None` with half a surrogate pair; the escape that is none.
fn unescaped(inside: &str) -> Result<Option<String>, String> {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    let mut whole = true;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let wrong = || rest.chars().take(6).collect::<String>();
        let mut length = 2;
        text.push(match rest.as_bytes().get(1).ok_or_else(wrong)? {
            sign @ (b'"' | b'\\' | b'/') => char::from(*sign),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = unit(rest).ok_or_else(wrong)?;
                let second = rest.get(6..).and_then(unit).filter(|_| (0xd800..0xdc00).contains(&first));
                let pair = [first, second.unwrap_or(0)];
                let pair = if second.is_some() { &pair[..] } else { &pair[..1] };
                length = 6 * pair.len();
                char::decode_utf16(pair.iter().copied()).next().and_then(Result::ok).unwrap_or_else(|| {
                    whole = false;
                    char::REPLACEMENT_CHARACTER
                })
            }
            _ => return Err(wrong()),
        });
        rest = &rest[length..];
    }
    text.push_str(rest);
    Ok(whole.then_some(text))
}

/// The number of `\uXXXX`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

/// Appends a string's inside.
pub fn escape(text: &str, ascii: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
}
