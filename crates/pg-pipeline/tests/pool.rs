//! The pool over a real PostgreSQL, which `scripts/test` starts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pg_pipeline::{
    ChannelBinding, Error, Observer, Pool, PoolSize, Query, Server, Settings, Sql, StatementNames,
    Tls,
};
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

static DOUBLE: Sql = Sql { types: &[Type::INT4], text: "select $1 * 2 as double" };
static PROCESS: Sql = Sql { types: &[], text: "select pg_backend_pid() as process" };
static TERMINATE: Sql = Sql { types: &[Type::INT4], text: "select pg_terminate_backend($1)" };
static NOTHING: Sql = Sql { types: &[], text: "select 1 where false" };
static SLOW: Sql = Sql { types: &[], text: "select pg_sleep(30)" };
static MISSING: Sql = Sql { types: &[], text: "select no_such_column from pg_class" };
static PREPARED: [&Sql; 2] = [&DOUBLE, &PROCESS];
static UNPREPARABLE: [&Sql; 1] = [&MISSING];

const TIMEOUT: Duration = Duration::from_secs(20);
const ONE: PoolSize = PoolSize { connections: 1, max_connections: 1, fill_to: 0, timeout: TIMEOUT };

/// Counts what a pool reports.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicUsize; 5]>);

impl Counts {
    fn add(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::SeqCst);
    }

    /// Opened, not opened, closed, lost, failed.
    fn now(&self) -> [usize; 5] {
        std::array::from_fn(|which| self.0[which].load(Ordering::SeqCst))
    }
}

impl Observer for Counts {
    fn opened(&self) {
        self.add(0);
    }

    fn not_opened(&self, _: &Error) {
        self.add(1);
    }

    fn closed(&self) {
        self.add(2);
    }

    fn lost(&self, _: Option<&Error>) {
        self.add(3);
    }

    fn failed(&self, _: &Error) {
        self.add(4);
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by variables where the server is")]
fn settings(statement_names: StatementNames) -> Settings {
    let variable = |name: &str| std::env::var(name).expect("run scripts/test");
    let address = variable("TEST_POSTGRES_ADDRESS");
    let (host, port) = address.split_once(':').unwrap();
    Settings {
        host: host.to_owned(),
        port: port.parse().unwrap(),
        username: variable("TEST_POSTGRES_USERNAME"),
        password: variable("TEST_POSTGRES_PASSWORD").into(),
        database: "postgres".to_owned(),
        application_name: "pg-pipeline".to_owned(),
        tls: Tls::Prefer,
        channel_binding: ChannelBinding::Prefer,
        options: None,
        statement_names,
    }
}

async fn pool(statements: &'static [&'static Sql], size: PoolSize) -> (Pool<Counts>, Counts) {
    let counts = Counts::default();
    let server = Server::new(&settings(StatementNames::Named));
    let pool = Pool::new(server, statements, size, counts.clone());
    pool.start();
    pool.wait_until_connected(TIMEOUT).await;
    (pool, counts)
}

async fn process(pool: &Pool<Counts>) -> i32 {
    pool.query_one(Query::new(&PROCESS)).await.unwrap().get("process")
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn concurrent_queries_on_one_connection_get_their_own_rows() {
    let (pool, counts) = pool(&PREPARED, ONE).await;
    let mut queries = JoinSet::new();
    for number in 0..500 {
        let pool = pool.clone();
        queries.spawn(async move {
            let row = pool.query_one(Query::new(&DOUBLE).bind(number)).await.unwrap();
            assert_eq!(row.get::<_, i32>("double"), number * 2);
        });
    }
    assert_eq!(queries.join_all().await.len(), 500);
    pool.close().await;
    assert!(matches!(pool.query(Query::new(&PROCESS)).await, Err(Error::Closed)));
    assert_eq!(counts.now()[0], 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_statement_outside_the_list_is_parsed_each_time() {
    let (pool, _) = pool(&[], ONE).await;
    let row = pool.query_first(Query::new(&DOUBLE).bind(21)).await.unwrap().unwrap();
    assert_eq!(row.get::<_, i32>("double"), 42);
    assert!(pool.query_first(Query::new(&NOTHING)).await.unwrap().is_none());
    assert!(matches!(pool.query_one(Query::new(&NOTHING)).await, Err(Error::NoRow)));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_lost_connection_is_replaced_and_costs_no_query() {
    let (pool, counts) = pool(&PREPARED, ONE).await;
    let (other, _) = self::pool(&PREPARED, ONE).await;
    let before = process(&pool).await;
    other.query_one(Query::new(&TERMINATE).bind(before)).await.unwrap();
    let mut after = process(&pool).await;
    while after == before {
        after = process(&pool).await;
    }
    let [opened, _, closed, lost, failed] = counts.now();
    assert_eq!([opened, closed, lost, failed], [2, 1, 1, 0]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_query_without_an_answer_ends_with_its_time_and_connection() {
    let size = PoolSize { timeout: Duration::from_secs(1), ..ONE };
    let (pool, counts) = pool(&PREPARED, size).await;
    let answer = pool.query(Query::new(&SLOW)).await;
    assert!(matches!(answer, Err(Error::NoAnswer(_))), "{answer:?}");
    while counts.now()[3] == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counts.now()[4], 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_statement_that_can_not_be_prepared_keeps_the_pool_down() {
    let size = PoolSize { timeout: Duration::from_secs(1), ..ONE };
    let counts = Counts::default();
    let server = Server::new(&settings(StatementNames::Named));
    let pool = Pool::new(server, &UNPREPARABLE, size, counts.clone());
    pool.start();
    let answer = pool.query(Query::new(&NOTHING)).await;
    assert!(matches!(answer, Err(Error::NoConnection(_))), "{answer:?}");
    let [opened, not_opened, ..] = counts.now();
    assert!(opened == 0 && not_opened > 0, "{:?}", counts.now());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn without_statement_names_nothing_is_prepared() {
    let server = Server::new(&settings(StatementNames::Unnamed));
    let pool = Pool::new(server, &UNPREPARABLE, ONE, ());
    pool.start();
    let row = pool.query_one(Query::new(&DOUBLE).bind(21)).await.unwrap();
    assert_eq!(row.get::<_, i32>("double"), 42);
}
