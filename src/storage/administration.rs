//! What operators do with users: list, show, disable, enable and delete.
//!
//! A separate trait, because no request needs it.

use async_trait::async_trait;

use super::StorageError;
use crate::model::UserDetails;

/// Operations on users for operators.
#[async_trait]
pub trait Administration {
    /// The users after `last` by address, a few hundred at a time; empty only after the last one.
    async fn users_after(
        &self,
        last: Option<&UserDetails>,
    ) -> Result<Vec<UserDetails>, StorageError>;

    /// The user with exactly this address or id, which may be any text.
    async fn user_details(&self, address_or_id: &str) -> Result<Option<UserDetails>, StorageError>;

    /// Deactivates a user and ends their flows under way.
    async fn disable_user(&self, email: &str) -> Result<UserChange, StorageError>;

    /// Activates a user again.
    async fn enable_user(&self, email: &str) -> Result<UserChange, StorageError>;

    /// Deletes a user with everything that refers to it, and ends their flows under way.
    ///
    /// If another program's row refers to the user and prevents it, the user is deactivated and made
    /// anonymous instead.
    async fn delete_user(&self, email: &str) -> Result<UserChange, StorageError>;
}

/// The result of a change to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It is done.
    Done,
    /// Instead of being deleted, the user was made anonymous.
    Anonymised,
    /// Nothing was changed, because no active admin would be left.
    LastAdmin,
    /// No user has the address.
    NoSuchUser,
}

impl UserChange {
    /// `is_last_admin` is whether the user is the last active admin; `None` if no user was found.
    pub(super) fn guarded(is_last_admin: Option<bool>) -> Self {
        match is_last_admin {
            Some(false) => Self::Done,
            Some(true) => Self::LastAdmin,
            None => Self::NoSuchUser,
        }
    }
}
