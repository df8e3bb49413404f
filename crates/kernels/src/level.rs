//! Which instructions the processor has, and loops compiled for each set of them.

use pulp::{Simd, WithSimd};
use std::sync::OnceLock;

/// A set of instructions; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on AArch64.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL.
    Avx512,
    /// Products of bytes and of bf16 besides (VNNI, BF16).
    Avx512Products,
}

impl Level {
    /// All that can be, the least first.
    pub const ALL: [Level; 4] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Avx512Products];

    /// The word for it in `ATELIER_LEVEL`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Products => "avx512-products",
        }
    }
}

/// The highest level that this machine has.
pub fn present() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let has_512 = pulp::x86::V4::try_new().is_some();
        if has_512 && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bf16") {
            return Level::Avx512Products;
        }
        if has_512 {
            return Level::Avx512;
        }
        if pulp::x86::V3::try_new().is_some() {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// The level that the operators of this crate use: the highest present, or what the environment variable
/// `ATELIER_LEVEL` names if that is lower.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wished = std::env::var("ATELIER_LEVEL").unwrap_or_default();
        let wished = Level::ALL.into_iter().find(|level| level.name() == wished);
        wished.unwrap_or(Level::Avx512Products).min(present())
    })
}

/// The levels that this machine can run, for tests of each.
pub fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= present())
}

/// Runs `f` compiled for a level, so that its loops use that level's registers. `f`, and what it calls, must be
/// `#[inline(always)]`; it must not start other threads' work, which would run on the portable level.
#[inline(always)]
pub fn compiled<R>(level: Level, f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if level >= Level::Avx512
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            return simd.vectorize(f);
        }
        if level >= Level::Avx2
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            return simd.vectorize(f);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = level;
    f()
}

/// Runs an operation written for any register width on that of a level. Unlike [`compiled`] it can ask for a fused
/// multiplication and addition, which the portable level does in two steps.
#[inline(always)]
pub fn dispatched<O: WithSimd>(level: Level, operation: O) -> O::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if level >= Level::Avx512
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            return Simd::vectorize(simd, operation);
        }
        if level >= Level::Avx2
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            return Simd::vectorize(simd, operation);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        return Simd::vectorize(simd, operation);
    }
    Simd::vectorize(pulp::Scalar::new(), operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_up_to_the_present_one_computes_the_same() {
        assert!(levels().any(|level| level == Level::Portable));
        for level in levels() {
            let squares = compiled(
                level,
                #[inline(always)]
                || (0..1000u64).map(|x| x * x).sum::<u64>(),
            );
            assert_eq!(squares, 332_833_500, "{level:?}");
        }
    }
}
