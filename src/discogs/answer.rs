//! Responses of Discogs: read with limits, and interpreted.

use std::time::{Duration, SystemTime};

use oauth1::Token;
use reqwest::header;
use serde_json::Value;

use super::{CallOutcome, DiscogsError};
use crate::clock::Timestamp;
use crate::model::{DISCOGS_NAME_LENGTH, DiscogsIdentity};

/// The header with the number of requests that this minute's budget still allows.
const RATE_REMAINING: &str = "x-discogs-ratelimit-remaining";

/// The maximum number of bytes of a body that are read.
const MAX_BODY_LENGTH: usize = 64 * 1024;

/// The longest token or secret that is accepted; Discogs's request tokens have forty letters.
const MAX_TOKEN_LENGTH: usize = 512;

/// Limits and default of `Retry-After`, in seconds.
const MIN_RETRY_AFTER: u64 = 1;
const MAX_RETRY_AFTER: u64 = 300;
const DEFAULT_RETRY_AFTER: u64 = 60;

/// An answer of Discogs, or of a server in front of it.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `None` if the answer has no such header.
    pub(super) rate_remaining: Option<u32>,
    is_html: bool,
    retry_after: Option<String>,
    received_at: Timestamp,
    body: Vec<u8>,
}

impl Answer {
    /// Reads a response, at most [`MAX_BODY_LENGTH`] bytes of its body.
    pub(super) async fn read(
        mut response: reqwest::Response,
        now: Timestamp,
    ) -> reqwest::Result<Self> {
        let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let content_type =
            text(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        let retry_after = text(header::RETRY_AFTER.as_str());
        let rate_remaining = text(RATE_REMAINING).and_then(|given| given.trim().parse().ok());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < MAX_BODY_LENGTH {
            let Some(chunk) = response.chunk().await? else {
                break;
            };
            body.extend_from_slice(chunk.get(..MAX_BODY_LENGTH - body.len()).unwrap_or(&chunk));
        }
        let is_html = content_type.contains("html") || begins_like_html(&body);
        Ok(Self { status, rate_remaining, is_html, retry_after, received_at: now, body })
    }

    /// Returns the outcome that the call is counted as.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self.status {
            0..=299 => CallOutcome::Good,
            429 => CallOutcome::RateLimited,
            403 | 503 if self.is_html => CallOutcome::Blocked,
            500..=599 => CallOutcome::Failed,
            _ => CallOutcome::Refused,
        }
    }

    /// Parses a token with its secret, form-encoded (RFC 5849 section 2.1).
    ///
    /// The content type is ignored, as servers often set a wrong one.
    pub(super) fn token(&self, step: &'static str) -> Result<Token, DiscogsError> {
        // White space around a pair does not belong to it: some servers end the body with a line break.
        let pairs = self.body.split(|byte| *byte == b'&').map(<[u8]>::trim_ascii);
        let pairs = pairs.filter(|pair| !pair.iter().any(u8::is_ascii_control));
        let field = |name| {
            let mut pairs = pairs.clone().flat_map(form_urlencoded::parse);
            let (_, value) = pairs.find(|(key, _)| key == name)?;
            let is_valid = !value.is_empty()
                && !value.contains('\0')
                && value.chars().count() <= MAX_TOKEN_LENGTH;
            if is_valid { Some(value.into_owned()) } else { None }
        };
        match (field("oauth_token"), field("oauth_token_secret")) {
            (Some(token), Some(secret)) => Ok(Token { token, secret: secret.into() }),
            _ => Err(self.invalid(step, "the answer holds no token with its secret")),
        }
    }

    /// Parses `id` and `username` of the identity, which is JSON.
    pub(super) fn identity(&self, step: &'static str) -> Result<DiscogsIdentity, DiscogsError> {
        let identity: Value = serde_json::from_slice(&self.body)
            .map_err(|_| self.invalid(step, "the identity is not JSON"))?;
        let id = match identity.get("id") {
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(self.invalid(step, "the identity has no id")),
        };
        let username = identity.get("username").and_then(Value::as_str).unwrap_or_default();
        if username.is_empty() || username.contains('\0') {
            return Err(self.invalid(step, "the identity has no username"));
        }
        if username.chars().count() > DISCOGS_NAME_LENGTH {
            return Err(self.invalid(step, "the username is too long"));
        }
        Ok(DiscogsIdentity { id, username: username.to_owned() })
    }

    /// Whether a refusal concerns the app's credentials rather than the user's PIN.
    ///
    /// The body may repeat the PIN, so that part of it is ignored.
    pub(super) fn names_the_app(&self, verifier: &str) -> bool {
        let names_the_app = |text: &str| text.contains("consumer") || text.contains("signature");
        let mut body = String::from_utf8_lossy(&self.body).to_ascii_lowercase();
        // The body may encode the PIN, but its letters and digits stay the same.
        let verifier = verifier.to_ascii_lowercase();
        let parts = verifier.split(|character: char| !character.is_ascii_alphanumeric());
        for part in parts.filter(|part| names_the_app(part)) {
            body = body.replace(part, " ");
        }
        names_the_app(&body)
    }

    /// Returns the error for a status with no special meaning for the call.
    pub(super) fn refusal(&self, step: &'static str) -> DiscogsError {
        match self.status {
            429 => DiscogsError::RateLimited { retry_after: self.retry_after() },
            status @ (403 | 503) if self.is_html => DiscogsError::Blocked { step, status },
            status => {
                DiscogsError::Unavailable { step, what: format!("status {status}"), source: None }
            }
        }
    }

    fn invalid(&self, step: &'static str, what: &str) -> DiscogsError {
        DiscogsError::Unavailable {
            step,
            what: format!("status {}, but {what}", self.status),
            source: None,
        }
    }

    /// Parses seconds or a date (RFC 9110 section 10.2.3), within limits.
    fn retry_after(&self) -> Duration {
        let given = self.retry_after.as_deref().map(str::trim);
        let seconds = given.and_then(|given| {
            if !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(given.parse().unwrap_or(MAX_RETRY_AFTER));
            }
            let date = httpdate::parse_http_date(given).ok()?;
            let now = SystemTime::UNIX_EPOCH + self.received_at.since_epoch();
            Some(date.duration_since(now).map_or(0, |left| left.as_secs()))
        });
        let seconds = seconds.unwrap_or(DEFAULT_RETRY_AFTER);
        Duration::from_secs(seconds.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER))
    }
}

