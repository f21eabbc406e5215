//! Reading the project's own source files, for the tests that check its shape.

use std::path::{Path, PathBuf};

/// One text file of the checkout.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path below the root, with forward slashes.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Folders that hold no source of the project.
const SKIPPED: [&str; 4] = ["target", "data", "models", ".git"];

impl Source {
    /// Made up, for the tests of the tests.
    pub fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Every text file below a folder, in the order of their paths.
    ///
    /// # Errors
    /// When a folder or a file cannot be read. Files that are not text are left out.
    pub fn all_below(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.is_dir() && !SKIPPED.contains(&name) {
                    folders.push(path);
                } else if path.is_file() {
                    found.extend(read(root, &path)?);
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Whether this is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is tests: it lies in a `tests` folder or is a `tests.rs`.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The lines before the file's own test module, comments included.
    pub fn lines_before_tests(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]")
    }

    /// The text before the file's own test module, without comments.
    pub fn code(&self) -> String {
        self.lines_before_tests().map(without_comment).collect::<Vec<_>>().join("\n")
    }
}

fn read(root: &Path, path: &Path) -> std::io::Result<Option<Source>> {
    let Ok(text) = String::from_utf8(std::fs::read(path)?) else { return Ok(None) };
    let below = path.strip_prefix(root).unwrap_or(path);
    Ok(Some(Source { path: below.to_string_lossy().replace('\\', "/"), text }))
}

/// The line up to a `//` that is not part of a URL.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line.get(..*at).unwrap_or_default().ends_with(':'));
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

/// The root of this checkout.
pub fn checkout() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}
