//! What tests use: a service, its clients, its servers, and a proxy that breaks things.

pub(crate) mod actor;
pub(crate) mod answer;
pub(crate) mod app;
pub(crate) mod document;
pub(crate) mod opened;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod servers;
pub(crate) mod stores;
pub(crate) mod tunnel;
pub(crate) mod wire;

pub(crate) use actor::{Actor, PASSWORD};
pub(crate) use answer::{Answer, user_json};
pub(crate) use app::{ACCEPT_PLAIN, Setup, TestApp};
pub(crate) use opened::{Opened, new_user, on_both_stores, redis_connection};
pub(crate) use program::{Outcome, Program, Service, free_port};
pub(crate) use proxy::Proxy;
pub(crate) use servers::{PgBouncer, PrivateRedis, TestDatabase, certificate, test_servers};
pub(crate) use stores::{Composition, TestStores};
pub(crate) use tunnel::{TunnelProxy, tls_server};

/// Turns each function `async fn name(app: TestApp)` into two tests: on the embedded store, and on
/// PostgreSQL with Redis.
macro_rules! on_both_compositions {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let setup = crate::harness::Setup::new(crate::harness::Composition::Embedded);
                    super::$name(setup.start().await).await;
                }
            )*
        }
        mod servers {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL and Redis: run scripts/test"]
                async fn $name() {
                    let setup = crate::harness::Setup::new(crate::harness::Composition::Servers);
                    super::$name(setup.start().await).await;
                }
            )*
        }
    };
}

/// The same for functions that start the service themselves: `async fn name(setup: Setup)`.
macro_rules! on_both_setups {
    ($($name:ident),* $(,)?) => {
        mod embedded_setup {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::harness::Setup::new(crate::harness::Composition::Embedded)).await;
                }
            )*
        }
        mod servers_setup {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL and Redis: run scripts/test"]
                async fn $name() {
                    super::$name(crate::harness::Setup::new(crate::harness::Composition::Servers)).await;
                }
            )*
        }
    };
}

pub(crate) use {on_both_compositions, on_both_setups};
