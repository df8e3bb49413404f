//! Text that ends an answer, wherever its characters are spread over tokens.

/// Lets text through up to the first of several stops; what may be the beginning of one is kept back.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    stops: Vec<String>,
    kept: String,
}

impl Stops {
    /// Watches for these; empty ones never come.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), kept: String::new() }
    }

    /// The text that can be told now, and whether a stop came behind it.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.kept += text;
        if let Some(place) = self.stops.iter().filter_map(|stop| self.kept.find(stop.as_str())).min() {
            self.kept.truncate(place);
            return (std::mem::take(&mut self.kept), true);
        }
        let begins = |place: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.kept[*place..]));
        let place = self.kept.char_indices().map(|(place, _)| place).find(begins).unwrap_or(self.kept.len());
        let rest = self.kept.split_off(place);
        (std::mem::replace(&mut self.kept, rest), false)
    }

    /// What was kept back and is no stop after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], parts: &[&str], expected: &str, stopped: bool) {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut watch = Stops::new(&stops);
        let mut told = String::new();
        for part in parts {
            let (text, over) = watch.push(part);
            told += &text;
            if over {
                assert!(stopped, "{told:?}");
                assert_eq!(told, expected);
                return;
            }
        }
        told += &watch.finish();
        assert_eq!((told.as_str(), false), (expected, stopped));
    }

    #[test]
    fn stops_are_found_across_parts() {
        check(&["END"], &["a", "bE", "N", "Dc"], "ab", true);
        check(&["END"], &["aE", "NE", "ND"], "aEN", true);
        check(&["END", "NE"], &["aE", "NE", "ND"], "aE", true);
        check(&["é!"], &["caf", "é", "é", "!"], "café", true);
        check(&["\n\n"], &["a\n", "b\n"], "a\nb\n", false);
        check(&[""], &["a"], "a", false);
        check(&[], &["a", "b"], "ab", false);
    }
}
