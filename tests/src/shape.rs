//! Rules about files that no compiler checks. Each function returns what is wrong, file by file.

use crate::source::Source;

/// The most lines of a file, its own tests not counted.
pub const MOST_LINES: usize = 500;

/// Files that have grown too long.
pub fn too_long(sources: &[Source]) -> Vec<String> {
    let rust = sources.iter().filter(|source| source.is_rust() && !source.is_test());
    rust.filter_map(|source| {
        let lines = source.lines_before_tests().count();
        (lines > MOST_LINES)
            .then(|| format!("{}: {lines} lines, more than {MOST_LINES}", source.path))
    })
    .collect()
}

/// Files that do not say in their first line what they are for.
pub fn without_header(sources: &[Source]) -> Vec<String> {
    let rust = sources.iter().filter(|source| source.is_rust());
    rust.filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: does not begin with //! and a sentence", source.path))
        .collect()
}

/// Modules in the old layout.
pub fn mod_files(sources: &[Source]) -> Vec<String> {
    let old = sources.iter().filter(|source| source.path.ends_with("/mod.rs"));
    old.map(|source| format!("{}: write foo.rs and foo/ instead of mod.rs", source.path)).collect()
}

/// Functions that were excused from the length that clippy allows.
pub fn excused_functions(sources: &[Source]) -> Vec<String> {
    let rust = sources.iter().filter(|source| source.is_rust() && !source.is_test());
    rust.filter(|source| source.code().contains("too_many_lines"))
        .map(|source| format!("{}: a function is excused from its length", source.path))
        .collect()
}

/// SQL or the database's crate outside of the store, in programs and libraries. The one exception
/// makes and drops the databases that tests are given, and never reads a table.
pub fn sql_outside_store(sources: &[Source]) -> Vec<String> {
    let statements = ["\"select ", "\"insert into ", "\"update ", "\"delete from ", "\"with "];
    let rust = sources.iter().filter(|source| source.is_rust() && !source.is_test());
    let places = ["proxy/src/store", "bench/src/private/database.rs"];
    rust.filter(|source| !places.iter().any(|place| source.path.starts_with(place)))
        .filter(|source| {
            let code = source.code();
            let lower = code.to_lowercase();
            code.contains("sqlx::") || statements.iter().any(|start| lower.contains(start))
        })
        .map(|source| format!("{}: SQL belongs in proxy/src/store", source.path))
        .collect()
}

/// Files that name a folder of somebody's machine: a home, or the checkout they lie in.
pub fn private_paths(sources: &[Source], checkout: &str) -> Vec<String> {
    let homes = ["/home/", "/Users/", "/root/"];
    let names = |text: &str, folder: &str| {
        text.match_indices(folder).any(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.'))
        })
    };
    let is_private = |text: &str| {
        let near_root = checkout.matches('/').count() < 2;
        homes.iter().any(|home| names(text, home)) || (!near_root && names(text, checkout))
    };
    sources
        .iter()
        .filter(|source| source.path != "tests/src/shape.rs" && is_private(&source.text))
        .map(|source| format!("{}: names a folder of somebody's machine", source.path))
        .collect()
}

/// Crates of a `cargo tree --prefix none` that a thin client must not carry.
pub fn heavy_crates(tree: &str) -> Vec<String> {
    let heavy = ["axum", "sqlx", "tonic", "llama-cpp-2", "tollgate", "tollgate-engine"];
    let crates = tree.lines().filter_map(|line| line.split_whitespace().next());
    crates
        .filter(|name| heavy.contains(name) || name.starts_with("sqlx-"))
        .map(|name| format!("the client depends on {name}"))
        .collect()
}
