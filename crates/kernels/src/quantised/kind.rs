//! The formats: how many values and bytes a block has, and its fields taken apart.
//!
//! A value is `scale * (number - offset) - minimum`. In blocks of 32 values scale and minimum are f16. In blocks of 256
//! they are products of an f16 for the block and a small integer for each group of 32 or 16 values.

use candle_core::quantized::GgmlDType;

/// A format of GGUF files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Kind {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Values that share one scale of the activations, and the least block.
pub(super) const BLOCK: usize = 32;

/// Numbers in a lane of 32 bits.
pub(super) const QUAD: usize = 4;

/// The most lanes of numbers of a block.
const QUADS: usize = 256 / QUAD;

/// A block taken apart; of a block of 32 values, the first of each.
pub(super) struct Fields {
    /// Numbers without sign, four to a lane.
    pub quads: [u32; QUADS],
    /// The scales of the groups.
    pub scales: [i8; 16],
    /// The minima of the groups.
    pub minima: [i8; 16],
    /// The bits of the block's scale in f16.
    pub scale: u16,
    /// The bits of the block's minimum in f16.
    pub minimum: u16,
}

impl Kind {
    /// All.
    pub const ALL: [Kind; 10] = [
        Kind::Q4_0,
        Kind::Q4_1,
        Kind::Q5_0,
        Kind::Q5_1,
        Kind::Q8_0,
        Kind::Q2_K,
        Kind::Q3_K,
        Kind::Q4_K,
        Kind::Q5_K,
        Kind::Q6_K,
    ];

    /// That of candle's name, if it is one of these.
    pub fn of(dtype: GgmlDType) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.dtype() == dtype)
    }

    /// Candle's name.
    pub fn dtype(self) -> GgmlDType {
        match self {
            Kind::Q4_0 => GgmlDType::Q4_0,
            Kind::Q4_1 => GgmlDType::Q4_1,
            Kind::Q5_0 => GgmlDType::Q5_0,
            Kind::Q5_1 => GgmlDType::Q5_1,
            Kind::Q8_0 => GgmlDType::Q8_0,
            Kind::Q2_K => GgmlDType::Q2K,
            Kind::Q3_K => GgmlDType::Q3K,
            Kind::Q4_K => GgmlDType::Q4K,
            Kind::Q5_K => GgmlDType::Q5K,
            Kind::Q6_K => GgmlDType::Q6K,
        }
    }

    /// Values in a block.
    pub fn block(self) -> usize {
        if self.shares() { 256 } else { BLOCK }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        match self {
            Kind::Q4_0 => 18,
            Kind::Q4_1 => 20,
            Kind::Q5_0 => 22,
            Kind::Q5_1 => 24,
            Kind::Q8_0 => 34,
            Kind::Q2_K => 84,
            Kind::Q3_K => 110,
            Kind::Q4_K => 144,
            Kind::Q5_K => 176,
            Kind::Q6_K => 210,
        }
    }

    /// Bits of a number.
    pub(super) fn bits(self) -> usize {
        match self {
            Kind::Q2_K => 2,
            Kind::Q3_K => 3,
            Kind::Q4_0 | Kind::Q4_1 | Kind::Q4_K => 4,
            Kind::Q5_0 | Kind::Q5_1 | Kind::Q5_K => 5,
            Kind::Q6_K => 6,
            Kind::Q8_0 => 8,
        }
    }

    /// What numbers without sign are above those that they stand for.
    pub(super) fn offset(self) -> i32 {
        match self {
            Kind::Q3_K => 4,
            Kind::Q4_0 => 8,
            Kind::Q5_0 => 16,
            Kind::Q6_K => 32,
            Kind::Q8_0 => 128,
            _ => 0,
        }
    }

    /// Whether groups of values share the scale of a block.
    pub(super) fn shares(self) -> bool {
        matches!(self, Kind::Q2_K | Kind::Q3_K | Kind::Q4_K | Kind::Q5_K | Kind::Q6_K)
    }

    /// Groups with a scale of their own in 32 values.
    pub(super) fn groups(self) -> usize {
        if matches!(self, Kind::Q2_K | Kind::Q3_K | Kind::Q6_K) { 2 } else { 1 }
    }

    /// Whether there is a minimum.
    pub(super) fn has_minimum(self) -> bool {
        matches!(self, Kind::Q4_1 | Kind::Q5_1 | Kind::Q2_K | Kind::Q4_K | Kind::Q5_K)
    }

    /// Takes a block of [`Kind::bytes`] apart.
    pub(super) fn fields(self, bytes: &[u8]) -> Fields {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut fields =
            Fields { quads: [0; QUADS], scales: [1; 16], minima: [1; 16], scale: half(0), minimum: 0 };
        match self {
            Kind::Q4_0 => nibbles(&bytes[2..18], &mut fields.quads),
            Kind::Q4_1 => nibbles(&bytes[4..20], &mut fields.quads),
            Kind::Q5_0 => {
                nibbles(&bytes[6..22], &mut fields.quads);
                fifths(&bytes[2..6], &mut fields.quads);
            }
            Kind::Q5_1 => {
                nibbles(&bytes[8..24], &mut fields.quads);
                fifths(&bytes[4..8], &mut fields.quads);
            }
            Kind::Q8_0 => {
                for (out, word) in fields.quads.iter_mut().zip(words(&bytes[2..34])) {
                    *out = word ^ 0x8080_8080;
                }
            }
            Kind::Q2_K => {
                (fields.scale, fields.minimum) = (half(80), half(82));
                for (i, &byte) in bytes[..16].iter().enumerate() {
                    (fields.scales[i], fields.minima[i]) = ((byte & 15) as i8, (byte >> 4) as i8);
                }
                twos(&bytes[16..80], &mut fields.quads);
            }
            Kind::Q3_K => {
                fields.scale = half(108);
                let small = &bytes[96..108];
                for (i, scale) in fields.scales.iter_mut().enumerate() {
                    let low = small[i % 8] >> (4 * (i / 8)) & 15;
                    let high = small[8 + i % 4] >> (2 * (i / 4)) & 3;
                    *scale = (low | high << 4) as i8 - 32;
                }
                twos(&bytes[32..96], &mut fields.quads);
                bit_planes(&bytes[..32], 2, &mut fields.quads);
            }
            Kind::Q4_K => {
                sixes(&bytes[4..16], &mut fields);
                fields.minimum = half(2);
                pairs_of_nibbles(&bytes[16..144], &mut fields.quads);
            }
            Kind::Q5_K => {
                sixes(&bytes[4..16], &mut fields);
                fields.minimum = half(2);
                pairs_of_nibbles(&bytes[48..176], &mut fields.quads);
                bit_planes(&bytes[16..48], 4, &mut fields.quads);
            }
            Kind::Q6_K => {
                fields.scale = half(208);
                for (scale, &byte) in fields.scales.iter_mut().zip(&bytes[192..208]) {
                    *scale = byte as i8;
                }
                sixths(&bytes[..128], &bytes[128..192], &mut fields.quads);
            }
        }
        if matches!(self, Kind::Q4_1 | Kind::Q5_1) {
            // these two add it
            fields.minimum = half(2) ^ 0x8000;
        }
        fields
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four))
}

