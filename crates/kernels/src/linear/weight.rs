//! Weights packed once, in f32, bf16 or bytes.

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};
use half::bf16;

use super::{check, composite, lanes, with_last};
use crate::gemm::blocks::{Dequantise, Target};
use crate::gemm::lanes::{View, bits};
use crate::gemm::packed::Panels;
use crate::gemm::tile::Kind;
use crate::gemm::{Then, Threads};
use crate::level::{Level, level, present};
use crate::rows::{own, read};

/// The weight of a linear map, packed for this processor: for inference, since it has no gradient.
///
/// On other devices, and where candle's operators are asked for, it stays a tensor.
pub struct Weight {
    inputs: usize,
    outputs: usize,
    form: Form,
}

enum Form {
    Tensor(Tensor),
    Single(Panels),
    Pair(Panels),
    Quad { panels: Panels, scales: Vec<f32>, corrections: Vec<i32> },
}

/// The most inputs of a weight of bytes: so many products of two bytes fit in a sum of 32 bits.
const MOST_BYTES: usize = 1 << 16;

/// What unsigned bytes are above the signed ones that they stand for.
const OFFSET: i32 = 128;

impl Weight {
    /// Keeps an (out, in) weight in f32.
    pub fn f32(weight: &Tensor) -> Result<Self> {
        Self::new(weight, Kind::Single, level())
    }

    /// Keeps an (out, in) weight in bf16, rounded to the nearest. The inputs are rounded too where the processor
    /// multiplies bf16, and widened weights are multiplied with them elsewhere: within 1e-2 of the largest output.
    pub fn bf16(weight: &Tensor) -> Result<Self> {
        Self::new(weight, Kind::Pair, level())
    }

    /// Keeps an (out, in) weight in bytes with a scale for each output. Each row of the inputs is quantised likewise
    /// when it comes; a row with a NaN or an infinity gives NaN.
    ///
    /// # Errors
    /// For more than 65,536 inputs.
    pub fn int8(weight: &Tensor) -> Result<Self> {
        Self::new(weight, Kind::Quad, level())
    }

    /// Packs for a level, which must be present.
    pub(super) fn new(weight: &Tensor, kind: Kind, level: Level) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        if kind == Kind::Quad && inputs > MOST_BYTES {
            refuse!("a weight of bytes has at most {MOST_BYTES} inputs, this one {inputs}");
        }
        if level > present() {
            refuse!("a weight for {}, which this processor lacks", level.name());
        }
        let weight = weight.detach().contiguous()?;
        let single = weight.to_dtype(if weight.dtype() == DType::BF16 { DType::BF16 } else { DType::F32 })?;
        let form = if !own(&Tensor::zeros(1, DType::F32, weight.device())?) {
            Form::Tensor(single)
        } else {
            let (storage, layout) = single.storage_and_layout();
            let Storage::Cpu(storage) = &*storage else { refuse!("a weight on the processor, and not") };
            let (start, end) = layout.contiguous_offsets().unwrap_or_default();
            match storage {
                CpuStorage::BF16(values) => {
                    Form::packed_bf16(level, kind, &values[start..end], outputs, inputs)
                }
                storage => {
                    Form::packed(level, kind, &storage.as_slice::<f32>()?[start..end], outputs, inputs)
                }
            }
        };
        Ok(Self { inputs, outputs, form })
    }

    /// How many values a row of the inputs has.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many values a row of the outputs has.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// (..., in) to (..., out), plus (out).
    pub fn forward(&self, xs: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        check(xs, self.inputs, self.outputs, bias)?;
        let dtype = xs.dtype();
        if let Form::Tensor(weight) = &self.form {
            return composite(xs, &weight.to_dtype(dtype)?, bias);
        }
        let xs = xs.to_dtype(DType::F32)?.contiguous()?;
        let bias = bias.map(|bias| bias.to_dtype(DType::F32)?.contiguous()).transpose()?;
        let count = xs.dims()[..xs.rank() - 1].iter().product();
        let ys = match &bias {
            Some(bias) => read([&xs, bias], |[xs, bias]| self.rows(xs, count, Some(bias)))?,
            None => read([&xs], |[xs]| self.rows(xs, count, None))?,
        };
        Tensor::from_vec(ys, with_last(xs.dims(), self.outputs), &Device::Cpu)?.to_dtype(dtype)
    }

    /// The outputs of so many rows.
    fn rows(&self, xs: &[f32], count: usize, bias: Option<&[f32]>) -> Vec<f32> {
        let mut ys = Vec::with_capacity(count * self.outputs);
        let target = Target { values: ys.as_mut_ptr(), stride: self.outputs };
        let (lanes, scales);
        let (panels, values, dequantise) = match &self.form {
            Form::Tensor(_) => return ys,
            Form::Single(panels) => (panels, bits(xs), None),
            Form::Pair(panels) if Panels::widens(panels.level(), Kind::Pair) => {
                if self.inputs.is_multiple_of(2) {
                    (panels, bits(xs), None)
                } else {
                    scales = lanes::even(xs, self.inputs);
                    (panels, bits(&scales), None)
                }
            }
            Form::Pair(panels) => {
                lanes = lanes::pairs(panels.level(), xs, self.inputs);
                (panels, &lanes[..], None)
            }
            Form::Quad { panels, scales: columns, corrections } => {
                (lanes, scales) =
                    lanes::quads(panels.level(), xs, (count, self.inputs), offset(panels.level()));
                (panels, &lanes[..], Some(Dequantise { rows: &scales, columns, corrections }))
            }
        };
        let depth =
            if Panels::widens(panels.level(), self.form.kind()) { 2 * panels.depth } else { panels.depth };
        let view = View::new(values, (depth, 1));
        // SAFETY: the capacity is that of the product, which writes all of it.
        #[allow(unsafe_code)]
        unsafe {
            panels.product(view, count, dequantise, (target, false), Threads::All, Then::bias(bias));
            ys.set_len(count * self.outputs);
        }
        ys
    }
}

