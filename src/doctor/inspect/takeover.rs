//! Reads what a Python service left in PostgreSQL, in one read-only transaction.
//!
//! A role that may only read its tables is enough.

use std::time::{Duration, Instant};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, IsolationLevel, Transaction};
use uuid::Uuid;

use super::postgres::{config, has_column, has_table, on_connection, version, writes};
use super::privileges::{missing_to_migrate, missing_to_serve};
use super::secrets::{self, Rows, StoredSecrets};
use super::{InspectionError, MissingPrivilege, Writes};
use crate::accounts::password::is_readable_hash;
use crate::config::PostgresConfig;
use crate::keyring::Keyring;
use crate::model::ConfigEntry;
use crate::storage::PAGE;
use crate::storage::postgres::{
    PING, PostgresError, additions, incompatibility, later_python, limited_encoding, pending,
};

/// The time limit for all statements together; a million users take a minute or two.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How many email addresses are named.
const MOST_NAMED: usize = 10;

const CONNECTIONS: &str = "select count(*) from oauth_tokens where provider = 'discogs'";

/// The database of a Python service.
#[derive(Debug)]
pub(in crate::doctor) struct PythonDatabase {
    /// The version that the server reports: `17.4`.
    pub(in crate::doctor) version: String,
    /// How long one small read took.
    pub(in crate::doctor) latency: Duration,
    pub(in crate::doctor) writes: Writes,
    /// The database's encoding, if it can't store every character.
    pub(in crate::doctor) limited_encoding: Option<String>,
    /// The tables and columns that only newer releases of the Python service create.
    pub(in crate::doctor) later_python: Vec<String>,
    /// The tables and columns that the first start adds.
    pub(in crate::doctor) additions: Vec<String>,
    /// What the role lacks to migrate and to serve.
    pub(in crate::doctor) missing_privileges: Vec<MissingPrivilege>,
    pub(in crate::doctor) users: Users,
    /// How many users are connected to Discogs.
    pub(in crate::doctor) connections: u64,
    pub(in crate::doctor) secrets: StoredSecrets,
    /// The rows of `app_config` that the service knows.
    pub(in crate::doctor) config: Vec<ConfigEntry>,
}

/// The users, by whether they can sign in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::doctor) struct Users {
    pub(in crate::doctor) all: u64,
    /// Deactivated ones.
    pub(in crate::doctor) inactive: u64,
    /// Active ones whose password hash has another form.
    pub(in crate::doctor) unreadable_hashes: Named,
    /// Active ones with two-factor sign-in.
    pub(in crate::doctor) second_factors: Named,
}

/// How many users there are, and the email addresses of the first few.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::doctor) struct Named {
    pub(in crate::doctor) count: u64,
    pub(in crate::doctor) first: Vec<String>,
}

/// Reads the database of a Python service.
pub(in crate::doctor) async fn python_database(
    settings: &PostgresConfig,
    keyring: &Keyring,
) -> Result<PythonDatabase, InspectionError> {
    on_connection(settings, TIMEOUT, async |client| inspect(client, keyring).await).await
}

async fn inspect(mut client: Client, keyring: &Keyring) -> Result<PythonDatabase, InspectionError> {
    let snapshot = client.build_transaction().read_only(true);
    let snapshot = snapshot.isolation_level(IsolationLevel::RepeatableRead).start();
    let transaction = snapshot.await.map_err(PostgresError::from)?;
    let longer = transaction.batch_execute("set local statement_timeout = '60s'");
    longer.await.map_err(PostgresError::from)?;
    let asked = Instant::now();
    transaction.query_typed(PING.text, &[]).await.map_err(PostgresError::from)?;
    let latency = asked.elapsed();
    let missing = pending(&transaction).await?;
    if let Some(reason) = incompatibility(&transaction, &missing).await? {
        return Err(InspectionError::Incompatible(reason));
    }
    if !has_table(&transaction, "users").await? || !has_table(&transaction, "oauth_tokens").await? {
        return Err(InspectionError::Incompatible(
            "the database has no tables of a Python service".to_owned(),
        ));
    }
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let mut missing_privileges = missing_to_serve(&transaction).await?;
    if !names.is_empty() {
        missing_privileges.extend(missing_to_migrate(&transaction, &names).await?);
    }
    Ok(PythonDatabase {
        version: version(&transaction).await?,
        latency,
        writes: writes(&transaction).await?,
        limited_encoding: limited_encoding(&transaction).await?,
        later_python: later_python(&transaction, &missing).await?,
        additions: additions(&transaction, &missing).await?,
        missing_privileges,
        users: users(&transaction).await?,
        connections: connections(&transaction).await?,
        secrets: secrets::of_postgres(&transaction, keyring, Rows::All).await?,
        config: config(&transaction).await?,
    })
}

async fn connections(transaction: &Transaction<'_>) -> Result<u64, PostgresError> {
    let rows = transaction.query_typed(CONNECTIONS, &[]).await?;
    let count = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()?;
    Ok(count.unwrap_or_default().unsigned_abs())
}

async fn users(transaction: &Transaction<'_>) -> Result<Users, PostgresError> {
    let has_column = has_column(transaction, "users", "totp_enabled").await?;
    let second_factor = if has_column { "totp_enabled is true" } else { "false" };
    let page = format!(
        "select id, email, hashed_password, is_active is true, {second_factor}
         from users
         where id >= $1
         order by id
         limit {PAGE}"
    );
    let mut users = Users::default();
    let mut last: Option<Uuid> = None;
    loop {
        let from = last.unwrap_or_default();
        let from: (&(dyn ToSql + Sync), Type) = (&from, Type::UUID);
        let rows = transaction.query_typed(&page, &[from]).await?;
        for row in &rows {
            // The first row of a page is the last one of the page before.
            if last != Some(row.try_get(0)?) {
                let is_readable = is_readable_hash(row.try_get(2)?);
                users.add(row.try_get(1)?, is_readable, row.try_get(3)?, row.try_get(4)?);
            }
        }
        match rows.last() {
            Some(row) if rows.len() == PAGE => last = Some(row.try_get(0)?),
            _ => return Ok(users),
        }
    }
}

impl Users {
    fn add(&mut self, email: &str, is_readable: bool, is_active: bool, has_second_factor: bool) {
        self.all += 1;
        if !is_active {
            self.inactive += 1;
        } else if !is_readable {
            self.unreadable_hashes.add(email);
        } else if has_second_factor {
            self.second_factors.add(email);
        }
    }

    /// How many can sign in with their password.
    pub(in crate::doctor) fn able_to_sign_in(&self) -> u64 {
        self.all - self.inactive - self.unreadable_hashes.count - self.second_factors.count
    }
}

impl Named {
    fn add(&mut self, email: &str) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(email.to_owned());
        }
    }
}
