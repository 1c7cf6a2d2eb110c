//! The storage in PostgreSQL, through a few shared connections with many statements under way.
//!
//! The same tables and methods as in SQLite, in the same order. The service generates ids, the
//! database times.

mod addresses;
mod administration;
mod columns;
mod compatibility;
mod error;
mod migrate;
mod pools;
mod rows;
mod sealed_rows;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pg_pipeline::{Query, Server, Sql};
use secrecy::ExposeSecret as _;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::user_loader::UserLoader;
use super::{Admin, Storage, StorageError, Written, decrypted, not_stored};
use crate::clock::Timestamp;
use crate::config::{Migrations, PostgresConfig};
use crate::keyring::{Keyring, PlainText, Purpose, SealedTable};
use crate::metrics::Metrics;
use crate::migrations::Migration;
use crate::model::{
    ConfigEntry, ConfigKey, ConfigValue, Connection, DiscogsIdentity, DiscogsToken, FlowOwner,
    KnownAddress, NewUser, User, UserWithHash,
};
use crate::random::Random;
use error::or_no_match;
use pools::{Pool, Pools};
use rows::{user_columns, user_with_hash_columns};

pub(crate) use compatibility::{
    MissingUnique, additions, incompatibility, later_python, limited_encoding, missing_unique,
};
pub(crate) use error::{PostgresError, refuses_settings};
pub(crate) use migrate::{has_migrations, pending};
pub(crate) use pools::server;
pub(crate) use rows::config_entry;
pub(crate) use sealed_rows::{encryption_in, sealed_rows_in};

pub(crate) static PING: Sql = Sql { types: &[], text: "select 1" };

/// The insert may be sent twice if its connection dies; the id recognises the repetition.
static CREATE_USER: Sql = Sql {
    types: &[Type::UUID, Type::TEXT, Type::TEXT],
    text: concat!(
        "
    insert into users (id, email, hashed_password)
    values ($1, $2, $3)
    on conflict (id) do update
    set email = excluded.email
    returning ",
        user_columns!()
    ),
};

static USERS_BY_IDS: Sql = Sql {
    types: &[Type::UUID_ARRAY],
    text: concat!(
        "
    select ",
        user_columns!(),
        "
    from users
    where id = any($1)"
    ),
};

static USER_BY_EMAIL: Sql = Sql {
    types: &[Type::TEXT],
    text: concat!(
        "
    select ",
        user_with_hash_columns!(),
        "
    from users
    where email = $1"
    ),
};

/// Of several concurrent statements that write the same, only the first one changes the row.
static PUT_ADMIN: Sql = Sql {
    types: &[Type::BOOL, Type::TEXT],
    text: "
    update users
    set is_admin = $1, updated_at = now()
    from (select id, is_admin from users where email = $2 for update) as before
    where users.id = before.id
    returning before.is_admin is distinct from $1 as is_changed",
};

static ADMINS: Sql = Sql {
    types: &[],
    text: "
    select email
    from users
    where is_admin
    order by email collate \"C\"",
};

static CONNECTION: Sql = Sql {
    types: &[Type::UUID],
    text: "
    select provider_username, provider_user_id, updated_at
    from oauth_tokens
    where user_id = $1 and provider = 'discogs'",
};

/// Locks the user's row, so it waits for a concurrent disconnect and sees its epoch.
static PUT_CONNECTION: Sql = Sql {
    types: &[Type::UUID, Type::UUID, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT],
    text: "
    insert into oauth_tokens (
        id, user_id, provider, access_token, access_secret,
        provider_username, provider_user_id
    )
    select $1::uuid, id, 'discogs', $4::text, $5::text, $6::text, $7::text
    from users
    where id = $2 and is_active and coalesce(flow_epoch, 0) = $3
    for share
    on conflict (user_id, provider) do update
    set access_token = excluded.access_token,
        access_secret = excluded.access_secret,
        provider_username = excluded.provider_username,
        provider_user_id = excluded.provider_user_id,
        updated_at = excluded.updated_at
    returning user_id",
};

static END_FLOWS: Sql = Sql {
    types: &[Type::UUID],
    text: "
    update users
    set flow_epoch = coalesce(flow_epoch, 0) + 1
    where id = $1",
};

