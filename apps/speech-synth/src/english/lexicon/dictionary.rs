//! A dictionary in few bytes: sorted words that share their beginnings, each with its phones.

use candle_core::{Error, Result};
use zlib_rs::{DeflateConfig, InflateConfig, compress_bound, compress_slice, decompress_slice};

use crate::english::phones::Phone;

/// The first bytes of a file; the number is that of the format.
const MAGIC: &[u8; 16] = b"atelier-words-1\n";
/// Ends the phones of a word.
const END: u8 = 0xff;
/// Bytes of an unpacked dictionary at most.
const LARGEST: usize = 256 << 20;

/// Words and their phones, sorted.
pub struct Dictionary {
    /// All words, one after the other.
    letters: String,
    /// Where each word begins, and where the last one ends.
    words: Vec<u32>,
    /// All phones.
    phones: Vec<Phone>,
    /// Where those of each word begin, and where the last ones end.
    said: Vec<u32>,
}

fn wrong(what: &str) -> Error {
    Error::Msg(format!("the dictionary is not one: {what}"))
}

impl Dictionary {
    /// Unpacks a file.
    ///
    /// # Errors
    /// Bytes that are no such file, or a damaged one.
    pub fn unpack(file: &[u8]) -> Result<Self> {
        let rest = file.strip_prefix(MAGIC).ok_or_else(|| wrong("it begins with other bytes"))?;
        let (head, packed) = rest.split_first_chunk::<12>().ok_or_else(|| wrong("it is cut short"))?;
        let number = |place: usize| {
            let bytes = [head[place], head[place + 1], head[place + 2], head[place + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        let (count, letters, phones) = (number(0), number(4), number(8));
        let size = count.saturating_add(letters).saturating_add(phones);
        if size > LARGEST {
            return Err(wrong("it is too large"));
        }
        let mut all = vec![0; size];
        let (unpacked, code) = decompress_slice(&mut all, packed, InflateConfig::default());
        if unpacked.len() != size || code as i32 != 0 {
            return Err(wrong("it is damaged"));
        }
        let (shared, rest) = all.split_at(count);
        let (letters, phones) = rest.split_at(letters);
        Self::read(shared, letters, phones)
    }

    /// From how many letters each word shares with the one before, what follows them, and the phones.
    fn read(shared: &[u8], letters: &[u8], phones: &[u8]) -> Result<Self> {
        let mut read = Self { letters: String::new(), words: vec![0], phones: Vec::new(), said: vec![0] };
        let (mut before, mut word) = (String::new(), String::new());
        let mut tails = letters.split(|byte| *byte == b'\n');
        let mut sounds = phones.split(|byte| *byte == END);
        for shared in shared {
            let head = before.get(..usize::from(*shared)).ok_or_else(|| wrong("a word has no beginning"))?;
            let tail = tails.next().and_then(|tail| std::str::from_utf8(tail).ok());
            word.clear();
            word.push_str(head);
            word.push_str(tail.ok_or_else(|| wrong("a word is missing"))?);
            if word <= before {
                return Err(wrong("its words are not sorted"));
            }
            let ids = sounds.next().ok_or_else(|| wrong("a word has no phones"))?;
            for id in ids {
                read.phones.push(Phone::from_id(*id).ok_or_else(|| wrong("a phone is unknown"))?);
            }
            read.letters.push_str(&word);
            read.words.push(read.letters.len() as u32);
            read.said.push(read.phones.len() as u32);
            std::mem::swap(&mut before, &mut word);
        }
        Ok(read)
    }

    /// Packs words, which are sorted and not twice there.
    pub fn pack(words: &[(String, Vec<Phone>)]) -> Vec<u8> {
        let (mut shared, mut letters, mut phones, mut before) = (Vec::new(), Vec::new(), Vec::new(), "");
        for (word, said) in words {
            let alike = before.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count().min(255);
            let alike = (0..=alike).rev().find(|place| word.is_char_boundary(*place)).unwrap_or(0);
            shared.push(alike as u8);
            letters.extend_from_slice(&word.as_bytes()[alike..]);
            letters.push(b'\n');
            phones.extend(said.iter().map(|phone| phone.id()));
            phones.push(END);
            before = word;
        }
        let sizes = [shared.len(), letters.len(), phones.len()].map(|size| (size as u32).to_le_bytes());
        let all = [shared, letters, phones].concat();
        let mut packed = vec![0; compress_bound(all.len())];
        let (packed, _) = compress_slice(&mut packed, &all, DeflateConfig::new(9));
        [&MAGIC[..], &sizes.concat(), packed].concat()
    }

    /// How many words it has.
    pub fn len(&self) -> usize {
        self.words.len() - 1
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The phones of a word.
    pub fn get(&self, word: &str) -> Option<&[Phone]> {
        let of = |place: usize| &self.letters[self.words[place] as usize..self.words[place + 1] as usize];
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match of(middle).cmp(word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return Some(&self.phones[self.said[middle] as usize..self.said[middle + 1] as usize]);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::phones::from_arpabet;

    fn some() -> Vec<(String, Vec<Phone>)> {
        let word = |word: &str, phones: &str| (word.to_string(), from_arpabet(phones).unwrap());
        vec![word("'em", "AH0 M"), word("car", "K AA1 R"), word("card", "K AA1 R D"), word("é", "EY1")]
    }

    #[test]
    fn words_are_found_again() {
        let packed = Dictionary::pack(&some());
        let dictionary = Dictionary::unpack(&packed).unwrap();
        assert_eq!(dictionary.len(), 4);
        for (word, phones) in some() {
            assert_eq!(dictionary.get(&word), Some(phones.as_slice()));
        }
        for word in ["", "ca", "cards", "z", "ê"] {
            assert_eq!(dictionary.get(word), None);
        }
        assert!(Dictionary::unpack(&Dictionary::pack(&[])).unwrap().is_empty());
    }

    #[test]
    fn damage_is_refused() {
        let packed = Dictionary::pack(&some());
        for length in 0..packed.len() {
            assert!(Dictionary::unpack(&packed[..length]).is_err(), "{length} bytes");
        }
        for place in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[place] ^= 0x55;
            // whatever is read is read without a panic
            let _ = Dictionary::unpack(&damaged);
        }
        let mut unsorted = some();
        unsorted.swap(0, 1);
        assert!(Dictionary::unpack(&Dictionary::pack(&unsorted)).is_err());
    }
}
