//! Samples to FLAC files (RFC 9639) of 16 or 24 bits: what WAV says in some two thirds of the size, without loss.
//!
//! Blocks of 4096 samples a channel, each told by how it differs from what a polynomial of its last samples foretells,
//! and these differences in Rice's code, whose parameter is chosen for every 256 of them.

use crate::wav::{Depth, Error};

/// Samples of a channel in a block.
const BLOCK: usize = 4096;
/// Differences that share a parameter.
const PART: usize = 256;

/// The bytes of a FLAC file of interleaved `samples` (full scale is -1 to 1), rounded as in a WAV file of that depth.
///
/// # Errors
/// As [`crate::wav::write_as`]; more than 8 channels, a rate of 2^20 or more, floats.
pub fn encode(samples: &[f32], channels: u16, rate: u32, depth: Depth) -> Result<Vec<u8>, Error> {
    let shape = || Error::Shape { samples: samples.len(), channels, rate };
    let mut encoder = Encoder::new(channels, rate, depth).map_err(|_| shape())?;
    if !samples.len().is_multiple_of(encoder.channels) {
        return Err(shape());
    }
    let mut bytes = encoder.header((samples.len() / encoder.channels) as u64);
    bytes.append(&mut encoder.take(samples)?);
    bytes.append(&mut encoder.finish());
    Ok(bytes)
}

/// FLAC block by block, for sound that is not yet at its end: [`Encoder::header`], then what [`Encoder::take`] and at last
/// [`Encoder::finish`] give.
#[derive(Debug)]
pub struct Encoder {
    channels: usize,
    rate: u32,
    depth: Depth,
    /// Interleaved samples that do not fill a block yet.
    waiting: Vec<i32>,
    blocks: u64,
}

impl Encoder {
    /// # Errors
    /// No channel or more than 8, a rate of 0 or of 2^20 or more, floats.
    pub fn new(channels: u16, rate: u32, depth: Depth) -> Result<Self, Error> {
        if !(1..=8).contains(&channels) || !(1..1 << 20).contains(&rate) || depth == Depth::Float {
            return Err(Error::Shape { samples: 0, channels, rate });
        }
        Ok(Self { channels: channels.into(), rate, depth, waiting: Vec::new(), blocks: 0 })
    }

    fn bits(&self) -> u32 {
        8 * u32::from(self.depth.bytes())
    }

    /// What a file begins with, of so many samples a channel; 0 where nobody knows.
    pub fn header(&self, samples: u64) -> Vec<u8> {
        let mut file = Bits::default();
        file.bytes.extend_from_slice(b"fLaC");
        // the only block of metadata, and its length
        file.put(0x80, 8);
        file.put(34, 24);
        file.put(BLOCK as u64, 16);
        file.put(BLOCK as u64, 16);
        // the sizes of frames are not told
        file.put(0, 48);
        file.put(self.rate.into(), 20);
        file.put(self.channels as u64 - 1, 3);
        file.put(u64::from(self.bits()) - 1, 5);
        file.put(samples, 36);
        // nor is a checksum of all
        file.put(0, 64);
        file.put(0, 64);
        file.bytes
    }

    /// The blocks that interleaved samples fill.
    ///
    /// # Errors
    /// A sample that is no number.
    pub fn take(&mut self, samples: &[f32]) -> Result<Vec<u8>, Error> {
        if let Some((index, &value)) = samples.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(Error::NotFinite { index, value });
        }
        self.waiting.extend(samples.iter().map(|sample| self.depth.round(*sample)));
        let whole = self.waiting.len() / (BLOCK * self.channels) * (BLOCK * self.channels);
        Ok(self.frames(whole))
    }

    /// The last block.
    pub fn finish(&mut self) -> Vec<u8> {
        self.frames(self.waiting.len() / self.channels * self.channels)
    }

    /// Samples a channel that have come and are in no block yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() / self.channels
    }

    fn frames(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for block in self.waiting[..count].chunks(BLOCK * self.channels) {
            frame(&mut bytes, self.blocks, block, self.channels, self.bits());
            self.blocks += 1;
        }
        self.waiting.drain(..count);
        bytes
    }
}

