//! The messages of `tollgate.v1` in this crate are the ones that its .proto files describe.
//!
//! They are kept in the repository, so that building needs neither `protoc` nor a build script.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on shall fail there, and says what to copy"
)]

use prost::Message;
use prost_build::{Config, Module};
use std::{fs, path::Path};

const FILES: [&str; 2] = ["tollgate/v1/tollgate.proto", "grpc/health/v1/health.proto"];
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// Compares what is kept with what it should be, and leaves the latter where it can be copied from.
fn is_kept(name: &str, made: &[u8]) -> bool {
    let kept = Path::new(FOLDER).join("generated").join(name);
    if fs::read(&kept).unwrap_or_default() == made {
        return true;
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&fresh, made).unwrap();
    eprintln!("out of date: cp {} {}", fresh.display(), kept.display());
    false
}

#[test]
fn the_messages_are_those_of_the_proto_files() {
    let files = protox::compile(FILES, [FOLDER]).unwrap();
    let mut good = is_kept("descriptors.bin", &files.encode_to_vec());
    let requests = files.file.into_iter().map(|file| {
        let module = Module::from_protobuf_package_name(file.package());
        (module, file)
    });
    let mut config = Config::new();
    config.btree_map(["."]).enable_type_names();
    for (module, code) in config.generate(requests.collect()).unwrap() {
        good &= is_kept(&module.to_file_name_or("none").replace(".rs", ".in"), code.as_bytes());
    }
    assert!(good, "the generated files differ from the .proto files, see above");
}
