//! SentencePiece's `.model`: a protocol buffer (`sentencepiece_model.proto`) with the vocabulary and how a text is
//! prepared.

use super::pieces::{Kind, Piece, Pieces};
use candle_core::Result;

/// Reads the file's bytes.
///
/// # Errors
/// One line on what is cut, damaged or of a kind that is not supported.
pub fn read(bytes: &[u8], file: &str) -> Result<Pieces> {
    match model(bytes) {
        Ok(pieces) if pieces.pieces.is_empty() => refuse!("{file}: a vocabulary without pieces"),
        Ok(pieces) => Ok(pieces),
        Err(why) => refuse!("{file}: {why}"),
    }
}

type Parsed<T> = std::result::Result<T, String>;

fn model(bytes: &[u8]) -> Parsed<Pieces> {
    let mut model = Pieces { unigram: true, space_before: true, trims: true, ..Pieces::default() };
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => model.pieces.push(piece(bytes)?),
            (2, Value::Bytes(bytes)) => trainer(bytes, &mut model)?,
            (3, Value::Bytes(bytes)) => normalizer(bytes, &mut model)?,
            _ => {}
        }
    }
    Ok(model)
}

fn piece(bytes: &[u8]) -> Parsed<Piece> {
    let mut piece = Piece { text: String::new(), score: 0., kind: Kind::Normal };
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(text)) => {
                piece.text =
                    String::from_utf8(text.to_vec()).map_err(|_| "a piece is no text".to_string())?;
            }
            (2, Value::Four(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Number(kind)) => {
                let found = i64::try_from(kind).ok().and_then(Kind::of);
                piece.kind = found.ok_or_else(|| format!("a piece of the unknown kind {kind}"))?;
            }
            _ => {}
        }
    }
    if piece.score.is_nan() {
        return Err(format!("the piece {:?} has a score that is no number", piece.text));
    }
    Ok(piece)
}

fn trainer(bytes: &[u8], model: &mut Pieces) -> Parsed<()> {
    for field in fields(bytes) {
        match field? {
            (3, Value::Number(1)) => model.unigram = true,
            (3, Value::Number(2)) => model.unigram = false,
            (3, Value::Number(kind)) => {
                return Err(format!("model_type {kind} is not supported, only unigram (1) and BPE (2) are"));
            }
            (24, Value::Number(1)) => return Err("treat_whitespace_as_suffix is not supported".to_string()),
            (35, Value::Number(truth)) => model.byte_fallback = truth != 0,
            _ => {}
        }
    }
    Ok(())
}

fn normalizer(bytes: &[u8], model: &mut Pieces) -> Parsed<()> {
    for field in fields(bytes) {
        match field? {
            (2, Value::Bytes(table)) => model.characters = table.to_vec(),
            (3, Value::Number(truth)) => model.space_before = truth != 0,
            (4, Value::Number(truth)) => model.trims = truth != 0,
            (5, Value::Number(0)) => return Err("escape_whitespaces = false is not supported".to_string()),
            _ => {}
        }
    }
    Ok(())
}

/// The value of a field.
enum Value<'a> {
    Number(u64),
    Four(u32),
    Eight,
    Bytes(&'a [u8]),
}

/// The fields of a message, each with its number.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Parsed<(u64, Value<'_>)>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = field(&mut bytes);
        if field.is_none() {
            bytes = &[];
        }
        Some(field.ok_or_else(|| "cut, or no such file".to_string()))
    })
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = number(bytes)?;
    let take = |bytes: &mut &'a [u8], count: u64| {
        let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
        *bytes = rest;
        Some(taken)
    };
    let value = match tag & 7 {
        0 => Value::Number(number(bytes)?),
        1 => take(bytes, 8).map(|_| Value::Eight)?,
        2 => {
            let length = number(bytes)?;
            Value::Bytes(take(bytes, length)?)
        }
        5 => Value::Four(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// A number of seven bits a byte.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= ((byte & 127) as u64) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}