fn frame(file: &mut Vec<u8>, number: u64, block: &[i32], channels: usize, bits: u32) {
    let mut out = Bits::default();
    // blocks of one size; its length comes below, rate and depth are told above
    out.put(0xfff8, 16);
    out.put(0x70, 8);
    out.put((channels as u64 - 1) << 4, 8);
    out.number(number);
    out.put((block.len() / channels - 1) as u64, 16);
    out.put(crc8(&out.bytes).into(), 8);
    for channel in 0..channels {
        let samples: Vec<i64> = block.iter().skip(channel).step_by(channels).map(|&x| i64::from(x)).collect();
        subframe(&mut out, &samples, bits);
    }
    out.fill();
    let sum = crc16(&out.bytes);
    out.put(sum.into(), 16);
    file.append(&mut out.bytes);
}

fn subframe(out: &mut Bits, samples: &[i64], bits: u32) {
    if samples.iter().all(|sample| *sample == samples[0]) {
        out.put(0, 8);
        out.signed(samples[0], bits);
        return;
    }
    // what is left over after each order of prediction
    let mut orders = vec![samples.to_vec()];
    for order in 1..=4.min(samples.len() - 1) {
        let last = &orders[order - 1];
        orders.push(last.windows(2).map(|pair| pair[1] - pair[0]).collect());
    }
    let size = |order: usize| orders[order].iter().map(|x| x.unsigned_abs()).sum::<u64>();
    let order = (0..orders.len()).min_by_key(|order| size(*order)).unwrap_or(0);
    out.put(0x10 | ((order as u64) << 1), 8);
    samples[..order].iter().for_each(|sample| out.signed(*sample, bits));
    // parameters of five bits; in parts where the block is whole
    let parts = if samples.len() == BLOCK { BLOCK / PART } else { 1 };
    out.put(1, 2);
    out.put(parts.trailing_zeros().into(), 4);
    let mut rest = &orders[order][..];
    for part in 0..parts {
        let length = samples.len() / parts - if part == 0 { order } else { 0 };
        let (now, later) = rest.split_at(length);
        rice(out, now);
        rest = later;
    }
}

fn rice(out: &mut Bits, values: &[i64]) {
    // small and positive: 0, -1, 1, -2, 2 ...
    let folded: Vec<u64> = values.iter().map(|&x| ((x << 1) ^ (x >> 63)) as u64).collect();
    let mean = folded.iter().sum::<u64>() / folded.len().max(1) as u64;
    let parameter = (64 - (mean / 2).leading_zeros()).min(30);
    out.put(parameter.into(), 5);
    for value in folded {
        for _ in 0..value >> parameter {
            out.put(0, 1);
        }
        out.put(1, 1);
        out.put(value & ((1 << parameter) - 1), parameter);
    }
}

/// Bits one after the other, the highest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are still free.
    free: u32,
}

impl Bits {
    fn put(&mut self, value: u64, mut count: u32) {
        while count > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = count.min(self.free);
            let part = (value >> (count - now)) & ((1 << now) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - now)) as u8;
            }
            self.free -= now;
            count -= now;
        }
    }

    fn signed(&mut self, value: i64, count: u32) {
        self.put(value as u64 & ((1 << count) - 1), count);
    }

    /// A number as UTF-8 would write it.
    fn number(&mut self, number: u64) {
        if number < 0x80 {
            return self.put(number, 8);
        }
        let more = (2..7).find(|bytes| number < 1 << (5 * bytes + 1)).unwrap_or(7) - 1;
        self.put(((0xff00 >> (more + 1)) & 0xff) | (number >> (6 * more)), 8);
        for i in (0..more).rev() {
            self.put(0x80 | ((number >> (6 * i)) & 0x3f), 8);
        }
    }

    /// Zeros to the end of the byte.
    fn fill(&mut self) {
        self.free = 0;
    }
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ byte, |sum, _| (sum << 1) ^ if sum & 0x80 > 0 { 0x07 } else { 0 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            (sum << 1) ^ if sum & 0x8000 > 0 { 0x8005 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_utf_8() {
        for number in [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xffff, 0x10000, 0x10_ffff] {
            let mut bits = Bits::default();
            bits.number(number);
            let text = char::from_u32(number as u32).unwrap().to_string();
            assert_eq!(bits.bytes, text.as_bytes(), "{number:x}");
        }
        let mut bits = Bits::default();
        bits.number(0x7fff_ffff);
        assert_eq!(bits.bytes, [0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf]);
    }

    #[test]
    fn checksums_are_the_formats() {
        // of the digits 1 to 9, as catalogues of such sums give them
        assert_eq!((crc8(b"123456789"), crc16(b"123456789")), (0xf4, 0xfee8));
    }
}
