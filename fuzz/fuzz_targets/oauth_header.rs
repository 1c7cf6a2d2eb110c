//! Passes the fuzzer's inputs to `properties/oauth_header.rs`.

#![no_main]

#[path = "../properties/oauth_header.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
