//! A hub on the loopback that can be told to misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    /// How many requests of this method and path came before.
    pub earlier: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub fn is_file(&self) -> bool {
        self.path.contains("/resolve/") && self.method == "GET"
    }
}

/// An answer, with its lies.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The Content-Length told, where it is not the body's.
    pub told: Option<usize>,
    /// How much of the body is sent before the connection closes.
    pub cut: Option<usize>,
    /// How long the server sleeps before the connection closes.
    pub stall: Duration,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A file of a repository.
#[derive(Clone)]
pub struct File {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub lfs: bool,
}

impl File {
    pub fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.into(), lfs: name.ends_with(".safetensors") }
    }

    pub fn etag(&self) -> String {
        if self.lfs {
            return hex(&Sha256::digest(&self.bytes));
        }
        let sum = Sha1::new_with_prefix(format!("blob {}\0", self.bytes.len()));
        hex(&sum.chain_update(&self.bytes).finalize())
    }

    fn listed(&self) -> String {
        let (name, size, etag) = (self.name, self.bytes.len(), self.etag());
        if self.lfs {
            let pointer = "aa".repeat(20);
            format!(
                r#"{{"rfilename":"{name}","size":{size},"blobId":"{pointer}","lfs":{{"sha256":"{etag}","size":{size}}}}}"#
            )
        } else {
            format!(r#"{{"rfilename":"{name}","size":{size},"blobId":"{etag}"}}"#)
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an honest hub that holds `files` answers.
pub fn honest(files: &[File], request: &Request) -> Answer {
    if request.path.starts_with("/api/models/") {
        let listed: Vec<String> = files.iter().map(File::listed).collect();
        return Answer::new(200, format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, listed.join(",")));
    }
    let Some((_, name)) = request.path.split_once(&format!("/resolve/{COMMIT}/")) else {
        return Answer::new(404, "").with("X-Error-Code", "EntryNotFound");
    };
    let Some(file) = files.iter().find(|file| file.name == name) else {
        return Answer::new(404, "").with("X-Error-Code", "EntryNotFound");
    };
    let about =
        |answer: Answer| answer.with("ETag", &format!("\"{}\"", file.etag())).with("X-Repo-Commit", COMMIT);
    let total = file.bytes.len();
    match request.range() {
        Some(start) if start < total => {
            let range = format!("bytes {start}-{}/{total}", total - 1);
            about(Answer::new(206, &file.bytes[start..])).with("Content-Range", &range)
        }
        Some(_) => Answer::new(416, ""),
        None => about(Answer::new(200, file.bytes.clone())),
    }
}

/// The server; it stops when it is dropped.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, seen: Arc::default(), stop: Arc::default() };
        let (seen, stop, handler) = (server.seen.clone(), server.stop.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, handler) = (seen.clone(), handler.clone());
                std::thread::spawn(move || serve(stream, &seen, &*handler));
            }
        });
        server
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The file requests that came, as their Range starts.
    pub fn file_requests(&self) -> Vec<Option<usize>> {
        self.seen().iter().filter(|request| request.is_file()).map(Request::range).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &dyn Fn(&Request) -> Answer) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let request = {
        let mut seen = seen.lock().unwrap();
        let earlier = seen.iter().filter(|r| r.method == method && r.path == path).count();
        seen.push(Request { method, path, headers, earlier });
        seen.last()?.clone()
    };
    let answer = handler(&request);
    let length = answer.told.unwrap_or(answer.body.len());
    let mut head =
        format!("HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {length}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method != "HEAD" {
        let end = answer.cut.unwrap_or(answer.body.len()).min(answer.body.len());
        stream.write_all(&answer.body[..end]).ok()?;
        stream.flush().ok()?;
    }
    std::thread::sleep(answer.stall);
    Some(())
}