fn begins_like_html(body: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(body.get(..256).unwrap_or(body)).to_ascii_lowercase();
    let begin = begin.trim_start();
    begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{Answer, Timestamp};

    fn answer(body: &str) -> Answer {
        Answer {
            status: 429,
            rate_remaining: None,
            is_html: false,
            retry_after: None,
            received_at: Timestamp::from_microseconds(784_111_700_000_000),
            body: body.into(),
        }
    }

    fn retry_after(given: Option<&str>) -> u64 {
        Answer { retry_after: given.map(str::to_owned), ..answer("") }.retry_after().as_secs()
    }

    fn token(body: &str) -> Option<(String, String)> {
        let token = answer(body).token("request_token").ok()?;
        Some((token.token, token.secret.expose_secret().to_owned()))
    }

    #[test]
    fn white_space_around_a_field_is_ignored() {
        let expected = Some(("to".to_owned(), "sec1".to_owned()));
        for body in [
            "oauth_token=to&oauth_token_secret=sec1",
            "oauth_token=to&oauth_token_secret=sec1\n",
            "oauth_token_secret=sec1&oauth_token=to\r\n",
            " oauth_token=to\r\n&\toauth_token_secret=sec1 \n\n",
        ] {
            assert_eq!(token(body), expected, "{body:?}");
        }
        let encoded = "oauth_token=to%0A&oauth_token_secret=%20sec1";
        assert_eq!(token(encoded), Some(("to\n".to_owned(), " sec1".to_owned())));
    }

    #[test]
    fn an_unencoded_control_character_invalidates_a_field() {
        for body in [
            "oauth_token=to\noauth_token_secret=sec1",
            "oauth_token=to&oauth_token_secret=se\nc1",
            "oauth_token=t\u{1}o&oauth_token_secret=sec1",
        ] {
            assert_eq!(token(body), None, "{body:?}");
        }
    }

    #[test]
    fn a_repeated_pin_does_not_name_the_app() {
        for (body, verifier, names_the_app) in [
            ("Invalid consumer.", "AbCdEfGhIj", true),
            ("Invalid consumer.", "Xconsumer", true),
            ("Invalid verifier: xCONSUMERx", "XconsumerX", false),
            ("{\"pin\":\"consumer42\"}", "consumer42", false),
            ("pin %26signature%C3%A9 is wrong", "&Signature\u{e9}", false),
            ("<b>&lt;my-signature1&gt;</b>", "<my-signature1>", false),
            ("Invalid signature for pin consumer42", "consumer42", true),
            ("The PIN is wrong", "consumer", false),
        ] {
            assert_eq!(answer(body).names_the_app(verifier), names_the_app, "{body} {verifier}");
        }
    }

    #[test]
    fn retry_after_is_used_within_bounds() {
        assert_eq!(retry_after(Some("17")), 17);
        assert_eq!(retry_after(Some("0")), 1);
        assert_eq!(retry_after(Some("301")), 300);
        assert_eq!(retry_after(Some("99999999999999999999999")), 300);
    }

    #[test]
    fn retry_after_may_be_a_date() {
        assert_eq!(retry_after(Some("Sun, 06 Nov 1994 08:49:37 GMT")), 77);
        assert_eq!(retry_after(Some("Tue, 06 Nov 1990 08:49:37 GMT")), 1);
    }

    #[test]
    fn an_invalid_retry_after_means_a_minute() {
        for given in [None, Some(""), Some("soon"), Some("-5"), Some("1.5")] {
            assert_eq!(retry_after(given), 60, "{given:?}");
        }
    }
}
