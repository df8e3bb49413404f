//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), with the two counters that PyTorch's state stores.

/// Words of state.
pub(super) const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// A 32-bit generator of period 2^19937 - 1.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) words: [u32; WORDS],
    /// Draws until the words are renewed, that draw included.
    pub(super) left: u32,
    /// The word that the next draw reads, unless the words are renewed first.
    pub(super) next: u32,
}

impl Engine {
    /// Only the low 32 bits of a seed reach the words, in PyTorch too.
    pub(super) fn new(seed: u64) -> Self {
        let mut words = [0; WORDS];
        let mut word = seed as u32;
        for (index, slot) in words.iter_mut().enumerate() {
            if index > 0 {
                word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(index as u32);
            }
            *slot = word;
        }
        Self { words, left: 1, next: 0 }
    }

    /// The counters that occur: those of a fresh generator, or a place within the words.
    pub(super) fn counters_are_valid(left: u32, next: u32) -> bool {
        (left, next) == (1, 0) || ((1..=WORDS as u32).contains(&left) && left.checked_add(next) == Some(625))
    }

    pub(super) fn draw(&mut self) -> u32 {
        self.left -= 1;
        if self.left == 0 {
            self.renew();
        }
        let mut word = self.words[self.next as usize];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn renew(&mut self) {
        let words = &mut self.words;
        let far = WORDS - MIDDLE;
        for index in 0..far {
            words[index] = words[index + MIDDLE] ^ twist(words[index], words[index + 1]);
        }
        for index in far..WORDS - 1 {
            words[index] = words[index - far] ^ twist(words[index], words[index + 1]);
        }
        words[WORDS - 1] = words[MIDDLE - 1] ^ twist(words[WORDS - 1], words[0]);
        self.left = WORDS as u32;
        self.next = 0;
    }
}

fn twist(word: u32, after: u32) -> u32 {
    let joined = (word & 0x8000_0000) | (after & 0x7fff_ffff);
    (joined >> 1) ^ if after & 1 == 1 { 0x9908_b0df } else { 0 }
}
