//! Streams of every dialect, cut anywhere, folded and written in every other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::stream(data));
