//! A pickle as the values that it describes.
//!
//! A pickle is a program that Python runs, and may call anything. Here it is only written down: a call becomes
//! [`Value::Call`], what it names and what it is given, and nothing is called. The instructions are those of protocols 0 to
//! 5 that PyTorch, and the containers it saves, make use of (Python's `pickletools` describes them).

use candle_core::Result;
use std::collections::HashMap;

/// A value's place among all of a pickle.
pub type Id = usize;

/// What a pickle describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, and whatever no checkpoint of tensors needs: a float, bytes, a set.
    Other,
    /// `True` or `False`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A whole number beyond 64 bits, its bytes from the lowest.
    Long(Vec<u8>),
    /// A text.
    Text(String),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, ordered or not.
    Dict(Vec<(Id, Id)>),
    /// The full name of a function or class.
    Global(String),
    /// What would be called, and the tuple it would be given.
    Call(Id, Id),
    /// Something that is not in the pickle: what its finder is told.
    Elsewhere(Id),
}

/// All values of a pickle.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Reads the pickle that `bytes` begin with; also returns where it ends. `file` is for messages.
    ///
    /// # Errors
    /// Bytes that are no pickle, are cut off, or hold an instruction that no checkpoint has.
    pub fn read(file: &str, bytes: &[u8]) -> Result<(Self, usize)> {
        let mut machine = Machine {
            file,
            bytes,
            at: 0,
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
            values: vec![],
        };
        while machine.step()? {}
        let root = machine.pop()?;
        Ok((Self { values: machine.values, root }, machine.at))
    }

    /// The whole.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// A text.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The full name of a function or class.
    pub fn global(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// A size or a place.
    pub fn count(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Whole(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// All that is said of what is not in the pickle.
    pub fn elsewhere(&self) -> impl Iterator<Item = Id> {
        (0..self.values.len()).filter(|id| matches!(self.values[*id], Value::Elsewhere(_)))
    }

    /// The entries of a dictionary, none of anything else.
    pub fn entries(&self, id: Id) -> &[(Id, Id)] {
        match self.value(id) {
            Value::Dict(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a tuple or a list.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }
}

/// Classes whose instances are dictionaries.
const DICTIONARIES: [&str; 3] = ["collections.OrderedDict", "collections.defaultdict", "builtins.dict"];

struct Machine<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    values: Vec<Value>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = usize::try_from(count).ok().and_then(|count| rest.get(..count)) else {
            refuse!("{}: its pickle is cut off at byte {}", self.file, self.bytes.len());
        };
        self.at += taken.len();
        Ok(taken)
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, bytes: u64) -> Result<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(end as u64)?;
        self.take(1)?;
        self.utf8(line)
    }

    fn utf8(&self, bytes: &[u8]) -> Result<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(_) => refuse!("{}: a text in its pickle is not UTF-8", self.file),
        }
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let bytes = self.take(length)?;
        let text = self.utf8(bytes)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn unsound<T>(&self) -> Result<T> {
        refuse!("{}: its pickle is not sound, before byte {}", self.file, self.at)
    }

    fn top(&self) -> Result<Id> {
        // what lies before a mark belongs to somebody else
        match self.stack.last() {
            Some(id) if self.stack.len() > self.marks.last().copied().unwrap_or(0) => Ok(*id),
            _ => self.unsound(),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn popped(&mut self, count: usize) -> Result<Vec<Id>> {
        let mut ids = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        ids.reverse();
        Ok(ids)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => self.unsound(),
        }
    }

    fn remember(&mut self, place: u64) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<()> {
        match self.memo.get(&place) {
            Some(id) => self.stack.push(*id),
            None => return self.unsound(),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let to = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.values[to] {
            Value::Dict(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)))
            }
            // an object with items of its own: nobody asks for them
            Value::Call(..) if rest.is_empty() => (),
            _ => return self.unsound(),
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let to = self.top()?;
        match &mut self.values[to] {
            Value::List(list) => list.extend(items),
            Value::Call(..) | Value::Other => (),
            _ => return self.unsound(),
        }
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let [function, given] = self.popped(2)?[..] else { return self.unsound() };
        let dictionary =
            matches!(&self.values[function], Value::Global(name) if DICTIONARIES.contains(&name.as_str()));
        self.push(if dictionary { Value::Dict(vec![]) } else { Value::Call(function, given) });
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) {
        self.push(Value::Global(format!("{module}.{name}")));
    }

    fn long(&mut self, length: u64) -> Result<()> {
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
        let mut all = [sign; 8];
        self.push(match all.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Whole(i64::from_le_bytes(all))
            }
            None => Value::Long(bytes.to_vec()),
        });
        Ok(())
    }

    /// A decimal number as protocol 0 writes it.
    fn decimal(&mut self) -> Result<()> {
        let line = self.line()?;
        let value = match line.trim_end_matches('L') {
            "00" => Value::Flag(false),
            "01" => Value::Flag(true),
            digits => match digits.parse() {
                Ok(number) => Value::Whole(number),
                Err(_) => return self.unsound(),
            },
        };
        self.push(value);
        Ok(())
    }

    /// Carries out one instruction; false for the last.
    fn step(&mut self) -> Result<bool> {
        let code = self.number(1)? as u8;
        match code {
            b'.' => return Ok(false),
            // where a protocol or a frame begins
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let id = self.top()?;
                self.stack.push(id);
            }
            b'q' | b'r' | b'p' | 0x94 => {
                let place = match code {
                    b'q' => self.number(1)?,
                    b'r' => self.number(4)?,
                    0x94 => self.memo.len() as u64,
                    _ => self.place()?,
                };
                self.remember(place)?;
            }
            b'h' | b'j' | b'g' => {
                let place = match code {
                    b'h' => self.number(1)?,
                    b'j' => self.number(4)?,
                    _ => self.place()?,
                };
                self.recall(place)?;
            }
            b'}' => self.push(Value::Dict(vec![])),
            b']' => self.push(Value::List(vec![])),
            b')' => self.push(Value::Tuple(vec![])),
            0x85..=0x87 => {
                let items = self.popped(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items));
            }
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push(if code == b't' { Value::Tuple(items) } else { Value::List(items) });
            }
            b'd' => {
                let items = self.since_mark()?;
                self.push(Value::Dict(vec![]));
                self.set_items(&items)?;
            }
            b's' => {
                let items = self.popped(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set_items(&items)?;
            }
            b'a' => {
                let items = self.popped(1)?;
                self.append(items)?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            _ => self.value_step(code)?,
        }
        Ok(true)
    }

    fn place(&mut self) -> Result<u64> {
        let line = self.line()?;
        line.parse().or_else(|_| self.unsound())
    }

    /// The instructions that make values out of what they carry, and calls.
    fn value_step(&mut self, code: u8) -> Result<()> {
        match code {
            // None, an empty set, a float
            b'N' | 0x8f => self.push(Value::Other),
            0x88 | 0x89 => self.push(Value::Flag(code == 0x88)),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'F' => {
                self.line()?;
                self.push(Value::Other);
            }
            b'K' => self.whole(1)?,
            b'M' => self.whole(2)?,
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.push(Value::Whole(number.into()));
            }
            b'I' | b'L' => self.decimal()?,
            0x8a | 0x8b => {
                let length = self.number(if code == 0x8a { 1 } else { 4 })?;
                self.long(length)?;
            }
            b'X' | 0x8c | 0x8d => {
                let length = self.number(match code {
                    b'X' => 4,
                    0x8c => 1,
                    _ => 8,
                })?;
                self.text(length)?;
            }
            b'V' => {
                let text = self.line()?;
                self.push(Value::Text(text));
            }
            // Python 2's texts are bytes, which are skipped unless they are UTF-8
            b'U' | b'T' => {
                let length = self.number(if code == b'U' { 1 } else { 4 })?;
                let bytes = self.take(length)?;
                self.push(self.utf8(bytes).map_or(Value::Other, Value::Text));
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.number(match code {
                    b'B' => 4,
                    b'C' => 1,
                    _ => 8,
                })?;
                self.take(length)?;
                self.push(Value::Other);
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name);
            }
            0x93 => {
                let ids = self.popped(2)?;
                match [&self.values[ids[0]], &self.values[ids[1]]] {
                    [Value::Text(module), Value::Text(name)] => {
                        let (module, name) = (module.clone(), name.clone());
                        self.global(&module, &name);
                    }
                    _ => return self.unsound(),
                }
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                let ids = self.popped(3)?;
                self.push(Value::Call(ids[0], ids[1]));
            }
            // what an object is told of itself: a dictionary or list keeps its own
            b'b' => drop(self.pop()?),
            b'Q' => {
                let told = self.pop()?;
                self.push(Value::Elsewhere(told));
            }
            _ => refuse!(
                "{}: its pickle holds the instruction {code:#04x}, which no checkpoint needs",
                self.file
            ),
        }
        Ok(())
    }

    fn whole(&mut self, bytes: u64) -> Result<()> {
        let number = self.number(bytes)?;
        self.push(Value::Whole(number as i64));
        Ok(())
    }
}
