//! Passes the fuzzer's inputs to `properties/sealed.rs`.

#![no_main]

#[path = "../properties/sealed.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
