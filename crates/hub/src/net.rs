//! One HTTP request: redirects, the token, statuses to errors, bounded retries.

use std::cell::Cell;
use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

use crate::env::{Env, Patience};
use crate::error::{At, Error, Result};
use crate::names::shorten;

/// A client of one hub.
pub(crate) struct Client<'a> {
    pub env: &'a Env,
    agent: Agent,
    /// Whether any server has answered: before that, an unknown host is not worth a second try.
    reached: Cell<bool>,
}

/// What a request is about, for the error lines.
pub(crate) struct About<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
    pub file: Option<&'a str>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Method {
    Get,
    /// Stops at a redirect that carries the file's metadata or leaves the hub.
    Head,
}

/// A failure of one try.
pub(crate) enum Failure {
    Again { why: String, after: Option<Duration> },
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Final(error)
    }
}

/// An answer with status 2xx, 416, or (for HEAD) 3xx.
pub(crate) struct Reply {
    pub status: u16,
    headers: HeaderMap,
    body: Body,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn text(self, limit: u64) -> Result<String, Failure> {
        let mut text = String::new();
        let read = self.body.into_reader().take(limit).read_to_string(&mut text);
        read.map_err(|error| Failure::Again { why: format!("the answer broke off ({error})"), after: None })?;
        Ok(text)
    }

    pub fn reader(self) -> impl Read {
        self.body.into_reader()
    }
}

const REDIRECTS: usize = 6;
const NO_HOST: &str = "no such host, or no network";

/// The standard library has no kind for it: the text is glibc's and macOS's, the number is Windows'.
fn is_no_host(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(11001) || error.to_string().starts_with("failed to lookup address")
}

impl<'a> Client<'a> {
    pub fn new(env: &'a Env) -> Result<Self> {
        let setting =
            |why: &str| Error::Setting { name: "HF_ENDPOINT", why: format!("{:?} {why}", env.endpoint) };
        if origin(&env.endpoint).is_none() {
            return Err(setting("is no address; it begins with https:// or http://"));
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = &env.certificates {
            tls = tls.root_certs(root_certificates(path)?);
        }
        let patience = &env.patience;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls.build())
            .proxy(if env.proxies { Proxy::try_from_env() } else { None })
            .user_agent(concat!("atelier-hub/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience.silence.min(Duration::from_secs(10))))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .build()
            .new_agent();
        Ok(Self { env, agent, reached: Cell::new(false) })
    }

    /// Sends a request along its redirects. The token goes to the endpoint's origin alone.
    pub fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        about: &About<'_>,
    ) -> Result<Reply, Failure> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.send_once(method, &url, headers)?;
            let status = response.status().as_u16();
            let (parts, body) = response.into_parts();
            let reply = Reply { status, headers: parts.headers, body };
            let location = match status {
                301 | 302 | 303 | 307 | 308 => reply.header("location").and_then(|to| join(&url, to)),
                _ => return self.judge(reply, &url, about),
            };
            let Some(next) = location else {
                return Err(Error::Answer { url, why: "it redirects to nowhere".to_owned() }.into());
            };
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(
                    Error::Answer { url, why: "it redirects to an address without TLS".to_owned() }.into()
                );
            }
            let leaves = origin(&next) != origin(&self.env.endpoint);
            if method == Method::Head && (leaves || reply.header("x-linked-etag").is_some()) {
                return Ok(reply);
            }
            url = next;
        }
        Err(Error::Answer { url, why: format!("more than {REDIRECTS} redirects") }.into())
    }

    fn send_once(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
    ) -> Result<Response<Body>, Failure> {
        let mut request = match method {
            Method::Get => self.agent.get(url),
            Method::Head => self.agent.head(url),
        };
        // Compressed bytes could be neither resumed nor counted against the listed size.
        request = request.header("Accept-Encoding", "identity");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.env.token
            && origin(url) == origin(&self.env.endpoint)
        {
            if !token.bytes().all(|b| b.is_ascii_graphic()) {
                let why = "holds characters that no token has".to_owned();
                return Err(Error::Setting { name: "HF_TOKEN", why }.into());
            }
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.transport(url, error))?;
        self.reached.set(true);
        Ok(response)
    }

    fn transport(&self, url: &str, error: ureq::Error) -> Failure {
        let last = |why: &str| Failure::Final(self.unreachable(why, 1, Some(url)));
        match error {
            ureq::Error::Timeout(_) => Failure::Again { why: "no answer in time".to_owned(), after: None },
            ureq::Error::HostNotFound if !self.reached.get() => last(NO_HOST),
            ureq::Error::Io(error) if is_no_host(&error) && !self.reached.get() => last(NO_HOST),
            // rustls speaks through this kind, above all of certificates.
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => last(&format!(
                "{}; where the network inspects TLS, set SSL_CERT_FILE to its root certificate",
                shorten(&error.to_string())
            )),
            ureq::Error::Io(error) => Failure::Again { why: shorten(&error.to_string()), after: None },
            ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                Failure::Again { why: shorten(&error.to_string()), after: None }
            }
            other => last(&shorten(&other.to_string())),
        }
    }

    fn judge(&self, reply: Reply, url: &str, about: &About<'_>) -> Result<Reply, Failure> {
        let status = reply.status;
        let repo = about.repo.to_owned();
        let code = reply.header("x-error-code").unwrap_or_default();
        let error = match (status, code) {
            (200..=299 | 416, _) => return Ok(reply),
            (408 | 429 | 500..=599, _) => {
                let after = reply.header("retry-after").and_then(|text| text.trim().parse().ok());
                let after = after.map(Duration::from_secs);
                let why = format!("the server answered {status}{}", message(&reply));
                match after.filter(|after| *after > self.env.patience.longest_wait) {
                    Some(after) => {
                        let why = format!("{why} and asks for {} s of patience", after.as_secs());
                        return Err(Failure::Final(self.unreachable(&why, 1, Some(url))));
                    }
                    None => return Err(Failure::Again { why, after }),
                }
            }
            (401 | 403, "GatedRepo") => Error::Gated { page: format!("{}/{repo}", self.env.endpoint), repo },
            (404, "RevisionNotFound") => Error::NoRevision { repo, revision: about.revision.to_owned() },
            (404, _) if about.file.is_some() => {
                Error::NoFile { repo, file: about.file.unwrap_or_default().to_owned() }
            }
            (401 | 403 | 404, _) => Error::NotFound {
                repo,
                endpoint: self.env.endpoint.clone(),
                status,
                way: match (&self.env.token, status) {
                    (None, _) => "check the spelling, or set HF_TOKEN to a token that may read it",
                    (Some(_), 401) => "check the spelling, and whether HF_TOKEN is still valid",
                    (Some(_), _) => "check the spelling, and whether the account of HF_TOKEN may read it",
                },
            },
            _ => Error::Status { url: url.to_owned(), status, message: message(&reply) },
        };
        Err(Failure::Final(error))
    }

    /// Tries until it works, it cannot, or the patience is spent.
    pub fn retry<T>(&self, tries: u32, mut action: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let mut count = Tries::new(&self.env.patience, tries);
        loop {
            match action() {
                Ok(value) => return Ok(value),
                Err(failure) => self.again(&mut count, failure)?,
            }
        }
    }

    /// Waits before the next try, or gives up.
    pub fn again(&self, tries: &mut Tries<'_>, failure: Failure) -> Result<()> {
        match failure {
            Failure::Final(error) => Err(error),
            Failure::Again { why, after } => {
                if tries.wait(after) {
                    Ok(())
                } else {
                    Err(self.unreachable(&why, tries.done, None))
                }
            }
        }
    }

    fn unreachable(&self, why: &str, tries: u32, url: Option<&str>) -> Error {
        let at = url.unwrap_or(&self.env.endpoint);
        let host = origin(at).map_or_else(|| at.to_owned(), |(_, host, port)| format!("{host}:{port}"));
        let tries = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
        let way = "check the network and run it again (what came so far is kept), or take a local model";
        Error::Unreachable { host, why: why.to_owned(), tries, way }
    }
}

