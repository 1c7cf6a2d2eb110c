//! The limits by name.

/// What a request limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Registrations from an address.
    Register,
    /// Sign-ins from an address.
    SignIn,
    /// Failed sign-ins to an account.
    FailedSignIn,
    /// Flows that a user starts.
    Authorize,
    /// Flows started from an address.
    AuthorizeAddress,
    /// Flows that a user finishes.
    Verify,
    /// Flows finished from an address.
    VerifyAddress,
}

impl Limit {
    /// Every limit, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Register,
        Self::SignIn,
        Self::FailedSignIn,
        Self::Authorize,
        Self::AuthorizeAddress,
        Self::Verify,
        Self::VerifyAddress,
    ];

    /// Returns its name in metrics and in keys, which other versions' replicas also use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign_in",
            Self::FailedSignIn => "failed_sign_in",
            Self::Authorize => "authorize",
            Self::AuthorizeAddress => "authorize_address",
            Self::Verify => "verify",
            Self::VerifyAddress => "verify_address",
        }
    }
}
