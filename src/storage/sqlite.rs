//! The storage in one SQLite file: the same tables as PostgreSQL's, the methods in the same order.
//!
//! The service generates ids and times. It writes ids in lower case; another program may have written
//! them in upper case, so statements that find a user's rows by an access token's `sub` accept both.

mod addresses;
mod administration;
mod rows;
mod sealed_rows;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, ffi, named_params};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::user_loader::UserLoader;
use super::{Admin, Storage, StorageError, Written, decrypted, not_stored};
use crate::clock::{Clock, Timestamp};
use crate::config::Migrations;
use crate::keyring::{Keyring, PlainText, Purpose, SealedTable};
use crate::migrations::Migration;
use crate::model::{
    ConfigEntry, ConfigKey, ConfigValue, Connection, DiscogsIdentity, DiscogsToken, FlowOwner,
    KnownAddress, NewUser, User, UserWithHash,
};
use crate::random::Random;
use crate::sqlite::{self, CountedDatabase, SqliteError};
use rows::{user_columns, user_with_hash_columns};

pub(crate) use rows::config_entry;
pub(crate) use sealed_rows::{encryption_in, sealed_rows_in};

pub(crate) const CONFIG: &str = "
    select key, value, updated_at
    from app_config
    where value <> ''
    order by key";

/// [`Storage`] in one SQLite file.
#[derive(Debug)]
pub struct SqliteStorage {
    database: Arc<CountedDatabase>,
    user_loader: UserLoader,
    keyring: Arc<Keyring>,
    clock: Clock,
    random: Random,
}

impl SqliteStorage {
    /// The file need not be open yet.
    #[must_use]
    pub fn new(
        database: CountedDatabase,
        keyring: Arc<Keyring>,
        clock: Clock,
        random: Random,
    ) -> Self {
        let database = Arc::new(database);
        let user_loader = user_loader(Arc::clone(&database));
        Self { database, user_loader, keyring, clock, random }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microseconds()
    }
}

fn user_loader(database: Arc<CountedDatabase>) -> UserLoader {
    UserLoader::new(move |ids| {
        let database = Arc::clone(&database);
        async move { Ok(database.read(move |connection| users(connection, &ids)).await?) }
    })
}

