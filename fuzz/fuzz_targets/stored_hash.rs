//! Passes the fuzzer's inputs to `properties/stored_hash.rs`.
//!
//! The module under test is private, so this includes its file.

#![no_main]

#[path = "../properties/stored_hash.rs"]
mod property;
#[path = "../../src/accounts/password/stored.rs"]
mod stored;

use stored::StoredHash;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
