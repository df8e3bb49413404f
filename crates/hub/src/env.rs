//! Everything that this crate reads from the environment, as one plain struct.
//!
//! The variables and their precedence follow huggingface_hub's `constants.py`; an empty variable counts as unset.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of the hub client; tests build it by hand, programs by [`Env::from_process`].
#[derive(Clone)]
pub struct Env {
    /// The cache folder (`HF_HUB_CACHE`, else `HF_HOME`/hub, else `XDG_CACHE_HOME`/huggingface/hub).
    pub cache: PathBuf,
    /// The access token (`HF_TOKEN`, else the file that `hf auth login` writes).
    pub token: Option<String>,
    /// The hub, without a trailing slash (`HF_ENDPOINT`).
    pub endpoint: String,
    /// Whether the network is off (`HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE`: 1, true, yes or on).
    pub offline: bool,
    /// A PEM file of root certificates that replaces the built-in ones (`SSL_CERT_FILE`), for networks that
    /// inspect TLS.
    pub certificates: Option<PathBuf>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are honoured.
    pub proxies: bool,
    /// How long to wait and how often to try.
    pub patience: Patience,
}

/// Bounds on waiting for a server.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Tries of one request; a transfer that got on by a megabyte starts counting anew.
    pub tries: u32,
    /// Wait after the first failure; doubled each time, up to 30 seconds.
    pub first_wait: Duration,
    /// Longest `Retry-After` that is obeyed; a longer one is an error.
    pub longest_wait: Duration,
    /// Longest silence of a connection.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            silence: Duration::from_secs(30),
        }
    }
}

const ENDPOINT: &str = "https://huggingface.co";

impl Env {
    /// The settings of this process.
    pub fn from_process() -> Self {
        let lookup = |name: &str| std::env::var(name).ok();
        Self { proxies: true, ..Self::from_lookup(lookup, std::env::home_dir()) }
    }

    /// The settings under other variables and another home folder; the token file is read. Without a home folder
    /// the cache goes to the folder for temporary files.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let home = home.unwrap_or_else(std::env::temp_dir);
        let path = |name: &str| get(name).map(|value| expand(&value, &home, &get));

        let hf_home = path("HF_HOME").unwrap_or_else(|| {
            path("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("huggingface")
        });
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"));
        let token = get("HF_TOKEN").or_else(|| get("HUGGING_FACE_HUB_TOKEN")).and_then(clean);
        let token = token.or_else(|| std::fs::read_to_string(token_file).ok().and_then(clean));
        let silent = get("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(is_true);
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        Self {
            cache: cache.unwrap_or_else(|| hf_home.join("hub")),
            token: token.filter(|_| !silent),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            offline: get("HF_HUB_OFFLINE").or_else(|| get("TRANSFORMERS_OFFLINE")).is_some_and(is_true),
            certificates: path("SSL_CERT_FILE"),
            proxies: false,
            patience: Patience::default(),
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "set"))
            .field("endpoint", &self.endpoint)
            .field("offline", &self.offline)
            .field("certificates", &self.certificates)
            .field("proxies", &self.proxies)
            .field("patience", &self.patience)
            .finish()
    }
}

fn is_true(value: String) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

fn clean(token: String) -> Option<String> {
    let token: String = token.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// `~`, `$NAME` and `${NAME}` as Python's expanduser and expandvars: an unknown variable stays as it is.
fn expand(value: &str, home: &Path, get: &impl Fn(&str) -> Option<String>) -> PathBuf {
    let mut value = match value.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", home.display()),
        _ => value.to_owned(),
    };
    let mut from = 0;
    while let Some(start) = value[from..].find('$').map(|at| from + at) {
        let rest = &value[start + 1..];
        let word = |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, length) = match rest.strip_prefix('{') {
            Some(inner) if inner[word(inner)..].starts_with('}') => (&inner[..word(inner)], word(inner) + 3),
            Some(_) => ("", 1),
            None => (&rest[..word(rest)], word(rest) + 1),
        };
        match get(name).filter(|_| !name.is_empty()) {
            Some(text) => {
                value.replace_range(start..start + length, &text);
                from = start + text.len();
            }
            None => from = start + length,
        }
    }
    PathBuf::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, v)| v.to_string());
        Env::from_lookup(find, Some(PathBuf::from("/home/ann")))
    }

    fn check_cache(variables: &[(&str, &str)], expected: &str) {
        assert_eq!(env(variables).cache, Path::new(expected), "{variables:?}");
    }

    #[test]
    fn the_cache_follows_the_reference() {
        check_cache(&[], "/home/ann/.cache/huggingface/hub");
        check_cache(&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub");
        check_cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/h/hub");
        check_cache(&[("HF_HOME", "")], "/home/ann/.cache/huggingface/hub");
        check_cache(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")], "/c");
        check_cache(&[("HUGGINGFACE_HUB_CACHE", "/old")], "/old");
        check_cache(&[("HF_HOME", "~/models")], "/home/ann/models/hub");
        check_cache(
            &[("HF_HOME", "$BIG/${WHO}/$NONE"), ("BIG", "/big"), ("WHO", "ann")],
            "/big/ann/$NONE/hub",
        );
        check_cache(&[("HF_HUB_CACHE", "${a$"), ("a", "b")], "${a$");
    }

    #[test]
    fn offline_reads_the_same_words() {
        for (value, expected) in [("1", true), ("true", true), ("Yes", true), ("ON", true), ("0", false)] {
            assert_eq!(env(&[("HF_HUB_OFFLINE", value)]).offline, expected, "{value}");
        }
        assert!(env(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(!env(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let home = home.path().to_str().unwrap();
        assert_eq!(env(&[("HF_HOME", home)]).token.as_deref(), Some("hf_file"));
        let typed = env(&[("HF_HOME", home), ("HF_TOKEN", " hf_typed\r\n")]);
        assert_eq!(typed.token.as_deref(), Some("hf_typed"));
        assert!(!format!("{typed:?}").contains("hf_typed"));
        assert_eq!(env(&[("HF_TOKEN", "x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
    }

    #[test]
    fn the_endpoint_loses_its_slash() {
        assert_eq!(env(&[("HF_ENDPOINT", "http://mirror/hf/")]).endpoint, "http://mirror/hf");
        assert_eq!(env(&[]).endpoint, ENDPOINT);
    }
}
