//! Unicode's many ways to write the same, folded to few, with the place of each byte in what was written.

use std::ops::Range;

/// A part of a text in which quotes, dashes, spaces and letters with accents are ASCII's, and what is not said is gone.
pub struct Folded<'a> {
    /// As it was.
    part: &'a str,
    /// What is left.
    pub text: String,
    /// Where each byte of it begins in the original, and where the character that it came from ends.
    places: Vec<(u32, u32)>,
    /// The place of the part in the whole text.
    start: usize,
}

impl<'a> Folded<'a> {
    /// Folds a part of a text that begins at byte `start` of the whole.
    pub fn new(part: &'a str, start: usize) -> Self {
        let mut folded = Self {
            part,
            text: String::with_capacity(part.len()),
            places: Vec::with_capacity(part.len()),
            start,
        };
        let mut buffer = [0; 4];
        for (place, letter) in part.char_indices() {
            let same = fold(letter);
            let text = if same == "\0" { &*letter.encode_utf8(&mut buffer) } else { same };
            folded.text.push_str(text);
            if let (true, Some(last)) = (text.is_empty(), folded.places.last_mut()) {
                // an accent belongs to its letter
                last.1 = (place + letter.len_utf8()) as u32;
            }
            let whole = (place as u32, (place + letter.len_utf8()) as u32);
            folded.places.extend(std::iter::repeat_n(whole, text.len()));
        }
        folded
    }

    /// What a range of the folded text was.
    pub fn source(&self, range: Range<usize>) -> &'a str {
        let original = self.original(range);
        self.part.get(original.start - self.start..original.end - self.start).unwrap_or_default()
    }

    /// The bytes of the whole text that a range of the folded one stands for.
    pub fn original(&self, range: Range<usize>) -> Range<usize> {
        let at = |place: usize| self.places.get(place).map(|(start, end)| (*start as usize, *end as usize));
        let end = self.places.last().map_or(0, |(_, end)| *end as usize);
        let first = at(range.start).map_or(end, |(start, _)| start);
        let last = if range.is_empty() { first } else { at(range.end - 1).map_or(end, |(_, end)| end) };
        self.start + first..self.start + last.max(first)
    }
}

/// What a character is folded to; `"\0"` where it stays as it is.
fn fold(letter: char) -> &'static str {
    match letter {
        '\n' | ' '..='~' => "\0",
        '\u{85}' | '\u{2028}' => "\n",
        '\r' | '\t' | '\u{b}' | '\u{c}' => " ",
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => " ",
        '\u{2029}' => "\n\n",
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '‘' | '’' | 'ʼ' | '‛' | '′' | '´' | '＇' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' | '＂' => "\"",
        '‹' | '›' | '‚' => " ",
        '‐' | '‑' | '−' | '﹣' | '－' => "-",
        '–' | '—' | '―' | '‒' => "\0",
        '…' => "...",
        '¿' | '¡' => "",
        '。' | '．' => ".",
        '，' | '、' => ",",
        '！' => "!",
        '？' => "?",
        '：' => ":",
        '；' => ";",
        '（' => "(",
        '）' => ")",
        '％' => "%",
        '＄' => "$",
        '＆' => "&",
        '＋' => "+",
        '＝' => "=",
        '＠' => "@",
        '＃' => "#",
        '／' => "/",
        'º' | '˚' => "°",
        'µ' => "μ",
        '\u{2126}' => "Ω",
        'Æ' | 'Ǣ' => "AE",
        'æ' | 'ǣ' => "ae",
        'Œ' => "OE",
        'œ' => "oe",
        'ß' => "ss",
        'Þ' => "Th",
        'þ' => "th",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        '℃' => "°C",
        '℉' => "°F",
        '№' => "No.",
        '™' | '®' | '℠' => "",
        // accents that stand by themselves, marks of direction, what joins and varies emoji
        '\u{300}'..='\u{36f}'
        | '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' => "",
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => "",
        '\u{ff10}'..='\u{ff19}' => digit(letter as u32 - 0xff10),
        '\u{ff21}'..='\u{ff3a}' => ascii(b'A' + (letter as u32 - 0xff21) as u8),
        '\u{ff41}'..='\u{ff5a}' => ascii(b'a' + (letter as u32 - 0xff41) as u8),
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => latin(letter),
        _ => "\0",
    }
}

fn digit(value: u32) -> &'static str {
    ascii(b'0' + value as u8)
}

/// A character of ASCII as a string.
fn ascii(byte: u8) -> &'static str {
    const ALL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    ALL.bytes().position(|known| known == byte).map_or("", |place| &ALL[place..=place])
}