/// The low halves of the bytes, then the high ones.
fn nibbles(bytes: &[u8], quads: &mut [u32]) {
    for (i, word) in words(bytes).enumerate() {
        quads[i] = word & 0x0f0f_0f0f;
        quads[i + bytes.len() / QUAD] = word >> 4 & 0x0f0f_0f0f;
    }
}

/// The same in parts of 32 bytes.
fn pairs_of_nibbles(bytes: &[u8], quads: &mut [u32]) {
    for (bytes, quads) in bytes.chunks(32).zip(quads.chunks_mut(16)) {
        nibbles(bytes, quads);
    }
}

/// The fifth bits of 32 values in the order of the values.
fn fifths(bytes: &[u8], quads: &mut [u32]) {
    for (i, quad) in quads[..8].iter_mut().enumerate() {
        let four = (bytes[i / 2] >> (4 * (i % 2)) & 15) as u32;
        // bit n comes to lie lowest in byte n
        *quad |= (four.wrapping_mul(0x0020_4081) & 0x0101_0101) << 4;
    }
}

/// Two bits each: of 32 bytes the lowest, then the next, and so on; then of the other 32.
fn twos(bytes: &[u8], quads: &mut [u32]) {
    for (i, quad) in quads.iter_mut().enumerate() {
        let (half, shift, place) = (i / 32, i / 8 % 4, i % 8);
        let word = bytes[(half * 8 + place) * 4..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
        *quad = word >> (2 * shift) & 0x0303_0303;
    }
}

/// A bit each, put in at place `to`: of 32 bytes the lowest, then the next, and so on.
fn bit_planes(bytes: &[u8], to: usize, quads: &mut [u32]) {
    for (shift, quads) in quads.chunks_mut(8).enumerate() {
        for (quad, word) in quads.iter_mut().zip(words(bytes)) {
            *quad |= (word >> shift & 0x0101_0101) << to;
        }
    }
}

/// Six bits each, the high two apart: for each half of the block 32 low nibbles, 32 of the next bytes, their high ones.
fn sixths(low: &[u8], high: &[u8], quads: &mut [u32]) {
    for ((low, high), quads) in low.chunks(64).zip(high.chunks(32)).zip(quads.chunks_mut(32)) {
        nibbles(low, quads);
        for (i, word) in words(high).enumerate() {
            for part in 0..4 {
                quads[part * 8 + i] |= (word >> (2 * part) & 0x0303_0303) << 4;
            }
        }
    }
}

/// Eight scales and minima of six bits in twelve bytes.
fn sixes(bytes: &[u8], fields: &mut Fields) {
    for i in 0..4 {
        let (scale, minimum, rest) = (bytes[i], bytes[i + 4], bytes[i + 8]);
        (fields.scales[i], fields.minima[i]) = ((scale & 63) as i8, (minimum & 63) as i8);
        fields.scales[i + 4] = (rest & 15 | scale >> 6 << 4) as i8;
        fields.minima[i + 4] = (rest >> 4 | minimum >> 6 << 4) as i8;
    }
}
