//! A model file to a model that is ready to answer.

use crate::{LoadError, LoadOptions, provider::Loaded};
use std::{fs::File, io::Read};

/// More cells than any known model can use; llama.cpp does not return from absurd numbers.
const MOST_CELLS: u32 = 1 << 22;
/// llama.cpp's own limit.
const MOST_PLACES: u32 = 256;

/// Checks in Rust what llama.cpp would answer with a crash or without a reason.
pub(crate) fn load(options: &LoadOptions) -> Result<Loaded, LoadError> {
    check_options(options)?;
    check_file(options)?;
    #[cfg(feature = "llama")]
    return crate::backend::llama::load(options);
    #[cfg(not(feature = "llama"))]
    Err(LoadError::NotBuilt { path: options.path.clone() })
}

fn check_options(options: &LoadOptions) -> Result<(), LoadError> {
    let cases = [
        ("context", options.context, 1..=MOST_CELLS, "1 to 4194304"),
        ("parallel", options.parallel, 1..=MOST_PLACES, "1 to 256"),
        ("threads", options.threads.unwrap_or(1), 1..=512, "1 to 512"),
        ("max_output", options.max_output.unwrap_or(1), 1..=MOST_CELLS, "1 to 4194304"),
        ("queue", options.queue, 0..=100_000, "0 to 100000"),
    ];
    for (option, value, range, allowed) in cases {
        if !range.contains(&value) {
            let path = options.path.clone();
            return Err(LoadError::Option { path, option, value, allowed });
        }
    }
    Ok(())
}

/// Whether there is a file that begins like a GGUF model.
fn check_file(options: &LoadOptions) -> Result<(), LoadError> {
    let path = || options.path.clone();
    let mut magic = [0_u8; 4];
    let read = File::open(&options.path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(LoadError::Missing { path: path() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(LoadError::NotGguf { path: path() })
        }
        Err(source) => Err(LoadError::Unreadable { path: path(), source }),
        Ok(()) if magic != *b"GGUF" => Err(LoadError::NotGguf { path: path() }),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn reason(path: &Path) -> String {
        check_file(&LoadOptions::new("m", path)).map_or_else(|e| e.to_string(), |()| "fine".into())
    }

    #[test]
    fn every_unusable_file_is_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert!(reason(&folder.path().join("none.gguf")).contains("none.gguf does not exist"));
        assert!(reason(&write("empty.gguf", b"")).contains("empty.gguf is not a GGUF"));
        assert!(reason(&write("text.gguf", b"hello there")).contains("is not a GGUF"));
        assert!(reason(folder.path()).contains("cannot be read"));
        assert_eq!(reason(&write("good.gguf", b"GGUF....")), "fine");
    }

    #[test]
    fn options_out_of_range_are_named() {
        let cases: [fn(&mut LoadOptions); 4] = [
            |o| o.context = 1 << 30,
            |o| o.parallel = 0,
            |o| o.parallel = 257,
            |o| o.threads = Some(0),
        ];
        for change in cases {
            let mut options = LoadOptions::new("m", "model.gguf");
            change(&mut options);
            assert!(matches!(check_options(&options), Err(LoadError::Option { .. })));
        }
    }
}
