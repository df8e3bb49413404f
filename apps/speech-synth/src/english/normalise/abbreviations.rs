//! Words that are written short, with a point or without.

use super::scan::Scan;
use super::times::sentence_ends;

/// What an abbreviation needs around it, and what its point may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Before a name: its point never ends a sentence.
    Title,
    /// Its point may end a sentence too.
    Plain,
    /// Before a number alone.
    Number,
    /// Behind a name.
    Address,
}

use Kind::{Address, Number, Plain, Title};

/// As it is written with a point, in small letters; what it stands for.
const SHORT: [(&str, &str, Kind); 116] = [
    ("mr", "mister", Title),
    ("mrs", "missus", Title),
    ("ms", "miz", Title),
    ("messrs", "messers", Title),
    ("mme", "madame", Title),
    ("mlle", "mademoiselle", Title),
    ("prof", "professor", Title),
    ("rev", "reverend", Title),
    ("fr", "father", Title),
    ("hon", "honorable", Title),
    ("gen", "general", Title),
    ("maj", "major", Title),
    ("col", "colonel", Title),
    ("capt", "captain", Title),
    ("cpt", "captain", Title),
    ("cmdr", "commander", Title),
    ("lt", "lieutenant", Title),
    ("sgt", "sergeant", Title),
    ("cpl", "corporal", Title),
    ("pvt", "private", Title),
    ("adm", "admiral", Title),
    ("sen", "senator", Title),
    ("rep", "representative", Title),
    ("gov", "governor", Title),
    ("pres", "president", Title),
    ("supt", "superintendent", Title),
    ("insp", "inspector", Title),
    ("mt", "mount", Title),
    ("ft", "fort", Title),
    ("jr", "junior", Plain),
    ("sr", "senior", Plain),
    ("esq", "esquire", Plain),
    ("inc", "incorporated", Plain),
    ("ltd", "limited", Plain),
    ("co", "company", Plain),
    ("corp", "corporation", Plain),
    ("bros", "brothers", Plain),
    ("dept", "department", Plain),
    ("assn", "association", Plain),
    ("assoc", "associates", Plain),
    ("univ", "university", Plain),
    ("inst", "institute", Plain),
    ("intl", "international", Plain),
    ("natl", "national", Plain),
    ("govt", "government", Plain),
    ("etc", "et cetera", Plain),
    ("vs", "versus", Plain),
    ("v", "versus", Title),
    ("cf", "compare", Title),
    ("viz", "namely", Title),
    ("ca", "circa", Number),
    ("c", "circa", Number),
    ("approx", "approximately", Plain),
    ("est", "established", Plain),
    ("misc", "miscellaneous", Plain),
    ("incl", "including", Plain),
    ("excl", "excluding", Plain),
    ("max", "maximum", Plain),
    ("min", "minimum", Plain),
    ("avg", "average", Plain),
    ("temp", "temperature", Plain),
    ("tel", "telephone", Plain),
    ("ext", "extension", Plain),
    ("apt", "apartment", Plain),
    ("attn", "attention", Plain),
    ("dist", "district", Plain),
    ("no", "number", Number),
    ("nos", "numbers", Number),
    ("p", "page", Number),
    ("pp", "pages", Number),
    ("vol", "volume", Number),
    ("vols", "volumes", Number),
    ("fig", "figure", Number),
    ("figs", "figures", Number),
    ("ch", "chapter", Number),
    ("chap", "chapter", Number),
    ("sec", "section", Number),
    ("sect", "section", Number),
    ("art", "article", Number),
    ("eq", "equation", Number),
    ("ex", "example", Number),
    ("pt", "part", Number),
    ("para", "paragraph", Number),
    ("ver", "version", Number),
    ("rm", "room", Number),
    ("ave", "avenue", Address),
    ("blvd", "boulevard", Address),
    ("rd", "road", Address),
    ("ln", "lane", Address),
    ("hwy", "highway", Address),
    ("pkwy", "parkway", Address),
    ("sq", "square", Address),
    ("pl", "place", Address),
    ("ct", "court", Address),
    ("jan", "january", Plain),
    ("feb", "february", Plain),
    ("mar", "march", Number),
    ("apr", "april", Plain),
    ("jun", "june", Number),
    ("jul", "july", Plain),
    ("aug", "august", Plain),
    ("sep", "september", Plain),
    ("sept", "september", Plain),
    ("oct", "october", Plain),
    ("nov", "november", Plain),
    ("dec", "december", Plain),
    ("tues", "tuesday", Plain),
    ("wed", "wednesday", Number),
    ("thurs", "thursday", Plain),
    ("ariz", "arizona", Plain),
    ("calif", "california", Plain),
    ("conn", "connecticut", Plain),
    ("mass", "massachusetts", Plain),
    ("penn", "pennsylvania", Plain),
    ("tenn", "tennessee", Plain),
    ("wash", "washington", Plain),
];

/// Those that many write without a point.
const POINTLESS: [&str; 20] = [
    "Mr", "Mrs", "Ms", "Prof", "Sgt", "Lt", "Capt", "Col", "Gen", "Jr", "Sr", "vs", "Ltd", "Inc", "Dept",
    "etc", "approx", "Blvd", "Ave", "Mt",
];

