//! Feeds the fuzzer to `properties/stored_hash.rs`, on the file of the service: it is private.

#![no_main]

#[path = "../properties/stored_hash.rs"]
mod property;
#[path = "../../src/accounts/password/stored.rs"]
mod stored;

use stored::StoredHash;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
