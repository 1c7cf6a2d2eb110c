//! The two stores without a service, for the contracts that both must keep.

use std::sync::Arc;
use std::time::Duration;

use discogsography_api::clock::{Clock, Timestamp};
use discogsography_api::config::{
    Config, EncryptionKeys, Environment, Migrations, PythonCompat, Stores,
};
use discogsography_api::expiring::Expiring;
use discogsography_api::flows::{Flows, RecordForm};
use discogsography_api::metrics::Metrics;
use discogsography_api::model::{Email, NewUser, User};
use discogsography_api::random::Random;
use discogsography_api::server::{OpenedStores, open_stores};
use discogsography_api::storage::Storage;
use discogsography_api::surroundings::Surroundings;
use fernet_seal::MasterKey;

use super::app::JWT_SECRET_KEY;
use super::{Composition, TestStores, test_servers};

/// Ages the records with one prefix: shortens their lives and their claims.
const ADVANCE: &str = "
    local by = tonumber(ARGV[2])
    for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
        local record = cjson.decode(redis.call('GET', key))
        if record.claim and record.claim ~= cjson.null then
            local till = string.format('%.0f', record.claim['until'] - by * 1000)
            local text = redis.call('GET', key):gsub('\"until\":%d+', '\"until\":' .. till)
            redis.call('SET', key, text, 'KEEPTTL')
        end
        local left = redis.call('PTTL', key) - by
        if left <= 0 then redis.call('DEL', key) else redis.call('PEXPIRE', key, left) end
    end
    return 0";

/// The two stores, prepared.
pub(crate) struct Opened {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) flows: Flows,
    pub(crate) records: Arc<dyn Expiring>,
    pub(crate) stores: TestStores,
    pub(crate) random: Random,
    clock: Clock,
    config: Config,
}

impl Opened {
    /// Opens new stores of one kind.
    pub(crate) async fn new(composition: Composition) -> Self {
        let opened = Self::unprepared(TestStores::new(composition).await);
        opened.storage.prepare(Migrations::Automatic).await.unwrap();
        opened
    }

    /// Opens the stores without preparing them.
    pub(crate) fn unprepared(stores: TestStores) -> Self {
        let mut variables = stores.variables();
        variables.push(("JWT_SECRET_KEY".to_owned(), JWT_SECRET_KEY.to_owned()));
        let mut config = Config::load(&Environment::of(variables)).unwrap();
        if let Stores::Servers { redis, .. } = &mut config.stores {
            redis.namespace = stores.namespace();
        }
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        let random = Random::from_system().unwrap();
        let surroundings =
            Surroundings { clock: clock.clone(), random: random.clone(), sandbox_consumer: None };
        let OpenedStores { storage, flows: records, .. } =
            open_stores(&config, &surroundings, &Metrics::new()).unwrap();
        let flows = Flows::new(Arc::clone(&records), RecordForm::Own);
        Self { storage, flows, records, stores, random, clock, config }
    }

    /// Stores a user with this address.
    pub(crate) async fn user(&self, email: &str) -> User {
        self.storage.create_user(&new_user(email)).await.unwrap()
    }

    /// Returns the storage of another service on the same database.
    pub(crate) fn another_storage(&self) -> Arc<dyn Storage> {
        open_stores(&self.config, &self.surroundings(), &Metrics::new()).unwrap().storage
    }

    /// Returns the stores of another service on the same database, which has these keys.
    pub(crate) fn with_keys(&self, current: Option<&str>, previous: &[&str]) -> OpenedStores {
        self.with_keys_beside(PythonCompat::Off, current, previous)
    }

    /// The same for a service that may expect a Python service on its stores.
    pub(crate) fn with_keys_beside(
        &self,
        python_compat: PythonCompat,
        current: Option<&str>,
        previous: &[&str],
    ) -> OpenedStores {
        let key = |text: &str| Arc::new(MasterKey::parse(text).unwrap());
        let previous = previous.iter().map(|text| key(text)).collect();
        let encryption = EncryptionKeys { current: current.map(key), previous };
        let config = Config { encryption, python_compat, ..self.config.clone() };
        open_stores(&config, &self.surroundings(), &Metrics::new()).unwrap()
    }

    fn surroundings(&self) -> Surroundings {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Surroundings { clock, random, sandbox_consumer: None }
    }

    /// Ages the OAuth state.
    ///
    /// Advances the embedded store's clock; Redis's can't be set, so each record's remaining life
    /// is shortened.
    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        if self.stores.servers.is_some() {
            let mut redis = redis_connection().await;
            let milliseconds = u64::try_from(by.as_millis()).unwrap();
            let script = redis::Script::new(ADVANCE);
            let mut advance = script.arg(self.stores.key_prefix());
            let _: i64 = advance.arg(milliseconds).invoke_async(&mut redis).await.unwrap();
        }
    }
}

/// Returns a user to be stored, with an unreadable hash.
pub(crate) fn new_user(email: &str) -> NewUser {
    NewUser {
        id: Random::from_system().unwrap().uuid(),
        email: Email::parse(email).unwrap(),
        hashed_password: "salt:key".into(),
    }
}

/// A direct connection, not through a proxy.
pub(crate) async fn redis_connection() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(test_servers().redis_url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Turns each function `async fn name(opened: Opened)` into two tests, one for each kind of store.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let composition = crate::harness::Composition::Embedded;
                    super::$name(crate::harness::Opened::new(composition).await).await;
                }
            )*
        }
        mod servers {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL and Redis: run scripts/test"]
                async fn $name() {
                    let composition = crate::harness::Composition::Servers;
                    super::$name(crate::harness::Opened::new(composition).await).await;
                }
            )*
        }
    };
}

pub(crate) use on_both_stores;
