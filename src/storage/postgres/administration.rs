//! Operations on users that only operators run, in PostgreSQL.
//!
//! They are rare, so their statements are not prepared.

use async_trait::async_trait;
use pg_pipeline::{Error, Query, Sql};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresStorage;
use super::error::{or_no_match, violated_table};
use super::rows;
use crate::model::UserDetails;
use crate::storage::{Administration, StorageError, UserChange};

macro_rules! users {
    ($which:literal) => {
        concat!(
            "
    select users.id::text, email, is_active, is_admin, totp_enabled, users.created_at,
        oauth_tokens.user_id is not null as is_connected,
        provider_username, provider_user_id, oauth_tokens.updated_at
    from users
    left join oauth_tokens on oauth_tokens.user_id = users.id and provider = 'discogs'",
            $which
        )
    };
}

static USERS_AFTER: Sql = Sql {
    types: &[Type::TEXT, Type::UUID],
    text: users!(
        "
    where (email, users.id) > ($1, $2)
    order by email, users.id
    limit 500"
    ),
};

static USER_DETAILS: Sql = Sql {
    types: &[Type::TEXT, Type::UUID],
    text: users!(
        "
    where email = $1 or users.id = $2"
    ),
};

/// Locks every active admin before the change, so the second of two concurrent changes sees the
/// result of the first.
macro_rules! guarded {
    ($change:literal) => {
        concat!(
            "
    with admins as (
        select id
        from users
        where is_admin and is_active
        order by id
        for update
    ),
    target as (
        select id, id in (select id from admins) and (select count(*) from admins) = 1 as is_last
        from users
        where email = $1
    ),
    changed as (",
            $change,
            "
        where users.id = target.id and not target.is_last
    )
    select is_last
    from target"
        )
    };
}

static DISABLE_USER: Sql = Sql {
    types: &[Type::TEXT],
    text: guarded!(
        "
        update users
        set is_active = false, flow_epoch = coalesce(flow_epoch, 0) + 1, updated_at = now()
        from target"
    ),
};

static ENABLE_USER: Sql = Sql {
    types: &[Type::TEXT],
    text: "
    update users
    set is_active = true, updated_at = now()
    where email = $1
    returning false as is_last",
};

static DELETE_USER: Sql = Sql {
    types: &[Type::TEXT],
    text: guarded!(
        "
        delete from users
        using target"
    ),
};

/// The user must already be disabled: otherwise a flow could store a connection in the meantime.
static ANONYMISE_USER: Sql = Sql {
    types: &[Type::TEXT],
    text: "
    with disconnected as (
        delete from oauth_tokens
        where user_id in (select id from users where email = $1)
    )
    update users
    set email = 'deleted-' || id || '@invalid',
        hashed_password = '!',
        is_admin = false,
        updated_at = now()
    where email = $1",
};

#[async_trait]
impl Administration for PostgresStorage {
    async fn users_after(
        &self,
        last: Option<&UserDetails>,
    ) -> Result<Vec<UserDetails>, StorageError> {
        let (email, id) = last.map_or(("", ""), |last| (&last.email, &last.id));
        let rows = self.users(&USERS_AFTER, email, Some(uuid(id).unwrap_or_default())).await?;
        Ok(rows.iter().map(rows::user_details).collect::<Result<_, _>>()?)
    }

    async fn user_details(&self, address_or_id: &str) -> Result<Option<UserDetails>, StorageError> {
        if address_or_id.contains('\0') {
            return Ok(None);
        }
        let rows =
            or_no_match(self.users(&USER_DETAILS, address_or_id, uuid(address_or_id)).await)?;
        Ok(rows.first().map(rows::user_details).transpose()?)
    }

    async fn disable_user(&self, email: &str) -> Result<UserChange, StorageError> {
        Ok(self.change(&DISABLE_USER, email).await?)
    }

    async fn enable_user(&self, email: &str) -> Result<UserChange, StorageError> {
        Ok(self.change(&ENABLE_USER, email).await?)
    }

    async fn delete_user(&self, email: &str) -> Result<UserChange, StorageError> {
        match self.change(&DELETE_USER, email).await {
            Err(error) if is_referenced(&error) => {}
            deleted => return Ok(deleted?),
        }
        let disabled = self.disable_user(email).await?;
        if disabled != UserChange::Done {
            return Ok(disabled);
        }
        self.pools.writes.query(Query::new(&ANONYMISE_USER).bind(email.to_owned())).await?;
        Ok(UserChange::Anonymised)
    }
}

impl PostgresStorage {
    async fn users(
        &self,
        sql: &'static Sql,
        email: &str,
        id: Option<Uuid>,
    ) -> Result<Vec<Row>, Error> {
        self.pools.reads.query(Query::new(sql).bind(email.to_owned()).bind(id)).await
    }

    /// Executes a statement that returns whether the user is the last admin; no row if there is no user.
    async fn change(&self, sql: &'static Sql, email: &str) -> Result<UserChange, Error> {
        let query = Query::new(sql).bind(email.to_owned());
        let row = or_no_match(self.pools.writes.query_first(query).await)?;
        let is_last_admin = row.map(|row| row.try_get("is_last")).transpose()?;
        Ok(UserChange::guarded(is_last_admin))
    }
}

/// Returns whether the row can't be deleted because another row refers to it.
fn is_referenced(error: &Error) -> bool {
    let codes = [SqlState::FOREIGN_KEY_VIOLATION, SqlState::RESTRICT_VIOLATION];
    codes.iter().any(|code| violated_table(error, code).is_some())
}

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}
