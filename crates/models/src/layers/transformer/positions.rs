//! How positions are told: rows of a table, learned or of sines and cosines, which are added to the embeddings.

use candle_core::{Device, Result, Tensor};
use kernels::embedding::embedding;
use std::ops::Range;

/// A table with a row for each position, and which row belongs to which.
pub struct Positions {
    /// (rows, size)
    table: Tensor,
    /// Positions that a sequence may have.
    limit: usize,
    /// The row of the first position.
    first: usize,
    /// The id of padding, where positions are counted over what is none, from the row after that number on.
    padding: Option<u32>,
}

/// How rates fall in a table of sines and cosines: a row is the sines of all, then the cosines, or the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sinusoids {
    /// `10000^(-2i / size)`, computed in f64: Marian.
    Paper,
    /// From one to a ten-thousandth, computed in f32: tensor2tensor, M2M100, Whisper.
    Whole,
    /// The same with the cosines first: MusicGen.
    CosinesFirst,
}

impl Sinusoids {
    /// (rows, size) in f32; `size` is even.
    ///
    /// # Errors
    /// None on the processor.
    pub fn table(self, rows: usize, size: usize, device: &Device) -> Result<Tensor> {
        self.rows(0..rows, size, device)
    }

    /// Some rows of such a table of any length.
    ///
    /// # Errors
    /// None on the processor.
    pub fn rows(self, rows: Range<usize>, size: usize, device: &Device) -> Result<Tensor> {
        let half = size / 2;
        let wave = |row: usize, column: usize| {
            let i = column % half;
            let (sin, cos) = match self {
                Self::Paper => {
                    let (sin, cos) = (row as f64 / 10_000f64.powf(2. * i as f64 / size as f64)).sin_cos();
                    (sin as f32, cos as f32)
                }
                Self::Whole | Self::CosinesFirst => {
                    let step = (10_000f64.ln() / (half as f64 - 1.).max(1.)) as f32;
                    (row as f32 * (i as f32 * -step).exp()).sin_cos()
                }
            };
            if (column < half) == (self != Self::CosinesFirst) { sin } else { cos }
        };
        let values = rows.clone().flat_map(|row| (0..size).map(move |column| wave(row, column))).collect();
        Tensor::from_vec(values, (rows.len(), size), device)
    }
}

impl Positions {
    /// A row for each position in order.
    ///
    /// # Errors
    /// For a table of other than two dimensions.
    pub fn new(table: Tensor) -> Result<Self> {
        Self::after(table, 0)
    }

    /// A row for each position in order, after `first` rows that stand for none.
    ///
    /// # Errors
    /// For a table of other than two dimensions, and of fewer rows.
    pub fn after(table: Tensor, first: usize) -> Result<Self> {
        let (rows, _) = table.dims2()?;
        match rows.checked_sub(first) {
            Some(limit) => Ok(Self { table, limit, first, padding: None }),
            None => refuse!("a table of {rows} positions, the first {first} of which are none"),
        }
    }

    /// M2M100's: `limit` sines and cosines of (width) `size` from the row after the padding's id on, counted over the ids
    /// of each sequence that are not padding, which gets zeros.
    ///
    /// # Errors
    /// None on the processor.
    pub fn counted(limit: usize, size: usize, padding: u32, device: &Device) -> Result<Self> {
        let rows = limit + padding as usize + 1;
        let table = Sinusoids::Whole.table(rows, size, device)?;
        table.slice_set(&Tensor::zeros((1, size), table.dtype(), device)?, 0, padding as usize)?;
        Ok(Self { table, limit, first: 0, padding: Some(padding) })
    }

    /// The rows of ids (batch, time) from position `start` on: (batch, time, size).
    ///
    /// # Errors
    /// Where there are not so many positions.
    pub fn forward(&self, ids: &Tensor, start: usize) -> Result<Tensor> {
        let (batch, time) = ids.dims2()?;
        if start + time > self.limit {
            refuse!("a sequence of {} positions, and the net has {}", start + time, self.limit);
        }
        let mut places = Vec::with_capacity(batch * time);
        match self.padding {
            None => {
                let first = (self.first + start) as u32;
                (0..batch).for_each(|_| places.extend(first..first + time as u32));
            }
            Some(padding) => {
                for row in ids.to_dtype(candle_core::DType::U32)?.to_vec2::<u32>()? {
                    let mut last = padding + start as u32;
                    places.extend(row.into_iter().map(|id| {
                        last += u32::from(id != padding);
                        if id == padding { padding } else { last }
                    }));
                }
            }
        }
        embedding(&Tensor::from_vec(places, (batch, time), ids.device())?, &self.table)
    }

    /// The first `time` rows for each of a batch: (batch, time, size).
    ///
    /// # Errors
    /// Where there are not so many positions.
    pub fn first(&self, batch: usize, time: usize) -> Result<Tensor> {
        self.forward(&Tensor::zeros((batch, time), candle_core::DType::U32, self.table.device())?, 0)
    }
}
