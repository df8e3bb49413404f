//! What the server says: refusals, redirects, hostile names, nonsense.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::Location;

use crate::server::{Answer, COMMIT, File, Request, Server, honest};
use crate::{REPO, World, check_error, env, fetch, files};

fn is_listing(request: &Request) -> bool {
    request.path.starts_with("/api/")
}

/// A hub whose listing is this text.
fn listing(text: String) -> World {
    World::new(
        move |request, answer| {
            if is_listing(request) { Answer::new(200, text.clone()) } else { answer }
        },
    )
}

/// The cache holds no file at all.
fn check_empty(world: &World) {
    let shelf = world.shelf();
    assert!(!shelf.exists(), "{}: something was written", shelf.display());
}

#[test]
fn refusals_say_the_way_out() {
    let check = |status: u16, code: &'static str, token: Option<&str>, words: &[&str]| {
        let world = World::new(move |_, _| Answer::new(status, "").with("X-Error-Code", code));
        let env = hub::Env { token: token.map(str::to_owned), ..world.env() };
        check_error(fetch(REPO, &env), words);
        assert_eq!(world.server.seen().len(), 1, "a refusal is not asked twice");
        check_empty(&world);
    };
    check(401, "RepoNotFound", None, &["owner/name: no such model", "401", "spelling", "HF_TOKEN"]);
    check(401, "", Some("t"), &["still valid"]);
    check(403, "", Some("t"), &["403", "account of HF_TOKEN"]);
    check(403, "GatedRepo", None, &["owner/name is gated", "/owner/name, then set HF_TOKEN"]);
    check(401, "GatedRepo", None, &["gated"]);
    check(404, "", None, &["no such model", "404"]);
    check(404, "RevisionNotFound", None, &["no revision \"main\""]);
    check(400, "", None, &["answered 400"]);
}

#[test]
fn a_listed_file_that_is_not_served_is_named() {
    let gone = |request: &Request, answer| match request.path.ends_with("model.safetensors") {
        true => Answer::new(404, "").with("X-Error-Code", "EntryNotFound"),
        false => answer,
    };
    check_error(World::new(gone).resolve(), &["owner/name lists model.safetensors", "404"]);
}

#[test]
fn patience_is_asked_for_and_given() {
    let world = World::new(|request, answer| match request.earlier {
        0 => Answer::new(429, "").with("Retry-After", "0"),
        1 => Answer::new(503, ""),
        _ => answer,
    });
    world.check_whole(&world.resolve().unwrap());
}

#[test]
fn too_much_patience_is_refused_at_once() {
    let world = World::new(|_, _| Answer::new(429, "").with("Retry-After", "3600"));
    let start = Instant::now();
    check_error(world.resolve(), &["429", "3600 s"]);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_server_that_fails_for_ever_is_given_up() {
    for status in [500, 502, 503, 429] {
        let world = World::new(move |_, _| Answer::new(status, ""));
        check_error(world.resolve(), &[&status.to_string(), "3 tries"]);
        assert_eq!(world.server.seen().len(), 3);
        check_empty(&world);
    }
}

#[test]
fn nobody_there_is_one_line() {
    let world = World::honest();
    let gone = Server::start(|_| Answer::new(200, "")).url.clone();
    check_error(fetch(REPO, &env(&gone, world.home.path())), &["127.0.0.1:", "3 tries", "network"]);
    check_error(fetch(REPO, &env("huggingface.co", world.home.path())), &["HF_ENDPOINT", "https://"]);
}

#[test]
fn hostile_names_never_become_paths() {
    let check = |name: &str, words: &[&str]| {
        let text =
            format!(r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":{name:?},"size":1,"blobId":"ab"}}]}}"#);
        let world = listing(text);
        let options = hub::Options::default();
        check_error(hub::resolve(REPO, None, &options, &world.env(), &mut |_, _, _| {}), words);
        check_empty(&world);
        assert_eq!(world.server.seen().len(), 1, "{name}: it was asked for");
    };
    let refused = ["the hub names a file", "refused"];
    for name in ["../../x", "/etc/x", "a/../../x", "a\\b", "C:/x", "", ".", "a//b", &"x".repeat(2000)] {
        check(name, &refused);
    }
}

#[test]
fn hostile_etags_never_become_paths() {
    for etag in ["../../x", "a/b", "", "a\\b", "..", &"a".repeat(300)] {
        let text = format!(
            r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"config.json","size":1,"blobId":{etag:?}}}]}}"#
        );
        let world = listing(text);
        let options = hub::Options::default();
        let result = hub::resolve(REPO, None, &options, &world.env(), &mut |_, _, _| {});
        check_error(result, &["the hub names an etag", "refused"]);
        check_empty(&world);
    }
}

