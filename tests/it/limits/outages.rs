//! Counting while Redis is unavailable.

use std::time::Duration;

use discogsography_api::clock::Clock;
use serde_json::Value;

use super::{assert_limited, login, register, start};
use crate::harness::{Actor, Composition, PASSWORD, Setup, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn while_redis_is_unavailable_each_replica_counts_by_itself() {
    let app = start(Setup::new(Composition::Servers)).await;
    let anonymous = app.anonymous();
    for is_closed in [true, false] {
        if is_closed {
            app.stores.redis().close();
        } else {
            app.stores.redis().hang();
        }
        let address = if is_closed { "192.0.2.1" } else { "192.0.2.2" };
        for number in 0..5 {
            let email = format!("{number}-{is_closed}@example.com");
            assert_eq!(register(&anonymous, address, &email).await.status, 201);
        }
        assert_limited(&register(&anonymous, address, "5@example.com").await, 60);
    }
    app.stores.redis().open();
    let back = async {
        while app.stores.redis_strings().await.is_empty() {
            register(&anonymous, "192.0.2.3", "0-true@example.com").await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(5), back).await;
    assert!(back.is_ok(), "limits are shared again");
}

/// Sets the service's clock to the time of Redis.
fn move_to_the_present(app: &TestApp) {
    let present = Clock::system().now().since_epoch();
    app.clock.advance(present.saturating_sub(app.clock.now().since_epoch()));
}

/// Returns the number of failed sign-ins in each Redis record.
async fn failures_in_redis(app: &TestApp) -> Vec<usize> {
    let strings = app.stores.redis_strings().await;
    let counts = strings.iter().filter(|(key, _)| key.contains("failed_sign_in:"));
    let moments = counts.map(|(_, value)| {
        let record: Value = serde_json::from_str(value).unwrap();
        record["granted"].as_array().unwrap().len()
    });
    moments.collect()
}

/// Signs in until the counts are shared again: until they hold more than one late sign-in.
async fn until_shared_again(app: &TestApp, anonymous: &Actor) {
    let count = async || {
        let strings = app.stores.redis_strings().await;
        strings.iter().filter(|(key, _)| key.contains("discogs:limits:sign_in:")).count()
    };
    let before = count().await;
    let back = async {
        let mut number = 0_u32;
        while count().await < before + 3 {
            number += 1;
            let address = format!("203.0.{}.{}", number / 200, number % 200);
            login(anonymous, &address, &format!("{number}@example.com"), PASSWORD).await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(20), back).await;
    assert!(back.is_ok(), "limits are shared again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_outage_of_redis_allows_no_more_guesses() {
    let app = start(Setup::new(Composition::Servers)).await;
    move_to_the_present(&app);
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    let guess = async |number: u32| {
        login(&anonymous, &format!("198.51.100.{number}"), email, "wrong password").await
    };
    for number in 0..6 {
        assert_eq!(guess(number).await.status, 401, "{number}");
    }
    assert_eq!(failures_in_redis(&app).await, [6]);
    app.stores.redis().hang();
    for number in 6..10 {
        assert_eq!(guess(number).await.status, 401, "{number}");
    }
    assert_limited(&guess(10).await, 900);
    app.stores.redis().open();
    until_shared_again(&app, &anonymous).await;
    assert_limited(&guess(11).await, 900);
    let failures = failures_in_redis(&app).await;
    assert_eq!(failures.into_iter().max(), Some(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn successful_sign_ins_during_an_outage_are_not_failures() {
    let app = start(Setup::new(Composition::Servers)).await;
    move_to_the_present(&app);
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    for is_hanging in [false, true, false] {
        if is_hanging {
            app.stores.redis().hang();
        } else {
            app.stores.redis().open();
            until_shared_again(&app, &anonymous).await;
        }
        for number in 0..8 {
            let address = format!("198.51.{}.{number}", if is_hanging { 100 } else { 101 });
            assert_eq!(login(&anonymous, &address, email, PASSWORD).await.status, 200);
        }
    }
}
