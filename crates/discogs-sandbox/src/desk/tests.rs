//! Lifetimes, limits and formats of tokens, without I/O.

use std::sync::Arc;
use std::time::Duration;

use super::{ApprovalError, Desk, ExchangeError, MAX_REQUEST_TOKENS};
use crate::options::{Options, VerifierAlphabet};

const NOW: Duration = Duration::from_secs(1_790_000_000);

fn options() -> Options {
    Options::new(Arc::new(|| NOW), 7)
}

#[test]
fn tokens_and_verifiers_have_the_shapes_of_discogs() {
    let options = options();
    let mut desk = Desk::new(&options);
    let token = desk.new_request_token(&options, NOW).token;
    assert_eq!(token.len(), 40);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let verifier = desk.approve(&token, options.digger.clone(), VerifierAlphabet::Letters, NOW);
    let verifier = verifier.unwrap();
    assert_eq!(verifier.len(), 10);
    assert!(verifier.bytes().all(|byte| byte.is_ascii_alphabetic()));
}

#[test]
fn verifiers_may_hold_digits() {
    let mut desk = Desk::new(&options());
    let mut verifiers = (0..20).map(|_| desk.new_verifier(VerifierAlphabet::LettersAndDigits));
    assert!(verifiers.any(|verifier| verifier.bytes().any(|byte| byte.is_ascii_digit())));
}

#[test]
fn the_same_seed_gives_the_same_tokens() {
    let options = options();
    let token = |seed| {
        let options = Options { seed, ..options.clone() };
        Desk::new(&options).new_request_token(&options, NOW).token
    };
    assert_eq!(token(1), token(1));
    assert_ne!(token(1), token(2));
}

#[test]
fn a_request_token_expires_at_the_instant() {
    let options = options();
    let mut desk = Desk::new(&options);
    let token = desk.new_request_token(&options, NOW).token;
    let end = NOW + options.request_token_life;
    let just_before = end.saturating_sub(Duration::from_nanos(1));
    assert_eq!(desk.pending(&token, just_before), Ok(()));
    assert_eq!(desk.pending(&token, end), Err(ApprovalError::Unknown));
    assert!(desk.request_secret(&token, end).is_none());
}

#[test]
fn the_oldest_request_token_goes_when_there_are_too_many() {
    let options = options();
    let mut desk = Desk::new(&options);
    let first = desk.new_request_token(&options, NOW).token;
    let second = desk.new_request_token(&options, NOW).token;
    for _ in 0..MAX_REQUEST_TOKENS - 1 {
        desk.new_request_token(&options, NOW);
    }
    assert_eq!(desk.pending(&first, NOW), Err(ApprovalError::Unknown));
    assert_eq!(desk.pending(&second, NOW), Ok(()));
}

#[test]
fn a_request_token_survives_as_many_wrong_verifiers_as_it_is_told() {
    for survived in [0, 2] {
        let options = Options { wrong_verifiers_survived: survived, ..options() };
        let mut desk = Desk::new(&options);
        let token = desk.new_request_token(&options, NOW).token;
        let digger = options.digger.clone();
        let verifier = desk.approve(&token, digger, options.verifier_alphabet, NOW);
        for _ in 0..survived {
            let refused = desk.exchange(&token, "wrong", &options, NOW).err();
            assert_eq!(refused, Some(ExchangeError::WrongVerifier));
        }
        assert!(desk.request_secret(&token, NOW).is_some());
        let refused = desk.exchange(&token, "wrong", &options, NOW).err();
        assert_eq!(refused, Some(ExchangeError::WrongVerifier));
        let refused = desk.exchange(&token, &verifier.unwrap(), &options, NOW).err();
        assert_eq!(refused, Some(ExchangeError::Unknown));
    }
}

#[test]
fn a_nonce_is_taken_once() {
    let mut desk = Desk::new(&options());
    assert!(desk.take_nonce(1, "a"));
    assert!(!desk.take_nonce(1, "a"));
    assert!(desk.take_nonce(2, "a"));
    assert!(desk.take_nonce(1, "b"));
}
