//! The hub crate against a loopback server that serves well, cuts, lies, and refuses.

// The helpers below are tests too, though clippy sees no #[test] on them.
#![allow(clippy::unwrap_used)]

mod answers;
mod local;
mod server;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hub::{Env, Error, Location, Options, Patience, Resolved, Want, resolve};
use server::{Answer, COMMIT, File, Request, Server, honest};
use tempfile::TempDir;

const REPO: &str = "owner/name";
const WANTS: &[Want] = &[
    Want::required(&["config.json"]),
    Want::required(&["model*.safetensors", "pytorch_model*.bin"]),
    Want::optional(&["generation_config.json", "tok/**"]),
];

/// A small repository: two git blobs, one of them in a folder, a large file, and one that nobody wants.
fn files() -> Vec<File> {
    let weights: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        File::new("config.json", r#"{"a":1}"#),
        File::new("model.safetensors", weights),
        File::new("pytorch_model.bin", "unwanted"),
        File::new("tok/vocab.txt", "a\nb\n"),
    ]
}

/// A server and the cache of one user.
struct World {
    server: Server,
    home: TempDir,
}

impl World {
    /// A hub that holds [`files`] and does as told: `fault` gets each request and the honest answer.
    fn new(fault: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static) -> Self {
        let files = files();
        let server = Server::start(move |request| fault(request, honest(&files, request)));
        Self { server, home: tempfile::tempdir().unwrap() }
    }

    fn honest() -> Self {
        Self::new(|_, answer| answer)
    }

    fn env(&self) -> Env {
        env(&self.server.url, self.home.path())
    }

    fn resolve(&self) -> hub::Result<Resolved> {
        fetch(REPO, &self.env())
    }

    fn shelf(&self) -> PathBuf {
        self.home.path().join("models--owner--name")
    }

    fn partial(&self) -> PathBuf {
        self.shelf().join(format!("blobs/{}.incomplete", files()[1].etag()))
    }

    /// The model came whole, in the layout, and nothing else did.
    fn check_whole(&self, resolved: &Resolved) {
        let Location::Dir(folder) = &resolved.location else { panic!("{resolved:?}") };
        assert_eq!(*folder, self.shelf().join("snapshots").join(COMMIT));
        assert_eq!((resolved.name.as_str(), resolved.revision.as_deref()), (REPO, Some(COMMIT)));
        for file in files() {
            let path = folder.join(file.name);
            if file.name == "pytorch_model.bin" {
                assert!(!path.exists());
                continue;
            }
            assert_eq!(std::fs::read(&path).unwrap(), file.bytes, "{}", file.name);
            assert_eq!(path.canonicalize().unwrap().file_name().unwrap(), file.etag().as_str());
            assert!(std::fs::read_link(&path).unwrap().starts_with("../../blobs") || file.name.contains('/'));
        }
        assert_eq!(std::fs::read_to_string(self.shelf().join("refs/main")).unwrap(), COMMIT);
        assert!(!self.partial().exists());
    }

    /// Nothing of the large file is in the cache.
    fn check_no_weights(&self) {
        assert!(!self.partial().exists());
        assert!(!self.shelf().join("blobs").join(files()[1].etag()).exists());
        assert!(!self.shelf().join("snapshots").join(COMMIT).join("model.safetensors").exists());
    }
}

fn env(endpoint: &str, cache: &Path) -> Env {
    let patience = Patience {
        tries: 3,
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_secs(2),
        silence: Duration::from_secs(10),
    };
    Env {
        cache: cache.to_owned(),
        token: None,
        endpoint: endpoint.to_owned(),
        offline: false,
        certificates: None,
        proxies: false,
        patience,
    }
}

fn fetch(name: &str, env: &Env) -> hub::Result<Resolved> {
    resolve(name, None, &Options { offline: false, wants: WANTS }, env, &mut |_, _, _| {})
}

/// The error is one line and holds each of the words.
fn check_error<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
    let text = result.unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
}
