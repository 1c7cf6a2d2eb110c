//! Passes the fuzzer's inputs to `properties/model.rs`.

#![no_main]

#[path = "../properties/model.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
