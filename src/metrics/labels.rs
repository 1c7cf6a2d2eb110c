//! The labels, each with every value that it can have.

use crate::discogs::{CallOutcome, Endpoint};
use crate::rate_limits::Limit;

/// A label: its name, and its values in the order of their indices.
pub trait Label: Copy {
    /// The name of the label.
    const NAME: &'static str;
    /// Every value that it can have.
    const VALUES: &'static [&'static str];

    /// The value's place in [`Label::VALUES`].
    fn index(self) -> usize;

    /// The value as it is shown.
    fn as_str(self) -> &'static str {
        Self::VALUES.get(self.index()).copied().unwrap_or_default()
    }
}

/// Makes an enum whose variants are the values of a label.
macro_rules! label {
    (
        $(#[$of_enum:meta])*
        $name:ident $label:literal { $($(#[$of_variant:meta])* $variant:ident $value:literal)* }
    ) => {
        $(#[$of_enum])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of_variant])* $variant,)*
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [&'static str] = &[$($value),*];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// Makes a label of an enum that another module owns.
macro_rules! label_of {
    ($name:ident $label:literal) => {
        impl Label for $name {
            const NAME: &'static str = $label;
            #[expect(clippy::indexing_slicing, reason = "checked at compile time")]
            const VALUES: &'static [&'static str] = &{
                let mut values = [""; $name::ALL.len()];
                let mut at = 0;
                while at < values.len() {
                    values[at] = $name::ALL[at].as_str();
                    at += 1;
                }
                values
            };

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label_of!(CallOutcome "outcome");
label_of!(Endpoint "step");
label_of!(Limit "limit");

label! {
    /// The method of a request; what no route takes is `other`.
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
        /// Whatever a client made up, or HTTP has besides.
        Other "other"
    }
}

impl Method {
    /// The label of a method as it stands in a request.
    #[must_use]
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

label! {
    /// How a sign-in ended.
    SignIn "outcome" {
        /// With an access token.
        Good "good"
        /// Wrong, whatever it was.
        Refused "refused"
        /// With the right password of a user who has two-factor sign-in.
        SecondFactor "second_factor"
        /// Too many came before it.
        Limited "limited"
        /// So much is under way that it was not tried.
        Overloaded "overloaded"
        /// The service could not look, or made a mistake.
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
    /// What a connection to PostgreSQL is for.
    Purpose "purpose" {
        /// Statements that only read.
        Reads "reads"
        /// The others.
        Writes "writes"
        /// Checks.
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
    use super::{Label as _, Method};

    #[test]
    fn a_method_that_no_route_takes_is_other() {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
            assert_eq!(Method::of(method).as_str(), method);
        }
        for method in ["PATCH", "TRACE", "CONNECT", "BREW", "get", ""] {
            assert_eq!(Method::of(method).as_str(), "other");
        }
    }
}