static DELETE_CONNECTION: Sql = Sql {
    types: &[Type::UUID],
    text: "
    delete from oauth_tokens
    where user_id = $1 and provider = 'discogs'",
};

pub(crate) static CONFIG: Sql = Sql {
    types: &[],
    text: "
    select key, value, updated_at
    from app_config
    where value <> ''
    order by key",
};

/// Without the name of a table as a parameter, since only this one is read by requests.
static IS_CONFIG_ENCRYPTED: Sql = Sql {
    types: &[],
    text: "
    select exists (select 1 from api_encryption where name = 'app_config') as is_encrypted",
};

static PUT_CONFIG: Sql = Sql {
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    text: "
    insert into app_config (key, value)
    select * from unnest($1::text[], $2::text[])
    on conflict (key) do update
    set value = excluded.value, updated_at = excluded.updated_at
    returning updated_at",
};

static DELETE_CONFIG: Sql = Sql {
    types: &[Type::TEXT_ARRAY],
    text: "
    delete from app_config
    where key = any($1)
    returning key",
};

/// What each connection prepares; other statements are parsed each time.
pub(crate) static PREPARED: [&Sql; 16] = [
    &PING,
    &CREATE_USER,
    &USERS_BY_IDS,
    &USER_BY_EMAIL,
    &PUT_ADMIN,
    &ADMINS,
    &CONNECTION,
    &PUT_CONNECTION,
    &END_FLOWS,
    &DELETE_CONNECTION,
    &CONFIG,
    &IS_CONFIG_ENCRYPTED,
    &PUT_CONFIG,
    &DELETE_CONFIG,
    &addresses::KNOWN_ADDRESS,
    &addresses::PUT_KNOWN_ADDRESS,
];

/// [`Storage`] in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStorage {
    server: Server,
    pools: Pools,
    user_loader: UserLoader,
    keyring: Arc<Keyring>,
    random: Random,
}

impl PostgresStorage {
    /// Connects to nothing before [`Storage::prepare`].
    #[must_use]
    pub fn new(
        config: &PostgresConfig,
        keyring: Arc<Keyring>,
        random: &Random,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let server = server(config);
        let pools = Pools::new(&server, metrics);
        let user_loader = user_loader(pools.reads.clone());
        Self { server, pools, user_loader, keyring, random: random.clone() }
    }
}

fn user_loader(reads: Pool) -> UserLoader {
    UserLoader::new(move |ids| {
        let reads = reads.clone();
        async move {
            let callers = ids.len();
            let query = Query::new(&USERS_BY_IDS).bind(ids).for_callers(callers);
            let rows = reads.query(query).await?;
            Ok(rows
                .iter()
                .filter_map(|row| rows::user(row).transpose())
                .collect::<Result<_, _>>()?)
        }
    })
}

#[async_trait]
impl Storage for PostgresStorage {
    async fn prepare(&self, migrations: Migrations) -> Result<Vec<Migration>, StorageError> {
        let applied = migrate::migrate(&self.server, migrations).await?;
        self.pools.start().await;
        Ok(applied)
    }

