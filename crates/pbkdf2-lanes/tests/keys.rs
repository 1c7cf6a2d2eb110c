//! Keys equal the published vectors, and those of Python and the `pbkdf2` library, however many at once.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::num::NonZeroU32;

use pbkdf2_lanes::{Job, Key, derive};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;

fn iterations(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn by_the_library(job: &Job<'_>, count: u32) -> String {
    hex(&pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(job.password, job.salt, count))
}

fn shown(keys: &[Key]) -> Vec<String> {
    keys.iter().map(|key| hex(key.as_bytes())).collect()
}

/// The first 32 bytes of each key.
#[test]
fn published_vectors_hold() {
    // RFC 7914 section 11.
    let rfc_7914 = [
        ("passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        (
            "Password",
            "NaCl",
            80_000,
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56",
        ),
    ];
    // The inputs of RFC 6070 section 2, whose keys for SHA-256 are published elsewhere.
    let rfc_6070 = [
        ("password", "salt", 1, "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"),
        ("password", "salt", 2, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
        (
            "password",
            "salt",
            4096,
            "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a",
        ),
    ];
    for (password, salt, count, key) in rfc_7914.into_iter().chain(rfc_6070) {
        let job = Job { password: password.as_bytes(), salt: salt.as_bytes() };
        for lanes in 1..=5 {
            let keys = derive(&vec![job; lanes], iterations(count));
            assert_eq!(shown(&keys), vec![key; lanes], "{password} {count}");
        }
    }
}

#[test]
fn keys_are_what_python_derives() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/passwords.json")).unwrap();
    let cases = vectors["raw"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let salt = unhex(case["salt_hex"].as_str().unwrap());
        let job = Job { password: case["password"].as_str().unwrap().as_bytes(), salt: &salt };
        let count = u32::try_from(case["iterations"].as_u64().unwrap()).unwrap();
        assert_eq!(shown(&derive(&[job], iterations(count))), [case["key_hex"].as_str().unwrap()]);
    }
}

#[test]
fn no_job_gives_no_key() {
    assert!(derive(&[], iterations(1)).is_empty());
}

#[test]
fn lengths_around_a_block_are_no_exception() {
    let long = [b'x'; 200];
    for password in [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 200] {
        for salt in [0, 1, 50, 51, 52, 55, 63, 64, 65, 115, 116, 128] {
            let job = Job { password: &long[..password], salt: &long[..salt] };
            assert_eq!(shown(&derive(&[job], iterations(3))), [by_the_library(&job, 3)]);
        }
    }
}

#[test]
fn debug_shows_nothing() {
    let keys = derive(&[Job { password: b"p", salt: b"s" }], iterations(1));
    assert_eq!(format!("{keys:?}"), "[Key([REDACTED])]");
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Different passwords in all lanes, so a lane that read another's variables would be noticed.
    #[test]
    fn each_lane_derives_what_the_library_does(
        inputs in proptest::collection::vec((bytes(200), bytes(150)), 1..=9),
        count in 1_u32..=5,
    ) {
        let jobs: Vec<_> =
            inputs.iter().map(|(password, salt)| Job { password, salt }).collect();
        let expected: Vec<_> = jobs.iter().map(|job| by_the_library(job, count)).collect();
        prop_assert_eq!(shown(&derive(&jobs, iterations(count))), expected);
    }
}
