//! What the service is about: users, their connections to Discogs, and the app's credentials.
//!
//! What can be wrong is parsed here, so whoever holds one of these types holds something valid.
//! Rows that another program wrote are taken as they stand. Imports nothing of ours but the
//! clock's timestamp; everyone imports this.

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

/// The most characters that a Discogs username or id may have: what its column holds.
pub const DISCOGS_NAME_LENGTH: usize = 255;

/// A row of `users`, but for the password's hash. Its `Debug` shows no email address.
#[derive(Clone)]
pub struct User {
    /// Random; also the `sub` of the user's access tokens.
    pub id: Uuid,
    /// As the row has it: one that the Python service wrote may break our rule.
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

/// Counts how often a user's flows under way were ended.
///
/// A flow keeps the value it was started with, and can't be finished once the user's is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEpoch(pub i64);

/// Who started a flow, and when in the user's count of ended flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowOwner {
    /// The user.
    pub user_id: Uuid,
    /// The user's count as of the start.
    pub epoch: FlowEpoch,
}

impl User {
    /// The owner of flows that the user starts and finishes now.
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

/// A user with what a password is checked against: only sign-in needs it.
#[derive(Debug, Clone)]
pub struct UserWithHash {
    /// Whose it is.
    pub user: User,
    /// `<salt>:<key>` in hex, or something that can't be read.
    pub hashed_password: SecretString,
    /// Whether the password alone is not enough: a later Python version asks for a code, too.
    pub has_second_factor: bool,
}

/// A user as operators see it. Its `Debug` shows no email address.
#[derive(Clone)]
pub struct UserDetails {
    /// As the row has it, which in the SQLite file may be any text.
    pub id: String,
    /// As the row has it.
    pub email: String,
    /// A user who is not active can't sign in, and their access tokens are refused.
    pub is_active: bool,
    /// Whether the user may use `/api/admin`.
    pub is_admin: bool,
    /// Whether the password alone is not enough.
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

/// Someone who is about to be registered.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Chosen by the service, so that a repeated write is recognised as the same one.
    pub id: Uuid,
    /// Normalised and checked.
    pub email: Email,
    /// `<salt>:<key>` in lower-case hex.
    pub hashed_password: SecretString,
}

/// The permanent credentials that Discogs gave for one user: `access_token` and `access_secret`.
#[derive(Debug, Clone)]
pub struct DiscogsToken(pub Token);

/// From where an account was signed in to: keyed hashes, which name nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAddress {
    /// Of the email.
    pub account: [u8; 16],
    /// Of the client's address.
    pub address: [u8; 16],
}

/// Who somebody is at Discogs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The number, as text: it may be larger than a JavaScript number can hold.
    pub id: String,
    /// As Discogs gives it, any Unicode; it may change, the number does not.
    pub username: String,
}

/// A user's link to Discogs as `status` shows it: a row of `oauth_tokens` without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `None` where the row was written without one.
    pub provider_username: Option<String>,
    /// `None` where the row was written without one.
    pub provider_user_id: Option<String>,
    /// When the connection was last made.
    pub updated_at: Timestamp,
}
