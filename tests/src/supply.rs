//! What the project depends on: licences that its users can accept, sources that do not move.

/// Licences that a user of an MIT or Apache-2.0 project can accept without reading further.
const ACCEPTED: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "ISC",
    "BSD-3-Clause",
    "BSL-1.0",
    "Zlib",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "Unlicense",
];

/// Dependencies whose licence none of the accepted ones satisfies, or that come from elsewhere
/// than crates.io. `tree` has one line each: `cargo tree --prefix none --format '{p}|{l}'`.
pub fn unwelcome(tree: &str) -> Vec<String> {
    let lines = tree.lines().filter_map(|line| line.split_once('|'));
    lines
        .filter_map(|(package, licence)| {
            let licence = licence.trim_end_matches(" (*)");
            if package.contains("(http") || package.contains("(git") {
                Some(format!("{package} comes from elsewhere than crates.io"))
            } else if !is_accepted(licence) {
                Some(format!("{package} has the licence {licence:?}"))
            } else {
                None
            }
        })
        .collect()
}

/// Every part that is joined by AND needs one accepted choice.
fn is_accepted(licence: &str) -> bool {
    licence.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')']);
        let choices = part.split(" OR ").flat_map(|choice| choice.split('/'));
        choices.map(str::trim).any(|choice| ACCEPTED.contains(&choice))
    })
}
