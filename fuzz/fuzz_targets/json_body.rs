//! Passes the fuzzer's inputs to `properties/json_body.rs`.
//!
//! The module under test is private, so this includes its file.

#![no_main]

#[path = "../../src/http/request/input.rs"]
mod input;
#[path = "../properties/json_body.rs"]
mod property;

use discogsography_api::model;
use input::{Fields, Input, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
