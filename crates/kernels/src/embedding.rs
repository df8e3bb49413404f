//! Rows of a table by their numbers, and sums of several; forward and backward.

use crate::fresh;
use crate::gradients::Recorded;
use crate::level::level;
use crate::rows;
use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Stands in a bag of [`embedding_sum`] where it has no further id.
pub const NOTHING: u32 = u32::MAX;

/// Ids (...) of any integer format to rows of `weight` (count, size): (..., size).
pub fn embedding(ids: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (_, size) = weight.dims2()?;
    if !rows::own(weight) {
        let rows = weight.index_select(&ids.flatten_all()?, 0)?;
        return rows.reshape([ids.dims(), &[size]].concat());
    }
    Bags { ids: numbers(ids)?, count: 1, shape: [ids.dims(), &[size]].concat() }.apply(weight, false)
}

/// A bag of u32 ids a place: (..., count) to the sums of their rows of `weight`, (..., size). [`NOTHING`] adds nothing.
pub fn embedding_sum(ids: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !rows::own(weight) {
        return composite(ids, weight);
    }
    let count = ids.dim(D::Minus1)?;
    let places = &ids.dims()[..ids.rank() - 1];
    let shape = [places, &[weight.dim(1)?]].concat();
    Bags { ids: numbers(ids)?, count, shape }.apply(weight, true)
}

/// The numbers of a tensor of ids.
pub(crate) fn numbers(ids: &Tensor) -> Result<Vec<u32>> {
    if let (true, DType::I64) = (ids.device().is_cpu(), ids.dtype()) {
        let number = |id: i64| {
            u32::try_from(id).map_err(|_| candle_core::Error::Msg(format!("id {id} is no number of a row")))
        };
        return ids.flatten_all()?.to_vec1::<i64>()?.into_iter().map(number).collect();
    }
    ids.flatten_all()?.to_dtype(DType::U32)?.to_vec1()
}

fn composite(ids: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let size = weight.dim(1)?;
    let shape = [ids.dims(), &[size]].concat();
    let flat = ids.flatten_all()?;
    let some = flat.ne(NOTHING)?;
    let rows = weight.index_select(&some.where_cond(&flat, &flat.zeros_like()?)?, 0)?;
    let rows = rows.broadcast_mul(&some.to_dtype(weight.dtype())?.unsqueeze(1)?)?;
    rows.reshape(shape)?.sum(D::Minus2)
}

struct Bags {
    ids: Vec<u32>,
    /// Ids in a bag.
    count: usize,
    shape: Vec<usize>,
}

impl Bags {
    fn apply(self, weight: &Tensor, gaps: bool) -> Result<Tensor> {
        let table = weight.dim(0)?;
        if let Some(id) = self.ids.iter().find(|&&id| id as usize >= table && !(gaps && id == NOTHING)) {
            refuse!("id {id} is not in a table of {table}");
        }
        weight.contiguous()?.recorded1(self)
    }
}

impl CustomOp1 for Bags {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, weight: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, size) = layout.shape().dims2()?;
        let weight = rows::values(weight, layout)?;
        let shape = Shape::from(self.shape.as_slice());
        let places = shape.elem_count() / size.max(1);
        let ([ys], _) = fresh::rows(
            level(),
            (places, size),
            || (),
            #[inline(always)]
            |_, place, [y], _| {
                let ids = &self.ids[place * self.count..][..self.count];
                let mut rows =
                    ids.iter().filter(|&&id| id != NOTHING).map(|&id| &weight[id as usize * size..][..size]);
                let Some(first) = rows.next() else { return };
                let y = y.write(
                    [first],
                    #[inline(always)]
                    |[x]| x,
                );
                for row in rows {
                    y.iter_mut().zip(row).for_each(|(y, x)| *y += x);
                }
            },
        );
        Ok((CpuStorage::F32(ys), shape))
    }

    fn bwd(&self, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (table, size) = weight.dims2()?;
        let (starts, places) = uses(&self.ids, self.count, table);
        let mut weight_grad = vec![0f32; table * size];
        let per_task = rows::rows_per_task(size);
        rows::read([&grad.contiguous()?], |[grad]| {
            // a row's uses in their order, so that the sum is the same for any number of threads
            let task = |(task, rows): (usize, &mut [f32])| {
                for (id, sum) in (task * per_task..).zip(rows.chunks_exact_mut(size)) {
                    for &place in &places[starts[id] as usize..starts[id + 1] as usize] {
                        let grad = &grad[place as usize * size..][..size];
                        sum.iter_mut().zip(grad).for_each(|(sum, g)| *sum += g);
                    }
                }
            };
            if size > 0 {
                weight_grad.par_chunks_mut(per_task * size).enumerate().for_each(task);
            }
        })?;
        Tensor::from_vec(weight_grad, (table, size), weight.device()).map(Some)
    }
}

