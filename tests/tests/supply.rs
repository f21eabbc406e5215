//! Dependencies have acceptable licences and come from crates.io.

use std::process::Command;
use tollgate_tests::{source::checkout, supply::unwelcome};

#[test]
fn dependencies_are_welcome() {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().count() > 50, "{tree}");
    let wrong = unwelcome(&tree);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_unwelcome_is_found() {
    for (line, found) in [
        ("a v1.0.0|MIT OR Apache-2.0", 0),
        ("a v1.0.0|(MIT OR Apache-2.0) AND Unicode-3.0 (*)", 0),
        ("a v1.0.0|LGPL-2.1-or-later OR MIT", 0),
        ("a v1.0.0|Apache-2.0/MIT", 0),
        ("a v1.0.0|GPL-3.0-only", 1),
        ("a v1.0.0|MIT AND GPL-3.0-only", 1),
        ("a v1.0.0|", 1),
        ("a v1.0.0 (https://example.com/a?rev=1#abc)|MIT", 1),
    ] {
        assert_eq!(unwelcome(line).len(), found, "{line}");
    }
}