/// Counts tries and waits between them.
pub(crate) struct Tries<'a> {
    patience: &'a Patience,
    limit: u32,
    done: u32,
}

impl<'a> Tries<'a> {
    pub fn new(patience: &'a Patience, limit: u32) -> Self {
        Self { patience, limit, done: 0 }
    }

    /// Starts counting anew.
    pub fn reset(&mut self) {
        self.done = 0;
    }

    fn wait(&mut self, after: Option<Duration>) -> bool {
        self.done += 1;
        if self.done >= self.limit {
            return false;
        }
        let doubled = self.patience.first_wait * 2u32.saturating_pow((self.done - 1).min(10));
        std::thread::sleep(after.unwrap_or(doubled.min(Duration::from_secs(30))));
        true
    }
}

fn message(reply: &Reply) -> String {
    reply.header("x-error-message").map_or_else(String::new, |text| format!(" ({})", shorten(text)))
}

fn root_certificates(path: &std::path::Path) -> Result<RootCerts> {
    let pem = std::fs::read(path).at(path)?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        let why = format!("{}: no PEM certificate in it", path.display());
        return Err(Error::Setting { name: "SSL_CERT_FILE", why });
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Scheme, host and port; `None` for anything but http and https.
pub(crate) fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme.to_owned(), uri.host()?.to_ascii_lowercase(), port))
}

/// A `Location` against the address that gave it.
pub(crate) fn join(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let scheme_end = base.find("://")? + 3;
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{}{rest}", &base[..scheme_end]));
    }
    let host_end = base[scheme_end..].find(['/', '?']).map_or(base.len(), |at| scheme_end + at);
    if location.starts_with('/') {
        return Some(format!("{}{location}", &base[..host_end]));
    }
    if location.is_empty() || location.contains(':') {
        return None;
    }
    let path_end = base.find('?').unwrap_or(base.len());
    let folder = base[host_end..path_end].rfind('/').map_or(host_end, |at| host_end + at);
    Some(format!("{}/{location}", &base[..folder]))
}

/// Percent-encodes a path; a `/` is kept in a file's name and encoded in a revision.
pub(crate) fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            b'/' if keep_slash => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_join_the_address_before() {
        let check = |location: &str, expected: Option<&str>| {
            assert_eq!(join("https://hub/a/b?x=1", location).as_deref(), expected, "{location}");
        };
        check("https://cdn/x?y", Some("https://cdn/x?y"));
        check("//cdn/x", Some("https://cdn/x"));
        check("/c/d", Some("https://hub/c/d"));
        check("c", Some("https://hub/a/c"));
        check("", None);
        check("file:///etc/passwd", None);
        assert_eq!(join("http://hub", "/x").as_deref(), Some("http://hub/x"));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://Hub.co/x"), origin("https://hub.co:443"));
        assert_ne!(origin("https://hub.co"), origin("http://hub.co"));
        assert_ne!(origin("http://127.0.0.1:1"), origin("http://127.0.0.1:2"));
        assert_ne!(origin("https://hub.co"), origin("https://hub.co.evil.org"));
        assert_ne!(origin("https://hub.co"), origin("https://hub.co@evil.org"));
        assert_eq!(origin("ftp://x"), None);
        assert_eq!(origin("huggingface.co"), None);
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(encode("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encode("a b/ç?#.txt", true), "a%20b/%C3%A7%3F%23.txt");
    }
}
