//! Passes the fuzzer's inputs to `properties/configuration.rs`.

#![no_main]

#[path = "../properties/configuration.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