/// Those that stand without a point before a number.
const POINTLESS_NUMBERS: [&str; 8] = ["No", "Nos", "Fig", "Vol", "pp", "Ch", "Sec", "Rm"];

/// Says an abbreviation that a word of letters may be; false if it is none.
pub fn say(scan: &mut Scan, word: &str) -> bool {
    let point = scan.after(word.len()) == Some('.');
    let length = word.len() + usize::from(point);
    let rest = &scan.rest()[length..];
    if matches!(word, "Dr" | "St") {
        let words = doctor_or_saint(scan, word, rest);
        return expand(scan, words, word, point, word == "St" && words == "street" || words == "drive");
    }
    if word == "al" && point && scan.previous(0) == "et" {
        return expand(scan, "al", word, point, true);
    }
    let lower = word.to_ascii_lowercase();
    let Some((_, words, kind)) = SHORT.iter().find(|(short, ..)| *short == lower) else { return false };
    let next = rest.trim_start_matches(' ');
    let spaced = next.len() < rest.len();
    let digit = next.starts_with(|c: char| c.is_ascii_digit());
    let capital = spaced && next.starts_with(|c: char| c.is_uppercase());
    let is_capital = word.starts_with(|c: char| c.is_uppercase());
    let fits = match (kind, point) {
        // `v. Smith`, but `the V. 8`
        (Title, true) if lower.len() == 1 => capital && !is_capital,
        (Title, true) if matches!(word, "Mr" | "Mrs" | "Ms" | "Messrs") => true,
        (Title, true) => capital && (is_capital || lower.len() > 2),
        (Title, false) => POINTLESS.contains(&word) && capital,
        (Plain, true) => true,
        (Plain, false) => POINTLESS.contains(&word),
        (Number, true) => digit || (matches!(*words, "chapter" | "volume" | "part") && capital),
        (Number, false) => POINTLESS_NUMBERS.contains(&word) && digit && spaced,
        (Address, true) => is_capital && is_name(scan.previous(0)),
        (Address, false) => POINTLESS.contains(&word) && is_name(scan.previous(0)),
    };
    // what is a word too needs more than a point, which may be the sentence's
    let ambiguous = matches!(lower.as_str(), "max" | "min" | "temp" | "mass" | "wash" | "dec" | "inst");
    let sure = !ambiguous || (spaced && next.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit()));
    fits && sure && expand(scan, words, word, point, matches!(kind, Plain | Address))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
}

fn expand(scan: &mut Scan, words: &str, word: &str, point: bool, may_end: bool) -> bool {
    scan.take(words, word.len());
    if point {
        if may_end && ends_here(scan) {
            // the point is left for the sentence
            return true;
        }
        scan.at += 1;
    }
    true
}

/// Whether a sentence ends with the point that stands here.
fn ends_here(scan: &Scan) -> bool {
    let rest = &scan.rest()[1..];
    let begins = rest.is_empty() || rest.starts_with([' ', '\n', '"', '\'', ')']);
    // a company's name may go on with a capital
    begins && (starts_sentence(rest) || (sentence_ends(rest) && matches!(last(scan), "etc" | "al")))
}

fn last<'a>(scan: &Scan<'a>) -> &'a str {
    scan.previous(0)
}

/// Whether a word that begins sentences comes next, or nothing.
pub fn starts_sentence(rest: &str) -> bool {
    const STARTERS: [&str; 46] = [
        "The", "He", "She", "It", "They", "We", "You", "I", "But", "And", "In", "This", "That", "These",
        "Those", "A", "An", "There", "If", "When", "While", "However", "So", "Then", "His", "Her", "Its",
        "Their", "Our", "My", "For", "At", "On", "As", "What", "Why", "How", "Where", "Who", "After",
        "Before", "Not", "No", "Is", "Are", "To",
    ];
    let next = rest.trim_start_matches([' ', '"', '\'', ')', '(']);
    let end = next.find(|c: char| !c.is_alphabetic()).unwrap_or(next.len());
    next.is_empty() || next.starts_with('\n') || STARTERS.contains(&&next[..end])
}

/// `Dr. Smith` and `Elm Dr.`, `St. Paul` and `Main St.`
fn doctor_or_saint(scan: &Scan, word: &str, rest: &str) -> &'static str {
    let next = rest.trim_start_matches(' ');
    let name_follows = next.len() < rest.len() && next.starts_with(|c: char| c.is_uppercase());
    let before = scan.previous(0);
    let adjacent = scan.before() == Some(' ') && scan.text[..scan.at].trim_end().ends_with(before);
    let name_before = adjacent && is_name(before) && !scan.begins;
    let house = scan.previous(1).starts_with(|c: char| c.is_ascii_digit());
    let road = name_before && (!name_follows || house || starts_sentence(rest));
    match (word, road) {
        ("Dr", false) => "doctor",
        ("Dr", true) => "drive",
        (_, false) => "saint",
        (_, true) => "street",
    }
}
