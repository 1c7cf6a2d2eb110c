//! The domain: users, their connections to Discogs, and the app's credentials.
//!
//! Input is parsed into these types, so a value of one is valid; its rule and its schema are
//! defined on the type. Rows that another program wrote are kept as they are. Imports no other
//! module but `clock`; OAuth credentials are the types of the `oauth1` crate.

mod client;
mod config_key;
mod email;
mod password_text;
mod verifier;

use std::fmt;

use oauth1::Token;
use secrecy::SecretString;
use uuid::Uuid;

use crate::clock::Timestamp;

pub use client::{Client, Network, Standing};
pub use config_key::{ConfigEntry, ConfigKey, ConfigValue, ConfigValueError, mask};
pub use email::{Email, EmailError, normalize_email};
pub use password_text::{NewPassword, NewPasswordError};
pub use verifier::{Verifier, VerifierError};

/// The maximum length, in characters, of a Discogs username or id: what its column holds.
pub const DISCOGS_NAME_LENGTH: usize = 255;

/// A row of `users` without the password's hash. Its `Debug` shows no email address.
#[derive(Clone)]
pub struct User {
    /// Random; also the `sub` of the user's access tokens.
    pub id: Uuid,
    /// The stored address: one that the Python service wrote may break the rule of [`Email`].
    pub email: String,
    /// A user who is not active can't sign in, and their access tokens are refused.
    pub is_active: bool,
    /// Whether the user may use `/api/admin`.
    pub is_admin: bool,
    /// When the user registered.
    pub created_at: Timestamp,
    /// The flows that the user can finish.
    pub flow_epoch: FlowEpoch,
}

/// Counts how often a user's pending flows were ended.
///
/// A flow keeps the value from its start, and can't be finished once the user has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEpoch(pub i64);

/// Who started a flow, and at which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowOwner {
    /// The user.
    pub user_id: Uuid,
    /// The user's epoch when the flow was started.
    pub epoch: FlowEpoch,
}

impl User {
    /// Returns the owner of flows that the user starts or finishes now.
    #[must_use]
    pub fn flow_owner(&self) -> FlowOwner {
        FlowOwner { user_id: self.id, epoch: self.flow_epoch }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A user with the hash that a password is checked against; only sign-in needs it.
#[derive(Debug, Clone)]
pub struct UserWithHash {
    /// The user.
    pub user: User,
    /// `<salt>:<key>` in hex, or unreadable text.
    pub hashed_password: SecretString,
    /// Whether the user has two-factor sign-in, which the Python service may have enabled.
    pub has_second_factor: bool,
}

/// A user as operators see one. Its `Debug` shows no email address.
#[derive(Clone)]
pub struct UserDetails {
    /// The stored id, which in the SQLite file may be any text.
    pub id: String,
    /// The stored address.
    pub email: String,
    /// A user who is not active can't sign in, and their access tokens are refused.
    pub is_active: bool,
    /// Whether the user may use `/api/admin`.
    pub is_admin: bool,
    /// Whether the user has two-factor sign-in.
    pub has_second_factor: bool,
    /// When the user registered.
    pub created_at: Timestamp,
    /// The connection to Discogs, if there is one.
    pub connection: Option<Connection>,
}

impl fmt::Debug for UserDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserDetails").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A user to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Chosen by the service, so that a repeated write is recognized as the same.
    pub id: Uuid,
    /// Normalized and valid.
    pub email: Email,
    /// `<salt>:<key>` in lower-case hex.
    pub hashed_password: SecretString,
}

/// The permanent credentials that Discogs granted for a user: `access_token` and `access_secret`.
#[derive(Debug, Clone)]
pub struct DiscogsToken(pub Token);

/// An address from which a user signed in, as keyed hashes that reveal neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAddress {
    /// Hash of the email address.
    pub account: [u8; 16],
    /// Hash of the client's address.
    pub address: [u8; 16],
}

/// A user's identity on Discogs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscogsIdentity {
    /// A number as text: it may be larger than JavaScript's numbers can hold.
    pub id: String,
    /// As Discogs returns it, any Unicode; it may change, the id does not.
    pub username: String,
}

/// A row of `oauth_tokens` without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `None` if it was never stored.
    pub provider_username: Option<String>,
    /// `None` if it was never stored.
    pub provider_user_id: Option<String>,
    /// When the connection was last made.
    pub updated_at: Timestamp,
}
