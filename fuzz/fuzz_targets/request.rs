//! Requests read in every dialect and written in every other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::request(data));
