//! Which clients never become known devices.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{login, register, start};
use crate::harness::actor::send;
use crate::harness::{Actor, PASSWORD, Setup, TestApp, on_both_setups};

on_both_setups!(
    a_client_that_a_proxy_does_not_name_is_no_known_device,
    an_address_from_an_untrusted_peer_is_no_known_device,
);

async fn known_devices(app: &TestApp) -> String {
    app.sql_text("select cast(count(*) as text) from known_addresses").await.unwrap()
}

async fn hold(anonymous: &Actor, email: &str) {
    for number in 0..10 {
        let address = format!("198.51.100.{number}");
        assert_eq!(login(anonymous, &address, email, "wrong password").await.status, 401);
    }
}

/// Signs in with the right password and these headers, from the proxy itself.
async fn login_with(anonymous: &Actor, headers: &[(&str, &str)], email: &str) -> u16 {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let request = anonymous.request(Method::POST, "/api/auth/login");
    let request = request.header("content-type", "application/json").body(body);
    let add = |request: RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
    send(headers.iter().fold(request, add)).await.status
}

async fn a_client_that_a_proxy_does_not_name_is_no_known_device(setup: Setup) {
    let app = start(setup.with("RATE_LIMIT_SIGN_IN", "1000/60")).await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    let unclear = [
        &[][..],
        &[("x-forwarded-for", "nonsense")],
        &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=x")],
        &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2")],
        &[("x-real-ip", "192.0.2.1")],
        &[("cf-connecting-ip", "192.0.2.1")],
    ];
    for headers in unclear {
        assert_eq!(login_with(&anonymous, headers, email).await, 200, "{headers:?}");
    }
    assert_eq!(known_devices(&app).await, "0");
    // Simulates a proxy that became known before it was added to TRUSTED_PROXIES.
    assert_eq!(login(&anonymous, "127.0.0.1", email, PASSWORD).await.status, 200);
    assert_eq!(known_devices(&app).await, "1");
    hold(&anonymous, email).await;
    for headers in unclear {
        assert_eq!(login_with(&anonymous, headers, email).await, 429, "{headers:?}");
    }
    assert_eq!(login(&anonymous, "127.0.0.1", email, PASSWORD).await.status, 200);
}

async fn an_address_from_an_untrusted_peer_is_no_known_device(setup: Setup) {
    let setup = setup.with("RATE_LIMITS", "on").with("RATE_LIMIT_SIGN_IN", "1000/60");
    let app = setup.start().await;
    let (anonymous, email) = (app.anonymous(), "alice@example.com");
    assert_eq!(register(&anonymous, "192.0.2.1", email).await.status, 201);
    let forwarded = [
        &[("x-forwarded-for", "192.0.2.1")][..],
        &[("forwarded", "for=192.0.2.1")],
        &[("x-real-ip", "192.0.2.1")],
    ];
    for headers in forwarded {
        assert_eq!(login_with(&anonymous, headers, email).await, 200, "{headers:?}");
    }
    assert_eq!(known_devices(&app).await, "0");
    assert_eq!(login_with(&anonymous, &[], email).await, 200);
    assert_eq!(known_devices(&app).await, "1");
    hold(&anonymous, email).await;
    for headers in forwarded {
        assert_eq!(login_with(&anonymous, headers, email).await, 429, "{headers:?}");
    }
    assert_eq!(login_with(&anonymous, &[], email).await, 200);
}
