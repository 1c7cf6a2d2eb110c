//! The storage in PostgreSQL, through few connections that carry many statements at once.
//!
//! Reads and writes go over connections of their own, and so does health: a slow write holds up
//! no read, and nothing holds up health. Ids come from the service, times from the database.

mod administration;
mod connection;
mod error;
mod making;
mod migrate;
mod ours;
mod pool;
mod rows;
mod server;
mod statements;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::user_loader::UserLoader;
use super::{Admin, MOST_KNOWN_ADDRESSES, Storage, StorageError, Written, not_stored};
use crate::clock::Timestamp;
use crate::config::{Migrations, PostgresConfig};
use crate::metrics::{Metrics, Purpose};
use crate::migrations::Migration;
use crate::model::{
    ConfigEntry, ConfigKey, ConfigValue, Connection, DiscogsToken, FlowOwner, Identity,
    KnownAddress, NewUser, User, UserWithHash,
};
use crate::random::Random;
use connection::Call;
use error::matching;
use pool::{Group, Limits, Reach};
use rows::At;

pub(crate) use error::{PostgresError, refuses_settings};
pub(crate) use migrate::{has_migrations, pending};
pub(crate) use ours::{MissingUnique, lacking_encoding, missing_unique, objection};
pub(crate) use rows::config_entry;
pub(crate) use server::{Made, Server};
pub(crate) use statements::{CONFIG, PING, Statements};

/// Two calls, as most requests make, fit into the five seconds after which they are answered.
const CALL: Duration = Duration::from_millis(2_400);

/// Reads are short: what goes over one connection shares our write to it, and wakes one process.
const READS: Limits = Limits { connections: 2, most_connections: 4, fill_to: 128, call: CALL };

/// Each write waits for the disk, and the server writes there at once what came over several
/// connections.
const WRITES: Limits = Limits { connections: 2, most_connections: 4, fill_to: 0, call: CALL };

const HEALTH: Limits =
    Limits { connections: 1, most_connections: 1, fill_to: 0, call: Duration::from_millis(900) };

/// [`Storage`] in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStorage {
    server: Server,
    random: Random,
    reads: Group,
    user_loader: UserLoader,
    writes: Group,
    health: Group,
}

impl PostgresStorage {
    /// Takes the address; nothing is connected before [`Storage::prepare`].
    #[must_use]
    pub fn new(config: &PostgresConfig, random: &Random, metrics: &Arc<Metrics>) -> Self {
        let server = Server::new(config);
        let reach = Arc::new(Reach::default());
        let group = |purpose, limits| {
            let (reach, metrics) = (Arc::clone(&reach), Arc::clone(metrics));
            Group::new(purpose, server.clone(), limits, random.clone(), reach, metrics)
        };
        let reads = group(Purpose::Reads, READS);
        Self {
            user_loader: user_loader(reads.clone()),
            reads,
            writes: group(Purpose::Writes, WRITES),
            health: group(Purpose::Health, HEALTH),
            server,
            random: random.clone(),
        }
    }
}

fn user_loader(reads: Group) -> UserLoader {
    UserLoader::new(move |ids| {
        let reads = reads.clone();
        async move {
            let requests = ids.len();
            let call =
                Call::new(|prepared| &prepared.users_by_ids, vec![Box::new(ids)]).of(requests);
            let rows = reads.call(call).await?;
            let users = rows.iter().filter_map(|row| rows::user(row).transpose());
            Ok(users.collect::<Result<_, _>>()?)
        }
    })
}

#[async_trait]
impl Storage for PostgresStorage {
    async fn prepare(&self, migrations: Migrations) -> Result<Vec<Migration>, StorageError> {
        let applied = migrate::migrate(&self.server, migrations).await?;
        for group in [&self.reads, &self.writes, &self.health] {
            group.start();
        }
        tokio::join!(
            self.reads.wait_until_up(CALL),
            self.writes.wait_until_up(CALL),
            self.health.wait_until_up(CALL),
        );
        Ok(applied)
    }

    async fn ping(&self) -> Result<(), StorageError> {
        let call = Call::new(|prepared| &prepared.ping, Vec::new());
        Ok(self.health.call(call).await.map(drop)?)
    }

    async fn create_user(&self, user: &NewUser) -> Result<User, StorageError> {
        let call = Call::new(
            |prepared| &prepared.create_user,
            vec![
                Box::new(user.id),
                Box::new(user.email.as_str().to_owned()),
                Box::new(user.hashed_password.expose_secret().to_owned()),
            ],
        );
        let rows = self.writes.call(call).await?;
        let user = rows.first().map(rows::user).transpose()?.flatten();
        Ok(user.ok_or_else(|| PostgresError::Row("insert gave none".to_owned()))?)
    }

