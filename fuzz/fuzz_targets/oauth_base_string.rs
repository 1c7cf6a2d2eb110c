//! Passes the fuzzer's inputs to `properties/oauth_base_string.rs`.

#![no_main]

#[path = "../properties/oauth_base_string.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
