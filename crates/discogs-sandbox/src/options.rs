//! How a sandbox behaves: its consumer, its limits, and which variant it follows where Discogs's
//! behaviour is undocumented.
//!
//! Time and randomness are passed in here. This module must not depend on HTTP.

use std::sync::Arc;
use std::time::Duration;

use oauth1::Consumer;
use secrecy::SecretString;

/// Returns the time since the Unix epoch; called for every request.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A user of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The permanent id; may be larger than 2^53.
    pub id: u64,
    /// The user name, in any alphabet.
    pub username: String,
}

/// How `access_token` answers after the user denied access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedStatus {
    /// 400, as for a wrong verifier.
    BadRequest,
    /// 401.
    Unauthorized,
}

/// The characters of verifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierAlphabet {
    /// Letters of both cases.
    Letters,
    /// Letters of both cases, and digits.
    LettersAndDigits,
}

/// How `identity` answers a wrong signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSignature {
    /// As a call without credentials: 401 JSON.
    Anonymous,
    /// 401 plain text that names the signature, as at the other steps.
    Refused,
    /// Not at all: a valid access token is enough.
    Ignored,
}

/// Which nonces and timestamps `request_token` and `access_token` accept.
///
/// Published versions of `@lionralfs/discogs-client` send these two a nonce of 128 hex digits and a
/// timestamp in milliseconds, which works. Discogs refuses the same at its other paths. How it checks
/// these two is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSteps {
    /// Nonces of up to 128 characters; timestamps in seconds or milliseconds.
    Lenient,
    /// The same as `identity`: nonces of up to 64 characters, timestamps in seconds.
    Strict,
}

/// How a sandbox behaves; [`Options::new`] is the documented Discogs.
#[derive(Clone)]
pub struct Options {
    /// The time; tests move it. Also the `Date` of every answer.
    pub clock: Clock,
    /// The seed of tokens, secrets and verifiers, which makes them repeatable.
    pub seed: u64,
    /// The only registered consumer.
    pub consumer: Consumer,
    /// The application's name, on the page and in the identity.
    pub consumer_name: String,
    /// The user who approves unless another is named.
    pub digger: Identity,
    /// API calls per minute; `None` for no limit.
    pub rate_limit: Option<usize>,
    /// How long a request token and its verifier are valid.
    pub request_token_life: Duration,
    /// How far a timestamp may be from the clock, either way.
    pub timestamp_window: Duration,
    /// Which nonces and timestamps `request_token` and `access_token` accept.
    pub token_steps: TokenSteps,
    /// How many wrong verifiers a request token survives.
    pub wrong_verifiers_survived: u32,
    /// How `access_token` answers after the user denied access.
    pub refused_status: RefusedStatus,
    /// The characters of verifiers.
    pub verifier_alphabet: VerifierAlphabet,
    /// How `identity` answers a wrong signature.
    pub bad_signature: BadSignature,
}

impl Options {
    /// The documented Discogs, with the consumer `sandbox-key` and `sandbox-secret`.
    ///
    /// The limit is 60 calls per minute; a request token is valid for 15 minutes, until the third
    /// wrong verifier; a timestamp may be 5 minutes off; a denied request token is answered 400.
    /// Nonces, timestamps and verifiers are checked in the more lenient way.
    #[must_use]
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            seed,
            consumer: Consumer {
                key: "sandbox-key".to_owned(),
                secret: SecretString::from("sandbox-secret"),
            },
            consumer_name: "Sandbox application".to_owned(),
            digger: Identity { id: 1001, username: "sandbox_digger".to_owned() },
            rate_limit: Some(60),
            request_token_life: Duration::from_mins(15),
            timestamp_window: Duration::from_mins(5),
            token_steps: TokenSteps::Lenient,
            wrong_verifiers_survived: 2,
            refused_status: RefusedStatus::BadRequest,
            verifier_alphabet: VerifierAlphabet::Letters,
            bad_signature: BadSignature::Anonymous,
        }
    }
}