    async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.pools.health.query(Query::new(&PING)).await.map(drop)?)
    }

    async fn create_user(&self, user: &NewUser) -> Result<User, StorageError> {
        let query = Query::new(&CREATE_USER)
            .bind(user.id)
            .bind(user.email.as_str().to_owned())
            .bind(user.hashed_password.expose_secret().to_owned());
        let row = self.pools.writes.query_one(query).await?;
        Ok(rows::user(&row)?.ok_or(pg_pipeline::Error::NoRow)?)
    }

    async fn user_by_id(&self, id: Uuid) -> Result<Option<User>, StorageError> {
        self.user_loader.user(id).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserWithHash>, StorageError> {
        if email.contains('\0') {
            return Ok(None); // No text in PostgreSQL contains it.
        }
        let query = Query::new(&USER_BY_EMAIL).bind(email.to_owned());
        let row = or_no_match(self.pools.reads.query_first(query).await)?;
        Ok(row.as_ref().map(rows::user_with_hash).transpose()?.flatten())
    }

    async fn put_admin(&self, email: &str, admin: Admin) -> Result<Option<Written>, StorageError> {
        if email.contains('\0') {
            return Ok(None);
        }
        let query = Query::new(&PUT_ADMIN).bind(admin == Admin::Granted).bind(email.to_owned());
        let row = or_no_match(self.pools.writes.query_first(query).await)?;
        let is_changed = row.map(|row| row.try_get("is_changed")).transpose()?;
        Ok(is_changed.map(Written::of))
    }

    async fn admins(&self) -> Result<Vec<String>, StorageError> {
        let rows = self.pools.reads.query(Query::new(&ADMINS)).await?;
        Ok(rows.iter().map(|row| rows::text(row, "email")).collect::<Result<_, _>>()?)
    }

    async fn connection(&self, user_id: Uuid) -> Result<Option<Connection>, StorageError> {
        let row = self.pools.reads.query_first(Query::new(&CONNECTION).bind(user_id)).await?;
        Ok(row.as_ref().map(rows::connection).transpose()?)
    }

    async fn put_connection(
        &self,
        owner: FlowOwner,
        token: &DiscogsToken,
        identity: &DiscogsIdentity,
    ) -> Result<(), StorageError> {
        let query = Query::new(&PUT_CONNECTION)
            .bind(self.random.uuid())
            .bind(owner.user_id)
            .bind(owner.epoch.0)
            .bind(self.keyring.seal(Purpose::DiscogsTokens, &token.0.token))
            .bind(self.keyring.seal(Purpose::DiscogsTokens, token.0.secret.expose_secret()))
            .bind(identity.username.clone())
            .bind(identity.id.clone());
        if self.pools.writes.query(query).await?.is_empty() {
            return Err(not_stored(self.user_by_id(owner.user_id).await?.as_ref()));
        }
        Ok(())
    }

    async fn delete_connection(&self, user_id: Uuid) -> Result<(), StorageError> {
        // Two statements, in this order: the second one sees a connection that a flow stores before
        // the first one, because it reads the table as it is by then.
        self.pools.writes.query(Query::new(&END_FLOWS).bind(user_id)).await?;
        self.pools.writes.query(Query::new(&DELETE_CONNECTION).bind(user_id)).await?;
        Ok(())
    }

    async fn config(&self) -> Result<Vec<ConfigEntry>, StorageError> {
        let (rows, is_encrypted) = tokio::try_join!(
            self.pools.reads.query(Query::new(&CONFIG)),
            self.pools.reads.query_one(Query::new(&IS_CONFIG_ENCRYPTED)),
        )?;
        let plain = PlainText::unless(is_encrypted.try_get("is_encrypted")?);
        let entries = rows.iter().filter_map(|row| rows::config_entry(row).transpose());
        entries.map(|entry| decrypted(&self.keyring, entry?, plain)).collect()
    }

    async fn put_config(
        &self,
        values: &[(ConfigKey, ConfigValue)],
    ) -> Result<Timestamp, StorageError> {
        let keys: Vec<_> = values.iter().map(|(key, _)| key.as_str()).collect();
        let sealed = |value: &ConfigValue| {
            self.keyring.seal(Purpose::of(SealedTable::AppConfig), value.expose())
        };
        let values: Vec<_> = values.iter().map(|(_, value)| sealed(value)).collect();
        let query = Query::new(&PUT_CONFIG).bind(keys).bind(values);
        let row = self.pools.writes.query_one(query).await?;
        Ok(rows::timestamp(&row, "updated_at")?)
    }

    async fn delete_config(&self, keys: &[ConfigKey]) -> Result<Written, StorageError> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        let rows = self.pools.writes.query(Query::new(&DELETE_CONFIG).bind(keys)).await?;
        Ok(Written::of(!rows.is_empty()))
    }

    async fn known_address(
        &self,
        address: &KnownAddress,
    ) -> Result<Option<Timestamp>, StorageError> {
        addresses::seen_at(&self.pools.reads, address).await
    }

    async fn put_known_address(
        &self,
        address: &KnownAddress,
        kept_for: Duration,
    ) -> Result<(), StorageError> {
        addresses::put(&self.pools.writes, address, kept_for).await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
