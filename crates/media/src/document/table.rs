//! CSV and TSV: columns of text, quoted where they were and where they must be.

use std::ops::Range;

use super::render::{Form, Slot, pieces};
use super::{Error, Found, Options};

/// How a field is written.
#[derive(Clone, Debug)]
pub struct Style {
    delimiter: char,
    quoted: bool,
    /// Tabs and line breaks cannot stand in a field.
    tabs: bool,
}

/// A field of the source.
struct Field {
    span: Range<usize>,
    quoted: bool,
}

/// Fields to translate.
pub fn find(source: &str, tabs: bool, options: &Options) -> Result<Found, Error> {
    let mut found = Found::default();
    let delimiter = if tabs { '\t' } else { delimiter(source) };
    let mut scan = Scan { source, delimiter: delimiter as u8, tabs, at: 0, line: 1 };
    let mut header = options.header;
    let mut wanted: Option<Vec<usize>> = None;
    while scan.at < source.len() {
        let record = scan.record()?;
        if wanted.is_none() {
            wanted = Some(columns(source, &record, options)?);
            if std::mem::take(&mut header) {
                continue;
            }
        }
        let asked = |at: usize| {
            options.columns.is_empty() || wanted.as_ref().is_some_and(|wanted| wanted.contains(&at))
        };
        for (at, Field { span, quoted }) in record.into_iter().enumerate() {
            let value = value(source, &span, quoted);
            if asked(at)
                && let Some(pieces) = pieces(&value, &mut found)
            {
                let form = Form::Field(Style { delimiter, quoted, tabs });
                found.slots.push(Slot::Whole { span, pieces, form });
            }
        }
    }
    Ok(found)
}

/// A comma, or a semicolon where the first line has no comma.
fn delimiter(source: &str) -> char {
    let first = source.lines().next().unwrap_or_default();
    if !first.contains(',') && first.contains(';') { ';' } else { ',' }
}

fn value(source: &str, span: &Range<usize>, quoted: bool) -> String {
    match quoted {
        true => source[span.start + 1..span.end - 1].replace("\"\"", "\""),
        false => source[span.clone()].to_owned(),
    }
}

/// The columns that are asked for, from 0.
fn columns(source: &str, first: &[Field], options: &Options) -> Result<Vec<usize>, Error> {
    let names: Vec<String> = first.iter().map(|field| value(source, &field.span, field.quoted)).collect();
    let index = |name: &String| {
        let named = || names.iter().position(|other| other.trim() == name.trim());
        let number = || name.parse::<usize>().ok().filter(|number| (1..=names.len()).contains(number));
        let missing = || {
            let columns: Vec<&str> = names.iter().map(|name| name.trim()).take(20).collect();
            let columns = if options.header { columns.join(", ") } else { format!("1 to {}", names.len()) };
            let columns = columns.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
            Error::Column { name: name.clone(), columns }
        };
        let found = if options.header { named() } else { None };
        found.or_else(|| Some(number()? - 1)).ok_or_else(missing)
    };
    options.columns.iter().map(index).collect()
}

struct Scan<'a> {
    source: &'a str,
    delimiter: u8,
    tabs: bool,
    at: usize,
    line: usize,
}

impl Scan<'_> {
    /// The fields up to the end of a record, and past it.
    fn record(&mut self) -> Result<Vec<Field>, Error> {
        let bytes = self.source.as_bytes();
        let mut fields = Vec::new();
        loop {
            let start = self.at;
            let quoted = match bytes.get(start) {
                Some(b'"') => self.quoted()?,
                _ => None,
            };
            let end = quoted.unwrap_or_else(|| {
                let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
                start + bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start)
            });
            fields.push(Field { span: start..end, quoted: quoted.is_some() });
            self.at = end + 1;
            match bytes.get(end) {
                Some(byte) if *byte == self.delimiter => {}
                _ => {
                    self.at += usize::from(bytes[end.min(bytes.len())..].starts_with(b"\r\n"));
                    self.at = self.at.min(bytes.len());
                    self.line += 1;
                    return Ok(fields);
                }
            }
        }
    }

    /// Where the quoted field that begins here ends; `None` where it is none after all.
    fn quoted(&mut self) -> Result<Option<usize>, Error> {
        let bytes = self.source.as_bytes();
        let mut at = self.at + 1;
        let mut lines = 0;
        loop {
            match bytes.get(at) {
                Some(b'"') if bytes.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') => break,
                Some(b'\n') if self.tabs => return Ok(None),
                Some(byte) => {
                    lines += usize::from(*byte == b'\n');
                    at += 1;
                }
                None if self.tabs => return Ok(None),
                None => {
                    let reason = "a quote is opened here and never closed".into();
                    return Err(Error::Form { line: self.line, reason });
                }
            }
        }
        let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        if bytes.get(at + 1).is_none_or(ends) {
            self.line += lines;
            return Ok(Some(at + 1));
        }
        if self.tabs {
            return Ok(None);
        }
        let reason = "a quoted field goes on behind its quote; double the quotes within it".into();
        Err(Error::Form { line: self.line + lines, reason })
    }
}

/// Appends a field.
pub fn escape(value: &str, style: &Style, out: &mut String) {
    let breaks = |c: char| matches!(c, '\n' | '\r');
    if style.tabs && !style.quoted {
        out.extend(value.chars().map(|c| if breaks(c) || c == '\t' { ' ' } else { c }));
    } else if style.quoted || value.contains(|c| breaks(c) || c == style.delimiter || c == '"') {
        out.push('"');
        out.push_str(&value.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(value);
    }
}
