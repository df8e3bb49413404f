//! Which files of a repository an app needs.
//!
//! A pattern is a path in which `*` stands for any characters but `/`, `**` for any characters, `?` for one
//! character but `/`.

/// One kind of file that an app needs: the first pattern that matches anything gives all its matches.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// Patterns, the preferred first: `["model*.safetensors", "pytorch_model*.bin"]`.
    pub patterns: &'a [&'a str],
    /// Whether a repository without it is refused before anything is downloaded.
    pub required: bool,
    /// How a message names it, where it must be a single file.
    pub single: Option<&'a str>,
}

impl<'a> Want<'a> {
    /// A kind of file without which the model cannot load.
    pub const fn required(patterns: &'a [&'a str]) -> Self {
        Self { patterns, required: true, single: None }
    }

    /// A kind of file that is used where there is one.
    pub const fn optional(patterns: &'a [&'a str]) -> Self {
        Self { patterns, required: false, single: None }
    }

    /// One file, without which the model cannot load; more than one is refused as well.
    pub const fn single(patterns: &'a [&'a str], name: &'a str) -> Self {
        Self { patterns, required: true, single: Some(name) }
    }

    /// What it is called in a message.
    pub(crate) fn name(&self) -> String {
        self.single.map_or_else(|| self.patterns.join(" or "), str::to_owned)
    }
}

/// The names that are wanted, in the order of `names`, or the required want that nothing matches. No wants at all
/// means every file.
pub(crate) fn select<'n, 'w>(wants: &'w [Want<'w>], names: &[&'n str]) -> Result<Vec<&'n str>, &'w Want<'w>> {
    let mut chosen = vec![wants.is_empty(); names.len()];
    for want in wants {
        let mut count = 0;
        let found = want.patterns.iter().any(|pattern| {
            for (name, chosen) in names.iter().zip(&mut chosen) {
                if name.len() <= LONGEST && matches(pattern.as_bytes(), name.as_bytes()) {
                    *chosen = true;
                    count += 1;
                }
            }
            count > 0
        });
        if want.required && (!found || (want.single.is_some() && count > 1)) {
            return Err(want);
        }
    }
    Ok(names.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect())
}

/// Longer names match no pattern: they could become no path.
const LONGEST: usize = 1024;

/// Iterative, so that no name from a server can make it slow: the last star is extended by one where a literal
/// fails, a `*` gives way to the `**` before it.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut wide: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            (wide, star) = (Some((p, n)), None);
            continue;
        }
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'?'), Some(byte)) if *byte != b'/' => (p, n) = (p + 1, n + 1),
            (Some(literal), Some(byte)) if literal == byte && *literal != b'?' => (p, n) = (p + 1, n + 1),
            _ => {
                let from_star = star.filter(|(_, at)| name.get(*at).is_some_and(|byte| *byte != b'/'));
                if let Some((after, at)) = from_star {
                    (p, n) = (after, at + 1);
                    star = Some((after, at + 1));
                } else if let Some((after, at)) = wide.filter(|(_, at)| *at < name.len()) {
                    (p, n) = (after, at + 1);
                    (wide, star) = (Some((after, at + 1)), None);
                } else {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_paths() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
        };
        check("config.json", "config.json", true);
        check("config.json", "unet/config.json", false);
        check("*.json", "config.json", true);
        check("*.json", "unet/config.json", false);
        check("*/config.json", "unet/config.json", true);
        check("**", "a/b/c", true);
        check("**.json", "a/b/c.json", true);
        check("**/x*.bin", "a/b/x1.bin", true);
        check("**/x*.bin", "a/b/x/1.bin", false);
        check("a**b*c", "a/x/b/b1c", true);
        check("model-?????-of-*.safetensors", "model-00001-of-00002.safetensors", true);
        check("?.bin", "/.bin", false);
        check("", "", true);
        check("*", "", true);
        check("a*a*a*a*a*a*b", &"a".repeat(200), false);
    }

    #[test]
    fn the_first_pattern_that_matches_is_taken() {
        let names = ["config.json", "model.safetensors", "pytorch_model.bin", "README.md"];
        let weights = Want::required(&["model*.safetensors", "pytorch_model*.bin"]);
        let wants = [weights, Want::optional(&["LICENSE*"]), Want::required(&["config.json"])];
        assert_eq!(select(&wants, &names).unwrap(), ["config.json", "model.safetensors"]);
        assert_eq!(select(&wants, &["config.json", "pytorch_model.bin"]).unwrap().len(), 2);
        assert_eq!(select(&wants, &["config.json"]).unwrap_err().patterns, weights.patterns);
        assert_eq!(select(&[], &names).unwrap(), names);
    }
}
