//! Feeds the fuzzer to `properties/json_body.rs`, on the file of the service: it is private.

#![no_main]

#[path = "../../src/http/request/input.rs"]
mod input;
#[path = "../properties/json_body.rs"]
mod property;

use discogsography_api::model;
use input::{Fields, Input, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
