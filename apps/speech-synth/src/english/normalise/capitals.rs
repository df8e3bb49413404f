//! Words with capitals: acronyms that are said or spelled, Roman numerals, names like `YouTube`.

use super::numerals::{cardinal, ordinal, roman};
use super::scan::Scan;

/// Acronyms that are said as words.
const SAID: [&str; 60] = [
    "NASA", "NATO", "UNESCO", "UNICEF", "OPEC", "AIDS", "SCUBA", "LASER", "RADAR", "SONAR", "RAM", "ROM",
    "PIN", "SIM", "LAN", "GIF", "OSHA", "FEMA", "NAFTA", "ASEAN", "SWAT", "POTUS", "SCOTUS", "SARS", "MERS",
    "COVID", "FIFA", "UEFA", "IKEA", "NASDAQ", "YOLO", "CRISPR", "BIOS", "CAPTCHA", "MIDI", "DOS", "CAD",
    "MOMA", "NORAD", "LEED", "SETI", "TED", "BASIC", "COBOL", "FORTRAN", "DARPA", "HAZMAT", "AWOL", "ICE",
    "TESOL", "TOEFL", "SALT", "START", "BREXIT", "WIFI", "NIMBY", "GAAP", "ERISA", "WHIP", "AMTRAK",
];

/// Acronyms that look like words but are spelled.
const SPELLED: [&str; 29] = [
    "US", "IT", "WHO", "AM", "PM", "UN", "EU", "AI", "ID", "TV", "PC", "HR", "PR", "VAT", "CEO", "CIO",
    "ACT", "SAT", "GPA", "IRA", "IRS", "ATM", "CAT", "MIT", "AD", "OS", "USA", "FAQ", "ETA",
];

/// Common words, which are written in capitals to be heard.
const SHOUTED: [&str; 127] = [
    "STOP", "HELP", "FREE", "SALE", "NOTE", "ONLY", "THIS", "THAT", "VERY", "NEVER", "WHAT", "WHEN", "WITH",
    "WILL", "HAVE", "MUST", "FROM", "YOUR", "EXIT", "OPEN", "PUSH", "PULL", "LOVE", "HATE", "GOOD", "BEST",
    "MORE", "LESS", "MOST", "SOME", "NONE", "HERE", "THERE", "WHERE", "AFTER", "EVERY", "FIRST", "LAST",
    "NEXT", "DONE", "TODO", "READ", "WAIT", "GONE", "BACK", "HOME", "DOWN", "OVER", "OKAY", "YEAH", "WOW",
    "OH", "NO", "NOT", "YES", "YOU", "THE", "AND", "BUT", "ALL", "ANY", "NOW", "NEW", "OUT", "HEY", "MAN",
    "WHY", "HOW", "REAL", "DEAD", "LIVE", "DEAR", "IS", "WAS", "ARE", "DO", "DID", "CAN", "HAS", "HAD", "HE",
    "SHE", "WE", "ME", "MY", "IF", "OF", "SO", "TO", "BE", "BY", "IN", "ON", "UP", "GO", "HIS", "HER", "HIM",
    "OUR", "WERE", "TELL", "THEN", "THEY", "THEM", "THESE", "THOSE", "ALSO", "EVER", "JUST", "LIKE", "MADE",
    "MAKE", "TAKE", "CAME", "COME", "KNOW", "MUCH", "MANY", "ONCE", "SAID", "SEEN", "SUCH", "TIME", "UPON",
    "WANT", "WELL", "WENT",
];

/// What Roman numerals follow.
const NUMBERED: [&str; 24] = [
    "chapter", "part", "act", "scene", "volume", "book", "section", "phase", "type", "level", "stage",
    "appendix", "article", "title", "war", "bowl", "class", "grade", "figure", "table", "canto", "mark",
    "category", "vatican",
];

