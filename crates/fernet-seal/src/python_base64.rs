//! Base64 as Python's `base64.urlsafe_b64decode` reads it, which is how master keys are read.
//!
//! Python's rules (`binascii.a2b_base64`, not strict):
//!
//! - Text that is not ASCII is an error.
//! - `-` and `+` are the same digit, and so are `_` and `/`. All other characters except `=` are ignored.
//! - The last group may have two digits followed by at least two `=`, or three digits followed by at least
//!   one; its unused bits may have any value. Ignored characters may stand between the `=`.
//! - Any other incomplete group is an error. All other `=` are ignored.
//!
//! Python versions differ if digits follow a complete padding, as in `YQ==YQ==`. Until the fix of
//! CVE-2026-3446 (3.13.13, 3.14.4, and backports to older versions) the rest is ignored; since then only
//! the `=` is. Such text is an error here: no reading is right for every Python.

use base64ct::{Base64Url, Encoding as _};
use zeroize::Zeroizing;

use crate::KeyError;

/// Decodes text as Python does.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut digits = digits(text)?;
    let count = digits.len();
    // Full groups have no unused bits, which a strict decoder would reject.
    digits.resize(count.next_multiple_of(4), b'A');
    let mut bytes = Zeroizing::new(vec![0; digits.len() / 4 * 3]);
    let Ok(_) = Base64Url::decode(&*digits, &mut bytes) else {
        unreachable!("full groups of digits are valid base64")
    };
    bytes.truncate(count * 6 / 8);
    Ok(bytes)
}

/// Returns the URL-safe digits of a text, without padding.
fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if !text.is_ascii() {
        return Err(KeyError::NotAscii);
    }
    // The room for `decode` to fill the last group, so that no copy of the digits is left behind.
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len() + 3));
    let mut padding = 0;
    for byte in text.bytes() {
        let digit = match byte {
            b'=' => {
                padding += 1;
                continue;
            }
            b'+' => b'-',
            b'/' => b'_',
            b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => byte,
            _ => continue,
        };
        if is_padded(&digits, padding) {
            return Err(KeyError::Ambiguous);
        }
        digits.push(digit);
        padding = 0;
    }
    let is_complete = digits.len().is_multiple_of(4) || is_padded(&digits, padding);
    if is_complete { Ok(digits) } else { Err(KeyError::Incomplete) }
}

/// Whether the last group of digits is incomplete, but followed by enough `=`.
fn is_padded(digits: &[u8], padding: usize) -> bool {
    let in_group = digits.len() % 4;
    in_group >= 2 && in_group + padding >= 4
}
