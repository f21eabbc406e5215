//! Where the programs are, and the user that runs them.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Debian keeps a folder for each version here, and only the client programs on the PATH.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// The folder of `postgres` and `initdb`, of the newest version there is.
pub(super) fn postgres() -> io::Result<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| std::cmp::Reverse(major(path)));
    let folders = versions.iter().map(|version| version.join("bin")).chain(on_path());
    first_with(&["postgres", "initdb"], folders)
}

/// The Redis server.
pub(super) fn redis() -> io::Result<PathBuf> {
    Ok(first_with(&["redis-server"], on_path())?.join("redis-server"))
}

/// A program of the measurements.
pub(crate) fn measured(name: &str) -> io::Result<PathBuf> {
    // Debian keeps servers where only root's PATH looks.
    let folders = on_path().chain([PathBuf::from("/usr/sbin")]);
    let found = first_with(&[name], folders).map(|folder| folder.join(name));
    found.map_err(|error| {
        io::Error::new(error.kind(), format!("{name} cannot be found: run scripts/setup.sh bench"))
    })
}

/// The first folder that has all of these programs.
fn first_with(
    programs: &[&str],
    mut folders: impl Iterator<Item = PathBuf>,
) -> io::Result<PathBuf> {
    let found = folders.find(|folder| programs.iter().all(|name| folder.join(name).is_file()));
    found.ok_or_else(|| {
        let missing = format!("{} cannot be found: run make setup", programs.join(" and "));
        io::Error::new(io::ErrorKind::NotFound, missing)
    })
}

fn major(version: &Path) -> u32 {
    let name = version.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Somebody of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) id: u32,
    pub(super) group: u32,
}

/// Who runs the servers where this process is root, which PostgreSQL refuses to be. Absent where
/// this process is an ordinary user, who then runs them.
pub(super) fn unprivileged() -> io::Result<Option<User>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd")?;
    let found = user("postgres", &accounts).or_else(|| user("nobody", &accounts));
    let nobody = || io::Error::other("root needs the user postgres or nobody: run make setup");
    found.map(Some).ok_or_else(nobody)
}

/// An account in the format of `/etc/passwd`; never root.
fn user(name: &str, accounts: &str) -> Option<User> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (id, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (id != 0).then_some(User { id, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_and_is_never_root() {
        let accounts = "root:x:0:0::/:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104:PG:/var:/bin/sh\n\
                        broken\nnobody:x:0:0::/:";
        assert_eq!(user("postgres", accounts), Some(User { id: 101, group: 104 }));
        assert_eq!(user("nobody", accounts), None);
        assert_eq!(user("broken", accounts), None);
        assert_eq!(user("redis", accounts), None);
    }

    #[test]
    fn versions_are_numbers() {
        let order = ["9", "15", "nine"].map(|version| major(&Path::new("/x").join(version)));
        assert_eq!(order, [9, 15, 0]);
    }

    #[test]
    fn a_folder_needs_all_programs() {
        let folder = tempfile::TempDir::new().unwrap();
        let [half, whole] = ["half", "whole"].map(|name| folder.path().join(name));
        for path in [&half, &whole] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("postgres"), "").unwrap();
        }
        std::fs::write(whole.join("initdb"), "").unwrap();
        let find = |folders: &[&PathBuf]| {
            let folders: Vec<PathBuf> = folders.iter().map(|path| path.to_path_buf()).collect();
            first_with(&["postgres", "initdb"], folders.into_iter())
        };
        assert_eq!(find(&[&half, &whole]).unwrap(), whole);
        let error = find(&[&half]).unwrap_err().to_string();
        assert_eq!(error, "postgres and initdb cannot be found: run make setup");
    }
}
