//! The labels. Each is an enum, so it has a fixed set of values.

use std::fmt;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

use crate::discogs::{CallOutcome, Endpoint};
use crate::rate_limits::Limit;

/// Makes a label of an enum that has `as_str`.
macro_rules! label_of {
    ($name:ident $label:literal) => {
        impl EncodeLabelSet for $name {
            fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
                ($label, self.as_str()).encode(encoder.encode_label())
            }
        }
    };
}

/// Declares an enum that is a label.
macro_rules! label {
    (
        $(#[$of_enum:meta])*
        $name:ident $label:literal { $($(#[$of_variant:meta])* $variant:ident $value:literal)* }
    ) => {
        $(#[$of_enum])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of_variant])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($value),*].len()] = [$(Self::$variant),*];

            /// The value as metrics show it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)*
                }
            }
        }

        label_of!($name $label);
    };
}

label_of!(CallOutcome "outcome");
label_of!(Endpoint "step");
label_of!(Limit "limit");

label! {
    /// The method of a request.
    Method "method" {
        /// `GET`
        Get "GET"
        /// `POST`
        Post "POST"
        /// `PUT`
        Put "PUT"
        /// `DELETE`
        Delete "DELETE"
        /// `HEAD`
        Head "HEAD"
        /// `OPTIONS`
        Options "OPTIONS"
        /// A method that no route accepts.
        Other "other"
    }
}

impl Method {
    /// The label for a request's method.
    #[must_use]
    pub fn of(method: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == method).unwrap_or(Self::Other)
    }
}

label! {
    /// How a sign-in ended.
    SignIn "outcome" {
        /// With an access token.
        Good "good"
        /// With a wrong email address or password.
        Refused "refused"
        /// With the right password of a user who has two-factor sign-in.
        SecondFactor "second_factor"
        /// A limit refused it.
        Limited "limited"
        /// The queue for password hashing was full.
        Overloaded "overloaded"
        /// A store failed, or the service did.
        Unavailable "unavailable"
    }
}

label! {
    /// One of the two stores.
    Store "store" {
        /// Users and their connections.
        Database "database"
        /// Flows under way.
        StateStore "state_store"
    }
}

label! {
    /// Which tokens a mark of the Python service revokes.
    RevokedBy "kind" {
        /// One token.
        Token "token"
        /// The earlier tokens of a user.
        User "user"
    }
}

label! {
    /// What a connection to PostgreSQL is for.
    Purpose "purpose" {
        /// Statements that only read.
        Reads "reads"
        /// All other statements.
        Writes "writes"
        /// Health checks.
        Health "health"
    }
}

label! {
    /// One of the two ports.
    Port "port" {
        /// For the API.
        Api "api"
        /// For health and metrics.
        Health "health"
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn a_method_that_no_route_accepts_is_other() {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
            assert_eq!(Method::of(method).as_str(), method);
        }
        for method in ["PATCH", "TRACE", "CONNECT", "BREW", "get", ""] {
            assert_eq!(Method::of(method).as_str(), "other");
        }
    }
}
