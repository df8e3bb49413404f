//! Rust text -> the code in it: comments, strings and tests blanked out, lines kept.

/// The text with the inside of comments, strings and characters turned into spaces.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let length = line_comment(rest)
            .or_else(|| block_comment(rest))
            .or_else(|| string(rest, at.checked_sub(1).map(|before| chars[before])))
            .or_else(|| character(rest));
        match length {
            Some(length) => {
                out.extend(rest[..length].iter().map(|&c| if c == '\n' { c } else { ' ' }));
                at += length;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

fn line_comment(rest: &[char]) -> Option<usize> {
    let end = || rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
    rest.starts_with(&['/', '/']).then(end)
}

fn block_comment(rest: &[char]) -> Option<usize> {
    if !rest.starts_with(&['/', '*']) {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// `"..."`, `r#"..."#`, and both behind `b` or `c`.
fn string(rest: &[char], before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let prefix = rest.iter().take(2).take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let raw = prefix > 0 && rest[prefix - 1] == 'r';
    let hashes = if raw { rest[prefix..].iter().take_while(|&&c| c == '#').count() } else { 0 };
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let mut at = open + 1;
    while at < rest.len() {
        match rest[at] {
            '\\' if !raw => at += 1,
            '"' if rest[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes => {
                return Some(at + 1 + hashes);
            }
            _ => {}
        }
        at += 1;
    }
    Some(rest.len())
}

/// `'x'` and `'\n'`, but no lifetime.
fn character(rest: &[char]) -> Option<usize> {
    match rest {
        ['\'', '\\', _, tail @ ..] => Some(3 + tail.iter().position(|&c| c == '\'')? + 1),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

/// Code without what stands behind `#[cfg(test)]`: a block in braces, or up to a semicolon.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut code = code.to_string();
    let mut from = 0;
    while let Some(start) = code[from..].find(MARK).map(|found| from + found) {
        let end = start + item_length(&code[start..]);
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        from = start + blank.len();
        code.replace_range(start..end, &blank);
    }
    code
}

fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_strings_and_characters_are_blanked() {
    let check = |text: &str, expected: &str| {
        let code = code_only(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
        assert_eq!(code.lines().count(), text.lines().count());
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d */ e", "a e");
    check("a(\"b\\\"c\", d)", "a( , d)");
    check("a(r#\"b\"c\\\"#, d)", "a( , d)");
    check("a(br\"b\\\", b\"c\", d)", "a( , , d)");
    check("a('\"', '\\'', '\\u{41}', 'b') c", "a( , , , ) c");
    check("fn f<'a>(x: &'a str) -> &'a str { x }", "fn f<'a>(x: &'a str) -> &'a str { x }");
    check("let r = \"//\"; // x", "let r = ;");
    check("\"open", "");
    check("/* open", "");
}
