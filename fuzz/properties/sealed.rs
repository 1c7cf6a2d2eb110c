//! Stored values and master keys: each input is taken as a token, as a text to seal, and as a key.
//!
//! A token is opened only if it is what sealing the opened text returns. A master key is read as a slow
//! reference reads it.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fernet_seal::{FernetKey, MasterKey, looks_sealed};
use secrecy::ExposeSecret as _;

/// The key of the tokens in the corpus.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NOW: u64 = 1_700_000_000;
const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let key = key(MASTER);
    check_token(&key, text);
    let token = key.seal(text, NOW, IV);
    assert_eq!(key.open(&token).unwrap().expose_secret(), text);
    check_token(&key, &token);
    check_master_key(text);
}

fn key(master: &str) -> FernetKey {
    MasterKey::parse(master).unwrap().fernet_key("oauth-tokens")
}

/// The fuzzer can't forge a MAC, so it opens only tokens of the corpus, which have this time and IV.
fn check_token(key: &FernetKey, token: &str) {
    if let Ok(plain) = key.open(token) {
        assert!(looks_sealed(token));
        let trimmed = token.trim_matches(|character: char| {
            character.is_ascii_whitespace() || character == '\u{b}'
        });
        assert_eq!(key.seal(plain.expose_secret(), NOW, IV), trimmed);
    }
}

fn check_master_key(text: &str) {
    if text.trim_start().starts_with("fernet:") {
        let _ = MasterKey::parse(text);
        return;
    }
    let Some(expected) = reference(text) else {
        return assert!(MasterKey::parse(text).is_err(), "{text}");
    };
    assert_eq!(MasterKey::parse(text).unwrap().is_weak(), expected.len() < 32);
    // The same bytes, in a form that every decoder reads.
    let canonical = LENIENT.encode(&expected);
    assert_eq!(key(text).seal("", NOW, IV), key(&canonical).seal("", NOW, IV), "{text}");
}

/// Returns the bytes of a key, or `None` if Python can't read it or if its versions differ.
///
/// Older versions ignore what follows a complete padding, later ones only the padding itself.
fn reference(text: &str) -> Option<Vec<u8>> {
    let is_read = |character: char| character.is_ascii_alphanumeric() || "-_=".contains(character);
    let read = text.replace('+', "-").replace('/', "_").replace(|other| !is_read(other), "");
    let mut parts = (1..=read.len()).map(|end| &read[..end]);
    let older = parts.find(|part| part.ends_with('=') && is_padded(part)).unwrap_or(&read);
    let (older, newer) = (decoded(older)?, decoded(&read)?);
    (text.is_ascii() && older == newer).then_some(newer)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.replace('=', "");
    let is_complete = digits.len().is_multiple_of(4) || is_padded(text);
    is_complete.then(|| LENIENT.decode(digits).unwrap())
}

/// Whether the last group is incomplete, but followed by enough `=`.
fn is_padded(text: &str) -> bool {
    let padding = text.len() - text.trim_end_matches('=').len();
    let in_group = text.replace('=', "").len() % 4;
    in_group >= 2 && in_group + padding >= 4
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("sealed", holds);
}
