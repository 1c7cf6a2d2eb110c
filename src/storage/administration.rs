//! What operators do with users: list, show, disable, enable and delete.
//!
//! A trait of its own, since no request needs it.

use async_trait::async_trait;

use super::StorageError;
use crate::model::UserDetails;

/// Users, as operators look after them.
#[async_trait]
pub trait Administration {
    /// The next users after this one, sorted by address: a page of a few hundred, which is empty only
    /// after the last one.
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
    /// If a row of another program, which may not go with it, refers to the user, the user is
    /// deactivated and made anonymous instead.
    async fn delete_user(&self, email: &str) -> Result<UserChange, StorageError>;
}

/// What came of a change to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It is done.
    Done,
    /// Instead of being deleted, the user was made anonymous.
    Anonymised,
    /// Nothing was changed: nobody could use `/api/admin` any more.
    LastAdmin,
    /// No user has the address.
    NoSuchUser,
}

impl UserChange {
    /// By whether the user is the last active admin; `None` if there is no such user.
    pub(super) fn guarded(is_last_admin: Option<bool>) -> Self {
        match is_last_admin {
            Some(false) => Self::Done,
            Some(true) => Self::LastAdmin,
            None => Self::NoSuchUser,
        }
    }
}
