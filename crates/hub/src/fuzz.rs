//! Mutated text through everything here that reads a stranger's words: no panic, and no path that leaves its place.
//! `FUZZ=1000000` tries more than the usual 20,000.

use std::path::{Component, Path};

use crate::names::{repo_rule, safe_etag, safe_path, sort};
use crate::net::{encode, join, origin};
use crate::shelf::licence_of_card;
use crate::transfer::range_start;
use crate::wants::{Want, select};

const SEEDS: &[&str] = &[
    "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
    "../../etc/passwd",
    "owner/name@refs/pr/1",
    "C:\\model\\x.gguf",
    "https://user@cdn.example:8080/a/b?x=1#y",
    "bytes 100-199/200",
    "W/\"0123456789abcdef\"",
    "---\nlicense: other\nlicense_name: x\n---\n",
    "**/model*.bin",
    "ação/ß.txt",
];
const SPICE: &[&str] =
    &["/", "..", "\\", "\0", "\n", ":", "*", "?", "@", "\"", "-", "é", "😀", "", "//", "~", "%2e", "["];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }

    fn text(&mut self) -> String {
        let mut text: Vec<char> = SEEDS[self.below(SEEDS.len())].chars().collect();
        for _ in 0..self.below(6) {
            let at = self.below(text.len() + 1);
            let end = (at + self.below(4)).min(text.len());
            let spice: Vec<char> = SPICE[self.below(SPICE.len())].chars().collect();
            text.splice(at..end, spice);
        }
        text.into_iter().collect()
    }
}

#[test]
fn strange_words_stay_in_their_place() {
    let count = std::env::var("FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let mut random = Random(7);
    for _ in 0..count {
        let (text, other) = (random.text(), random.text());
        if let Ok(path) = safe_path(&text) {
            assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{text:?}");
            assert_eq!(
                Path::new("/c").join(&path).components().count(),
                2 + text.split('/').count(),
                "{text:?}"
            );
        }
        if let Ok(etag) = safe_etag(&text) {
            assert_eq!(Path::new(etag).components().count(), 1, "{text:?}");
        }
        if repo_rule(&text).is_ok() {
            assert!(safe_path(&text).is_ok_and(|path| path.components().count() == 2), "{text:?}");
        }
        if let Err(error) = sort(&text) {
            assert!(!error.to_string().contains('\0'), "{text:?}");
        }
        let all: &[&str] = &[&other];
        let _ = select(&[Want::required(all)], &[&text]);
        let _ = range_start(&text);
        let _ = licence_of_card(&text);
        let joined = join("https://hub.example/a/b", &text);
        let _ = joined.and_then(|url| origin(&url));
        assert!(encode(&text, false).is_ascii());
    }
}