    async fn user_by_id(&self, id: Uuid) -> Result<Option<User>, StorageError> {
        Ok(self.user_loader.user(id).await?)
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserWithHash>, StorageError> {
        if email.contains('\0') {
            return Ok(None); // No text in PostgreSQL has one.
        }
        let call = Call::new(|prepared| &prepared.user_by_email, vec![Box::new(email.to_owned())]);
        let rows = matching(self.reads.call(call).await)?;
        Ok(rows.first().map(rows::user_with_hash).transpose()?.flatten())
    }

    async fn put_admin(&self, email: &str, admin: Admin) -> Result<Option<Written>, StorageError> {
        if email.contains('\0') {
            return Ok(None);
        }
        let call = Call::new(
            |prepared| &prepared.put_admin,
            vec![Box::new(admin == Admin::Granted), Box::new(email.to_owned())],
        );
        let rows = matching(self.writes.call(call).await)?;
        let is_changed = rows.first().map(|row| row.try_get(0)).transpose();
        Ok(is_changed.map_err(PostgresError::from)?.map(Written::of))
    }

    async fn admins(&self) -> Result<Vec<String>, StorageError> {
        let call = Call::new(|prepared| &prepared.admins, Vec::new());
        let rows = self.reads.call(call).await?;
        Ok(rows.iter().map(|row| rows::text(row, 0)).collect::<Result<_, _>>()?)
    }

    async fn connection(&self, user_id: Uuid) -> Result<Option<Connection>, StorageError> {
        let call = Call::new(|prepared| &prepared.connection, vec![Box::new(user_id)]);
        let rows = self.reads.call(call).await?;
        Ok(rows.first().map(rows::connection).transpose()?)
    }

    async fn put_connection(
        &self,
        owner: FlowOwner,
        token: &DiscogsToken,
        identity: &Identity,
    ) -> Result<(), StorageError> {
        let call = Call::new(
            |prepared| &prepared.put_connection,
            vec![
                Box::new(self.random.uuid()),
                Box::new(owner.user_id),
                Box::new(owner.epoch.0),
                Box::new(token.0.token.clone()),
                Box::new(token.0.secret.expose_secret().to_owned()),
                Box::new(identity.username.clone()),
                Box::new(identity.id.clone()),
            ],
        );
        if self.writes.call(call).await?.is_empty() {
            return Err(not_stored(self.user_by_id(owner.user_id).await?.as_ref()));
        }
        Ok(())
    }

    async fn delete_connection(&self, user_id: Uuid) -> Result<(), StorageError> {
        // Two statements, in this order: a connection that a finish stores before the first is seen by
        // the second, which reads the table as it is by then.
        let call = Call::new(|prepared| &prepared.end_flows, vec![Box::new(user_id)]);
        self.writes.call(call).await?;
        let call = Call::new(|prepared| &prepared.delete_connection, vec![Box::new(user_id)]);
        Ok(self.writes.call(call).await.map(drop)?)
    }

    async fn config(&self) -> Result<Vec<ConfigEntry>, StorageError> {
        let call = Call::new(|prepared| &prepared.config, Vec::new());
        let rows = self.reads.call(call).await?;
        Ok(rows
            .iter()
            .filter_map(|row| rows::config_entry(row).transpose())
            .collect::<Result<_, _>>()?)
    }

    async fn put_config(
        &self,
        values: &[(ConfigKey, ConfigValue)],
    ) -> Result<Timestamp, StorageError> {
        let keys: Vec<_> = values.iter().map(|(key, _)| key.as_str()).collect();
        let values: Vec<_> = values.iter().map(|(_, value)| value.expose().to_owned()).collect();
        let call =
            Call::new(|prepared| &prepared.put_config, vec![Box::new(keys), Box::new(values)]);
        let rows = self.writes.call(call).await?;
        let row = rows.first().ok_or_else(|| PostgresError::Row("upsert gave none".to_owned()))?;
        Ok(row.try_get::<_, At>(0).map_err(PostgresError::from)?.0)
    }

    async fn delete_config(&self, keys: &[ConfigKey]) -> Result<Written, StorageError> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        let call = Call::new(|prepared| &prepared.delete_config, vec![Box::new(keys)]);
        Ok(Written::of(!self.writes.call(call).await?.is_empty()))
    }

    async fn known_address(
        &self,
        address: &KnownAddress,
    ) -> Result<Option<Timestamp>, StorageError> {
        let call = Call::new(
            |prepared| &prepared.known_address,
            vec![Box::new(address.account.to_vec()), Box::new(address.address.to_vec())],
        );
        let rows = self.reads.call(call).await?;
        let seen_at = rows.first().map(|row| row.try_get::<_, At>(0)).transpose();
        Ok(seen_at.map_err(PostgresError::from)?.map(|at| at.0))
    }

    async fn put_known_address(
        &self,
        address: &KnownAddress,
        kept_for: Duration,
    ) -> Result<(), StorageError> {
        let call = Call::new(
            |prepared| &prepared.put_known_address,
            vec![
                Box::new(address.account.to_vec()),
                Box::new(address.address.to_vec()),
                Box::new(kept_for.as_secs_f64()),
                Box::new(MOST_KNOWN_ADDRESSES - 1),
            ],
        );
        Ok(self.writes.call(call).await.map(drop)?)
    }

    async fn close(&self) {
        tokio::join!(self.reads.close(), self.writes.close(), self.health.close());
    }
}
