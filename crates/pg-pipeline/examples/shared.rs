//! Runs 10,000 queries in as many tasks over two connections, and prints the time.
//!
//! `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` select the server.

#![expect(clippy::disallowed_methods, reason = "an example is configured by its environment")]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use pg_pipeline::{
    ChannelBinding, Pool, PoolSize, Query, Server, Settings, Sql, StatementNames, Tls,
};
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

static SQUARE: Sql = Sql { types: &[Type::INT8], text: "select $1::int8 * $1 as square" };
static PREPARED: [&Sql; 1] = [&SQUARE];

const QUERIES: i64 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let timeout = Duration::from_secs(10);
    // All queries of this example that wait at once fit on the connections.
    let size = PoolSize { connections: 2, max_connections: 4, fill_to: 128, timeout };
    let pool = Pool::new(Server::new(&settings()?), &PREPARED, size, ());
    pool.start();
    pool.wait_until_connected(timeout).await;
    let started = Instant::now();
    let mut sum = 0_i64;
    let mut queries = JoinSet::new();
    for number in 0..QUERIES {
        let pool = pool.clone();
        queries.spawn(async move { pool.query_one(Query::new(&SQUARE).bind(number)).await });
        if queries.len() >= 1_000
            && let Some(row) = queries.join_next().await
        {
            sum += row??.try_get::<_, i64>("square")?;
        }
    }
    while let Some(row) = queries.join_next().await {
        sum += row??.try_get::<_, i64>("square")?;
    }
    println!("{QUERIES} queries in {:?}: the sum of the squares is {sum}", started.elapsed());
    pool.close().await;
    Ok(())
}

fn settings() -> Result<Settings, Box<dyn Error>> {
    let variable = |name: &str, default: &str| env::var(name).unwrap_or(default.to_owned());
    Ok(Settings {
        host: variable("PGHOST", "127.0.0.1"),
        port: variable("PGPORT", "5432").parse()?,
        username: variable("PGUSER", "postgres"),
        password: variable("PGPASSWORD", "").into(),
        database: variable("PGDATABASE", "postgres"),
        application_name: "pg-pipeline".to_owned(),
        tls: Tls::Prefer,
        channel_binding: ChannelBinding::Prefer,
        options: None,
        statement_names: StatementNames::Named,
    })
}
