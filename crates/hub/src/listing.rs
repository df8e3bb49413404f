//! The hub's own listing of a repository: the commit that a revision stands at, and its files with size and sum.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::names::{is_commit, safe_etag, shorten};
use crate::net::{About, Client, Method, encode};

/// A repository at one commit.
pub(crate) struct Listing {
    pub commit: String,
    pub files: Vec<RemoteFile>,
}

/// A file as the hub lists it; an absent etag is asked for with HEAD before the file is fetched.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    pub name: String,
    pub size: Option<u64>,
    pub etag: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

const LISTING_LIMIT: u64 = 64 << 20;

/// Asks `/api/models/ID/revision/REVISION?blobs=true`.
pub(crate) fn listing(client: &Client<'_>, repo: &str, revision: &str, tries: u32) -> Result<Listing> {
    let endpoint = &client.env.endpoint;
    let url = format!("{endpoint}/api/models/{repo}/revision/{}?blobs=true", encode(revision, false));
    let about = About { repo, revision, file: None };
    let body = client.retry(tries, || {
        let reply = client.send(Method::Get, &url, &[], &about)?;
        reply.text(LISTING_LIMIT)
    })?;
    let answer: Answer = serde_json::from_str(&body)
        .map_err(|error| Error::Answer { url: url.clone(), why: format!("not the hub's JSON ({error})") })?;
    if !is_commit(&answer.sha) {
        let value = shorten(&answer.sha);
        return Err(Error::Hostile {
            repo: repo.to_owned(),
            what: "a commit",
            value,
            why: "is no git commit",
        });
    }
    let files = answer.siblings.into_iter().map(|file| {
        let (size, etag) = match file.lfs {
            Some(lfs) => (lfs.size.or(file.size), lfs.sha256),
            None => (file.size, file.blob_id),
        };
        RemoteFile { name: file.rfilename, size, etag }
    });
    Ok(Listing { commit: answer.sha, files: files.collect() })
}

/// Fills in etag and size from the headers of `/resolve/`, for hubs whose listing lacks them.
pub(crate) fn ask_headers(
    client: &Client<'_>,
    repo: &str,
    commit: &str,
    file: &mut RemoteFile,
) -> Result<()> {
    let url = file_url(client, repo, commit, &file.name);
    let about = About { repo, revision: commit, file: Some(&file.name) };
    let reply = client.retry(client.env.patience.tries, || client.send(Method::Head, &url, &[], &about))?;
    if reply.header("x-repo-commit").is_some_and(|served| served != commit) {
        return Err(Error::Answer { url, why: "another commit is served than was asked".to_owned() });
    }
    let etag = reply.header("x-linked-etag").or(reply.header("etag"));
    let Some(etag) = etag else {
        return Err(Error::Answer { url, why: "no etag comes with the file".to_owned() });
    };
    file.etag = Some(etag.to_owned());
    let redirected = (300..400).contains(&reply.status);
    let length = reply.header("x-linked-size").or(reply.header("content-length").filter(|_| !redirected));
    file.size = file.size.or(length.and_then(|text| text.parse().ok()));
    Ok(())
}

/// Where a file is served.
pub(crate) fn file_url(client: &Client<'_>, repo: &str, commit: &str, file: &str) -> String {
    format!("{}/{repo}/resolve/{commit}/{}", client.env.endpoint, encode(file, true))
}

/// The etag as a file name, or the refusal.
pub(crate) fn checked_etag(repo: &str, file: &RemoteFile) -> Result<String> {
    let etag = file.etag.as_deref().unwrap_or_default();
    safe_etag(etag).map(str::to_owned).map_err(|why| Error::Hostile {
        repo: repo.to_owned(),
        what: "an etag",
        value: shorten(etag),
        why,
    })
}
