//! Registers of 32-bit lanes: four bytes, an integer or a f32 in each.

pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_256;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_512;

/// Registers of a level.
///
/// All functions need the instructions of their level; pointers may be of any alignment, and as many values as there
/// are lanes lie at them (four times as many bytes at those of [`Unit::load`] and [`Unit::put`]).
#[allow(unsafe_code)]
pub(super) trait Unit {
    /// Four bytes a lane.
    type Bytes: Copy;
    /// An integer a lane.
    type Ints: Copy;
    /// A f32 a lane.
    type Floats: Copy;
    /// Lanes in a register; they divide 16.
    const LANES: usize;
    /// Whether [`Unit::dot`] takes bytes of eight bits with a sign.
    const SIGNED: bool;
    unsafe fn load(at: *const u8) -> Self::Bytes;
    unsafe fn put(bytes: Self::Bytes, at: *mut u8);
    unsafe fn and(bytes: Self::Bytes, mask: u8) -> Self::Bytes;
    /// Shifted by so many bits to the left, or to the right if fewer than none; bits that come over from a neighbour
    /// are of no use.
    unsafe fn shift(bytes: Self::Bytes, left: i32) -> Self::Bytes;
    /// `low | high & mask`.
    unsafe fn merge(low: Self::Bytes, high: Self::Bytes, mask: u8) -> Self::Bytes;
    unsafe fn ints(value: i32) -> Self::Ints;
    /// Adds in each lane the four products with the signed bytes of `x`, which are at least -127. The other bytes have
    /// no sign and are below 64; or, where `wide`, any, signed where [`Unit::SIGNED`].
    unsafe fn dot(wide: bool, sum: Self::Ints, bytes: Self::Bytes, x: u32) -> Self::Ints;
    unsafe fn floats(ints: Self::Ints) -> Self::Floats;
    /// Reads f16.
    unsafe fn halves(at: *const u8) -> Self::Floats;
    /// Reads signed bytes.
    unsafe fn small(at: *const u8) -> Self::Floats;
    unsafe fn singles(at: *const f32) -> Self::Floats;
    /// Reads the first few; zeros follow.
    unsafe fn some(at: *const f32, count: usize) -> Self::Floats;
    /// Writes the first few.
    unsafe fn put_some(values: Self::Floats, at: *mut f32, count: usize);
    unsafe fn splat(value: f32) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a b + c`
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `c - a b`
    unsafe fn fnma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
}

/// The f32 of an f16's bits.
#[inline(always)]
pub(super) fn widened(half: u16) -> f32 {
    let (sign, rest) = ((half as u32 & 0x8000) << 16, (half as u32 & 0x7fff) << 13);
    // the exponent is off by 112; a multiplication also puts right those that have none
    let value = (f32::from_bits(rest) * f32::from_bits((112 + 127) << 23)).to_bits();
    let infinite = if rest >= 0x7c00 << 13 { 0xff << 23 } else { 0 };
    f32::from_bits(value | infinite | sign)
}
