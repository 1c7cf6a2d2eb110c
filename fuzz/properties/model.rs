//! User input: addresses, passwords, PINs and config values.
//!
//! They are accepted if and only if they follow their rule, and a mask shows no more than it may.

use discogsography_api::model::{ConfigValue, Email, NewPassword, Verifier, mask, normalize_email};

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    check_email(text);
    check_password(text);
    check_verifier(text);
    check_config_value(text);
    check_mask(text);
}

/// `x@y.z`, checked with nothing but a list of characters (docs/http-api.md).
fn check_email(text: &str) {
    let normalized = normalize_email(text);
    assert_eq!(normalize_email(&normalized), normalized, "an address has one normal form");
    let characters: Vec<char> = normalized.chars().collect();
    let at_signs: Vec<usize> = (0..characters.len()).filter(|at| characters[*at] == '@').collect();
    let keeps_the_rule = match at_signs[..] {
        [at] => {
            let domain = &characters[at + 1..];
            at > 0
                && domain.len() >= 3
                && domain[1..domain.len() - 1].contains(&'.')
                && !characters.iter().any(|found| found.is_whitespace() || found.is_control())
                && characters.len() <= 255
        }
        _ => false,
    };
    let email = Email::parse(text);
    assert_eq!(email.is_ok(), keeps_the_rule, "{text:?}");
    if let Ok(email) = email {
        assert_eq!(email.as_str(), normalized);
        assert!(Email::parse(email.as_str()) == Ok(email));
    }
}

fn check_password(text: &str) {
    let keeps_the_rule = (8..=1024).contains(&text.chars().count()) && !text.contains('\0');
    assert_eq!(NewPassword::parse(text).is_ok(), keeps_the_rule, "{text:?}");
}

fn check_verifier(text: &str) {
    if let Ok(verifier) = Verifier::parse(text) {
        let pin = verifier.as_str();
        assert!((1..=128).contains(&pin.chars().count()), "{text:?}");
        assert!(!pin.chars().any(|found| found.is_whitespace() || found.is_control()), "{text:?}");
        assert!(!pin.starts_with(['"', '\'']) && !pin.ends_with(['"', '\'']), "{text:?}");
        assert!(text.contains(pin));
        assert!(Verifier::parse(pin) == Ok(verifier));
    }
}

fn check_config_value(text: &str) {
    let trimmed = text.trim();
    let keeps_the_rule =
        (1..=256).contains(&trimmed.len()) && trimmed.bytes().all(|byte| byte.is_ascii_graphic());
    let value = ConfigValue::parse(text);
    assert_eq!(value.as_ref().ok().map(ConfigValue::expose), keeps_the_rule.then_some(trimmed));
}

/// The first and last two characters of more than eight, and nothing of fewer.
fn check_mask(text: &str) {
    let (hidden, shown): (Vec<char>, Vec<char>) =
        (text.chars().collect(), mask(text).chars().collect());
    assert_eq!(shown.len(), hidden.len());
    let most = if hidden.len() > 8 { 2 } else { 0 };
    let inner = most..hidden.len() - most;
    assert!(shown[inner].iter().all(|character| *character == '*'), "{text:?}");
    assert_eq!(shown[..most], hidden[..most]);
    assert_eq!(shown[hidden.len() - most..], hidden[hidden.len() - most..]);
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("model", holds);
}
