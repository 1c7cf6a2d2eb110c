//! Feeds the fuzzer to `properties/forwarded.rs`, on the file of the service: it is private.

#![no_main]

#[path = "../../src/http/request/forwarded.rs"]
mod forwarded;
#[path = "../properties/forwarded.rs"]
mod property;

use forwarded::{Doubt, client};

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