#[test]
fn a_hostile_commit_never_becomes_a_path() {
    for sha in ["../../x", "main", "", "0123"] {
        let world = listing(format!(r#"{{"sha":{sha:?},"siblings":[]}}"#));
        check_error(world.resolve(), &["the hub names a commit", "no git commit"]);
        check_empty(&world);
    }
}

#[test]
fn what_is_no_listing_is_said() {
    for text in ["<html>log in</html>", "", "[]", r#"{"siblings":[]}"#, "{\"sha\":1}"] {
        let world = listing(text.to_owned());
        check_error(world.resolve(), &["/api/models/owner/name/revision/main", "not the hub's JSON"]);
    }
}

#[test]
fn a_repository_without_the_wanted_files_is_refused_before_a_download() {
    let text = format!(
        r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"config.json"}},{{"rfilename":"model.onnx"}}]}}"#
    );
    let world = listing(text);
    let words = ["no file model*.safetensors or pytorch_model*.bin", "it has config.json, model.onnx"];
    check_error(world.resolve(), &words);
    assert_eq!(world.server.seen().len(), 1);
}

#[test]
fn one_gguf_file_of_many_is_named_by_its_end() {
    let many = ["toy-Q4_K_M.gguf", "toy-Q8_0.gguf", "toy-f16.gguf", "other-f16.gguf"];
    let files: Vec<File> = many.iter().map(|name| File::new(name, *name)).collect();
    let server = Server::start(move |request| honest(&files, request));
    let home = tempfile::tempdir().unwrap();
    let env = env(&server.url, home.path());
    for (typed, name) in [
        ("owner/name:Q4_K_M", many[0]),
        ("owner/name:q8_0", many[1]),
        ("owner/name:toy-f16.gguf", many[2]),
        ("owner/name:Q8_0@main", many[1]),
    ] {
        let found = fetch(typed, &env).unwrap();
        let Location::File(path) = found.location else { panic!("{typed}") };
        assert_eq!(path.file_name().unwrap(), name);
        assert_eq!(std::fs::read(&path).unwrap(), name.as_bytes());
        assert_eq!(found.revision.as_deref(), Some(COMMIT));
    }
    assert_eq!(server.file_requests().len(), 3, "a file is fetched once, and no other one");
    check_error(
        fetch("owner/name:Q5_K", &env),
        &["no file whose name alone ends in Q5_K.gguf; it has toy-Q4_K_M.gguf"],
    );
    check_error(fetch("owner/name:f16", &env), &["alone ends in f16.gguf"]);
}

#[test]
fn a_bare_listing_is_filled_in_from_headers() {
    let names: Vec<String> =
        files().iter().map(|file| format!(r#"{{"rfilename":"{}"}}"#, file.name)).collect();
    let world = listing(format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, names.join(",")));
    world.check_whole(&world.resolve().unwrap());
    assert_eq!(world.server.seen().iter().filter(|request| request.method == "HEAD").count(), 3);
}

#[test]
fn headers_are_read_before_a_redirect_leaves_the_hub() {
    let cdn = Server::start(|_| Answer::new(200, files()[1].bytes.clone()));
    let address = format!("{}/x", cdn.url);
    let text = format!(r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"model.safetensors"}}]}}"#);
    let world = World::new(move |request, _| match is_listing(request) {
        true => Answer::new(200, text.clone()),
        false => Answer::new(302, "")
            .with("Location", &address)
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-Etag", &format!("\"{}\"", files()[1].etag()))
            .with("X-Linked-Size", "300000"),
    });
    let options = hub::Options::default();
    hub::resolve(REPO, None, &options, &world.env(), &mut |_, _, _| {}).unwrap();
    assert!(world.shelf().join("blobs").join(files()[1].etag()).exists());
    assert_eq!(cdn.seen().len(), 1, "the bytes are asked of the other host, the headers are not");
}

