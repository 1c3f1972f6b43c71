//! Fuzz target; see `adjunct_tests::fuzz::proxy_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| adjunct_tests::fuzz::proxy_header(data));
