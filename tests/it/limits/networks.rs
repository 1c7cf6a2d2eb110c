//! Which addresses are counted together.

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{assert_limited, from, login, register, start};
use crate::harness::actor::send;
use crate::harness::{Actor, PASSWORD, Setup, on_both_setups};

on_both_setups!(
    an_address_may_start_and_finish_twenty_times_a_minute,
    registrations_are_counted_for_wider_networks_too,
    sign_ins_are_counted_for_wider_networks_too,
    starts_and_finishes_are_counted_for_wider_networks_too,
    an_ipv4_address_inside_an_ipv6_one_counts_as_itself,
    ten_of_forty_concurrent_guesses_are_checked,
);

async fn ask(user: &Actor, address: &str, what: Limited) -> u16 {
    let request = match what {
        Limited::Start => user.request(Method::GET, "/api/oauth/authorize/discogs"),
        Limited::Finish => {
            let body = json!({ "state": "unknown", "oauth_verifier": "pin" });
            user.request(Method::POST, "/api/oauth/verify/discogs").body(body.to_string())
        }
    };
    send(from(address, request)).await.status
}

#[derive(Debug, Clone, Copy)]
enum Limited {
    Start,
    Finish,
}

async fn an_address_may_start_and_finish_twenty_times_a_minute(setup: Setup) {
    let app = start(setup).await;
    let users = [app.user("alice").await, app.user("bob").await, app.user("carol").await];
    for (what, status) in [(Limited::Start, 200), (Limited::Finish, 400)] {
        for user in &users[..2] {
            for _ in 0..10 {
                assert_eq!(ask(user, "192.0.2.1", what).await, status, "{what:?}");
            }
            assert_eq!(ask(user, "192.0.2.2", what).await, 429, "{what:?}");
        }
        assert_eq!(ask(&users[2], "192.0.2.1", what).await, 429, "{what:?}");
        // A refused request is not counted for the user.
        for _ in 0..10 {
            assert_eq!(ask(&users[2], "192.0.2.2", what).await, status, "{what:?}");
        }
    }
}

/// With a budget of one: four in a /56, sixteen in a /48, and refused requests are not counted.
async fn assert_counted_for_wider_networks(ask: impl AsyncFn(&str) -> u16) {
    assert_ne!(ask("2001:db8:0:1::1").await, 429);
    for other in ["2001:db8:0:1::2", "2001:db8:0:1:ffff::"] {
        assert_eq!(ask(other).await, 429, "one in a /64");
    }
    for network in 2..5 {
        assert_ne!(ask(&format!("2001:db8:0:{network}::1")).await, 429, "{network}");
    }
    for network in 5..20 {
        assert_eq!(ask(&format!("2001:db8:0:{network:x}::1")).await, 429, "four in a /56");
    }
    for network in 1..13 {
        let address = format!("2001:db8:0:{network:x}00::1");
        assert_ne!(ask(&address).await, 429, "{address}");
    }
    assert_eq!(ask("2001:db8:0:ff00::1").await, 429, "sixteen in a /48");
    assert_ne!(ask("2001:db8:1::1").await, 429, "another /48");
    for last in 1..30 {
        assert_ne!(ask(&format!("192.0.2.{last}")).await, 429, "IPv4 addresses count alone");
    }
}

async fn registrations_are_counted_for_wider_networks_too(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_REGISTER", "1/3600")).await;
    let anonymous = app.anonymous();
    let ask = async |address: &str| register(&anonymous, address, "alice@example.com").await.status;
    assert_counted_for_wider_networks(ask).await;
}

async fn sign_ins_are_counted_for_wider_networks_too(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_SIGN_IN", "1/3600")).await;
    let anonymous = app.anonymous();
    let ask = async |address: &str| {
        login(&anonymous, address, &format!("{address}@example.com"), PASSWORD).await.status
    };
    assert_counted_for_wider_networks(ask).await;
}

async fn starts_and_finishes_are_counted_for_wider_networks_too(setup: Setup) {
    let setup = setup.with("RATE_LIMIT_AUTHORIZE", "1000/60").with("RATE_LIMIT_VERIFY", "1000/60");
    let setup = setup.with("RATE_LIMIT_AUTHORIZE_ADDRESS", "1/3600");
    let app = start(setup.with("RATE_LIMIT_VERIFY_ADDRESS", "1/3600")).await;
    let alice = app.user("alice").await;
    for what in [Limited::Start, Limited::Finish] {
        assert_counted_for_wider_networks(async |address: &str| ask(&alice, address, what).await)
            .await;
    }
}

async fn an_ipv4_address_inside_an_ipv6_one_counts_as_itself(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_SIGN_IN", "3/60")).await;
    let anonymous = app.anonymous();
    for last in 1..20 {
        let address = format!("64:ff9b::192.0.2.{last}");
        let email = format!("{last}@example.com");
        assert_eq!(login(&anonymous, &address, &email, PASSWORD).await.status, 401);
    }
    for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
        let refused = login(&anonymous, address, "a@example.com", PASSWORD).await;
        assert_eq!(refused.status, 401, "{address}");
    }
    let limited = login(&anonymous, "64:ff9b::192.0.2.1", "a@example.com", PASSWORD).await;
    assert_limited(&limited, 60);
}

async fn ten_of_forty_concurrent_guesses_are_checked(setup: Setup) {
    let app = start(setup).await;
    let anonymous = app.anonymous();
    let mut guesses = JoinSet::new();
    for number in 0..40 {
        let anonymous = anonymous.clone();
        guesses.spawn(async move {
            let address = format!("2001:db8:0:{number:x}::1");
            login(&anonymous, &address, "alice@example.com", PASSWORD).await.status
        });
    }
    let mut statuses = guesses.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 30]].concat());
}
