//! How a sandbox behaves: its consumer, its limits, and both readings of what is open.
//!
//! Time and randomness come in here. Must not know about HTTP.

use std::sync::Arc;
use std::time::Duration;

use oauth1::Consumer;
use secrecy::SecretString;

/// The time since the Unix epoch, asked at every call.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Somebody with an account at the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The number that never changes; may be larger than 2^53.
    pub id: u64,
    /// The name, in any alphabet.
    pub username: String,
}

/// How a refused authorisation is answered at `access_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedStatus {
    /// 400, as for a wrong verifier.
    BadRequest,
    /// 401.
    Unauthorized,
}

/// What verifiers are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierAlphabet {
    /// Letters of both cases.
    Letters,
    /// Letters of both cases, and digits.
    LettersAndDigits,
}

/// What a wrong signature means at `identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSignature {
    /// The caller counts as nobody: 401 JSON.
    Anonymous,
    /// 401 plain text that names the signature, as at the other steps.
    Refused,
    /// It is not looked at: a good access token is enough.
    Ignored,
}

/// Which nonces and timestamps `request_token` and `access_token` accept.
///
/// Published versions of `@lionralfs/discogs-client` send these two a nonce of 128 hex digits and a
/// timestamp in milliseconds, and people connect with them. Discogs refused the same at other
/// addresses. How it checks these two is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSteps {
    /// Nonces of up to 128 characters; timestamps in seconds or milliseconds.
    Lenient,
    /// The same as `identity`: nonces of up to 64 characters, timestamps in seconds.
    Strict,
}

/// How a sandbox behaves; [`Options::new`] is the Discogs that is documented.
#[derive(Clone)]
pub struct Options {
    /// The time; tests move it. Also the `Date` of every answer.
    pub clock: Clock,
    /// Where tokens, secrets and verifiers come from: the same seed gives the same ones.
    pub seed: u64,
    /// The only consumer that is known.
    pub consumer: Consumer,
    /// The application's name, on the page and in the identity.
    pub consumer_name: String,
    /// Who approves when nobody else is named.
    pub digger: Identity,
    /// API calls a minute; `None` switches the limit off.
    pub rate_limit: Option<usize>,
    /// How long a request token and its verifier live.
    pub request_token_life: Duration,
    /// How far a timestamp may be from the clock, either way.
    pub timestamp_window: Duration,
    /// Which nonces and timestamps the two steps that give tokens accept.
    pub token_steps: TokenSteps,
    /// How many wrong verifiers a request token survives.
    pub wrong_verifiers_survived: u32,
    /// How a refused authorisation is answered.
    pub refused_status: RefusedStatus,
    /// What verifiers are made of.
    pub verifier_alphabet: VerifierAlphabet,
    /// What a wrong signature means at `identity`.
    pub bad_signature: BadSignature,
}

impl Options {
    /// The documented Discogs, with the consumer `sandbox-key` and `sandbox-secret`.
    ///
    /// The limit is 60 calls a minute, a request token lives 15 minutes and ends with the third
    /// wrong verifier, a timestamp may be 5 minutes off, and a refused authorisation is a 400.
    /// Nonces, timestamps and verifiers are checked in the way that forgives more.
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
