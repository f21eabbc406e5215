//! Single fields of a body changed, and nothing else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::targets::patch(data));
