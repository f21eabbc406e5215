//! Requests for vectors, their answers, and lists of models.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::embed(data));
