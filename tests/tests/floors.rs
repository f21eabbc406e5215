//! The server's modules import only downwards.

use tollgate_tests::{
    floors::{floors, imports, ring, upward},
    source::{Source, checkout},
};

const FOLDER: &str = "proxy/src/";

#[test]
fn the_server_imports_only_downwards() {
    let sources = Source::all_below(&checkout()).unwrap();
    let lib = sources.iter().find(|source| source.path == "proxy/src/lib.rs").unwrap();
    let imports = imports(&sources, FOLDER);
    let wrong = upward(&floors(lib), &imports);
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
    assert_eq!(ring(&imports), None);
    assert!(floors(lib).len() > 10, "lib.rs was not understood: {:?}", floors(lib));
}

#[track_caller]
fn check(file: &str, text: &str, expected: &[&str]) {
    let lib = Source::of("proxy/src/lib.rs", "pub mod clock;\npub mod store;\n// up\npub mod app;");
    let found = upward(&floors(&lib), &imports(&[Source::of(file, text)], FOLDER));
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(file) && found.contains(expected), "{expected} is not in: {found}");
    }
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::app::App;",
        "use crate::{clock, app::{App, Other}};",
        "use crate::{\n    app,\n    clock::Clock,\n};",
        "fn f() { crate::app::run() }",
        "use super::app::App;",
    ] {
        check("proxy/src/store.rs", text, &["store imports app"]);
    }
    check("proxy/src/store/keys.rs", "use super::super::app;", &["store imports app"]);
    check("proxy/src/ghost.rs", "use crate::clock;", &["ghost has no line"]);
}

#[test]
fn what_is_allowed_is_not_found() {
    check("proxy/src/app.rs", "use crate::{clock::Clock, store};", &[]);
    check("proxy/src/store/keys.rs", "use super::app; use crate::store::Rows;", &[]);
    check(
        "proxy/src/store.rs",
        "//! See [`crate::app`].\n// crate::app\nuse other_crate::app;",
        &[],
    );
    check("proxy/src/main.rs", "use crate::app;", &[]);
    check("cli/src/app.rs", "use crate::app2;", &[]);
}

#[test]
fn a_ring_is_found() {
    let files = [
        Source::of("proxy/src/a.rs", "use crate::b::B;"),
        Source::of("proxy/src/b.rs", "use crate::c::C;"),
        Source::of("proxy/src/c.rs", "use crate::a::A;"),
    ];
    assert_eq!(ring(&imports(&files, FOLDER)).unwrap(), ["a", "b", "c"]);
    assert_eq!(ring(&imports(files.get(..2).unwrap(), FOLDER)), None);
}
