//! Discogs itself: request tokens, approvals, access tokens, nonces and the rate limit, without I/O.
//!
//! Every call gets the time as an argument. Everything is limited; at a limit, the oldest entry is
//! dropped.

mod bounded;
mod rate;

use std::time::Duration;

use oauth1::Token;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;
use thiserror::Error;

use crate::options::{Identity, Options, VerifierAlphabet};
use bounded::Bounded;
pub(crate) use rate::{Rate, RateState};

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// How many letters a token or a secret has.
const TOKEN_LENGTH: usize = 40;
/// How many characters a verifier has.
const VERIFIER_LENGTH: usize = 10;
const MAX_REQUEST_TOKENS: usize = 1_000;
const MAX_ACCESS_TOKENS: usize = 10_000;
const MAX_NONCES: usize = 10_000;

/// Why an approval or denial was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApprovalError {
    /// No such request token: never issued, expired, or already exchanged.
    #[error("unknown or expired request token")]
    Unknown,
    /// It was already approved or denied.
    #[error("this request token has been answered already")]
    AlreadyAnswered,
}

/// Why a request token was not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeError {
    /// No such request token.
    Unknown,
    /// It is not approved yet.
    Pending,
    /// The user denied access.
    Denied,
    /// The verifier is wrong.
    WrongVerifier,
}

/// The user's answer to a request token.
enum Reply {
    Pending,
    Approved { verifier: String, identity: Identity },
    Denied,
}

struct RequestToken {
    secret: SecretString,
    /// The first instant at which it is no longer valid.
    expires_at: Duration,
    reply: Reply,
    wrong_verifiers: u32,
}

struct AccessToken {
    secret: SecretString,
    identity: Identity,
}

/// The state of one sandbox.
pub(crate) struct Desk {
    random: StdRng,
    request_tokens: Bounded<String, RequestToken>,
    access_tokens: Bounded<String, AccessToken>,
    nonces: Bounded<(u64, String), ()>,
    pub(crate) rate: Rate,
}

impl Desk {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            random: StdRng::seed_from_u64(options.seed),
            request_tokens: Bounded::new(MAX_REQUEST_TOKENS),
            access_tokens: Bounded::new(MAX_ACCESS_TOKENS),
            nonces: Bounded::new(MAX_NONCES),
            rate: Rate::new(options.rate_limit),
        }
    }

    /// Records a nonce with its timestamp; returns false if the pair was used before.
    pub(crate) fn take_nonce(&mut self, timestamp: u64, nonce: &str) -> bool {
        self.nonces.insert((timestamp, nonce.to_owned()), ())
    }

    pub(crate) fn new_request_token(&mut self, options: &Options, now: Duration) -> Token {
        let token = self.new_token();
        let request_token = RequestToken {
            secret: token.secret.clone(),
            expires_at: now.saturating_add(options.request_token_life),
            reply: Reply::Pending,
            wrong_verifiers: 0,
        };
        self.request_tokens.insert(token.token.clone(), request_token);
        token
    }

    pub(crate) fn request_secret(&mut self, token: &str, now: Duration) -> Option<SecretString> {
        let request_token = self.live(token, now)?;
        Some(request_token.secret.clone())
    }

    /// Whether this request token awaits the user's answer.
    pub(crate) fn pending(&mut self, token: &str, now: Duration) -> Result<(), ApprovalError> {
        let request_token = self.live(token, now).ok_or(ApprovalError::Unknown)?;
        match request_token.reply {
            Reply::Pending => Ok(()),
            Reply::Approved { .. } | Reply::Denied => Err(ApprovalError::AlreadyAnswered),
        }
    }

    /// Approves a request token; returns the verifier.
    pub(crate) fn approve(
        &mut self,
        token: &str,
        identity: Identity,
        alphabet: VerifierAlphabet,
        now: Duration,
    ) -> Result<String, ApprovalError> {
        self.pending(token, now)?;
        let verifier = self.new_verifier(alphabet);
        let request_token = self.live(token, now).ok_or(ApprovalError::Unknown)?;
        request_token.reply = Reply::Approved { verifier: verifier.clone(), identity };
        Ok(verifier)
    }

    pub(crate) fn deny(&mut self, token: &str, now: Duration) -> Result<(), ApprovalError> {
        self.pending(token, now)?;
        let request_token = self.live(token, now).ok_or(ApprovalError::Unknown)?;
        request_token.reply = Reply::Denied;
        Ok(())
    }

    /// Exchanges a request token for an access token; it can't be used again.
    pub(crate) fn exchange(
        &mut self,
        token: &str,
        shown: &str,
        options: &Options,
        now: Duration,
    ) -> Result<Token, ExchangeError> {
        let request_token = self.live(token, now).ok_or(ExchangeError::Unknown)?;
        let identity = match &request_token.reply {
            Reply::Pending => return Err(ExchangeError::Pending),
            Reply::Denied => return Err(ExchangeError::Denied),
            Reply::Approved { verifier, identity } if verifier == shown => identity.clone(),
            Reply::Approved { .. } => {
                request_token.wrong_verifiers += 1;
                if request_token.wrong_verifiers > options.wrong_verifiers_survived {
                    self.request_tokens.remove(token);
                }
                return Err(ExchangeError::WrongVerifier);
            }
        };
        self.request_tokens.remove(token);
        let granted = self.new_token();
        let access_token = AccessToken { secret: granted.secret.clone(), identity };
        self.access_tokens.insert(granted.token.clone(), access_token);
        Ok(granted)
    }

    /// The owner and the secret of an access token.
    pub(crate) fn access(&self, token: &str) -> Option<(Identity, SecretString)> {
        let access_token = self.access_tokens.get(token)?;
        Some((access_token.identity.clone(), access_token.secret.clone()))
    }

    /// Revokes an access token; returns whether it existed.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        self.access_tokens.remove(token)
    }

    fn live(&mut self, token: &str, now: Duration) -> Option<&mut RequestToken> {
        let request_token = self.request_tokens.get_mut(token)?;
        (now < request_token.expires_at).then_some(request_token)
    }

    fn new_token(&mut self) -> Token {
        Token {
            token: self.draw(LETTERS, TOKEN_LENGTH),
            secret: SecretString::from(self.draw(LETTERS, TOKEN_LENGTH)),
        }
    }

    fn new_verifier(&mut self, alphabet: VerifierAlphabet) -> String {
        let characters = match alphabet {
            VerifierAlphabet::Letters => LETTERS,
            VerifierAlphabet::LettersAndDigits => LETTERS_AND_DIGITS,
        };
        self.draw(characters, VERIFIER_LENGTH)
    }

    fn draw(&mut self, alphabet: &str, length: usize) -> String {
        let draw = |_| {
            let at = self.random.random_range(0..alphabet.len());
            alphabet.as_bytes().get(at).copied().map(char::from)
        };
        (0..length).filter_map(draw).collect()
    }
}

#[cfg(test)]
mod tests;
