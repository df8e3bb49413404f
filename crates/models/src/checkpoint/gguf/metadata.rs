//! Keys and values that describe a model.

use super::read::Reader;
use super::{Wrong, wrong};
use candle_core::Result;
use std::collections::BTreeMap;
use std::fmt;

/// What a file says of its model, by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(BTreeMap<String, Value>);

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number of any width.
    Whole(i128),
    /// A float of either width.
    Float(f64),
    /// A truth.
    Bool(bool),
    /// A text.
    Text(String),
    /// Several of one kind.
    List(List),
}

/// Values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum List {
    /// Whole numbers, and truths as 0 and 1.
    Whole(Vec<i64>),
    /// Floats.
    Float(Vec<f32>),
    /// Texts.
    Text(Vec<String>),
}

/// The most values of a list: vocabularies have some 300,000 tokens.
const LONGEST: u64 = 1 << 24;

impl Metadata {
    pub(super) fn read(reader: &mut Reader, count: u64) -> std::result::Result<Self, Wrong> {
        // a key's length, a kind and a value
        let count = reader.fits(count, 8 + 4 + 1, "entries")?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let key = reader.string()?;
            let value = value(reader, &key)?;
            if entries.insert(key.clone(), value).is_some() {
                wrong!("{key:?} stands there twice");
            }
        }
        Ok(Self(entries))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A whole number that fits a size.
    ///
    /// # Errors
    /// If there is a value that is none.
    pub fn size(&self, key: &str) -> Result<Option<usize>> {
        self.find(key, "a size", |value| usize::try_from(value.whole()?).ok())
    }

    /// A number.
    ///
    /// # Errors
    /// As [`Metadata::size`].
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.find(key, "a number", |value| match value {
            Value::Float(number) => Some(*number),
            other => other.whole().map(|whole| whole as f64),
        })
    }

    /// A truth.
    ///
    /// # Errors
    /// As [`Metadata::size`].
    pub fn truth(&self, key: &str) -> Result<Option<bool>> {
        self.find(key, "true or false", |value| match value {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        })
    }

    /// A text.
    ///
    /// # Errors
    /// As [`Metadata::size`].
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.find(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A list.
    ///
    /// # Errors
    /// As [`Metadata::size`].
    pub fn list(&self, key: &str) -> Result<Option<&List>> {
        self.find(key, "a list", |value| match value {
            Value::List(list) => Some(list),
            _ => None,
        })
    }

    fn find<'a, T>(&'a self, key: &str, what: &str, f: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match f(value) {
            Some(found) => Ok(Some(found)),
            None => refuse!("GGUF: {key} is {value}, which is not {what}"),
        }
    }
}

impl Value {
    /// The number, if it is a whole one.
    pub fn whole(&self) -> Option<i128> {
        match self {
            Value::Whole(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Whole(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Text(text) => write!(f, "{:?}", text.chars().take(40).collect::<String>()),
            Value::List(list) => write!(f, "a list of {}", list.len()),
        }
    }
}

impl List {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            List::Whole(values) => values.len(),
            List::Float(values) => values.len(),
            List::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn value(reader: &mut Reader, key: &str) -> std::result::Result<Value, Wrong> {
    Ok(match reader.u32()? {
        0 => Value::Whole(reader.u8()?.into()),
        1 => Value::Whole(reader.i8()?.into()),
        2 => Value::Whole(reader.u16()?.into()),
        3 => Value::Whole(reader.i16()?.into()),
        4 => Value::Whole(reader.u32()?.into()),
        5 => Value::Whole(reader.i32()?.into()),
        6 => Value::Float(reader.f32()?.into()),
        7 => Value::Bool(reader.u8()? != 0),
        8 => Value::Text(reader.string()?),
        9 => Value::List(list(reader, key)?),
        10 => Value::Whole(reader.u64()?.into()),
        11 => Value::Whole(reader.i64()?.into()),
        12 => Value::Float(reader.f64()?),
        kind => wrong!("{key:?} has a value of the unknown kind {kind}"),
    })
}

fn list(reader: &mut Reader, key: &str) -> std::result::Result<List, Wrong> {
    let (kind, count) = (reader.u32()?, reader.u64()?);
    let size = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        kind => wrong!("{key:?} is a list of values of the kind {kind}, which is not supported"),
    };
    let count = reader.fits(count, size, "values of a list")?;
    if count as u64 > LONGEST {
        wrong!("{key:?} is a list of {count} values, which is too long");
    }
    let mut whole = |f: fn(&mut Reader) -> std::result::Result<i64, Wrong>| {
        (0..count).map(|_| f(reader)).collect::<std::result::Result<Vec<i64>, Wrong>>().map(List::Whole)
    };
    match kind {
        0 => whole(|reader| Ok(reader.u8()?.into())),
        1 => whole(|reader| Ok(reader.i8()?.into())),
        7 => whole(|reader| Ok((reader.u8()? != 0).into())),
        2 => whole(|reader| Ok(reader.u16()?.into())),
        3 => whole(|reader| Ok(reader.i16()?.into())),
        4 => whole(|reader| Ok(reader.u32()?.into())),
        5 => whole(|reader| Ok(reader.i32()?.into())),
        10 => whole(|reader| match i64::try_from(reader.u64()?) {
            Ok(number) => Ok(number),
            Err(_) => wrong!("a list holds a number beyond 63 bits"),
        }),
        11 => whole(|reader| reader.i64()),
        6 => Ok(List::Float((0..count).map(|_| reader.f32()).collect::<std::result::Result<_, _>>()?)),
        12 => {
            let narrow = |_| Ok(reader.f64()? as f32);
            Ok(List::Float((0..count).map(narrow).collect::<std::result::Result<_, Wrong>>()?))
        }
        _ => Ok(List::Text((0..count).map(|_| reader.string()).collect::<std::result::Result<_, _>>()?)),
    }
}
