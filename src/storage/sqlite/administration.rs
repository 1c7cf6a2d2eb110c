//! What operators do with users, in the SQLite file: the methods in the order of PostgreSQL's.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Transaction, ffi, named_params};

use super::{SqliteStorage, rows};
use crate::model::UserDetails;
use crate::storage::{Administration, StorageError, UserChange};

macro_rules! users {
    ($which:literal) => {
        concat!(
            "
            select
                users.id, email, is_active, is_admin, totp_enabled, users.created_at,
                oauth_tokens.user_id is not null as is_connected,
                provider_username, provider_user_id, oauth_tokens.updated_at
            from users
            left join oauth_tokens on oauth_tokens.user_id = users.id and provider = 'discogs'",
            $which
        )
    };
}

const DISABLE_USER: &str = "
    update users
    set is_active = 0, flow_epoch = flow_epoch + 1, updated_at = :now
    where email = :email";

#[async_trait]
impl Administration for SqliteStorage {
    async fn users_after(
        &self,
        last: Option<&UserDetails>,
    ) -> Result<Vec<UserDetails>, StorageError> {
        const USERS_AFTER: &str = users!(
            "
            where (email, users.id) > (:email, :id)
            order by email, users.id
            limit 500"
        );

        let (email, id) =
            last.map(|last| (last.email.clone(), last.id.clone())).unwrap_or_default();
        let read = move |connection: &mut rusqlite::Connection| {
            let after = named_params! { ":email": email, ":id": id };
            connection.prepare(USERS_AFTER)?.query_map(after, rows::user_details)?.collect()
        };
        Ok(self.database.read(read).await?)
    }

    async fn user_details(&self, address_or_id: &str) -> Result<Option<UserDetails>, StorageError> {
        const USER_DETAILS: &str = users!(
            "
            where email = :address_or_id or users.id = :address_or_id"
        );

        let address_or_id = address_or_id.to_owned();
        let read = move |connection: &mut rusqlite::Connection| {
            let which = named_params! { ":address_or_id": address_or_id };
            connection.query_row(USER_DETAILS, which, rows::user_details).optional()
        };
        Ok(self.database.read(read).await?)
    }

    async fn disable_user(&self, email: &str) -> Result<UserChange, StorageError> {
        let (email, now) = (email.to_owned(), self.now());
        let disable = move |transaction: &Transaction<'_>| {
            let change = guard(transaction, &email)?;
            if change == UserChange::Done {
                let user = named_params! { ":email": email, ":now": now };
                transaction.execute(DISABLE_USER, user)?;
            }
            Ok(change)
        };
        Ok(self.database.write(disable).await?)
    }

    async fn enable_user(&self, email: &str) -> Result<UserChange, StorageError> {
        const ENABLE_USER: &str = "
            update users
            set is_active = 1, updated_at = :now
            where email = :email";

        let (email, now) = (email.to_owned(), self.now());
        let enable = move |transaction: &Transaction<'_>| {
            let user = named_params! { ":email": email, ":now": now };
            let enabled = transaction.execute(ENABLE_USER, user)?;
            Ok(if enabled > 0 { UserChange::Done } else { UserChange::NoSuchUser })
        };
        Ok(self.database.write(enable).await?)
    }

    async fn delete_user(&self, email: &str) -> Result<UserChange, StorageError> {
        const DELETE_USER: &str = "
            delete from users
            where email = :email";

        let (email, now) = (email.to_owned(), self.now());
        let delete = move |transaction: &Transaction<'_>| {
            let change = guard(transaction, &email)?;
            if change != UserChange::Done {
                return Ok(change);
            }
            match transaction.execute(DELETE_USER, named_params! { ":email": email }) {
                Err(error) if is_still_referenced(&error) => anonymise(transaction, &email, now),
                deleted => deleted.map(|_| UserChange::Done),
            }
        };
        Ok(self.database.write(delete).await?)
    }
}

/// Whether the user may be disabled or deleted; runs in the transaction that does it.
fn guard(transaction: &Transaction<'_>, email: &str) -> rusqlite::Result<UserChange> {
    const IS_LAST_ADMIN: &str = "
        select
            is_admin and is_active
            and (select count(*) from users where is_admin and is_active) = 1 as is_last_admin
        from users
        where email = :email";

    let user = named_params! { ":email": email };
    let is_last_admin = transaction
        .query_row(IS_LAST_ADMIN, user, |row| rows::flag(row, "is_last_admin"))
        .optional()?;
    Ok(UserChange::guarded(is_last_admin))
}

fn anonymise(transaction: &Transaction<'_>, email: &str, now: i64) -> rusqlite::Result<UserChange> {
    const DISCONNECT_USER: &str = "
        delete from oauth_tokens
        where user_id in (select id from users where email = :email)";
    const ANONYMISE_USER: &str = "
        update users
        set email = 'deleted-' || id || '@invalid',
            hashed_password = '!',
            is_admin = 0,
            updated_at = :now
        where email = :email";

    transaction.execute(DISCONNECT_USER, named_params! { ":email": email })?;
    let user = named_params! { ":email": email, ":now": now };
    transaction.execute(DISABLE_USER, user)?;
    transaction.execute(ANONYMISE_USER, user)?;
    Ok(UserChange::Anonymised)
}

/// Whether the user was not deleted because another row refers to it. (`on delete restrict` is a trigger.)
fn is_still_referenced(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER))
}