#[test]
fn an_etag_that_is_no_sum_resumes_with_if_range() {
    let text = format!(
        r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"model.safetensors","size":300000,"blobId":"v1"}}]}}"#
    );
    let world = World::new(move |request, answer| match (is_listing(request), request.earlier) {
        (true, _) => Answer::new(200, text.clone()),
        (_, 0) => Answer { cut: Some(1000), ..answer },
        _ => answer,
    });
    let options = hub::Options::default();
    hub::resolve(REPO, None, &options, &world.env(), &mut |_, _, _| {}).unwrap();
    let seen = world.server.seen();
    let last = seen.last().unwrap();
    assert_eq!((last.range(), last.header("if-range")), (Some(1000), Some("\"v1\"")));
}

#[test]
fn the_token_stays_with_the_hub() {
    let cdn = Arc::new(Server::start(|request| {
        let mut asked = request.clone();
        asked.path = request.path.replace("/cdn/", &format!("/{REPO}/resolve/{COMMIT}/"));
        let answer = honest(&files(), &asked);
        Answer { cut: (request.earlier == 0).then_some(100_000), ..answer }
    }));
    let address = cdn.url.clone();
    let world = World::new(move |request, answer| {
        let Some((_, name)) = request.path.split_once("/resolve/").filter(|_| request.is_file()) else {
            return answer;
        };
        let (_, name) = name.split_once('/').unwrap();
        match name {
            "model.safetensors" => Answer::new(302, "")
                .with("Location", &format!("{address}/cdn/{name}"))
                .with("X-Linked-Etag", &format!("\"{}\"", files()[1].etag())),
            "config.json" if !request.path.contains("/moved/") => {
                Answer::new(307, "").with("Location", &format!("/moved/name/resolve/{COMMIT}/{name}"))
            }
            _ => answer,
        }
    });
    let env = hub::Env { token: Some("hf_secret".to_owned()), ..world.env() };
    world.check_whole(&fetch(REPO, &env).unwrap());
    for request in world.server.seen() {
        assert_eq!(request.header("authorization"), Some("Bearer hf_secret"), "{}", request.path);
    }
    let seen = cdn.seen();
    assert_eq!(seen.iter().map(Request::range).collect::<Vec<_>>(), [None, Some(100_000)]);
    for request in seen {
        assert_eq!(request.header("authorization"), None, "the token left the hub");
    }
}

#[test]
fn redirects_end() {
    let world = World::new(|request, _| Answer::new(302, "").with("Location", &request.path));
    check_error(world.resolve(), &["more than 6 redirects"]);
    let world = World::new(|_, _| Answer::new(302, "").with("Location", "file:///etc/passwd"));
    check_error(world.resolve(), &["redirects to nowhere"]);
}

#[test]
fn a_revision_is_asked_and_noted() {
    let world = World::honest();
    fetch("owner/name@refs/pr/1", &world.env()).unwrap();
    let seen = world.server.seen();
    assert_eq!(seen[0].path, "/api/models/owner/name/revision/refs%2Fpr%2F1?blobs=true");
    let noted = std::fs::read_to_string(world.shelf().join("refs/refs/pr/1")).unwrap();
    assert_eq!(noted, COMMIT);
}

#[test]
fn a_token_that_breaks_the_header_is_refused() {
    let world = World::honest();
    let env = hub::Env { token: Some("a\r\nX: y".to_owned()), ..world.env() };
    check_error(fetch(REPO, &env), &["HF_TOKEN"]);
    assert!(world.server.seen().is_empty());
}