/// First names of kings, queens and popes.
const RULERS: [&str; 62] = [
    "henry",
    "louis",
    "george",
    "elizabeth",
    "charles",
    "edward",
    "james",
    "william",
    "richard",
    "john",
    "paul",
    "pius",
    "benedict",
    "francis",
    "philip",
    "napoleon",
    "frederick",
    "alexander",
    "nicholas",
    "ivan",
    "peter",
    "catherine",
    "mary",
    "leo",
    "gregory",
    "innocent",
    "clement",
    "ferdinand",
    "alfonso",
    "otto",
    "ramses",
    "ramesses",
    "ptolemy",
    "cleopatra",
    "thutmose",
    "haakon",
    "olav",
    "christian",
    "gustav",
    "carl",
    "umberto",
    "wilhelm",
    "xerxes",
    "darius",
    "malcolm",
    "robert",
    "stephen",
    "baldwin",
    "urban",
    "boniface",
    "celestine",
    "sixtus",
    "julius",
    "victor",
    "emmanuel",
    "carlos",
    "felipe",
    "juan",
    "pedro",
    "manuel",
    "harald",
    "margrethe",
];

/// The letters of a word by their names.
pub fn spelled(word: &str) -> String {
    let letters =
        word.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase().to_string());
    letters.collect::<Vec<_>>().join(" ")
}

/// Whether a word in small letters cannot be said as one.
pub fn has_no_vowel(word: &str) -> bool {
    const SOUNDS: [&str; 23] = [
        "hmm", "hm", "mm", "mmm", "shh", "sh", "psst", "pst", "nth", "brr", "tsk", "pfft", "zzz", "grr",
        "hmmm", "shhh", "phew", "cwm", "ssh", "th", "nd", "rd", "st",
    ];
    let vowels = word.contains(|c: char| "aeiouyAEIOUY".contains(c) || !c.is_ascii_alphabetic());
    word.len() > 1 && !vowels && !SOUNDS.contains(&word)
}

/// Whether the words beside it are in capitals too.
fn is_shouted(scan: &Scan, length: usize) -> bool {
    let loud = |word: &str| {
        let letters: Vec<char> = word.chars().filter(|letter| letter.is_alphabetic()).collect();
        letters.len() > 1 && letters.iter().all(|letter| letter.is_uppercase()) && !SAID.contains(&word)
    };
    let next = scan.rest()[length..].split_whitespace().next().unwrap_or_default();
    let next = next.trim_matches(|c: char| !c.is_alphabetic());
    // `NOT A DRILL`
    let before = scan.previous(usize::from(scan.previous(0).len() == 1));
    loud(before) || loud(next)
}

/// How a word of at least two capitals is said.
fn acronym(word: &str, shouted: bool) -> String {
    match word {
        "OK" => return "okay".into(),
        "JPEG" => return "J peg".into(),
        "UCLA" | "HTML" | "AARP" | "IEEE" => return spelled(word),
        _ => {}
    }
    let lower = word.to_lowercase();
    let is_spelled = SPELLED.contains(&word) || has_no_vowel(&lower) || !word.is_ascii();
    let is_word = matches!(word, "IT" | "US" | "WHO" | "AM" | "ACT" | "SAT" | "CAT" | "AD");
    let is_said = SAID.contains(&word) || SHOUTED.contains(&word) || (shouted && (is_word || !is_spelled));
    match word.len() {
        _ if is_said => lower,
        _ if is_spelled && word.is_ascii() => spelled(word),
        2..=4 => spelled(word),
        5 if !shouted && word.bytes().filter(|letter| b"AEIOUY".contains(letter)).count() < 2 => {
            spelled(word)
        }
        _ => lower,
    }
}

/// Says a word of capitals, or of capitals and an `s`, as `PCs` and `FBI's`; false if it is none.
pub fn say(scan: &mut Scan, word: &str) -> bool {
    if numeral(scan, word) {
        return true;
    }
    let (base, ending) = match word.strip_suffix("'s").or_else(|| word.strip_suffix("'S")) {
        Some(base) => (base, "'s"),
        None => word.strip_suffix('s').map_or((word, ""), |base| (base, "'s")),
    };
    if base.chars().count() < 2 || !base.chars().all(char::is_uppercase) {
        return false;
    }
    let said = acronym(base, is_shouted(scan, word.len()));
    scan.take(&format!("{said}{ending}"), word.len())
}