/// Letters with accents, by the letter that they are said as.
const LATIN: [(&str, &str); 46] = [
    ("ÀÁÂÃÄÅĀĂĄǍǺẠẢẤẦẨẪẬẮẰẲẴẶ", "A"),
    ("àáâãäåāăąǎǻạảấầẩẫậắằẳẵặ", "a"),
    ("ÇĆĈĊČ", "C"),
    ("çćĉċč", "c"),
    ("ÐĎĐ", "D"),
    ("ðďđ", "d"),
    ("ÈÉÊËĒĔĖĘĚẸẺẼẾỀỂỄỆ", "E"),
    ("èéêëēĕėęěẹẻẽếềểễệ", "e"),
    ("ĜĞĠĢǦ", "G"),
    ("ĝğġģǧ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ÌÍÎÏĨĪĬĮİǏỈỊ", "I"),
    ("ìíîïĩīĭįıǐỉị", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ÑŃŅŇŊ", "N"),
    ("ñńņňŋ", "n"),
    ("ÒÓÔÕÖØŌŎŐƠǑỌỎỐỒỔỖỘỚỜỞỠỢ", "O"),
    ("òóôõöøōŏőơǒọỏốồổỗộớờởỡợ", "o"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞŠȘ", "S"),
    ("śŝşšș", "s"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("ÙÚÛÜŨŪŬŮŰŲƯǓỤỦỨỪỬỮỰ", "U"),
    ("ùúûüũūŭůűųưǔụủứừửữự", "u"),
    ("ŴẀẂẄ", "W"),
    ("ŵẁẃẅ", "w"),
    ("ÝŶŸỲỴỶỸ", "Y"),
    ("ýÿŷỳỵỷỹ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("Ḥ", "H"),
    ("ḥ", "h"),
    ("Ṣ", "S"),
    ("ṣ", "s"),
    ("Ṭ", "T"),
    ("ṭ", "t"),
    ("ẞ", "SS"),
    ("Ḍ", "D"),
];

fn latin(letter: char) -> &'static str {
    LATIN.iter().find(|(letters, _)| letters.contains(letter)).map_or("\0", |(_, plain)| plain)
}

/// Bytes of a part at most, about.
const LONGEST: usize = 4096;

/// The end of the part that begins at `start`: after a blank line, or where a sentence, a line or a word ends if it gets
/// too long; and whether a paragraph ends there.
pub fn part(text: &str, start: usize) -> (usize, bool) {
    let rest = &text[start..];
    let (mut sentence, mut line, mut space) = (0, 0, 0);
    let (mut last, mut blank) = (' ', None);
    for (place, letter) in rest.char_indices() {
        if place >= LONGEST {
            // an end close to the beginning would make many small parts
            let end = [sentence, line, space].into_iter().find(|end| *end > LONGEST / 4).unwrap_or(place);
            return (start + end, false);
        }
        let breaks = matches!(letter, '\n' | '\u{85}' | '\u{2028}');
        match blank {
            // only white space since the end of a line
            Some(first) if breaks && first < place => return (start + place + letter.len_utf8(), true),
            _ if letter == '\u{2029}' => return (start + place + letter.len_utf8(), true),
            _ => {}
        }
        if breaks {
            (blank, line) = (Some(place), place + letter.len_utf8());
        } else if !letter.is_whitespace() {
            blank = None;
        }
        if letter.is_whitespace() {
            space = place + letter.len_utf8();
            if matches!(last, '.' | '!' | '?' | '"' | '”' | '。') {
                sentence = space;
            }
        }
        last = letter;
    }
    (text.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_what_was_written() {
        let text = "“Café”—naïve\u{ad}ly…";
        let folded = Folded::new(text, 10);
        assert_eq!(folded.text, "\"Cafe\"—naively...");
        let of = |range: Range<usize>| {
            let original = folded.original(range);
            &text[original.start - 10..original.end - 10]
        };
        assert_eq!(of(1..5), "Café");
        assert_eq!(of(9..16), "naïve\u{ad}ly");
        assert_eq!(of(17..18), "…");
        assert_eq!(of(3..3), "");
        assert_eq!(folded.original(99..99).start, 10 + text.len());
        assert_eq!(Folded::new("", 3).original(0..0), 3..3);
    }

    #[test]
    fn paragraphs_and_long_texts_are_cut() {
        assert_eq!(part("One.\n \nTwo.", 0), (7, true));
        assert_eq!(part("One.\n \nTwo.", 7), (11, false));
        assert_eq!(part("One.\nTwo.", 0), (9, false));
        let long = "This is a sentence. ".repeat(1000);
        let (end, paragraph) = part(&long, 0);
        assert!(end <= LONGEST && end % 20 == 0 && !paragraph, "{end}");
        let (end, _) = part(&"é".repeat(10_000), 0);
        assert_eq!(end, LONGEST);
    }
}
