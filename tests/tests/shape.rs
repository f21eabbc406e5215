//! The files keep the sizes, headers and places that the project promises.

use std::{path::Path, process::Command};
use tollgate_tests::{
    shape,
    source::{Source, checkout},
};

#[track_caller]
fn check(rule: fn(&[Source]) -> Vec<String>) {
    let sources = Source::all_below(&checkout()).unwrap_or_default();
    assert!(!sources.is_empty(), "the checkout cannot be read");
    let wrong = rule(&sources);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[track_caller]
fn finds(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str) {
    assert_eq!(rule(&[Source::of(path, text)]).len(), 1, "{path} was not found");
}

#[track_caller]
fn passes(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str) {
    assert_eq!(rule(&[Source::of(path, text)]), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long() {
    check(shape::too_long);
    let (long, short) = ("\n".repeat(501), "\n".repeat(500));
    finds(shape::too_long, "proxy/src/a.rs", &long);
    passes(shape::too_long, "proxy/src/a.rs", &format!("{short}#[cfg(test)]\n{long}"));
    passes(shape::too_long, "tests/tests/a.rs", &long);
}

#[test]
fn every_file_says_what_it_is_for() {
    check(shape::without_header);
    finds(shape::without_header, "a.rs", "use std::fmt;\n");
    passes(shape::without_header, "a.rs", "//! One sentence.\n");
    passes(shape::without_header, "a.py", "import sys\n");
}

#[test]
fn modules_are_files_beside_their_folders() {
    check(shape::mod_files);
    finds(shape::mod_files, "proxy/src/store/mod.rs", "//! Old.");
}

#[test]
fn no_function_is_excused_from_its_length() {
    check(shape::excused_functions);
    finds(shape::excused_functions, "a.rs", "#[expect(clippy::too_many_lines)]\nfn f() {}");
    let root = checkout();
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    assert!(read("Cargo.toml").contains("too_many_lines = \"deny\""));
    assert!(read("clippy.toml").contains("too-many-lines-threshold = 60"));
}

#[test]
fn sql_is_written_in_the_store_only() {
    check(shape::sql_outside_store);
    finds(shape::sql_outside_store, "proxy/src/ledger.rs", "let q = \"SELECT 1 from budgets\";");
    finds(shape::sql_outside_store, "cli/src/main.rs", "sqlx::query(text)");
    passes(shape::sql_outside_store, "proxy/src/store/keys.rs", "\"select 1\"");
    passes(shape::sql_outside_store, "proxy/src/ledger.rs", "// sqlx::query is for the store");
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let root = checkout();
    let root = root.to_str().unwrap();
    let wrong = shape::private_paths(&Source::all_below(Path::new(root)).unwrap(), root);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = |text: &str| shape::private_paths(&[Source::of("a.md", text)], "/opt/me/it").len();
    for home in ["home", "Users", "root"] {
        assert_eq!(found(&format!("see /{home}/alice/x")), 1, "{home}");
        assert_eq!(found(&format!("see docs/{home}/alice/x")), 0, "{home}");
    }
    assert_eq!(found("run /opt/me/it/run"), 1);
    assert_eq!(found("run /opt/you/it/run"), 0);
}

#[test]
fn the_client_stays_thin() {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let tree = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "-p", "tollgate-client"])
        .args(["--edges", "normal", "--prefix", "none"])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert_eq!(shape::heavy_crates(&tree), Vec::<String>::new());
    assert!(tree.contains("tollgate-types"), "{tree}");
    let bad = "tollgate-client v0.1.0\nsqlx-core v0.9.0\ntollgate v0.1.0 (/x)\nhttp v1.0.0";
    assert_eq!(shape::heavy_crates(bad).len(), 2);
}
