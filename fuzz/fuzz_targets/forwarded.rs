//! Passes the fuzzer's inputs to `properties/forwarded.rs`.
//!
//! The module under test is private, so this includes its file.

#![no_main]

#[path = "../../src/http/request/forwarded.rs"]
mod forwarded;
#[path = "../properties/forwarded.rs"]
mod property;

use forwarded::{Doubt, client};

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