// The places that each id stands at, in their order: those of `id` from `starts[id]` to `starts[id + 1]`.
pub(crate) fn uses(ids: &[u32], count: usize, table: usize) -> (Vec<u32>, Vec<u32>) {
    let some = || ids.iter().enumerate().filter(|&(_, &id)| id != NOTHING);
    let mut starts = vec![0u32; table + 1];
    some().for_each(|(_, &id)| starts[id as usize + 1] += 1);
    for id in 0..table {
        starts[id + 1] += starts[id];
    }
    let mut next = starts.clone();
    let mut places = vec![0u32; starts[table] as usize];
    for (i, &id) in some() {
        places[next[id as usize] as usize] = (i / count.max(1)) as u32;
        next[id as usize] += 1;
    }
    (starts, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{compare, random};
    use candle_core::Device;

    #[test]
    fn rows_and_their_gradients_equal_the_composite() -> Result<()> {
        for (table, size, count) in [(1, 1, 1), (7, 48, 20), (500, 33, 3000), (5, 3, 0)] {
            let weight = random((table, size), 1)?;
            let ids: Vec<u32> = (0..count).map(|i| (i * i % table) as u32).collect();
            let ids = Tensor::from_vec(ids, (count, 1), &Device::Cpu)?;
            let plain = || weight.index_select(&ids.flatten_all()?, 0)?.reshape((count, 1, size));
            compare(&[&weight], || embedding(&ids, &weight), plain)?;
            compare(&[&weight], || embedding(&ids.to_dtype(DType::I64)?, &weight), plain)?;
            let turned = random((size, table), 1)?;
            let own = || embedding(&ids, &turned.t()?);
            compare(&[&turned], own, || {
                turned.t()?.contiguous()?.index_select(&ids.flatten_all()?, 0)?.unsqueeze(1)
            })?;
        }
        let half = random((4, 3), 1)?.to_dtype(DType::F16)?;
        assert_eq!(embedding(&Tensor::new(&[3u32], &Device::Cpu)?, &half)?.dtype(), DType::F16);
        Ok(())
    }

    #[test]
    fn sums_and_their_gradients_equal_the_composite() -> Result<()> {
        let weight = random((7, 48), 1)?;
        let bags: [[[u32; 3]; 2]; 2] = [[[0, 6, 6], [3, NOTHING, NOTHING]], [[NOTHING; 3], [1, 2, 3]]];
        let ids = Tensor::new(&bags, &Device::Cpu)?;
        compare(&[&weight], || embedding_sum(&ids, &weight), || composite(&ids, &weight))?;
        let one = ids.narrow(2, 1, 1)?;
        compare(&[&weight], || embedding_sum(&one, &weight), || composite(&one, &weight))?;
        let many = Tensor::from_vec((0..9000).map(|i| i % 7).collect::<Vec<u32>>(), (3000, 3), &Device::Cpu)?;
        compare(&[&weight], || embedding_sum(&many, &weight), || composite(&many, &weight))?;
        assert_eq!(embedding_sum(&ids.narrow(2, 0, 0)?, &weight)?.sum_all()?.to_scalar::<f32>()?, 0.);
        Ok(())
    }

    #[test]
    fn an_id_beyond_the_table_is_refused() -> Result<()> {
        let weight = random((7, 4), 1)?;
        let error = embedding_sum(&Tensor::new(&[[7u32, 1]], &Device::Cpu)?, &weight).unwrap_err();
        assert!(error.to_string().contains("id 7 is not in a table of 7"), "{error}");
        assert!(embedding(&Tensor::new(&[NOTHING], &Device::Cpu)?, &weight).is_err());
        assert!(embedding(&Tensor::new(&[-1i64], &Device::Cpu)?, &weight).is_err());
        Ok(())
    }
}