/// The users with these ids.
fn users(connection: &rusqlite::Connection, ids: &[Uuid]) -> rusqlite::Result<Vec<User>> {
    const USER_BY_ID: &str = concat!(
        "
        select ",
        user_columns!(),
        "
        from users
        where id = :id"
    );

    let mut statement = connection.prepare_cached(USER_BY_ID)?;
    let mut user = |id: &str| {
        statement.query_row(named_params! { ":id": id }, rows::user).optional().map(Option::flatten)
    };
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut text = Uuid::encode_buffer();
        match user(id.as_hyphenated().encode_lower(&mut text))? {
            Some(user) => found.push(user),
            None => found.extend(user(id.as_hyphenated().encode_upper(&mut text))?),
        }
    }
    Ok(found)
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn prepare(&self, migrations: Migrations) -> Result<Vec<Migration>, StorageError> {
        Ok(self.database.open(migrations).await?)
    }

    async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.database.ping().await?)
    }

    async fn create_user(&self, user: &NewUser) -> Result<User, StorageError> {
        const CREATE_USER: &str = concat!(
            "
            insert into users (id, email, hashed_password, created_at, updated_at)
            values (:id, :email, :hashed_password, :now, :now)
            returning ",
            user_columns!()
        );

        let (user, now) = (user.clone(), self.now());
        let create = move |transaction: &rusqlite::Transaction<'_>| {
            let parameters = named_params! {
                ":id": user.id.to_string(),
                ":email": user.email.as_str(),
                ":hashed_password": user.hashed_password.expose_secret(),
                ":now": now,
            };
            let mut statement = transaction.prepare_cached(CREATE_USER)?;
            let created = statement.query_row(parameters, rows::user)?;
            created.ok_or(rusqlite::Error::QueryReturnedNoRows)
        };
        self.database.write(create).await.map_err(|error| match error.extended_code() {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE) => StorageError::EmailTaken,
            _ => error.into(),
        })
    }

    async fn user_by_id(&self, id: Uuid) -> Result<Option<User>, StorageError> {
        self.user_loader.user(id).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserWithHash>, StorageError> {
        const USER_BY_EMAIL: &str = concat!(
            "
            select ",
            user_with_hash_columns!(),
            "
            from users
            where email = :email"
        );

        let email = email.to_owned();
        let read = move |connection: &mut rusqlite::Connection| {
            let mut statement = connection.prepare_cached(USER_BY_EMAIL)?;
            statement.query_row(named_params! { ":email": email }, rows::user_with_hash).optional()
        };
        Ok(self.database.read(read).await?.flatten())
    }

    async fn put_admin(&self, email: &str, admin: Admin) -> Result<Option<Written>, StorageError> {
        const IS_ADMIN: &str = "
            select is_admin
            from users
            where email = :email";
        const PUT_ADMIN: &str = "
            update users
            set is_admin = :is_admin, updated_at = :now
            where email = :email";

        let (email, now) = (email.to_owned(), self.now());
        let put = move |transaction: &rusqlite::Transaction<'_>| {
            let mut was_admin = transaction.prepare_cached(IS_ADMIN)?;
            let was_admin = was_admin
                .query_row(named_params! { ":email": email }, |row| rows::flag(row, "is_admin"))
                .optional()?;
            let is_admin = admin == Admin::Granted;
            let parameters = named_params! { ":is_admin": is_admin, ":now": now, ":email": email };
            transaction.prepare_cached(PUT_ADMIN)?.execute(parameters)?;
            Ok(was_admin.map(|was_admin| Written::of(was_admin != is_admin)))
        };
        Ok(self.database.write(put).await?)
    }

    async fn admins(&self) -> Result<Vec<String>, StorageError> {
        const ADMINS: &str = "
            select email
            from users
            where is_admin
            order by email";

        let read = |connection: &mut rusqlite::Connection| {
            let mut statement = connection.prepare_cached(ADMINS)?;
            statement.query_map([], |row| rows::text(row, "email"))?.collect()
        };
        Ok(self.database.read(read).await?)
    }

    async fn connection(&self, user_id: Uuid) -> Result<Option<Connection>, StorageError> {
        const CONNECTION: &str = "
            select provider_username, provider_user_id, updated_at
            from oauth_tokens
            where user_id in (:user_id, upper(:user_id)) and provider = 'discogs'";

        let read = move |connection: &mut rusqlite::Connection| {
            let parameters = named_params! { ":user_id": user_id.to_string() };
            let mut statement = connection.prepare_cached(CONNECTION)?;
            statement.query_row(parameters, rows::connection).optional()
        };
        Ok(self.database.read(read).await?)
    }

    async fn put_connection(
        &self,
        owner: FlowOwner,
        token: &DiscogsToken,
        identity: &DiscogsIdentity,
    ) -> Result<(), StorageError> {
        const PUT_CONNECTION: &str = "
            insert into oauth_tokens (
                id, user_id, provider, access_token, access_secret,
                provider_username, provider_user_id, created_at, updated_at
            )
            select
                :id, users.id, 'discogs', :access_token, :access_secret,
                :provider_username, :provider_user_id, :now, :now
            from users
            where users.id in (:user_id, upper(:user_id)) and is_active and flow_epoch = :epoch
            on conflict (user_id, provider) do update
            set access_token = excluded.access_token,
                access_secret = excluded.access_secret,
                provider_username = excluded.provider_username,
                provider_user_id = excluded.provider_user_id,
                updated_at = excluded.updated_at";

        let (id, now) = (self.random.uuid(), self.now());
        let seal = |secret| self.keyring.seal(Purpose::DiscogsTokens, secret);
        let (access_token, access_secret) =
            (seal(&token.0.token), seal(token.0.secret.expose_secret()));
        let identity = identity.clone();
        let put = move |transaction: &rusqlite::Transaction<'_>| {
            let stored = transaction.prepare_cached(PUT_CONNECTION)?.execute(named_params! {
                ":id": id.to_string(),
                ":user_id": owner.user_id.to_string(),
                ":epoch": owner.epoch.0,
                ":access_token": access_token,
                ":access_secret": access_secret,
                ":provider_username": identity.username,
                ":provider_user_id": identity.id,
                ":now": now,
            })?;
            if stored > 0 {
                return Ok(Ok(()));
            }
            Ok(Err(not_stored(users(transaction, &[owner.user_id])?.first())))
        };
        self.database.write(put).await?
    }

    async fn delete_connection(&self, user_id: Uuid) -> Result<(), StorageError> {
        const END_FLOWS: &str = "
            update users
            set flow_epoch = flow_epoch + 1
            where id in (:user_id, upper(:user_id))";
        const DELETE_CONNECTION: &str = "
            delete from oauth_tokens
            where user_id in (:user_id, upper(:user_id)) and provider = 'discogs'";

        let delete = move |transaction: &rusqlite::Transaction<'_>| {
            let user_id = user_id.to_string();
            let parameters = named_params! { ":user_id": user_id };
            transaction.prepare_cached(END_FLOWS)?.execute(parameters)?;
            transaction.prepare_cached(DELETE_CONNECTION)?.execute(parameters)
        };
        Ok(self.database.write(delete).await.map(drop)?)
    }

    async fn config(&self) -> Result<Vec<ConfigEntry>, StorageError> {
        const IS_CONFIG_ENCRYPTED: &str = "
            select exists (select 1 from api_encryption where name = 'app_config') as is_encrypted";

        let read = |connection: &mut rusqlite::Connection| {
            let mut statement = connection.prepare_cached(IS_CONFIG_ENCRYPTED)?;
            let is_encrypted = statement.query_row([], |row| rows::flag(row, "is_encrypted"))?;
            let mut statement = connection.prepare_cached(CONFIG)?;
            let entries = statement.query_map([], rows::config_entry)?;
            let entries: Vec<_> =
                entries.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
            Ok((entries, PlainText::unless(is_encrypted)))
        };
        let (entries, plain) = self.database.read(read).await?;
        entries.into_iter().map(|entry| decrypted(&self.keyring, entry, plain)).collect()
    }

    async fn put_config(
        &self,
        values: &[(ConfigKey, ConfigValue)],
    ) -> Result<Timestamp, StorageError> {
        const PUT_CONFIG: &str = "
            insert into app_config (key, value, updated_at)
            values (:key, :value, :now)
            on conflict (key) do update
            set value = excluded.value, updated_at = excluded.updated_at";

        let sealed = |(key, value): &(ConfigKey, ConfigValue)| {
            (*key, self.keyring.seal(Purpose::of(SealedTable::AppConfig), value.expose()))
        };
        let values: Vec<_> = values.iter().map(sealed).collect();
        let now = self.clock.now();
        let put = move |transaction: &rusqlite::Transaction<'_>| {
            let mut statement = transaction.prepare_cached(PUT_CONFIG)?;
            for (key, value) in &values {
                statement.execute(named_params! {
                    ":key": key.as_str(),
                    ":value": value,
                    ":now": now.as_microseconds(),
                })?;
            }
            Ok(now)
        };
        Ok(self.database.write(put).await?)
    }

    async fn delete_config(&self, keys: &[ConfigKey]) -> Result<Written, StorageError> {
        const DELETE_CONFIG: &str = "
            delete from app_config
            where key = :key";

        let keys = keys.to_vec();
        let delete = move |transaction: &rusqlite::Transaction<'_>| {
            let mut statement = transaction.prepare_cached(DELETE_CONFIG)?;
            let mut deleted = 0;
            for key in &keys {
                deleted += statement.execute(named_params! { ":key": key.as_str() })?;
            }
            Ok(Written::of(deleted > 0))
        };
        Ok(self.database.write(delete).await?)
    }

    async fn known_address(
        &self,
        address: &KnownAddress,
    ) -> Result<Option<Timestamp>, StorageError> {
        let address = address.clone();
        let read =
            move |connection: &mut rusqlite::Connection| addresses::seen_at(connection, &address);
        Ok(self.database.read(read).await?)
    }

    async fn put_known_address(
        &self,
        address: &KnownAddress,
        kept_for: Duration,
    ) -> Result<(), StorageError> {
        let address = address.clone();
        let now = self.now();
        let before = now.saturating_sub(i64::try_from(kept_for.as_micros()).unwrap_or(i64::MAX));
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            addresses::put(transaction, &address, now, before)
        };
        Ok(self.database.write(write).await?)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

impl From<SqliteError> for StorageError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Overloaded => Self::Overloaded,
            SqliteError::SchemaBehind(missing) => Self::SchemaBehind { missing },
            SqliteError::Foreign(_) => Self::Incompatible(error.to_string()),
            SqliteError::Lost(loss) => {
                Self::Lost(Box::<dyn Error + Send + Sync>::from(sqlite::advice(&loss)).into())
            }
            error if error.is_full_disk() => Self::DiskFull(Arc::new(error)),
            error if error.is_temporary() => Self::Unavailable(Arc::new(error)),
            error => Self::Refused(Arc::new(error)),
        }
    }
}
