//! Unsuccessful answers of providers, told in every dialect.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::upstream_error(data));
