//! Builds again when a migration is added: they are embedded at compile time.
#![expect(clippy::print_stdout, reason = "this is how cargo is told")]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
