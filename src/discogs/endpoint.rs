//! The Discogs endpoints that the service calls, and the outcomes of calls.

/// One of Discogs's OAuth endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Issues a request token.
    RequestToken,
    /// Exchanges an approved request token for the permanent one.
    AccessToken,
    /// Returns the user that a token belongs to.
    Identity,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// A status below 300.
    Good,
    /// A 3xx or 4xx that no other variant covers.
    Refused,
    /// Status 429.
    RateLimited,
    /// An HTML page with status 403 or 503, sent by the CDN in front of Discogs.
    Blocked,
    /// Any other 5xx.
    Failed,
    /// No answer in time, or the connection failed.
    NoAnswer,
}

impl Endpoint {
    /// Every endpoint, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::RequestToken, Self::AccessToken, Self::Identity];

    /// The last segment of its path, which also names it in errors and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestToken => "request_token",
            Self::AccessToken => "access_token",
            Self::Identity => "identity",
        }
    }
}

impl CallOutcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 6] =
        [Self::Good, Self::Refused, Self::RateLimited, Self::Blocked, Self::Failed, Self::NoAnswer];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
            Self::NoAnswer => "no_answer",
        }
    }
}
