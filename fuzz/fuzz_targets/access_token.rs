//! Passes the fuzzer's inputs to `properties/access_token.rs`.

#![no_main]

#[path = "../properties/access_token.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
