//! Vectors as rows of codes, each of which says what those before it left over (Zeghidour et al., 2021).

use super::Config;
use crate::vars::VarBuilder;
use candle_core::{D, DType, Result, Tensor};
use kernels::embedding::embedding_sum;
use kernels::linear::Weight;
use kernels::reorder::swap;

/// Codebooks one after the other.
pub struct Quantiser {
    /// Of all codebooks, (codebooks * codes, size).
    table: Tensor,
    /// Of each codebook: the map to a vector's products with its vectors, and minus half of their squares.
    nearest: Vec<(Weight, Tensor)>,
    codes: usize,
}

impl Quantiser {
    /// Reads `layers`.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, codes) = (cfg.hidden_size, cfg.codebook_size);
        let book =
            |i: usize| vb.pp("layers").pp(i).pp("codebook").get((codes, size), "embed")?.to_dtype(DType::F32);
        let books = (0..cfg.codebooks()).map(book).collect::<Result<Vec<_>>>()?;
        let nearest = |book: &Tensor| -> Result<(Weight, Tensor)> {
            Ok((Weight::f32(book)?, (book.sqr()?.sum(D::Minus1)? * -0.5)?))
        };
        let nearest = books.iter().map(nearest).collect::<Result<_>>()?;
        Ok(Self { table: Tensor::cat(&books, 0)?, nearest, codes })
    }

    /// Vectors (batch, size, frames) to the first `count` rows of codes, (batch, count, frames): of each codebook the
    /// nearest, the first of those that are alike.
    pub fn encode(&self, vectors: &Tensor, count: usize) -> Result<Tensor> {
        let mut rest = swap(vectors)?;
        let mut rows = Vec::with_capacity(count);
        for (i, (products, shift)) in self.nearest.iter().take(count).enumerate() {
            // |x - e|² is least where x·e - |e|²/2 is largest
            let row = products.forward(&rest, Some(shift))?.argmax(D::Minus1)?;
            let book = self.table.narrow(0, i * self.codes, self.codes)?;
            rest = (rest - embedding_sum(&row.unsqueeze(2)?, &book)?)?;
            rows.push(row);
        }
        Tensor::stack(&rows, 1)
    }

    /// Rows of codes (batch, rows, frames) to the sums of their vectors, (batch, size, frames).
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        let (_, rows, _) = codes.dims3()?;
        let first = (0..rows).map(|i| (i * self.codes) as u32).collect::<Vec<_>>();
        let places = codes.broadcast_add(&Tensor::from_vec(first, (1, rows, 1), codes.device())?)?;
        swap(&embedding_sum(&places.transpose(1, 2)?.contiguous()?, &self.table)?)
    }
}