/// Says a Roman numeral where one can be expected.
pub fn numeral(scan: &mut Scan, word: &str) -> bool {
    if word.len() == 1 && !matches!(word, "I" | "V" | "X") {
        return false;
    }
    let (figures, th) = match word.strip_suffix("th") {
        Some(figures) => (figures, true),
        None => (word, false),
    };
    let Some(value) = roman(figures).filter(|value| *value < 4000) else { return false };
    let value = value.to_string();
    let before = scan.previous(0).to_lowercase();
    let next = scan.rest()[word.len()..].trim_start();
    let century = ["century", "centuries"].iter().any(|word| next.starts_with(word));
    let ends = !next.starts_with(|c: char| c.is_lowercase());
    if th || (century && word.len() > 1) {
        return scan.take(&ordinal(&value), word.len());
    }
    let capital = scan.previous(0).starts_with(|c: char| c.is_uppercase());
    let large = figures.contains(['L', 'C', 'D', 'M']);
    if scan.before() != Some(' ') {
        return false;
    }
    // `Part I`, but `the part I like`; `book XIX`, but `type CD`
    let sure = if capital { word != "I" || ends || before == "war" } else { word.len() > 1 && !large };
    if NUMBERED.contains(&before.as_str()) && sure {
        return scan.take(&cardinal(&value), word.len());
    }
    let name = RULERS.contains(&before.as_str());
    // a letter alone is rather an initial or a word
    let king = word == "V" && name && ends_name(scan, word);
    if !capital || large || (word.len() == 1 && !king) {
        return false;
    }
    let words = if name { format!("the {}", ordinal(&value)) } else { cardinal(&value) };
    scan.take(&words, word.len())
}

/// `Henry V` is a king, `Henry V. Smith` is not.
fn ends_name(scan: &Scan, word: &str) -> bool {
    let rest = &scan.rest()[word.len()..];
    let next = rest.strip_prefix(". ").unwrap_or_default();
    !next.starts_with(|c: char| c.is_uppercase())
}

/// A word of small letters and capitals in its parts: `you tube`, `I phone`, `M R N A`.
pub fn pieces(word: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let letters: Vec<char> = word.chars().collect();
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| letters[place]);
        let after = letters.get(place + 1);
        let begins = match before {
            None => true,
            Some(before) if before.is_lowercase() => letter.is_uppercase(),
            // the last capital of several begins a word
            Some(before) => {
                before.is_uppercase() && letter.is_uppercase() && after.is_some_and(|c| c.is_lowercase())
            }
        };
        match parts.last_mut() {
            Some(part) if !begins => part.push(letter),
            _ => parts.push(letter.to_string()),
        }
    }
    let count = parts.len();
    let say = |part: String| match part.len() {
        1 if count > 1 || !matches!(part.as_str(), "a" | "A" | "i" | "I") => part.to_uppercase(),
        1 => part.to_lowercase(),
        _ if part.chars().all(char::is_uppercase) => acronym(&part, false),
        _ if has_no_vowel(&part) => spelled(&part),
        _ => part.to_lowercase(),
    };
    parts.into_iter().map(say).collect::<Vec<_>>().join(" ")
}

/// Whether the capital inside a name does not begin a word of its own.
pub fn is_one_name(word: &str) -> bool {
    const BEGINNINGS: [&str; 13] =
        ["Mc", "Mac", "De", "Di", "Da", "Du", "La", "Le", "Van", "Fitz", "O'", "D'", "L'"];
    BEGINNINGS.iter().any(|begin| {
        let rest = word.strip_prefix(begin).unwrap_or_default();
        let mut letters = rest.chars();
        letters.next().is_some_and(char::is_uppercase) && letters.all(|c| c.is_lowercase() || c == '\'')
    })
}
