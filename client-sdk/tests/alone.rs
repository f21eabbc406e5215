//! The program of README.md builds alone, in a crate that has nothing to do with this workspace.
#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The first block of a language that is a whole program or a whole manifest.
fn block<'t>(text: &'t str, language: &str, mark: &str) -> &'t str {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(mark)).unwrap_or_else(|| panic!("no {language} block"))
}

/// The manifest as README.md tells it, with this checkout in the place of the repository.
fn manifest(dependencies: &str, edition: &str) -> String {
    let here = checkout();
    let lines = dependencies.lines().map(|line| {
        let folder = match line.split('=').next().unwrap_or_default().trim() {
            "tollgate-client" => "client-sdk",
            "tollgate-types" => "shared-types",
            _ => return line.to_owned(),
        };
        let (name, _) = line.split_once('=').unwrap();
        format!("{name}= {{ path = {:?} }}", here.join(folder))
    });
    let dependencies: Vec<_> = lines.collect();
    format!(
        "[package]\nname = \"alone\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n\n[workspace]\n\n{}\n",
        dependencies.join("\n")
    )
}

#[test]
fn the_readmes_program_builds_alone() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let program = block(&readme, "rust", "fn main");
    let dependencies = block(&readme, "toml", "tollgate-client");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alone");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.rs"), program).unwrap();
    for edition in ["2021", "2024"] {
        fs::write(folder.join("Cargo.toml"), manifest(dependencies, edition)).unwrap();
        // The versions that this checkout is tested with.
        fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
            .args(["check", "--offline", "--quiet", "--target-dir"])
            .arg(folder.join("target"))
            .env_remove("RUSTFLAGS")
            .current_dir(&folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "edition {edition}: {said}");
    }
}