/// What is added to the bytes of the inputs: the instruction of the highest level takes them unsigned.
fn offset(level: Level) -> i32 {
    if level == Level::Avx512Products { OFFSET } else { 0 }
}

impl Form {
    fn kind(&self) -> Kind {
        match self {
            Form::Tensor(_) | Form::Single(_) => Kind::Single,
            Form::Pair(_) => Kind::Pair,
            Form::Quad { .. } => Kind::Quad,
        }
    }

    fn packed(level: Level, kind: Kind, values: &[f32], outputs: usize, inputs: usize) -> Self {
        let pack = |lanes: &[u32], depth: usize| {
            Panels::new(level, kind, View::new(lanes, (depth, 1)), outputs, depth)
        };
        match kind {
            Kind::Single => Form::Single(pack(bits(values), inputs)),
            Kind::Pair => Form::Pair(pack(&lanes::pairs(level, values, inputs), inputs.div_ceil(2))),
            Kind::Quad => {
                let (lanes, mut scales) = lanes::quads(level, values, (outputs, inputs), 0);
                let depth = inputs.div_ceil(4);
                let panels = pack(&lanes, depth);
                let sum = |lane: &u32| lane.to_le_bytes().iter().map(|&byte| byte as i8 as i32).sum::<i32>();
                let row = |row: usize| lanes[row * depth..][..depth].iter().map(sum).sum::<i32>();
                let mut corrections: Vec<i32> = (0..outputs).map(|i| row(i) * offset(level)).collect();
                scales.resize(panels.padded(), 0.);
                corrections.resize(panels.padded(), 0);
                Form::Quad { panels, scales, corrections }
            }
        }
    }

    fn packed_bf16(level: Level, kind: Kind, values: &[bf16], outputs: usize, inputs: usize) -> Self {
        if kind == Kind::Pair {
            let (lanes, depth) = (lanes::pairs_of(values, inputs), inputs.div_ceil(2));
            let view = View::new(&lanes, (depth, 1));
            return Form::Pair(Panels::new(level, kind, view, outputs, depth));
        }
        let values: Vec<f32> = values.iter().map(|x| x.to_f32()).collect();
        Self::packed(level, kind, &values, outputs, inputs)
    }
}
