//! What data are told apart by.

/// A hash of numbers in their order (FNV-1a, of whole numbers for bytes), the same on every machine: fingerprints are made of it,
/// and shares that stay the same when more comes.
pub fn hash<N: Into<u64>>(numbers: impl IntoIterator<Item = N>) -> u64 {
    let step = |hash: u64, number: N| (hash ^ number.into()).wrapping_mul(0x0100_0000_01b3);
    numbers.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_hash_as_published() {
        assert_eq!(hash(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(*b"foobar"), 0x8594_4171_f739_67e8);
        assert_ne!(hash([1u32, 2]), hash([2u32, 1]));
    }
}
