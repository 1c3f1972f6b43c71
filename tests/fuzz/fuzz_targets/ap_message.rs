//! Fuzz target; see `adjunct_tests::fuzz::ap_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| adjunct_tests::fuzz::ap_message(data));
