//! Streams cut into payloads, wherever the bytes were cut before.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::payloads(data));
