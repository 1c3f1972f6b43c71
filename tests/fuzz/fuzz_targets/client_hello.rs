//! Fuzz target; see `adjunct_tests::fuzz::client_hello`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| adjunct_tests::fuzz::client_hello(data));
