//! Character references of HTML (<https://html.spec.whatwg.org/multipage/parsing.html#character-reference-state>).

/// Names that count without a semicolon.
const WITHOUT_SEMICOLON: &str = "AElig AMP Aacute Acirc Agrave Aring Atilde Auml COPY Ccedil ETH Eacute Ecirc Egrave Euml \
    GT Iacute Icirc Igrave Iuml LT Ntilde Oacute Ocirc Ograve Oslash Otilde Ouml QUOT REG THORN Uacute Ucirc Ugrave Uuml \
    Yacute aacute acirc acute aelig agrave amp aring atilde auml brvbar ccedil cedil cent copy curren deg divide eacute \
    ecirc egrave eth euml frac12 frac14 frac34 gt iacute icirc iexcl igrave iquest iuml laquo lt macr micro middot nbsp \
    not ntilde oacute ocirc ograve ordf ordm oslash otilde ouml para plusmn pound quot raquo reg sect shy sup1 sup2 sup3 \
    szlig thorn times uacute ucirc ugrave uml uuml yacute yen yuml";
/// What the numbers 0x80 to 0x9f mean: characters of Windows, where it has one.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
const LONGEST_NAME: usize = 32;

/// The length of the reference that a text begins with, and what it stands for; in an attribute `&copy=` is none.
pub fn reference(text: &str, attribute: bool) -> Option<(usize, String)> {
    let rest = text.strip_prefix('&')?;
    if let Some(number) = rest.strip_prefix('#') {
        return numeric(number).map(|(length, c)| (2 + length, c.to_string()));
    }
    let name = &rest[..rest.bytes().take(LONGEST_NAME).take_while(u8::is_ascii_alphanumeric).count()];
    if rest[name.len()..].starts_with(';')
        && let Some(decoded) = resolved(name)
    {
        return Some((name.len() + 2, decoded));
    }
    let known = |name: &str| WITHOUT_SEMICOLON.split_ascii_whitespace().any(|known| known == name);
    let length = (2..=name.len().min(6)).rev().find(|length| known(&name[..*length]))?;
    let goes_on = rest[length..].starts_with(|c: char| c == '=' || c.is_ascii_alphanumeric());
    if attribute && goes_on {
        return None;
    }
    Some((length + 1, resolved(&name[..length])?))
}

fn resolved(name: &str) -> Option<String> {
    let written = format!("&{name};");
    let decoded = html_escape::decode_html_entities(&written).into_owned();
    (decoded != written).then_some(decoded)
}

/// Digits, an `x` before them or not, and a semicolon or none: their length and character.
fn numeric(text: &str) -> Option<(usize, char)> {
    let hexadecimal = text.starts_with(['x', 'X']);
    let (start, radix) = if hexadecimal { (1, 16) } else { (0, 10) };
    let digits = text[start..].bytes().take_while(|byte| (*byte as char).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let end = start + digits;
    let significant = text[start..end].trim_start_matches('0');
    let number = if significant.is_empty() { Some(0) } else { u32::from_str_radix(significant, radix).ok() };
    let c = match number {
        Some(0) | None => char::REPLACEMENT_CHARACTER,
        Some(number @ 0x80..=0x9f) => WINDOWS[number as usize - 0x80],
        Some(number) => char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    Some((end + usize::from(text[end..].starts_with(';')), c))
}
