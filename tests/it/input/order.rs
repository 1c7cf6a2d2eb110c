//! The order of checks: route, access token, permission, input, configuration.

use reqwest::Method;
use serde_json::json;

use crate::harness::actor::send;
use crate::harness::wire::{exchange, head};
use crate::harness::{Actor, Answer, PASSWORD, Setup, TestApp, on_both_setups};

on_both_setups!(
    the_route_is_checked_first,
    the_user_is_checked_before_the_input,
    the_key_is_checked_before_the_body,
    a_body_is_checked_for_length_then_type_then_content,
    the_input_is_checked_before_the_configuration,
);

const KEY: &str = "/api/admin/config/discogs_consumer_key";
const UNKNOWN_KEY: &str = "/api/admin/config/discogs_password";
const VERIFY: &str = "/api/oauth/verify/discogs";

/// Sends a body that is too large, of another type, and not JSON.
async fn send_the_worst(actor: &Actor, method: Method, path: &str) -> Answer {
    let request = actor.request(method, path).header("content-type", "text/plain");
    send(request.body(vec![b'{'; 64 * 1024 + 1])).await
}

/// Announces a body that is too large and never sends it, so that waiting would show.
async fn announce_the_worst(
    app: &TestApp,
    token: Option<&str>,
    method: &str,
    path: &str,
) -> Answer {
    let length = (2 * 1024 * 1024).to_string();
    let authorization = format!("Bearer {}", token.unwrap_or_default());
    let mut headers = vec![("Content-Type", "text/plain"), ("Content-Length", &length)];
    headers.extend(token.map(|_| ("Authorization", authorization.as_str())));
    exchange(&app.url, head(method, path, &headers).as_bytes()).await
}

async fn the_route_is_checked_first(setup: Setup) {
    let app = setup.start().await;
    let alice = app.user("alice").await;
    for token in [None, Some("bad"), alice.token.as_deref()] {
        let unknown = announce_the_worst(&app, token, "PUT", "/api/admin/settings").await;
        unknown.assert_error(404, "not_found", "Not Found");
        for path in [KEY, UNKNOWN_KEY] {
            let wrong = announce_the_worst(&app, token, "POST", path).await;
            wrong.assert_error(405, "method_not_allowed", "Method Not Allowed");
        }
    }
}

async fn the_user_is_checked_before_the_input(setup: Setup) {
    let app = setup.start().await;
    let alice = app.user("alice").await;
    for (method, path) in [("PUT", KEY), ("PUT", UNKNOWN_KEY), ("POST", VERIFY)] {
        let nobody = announce_the_worst(&app, None, method, path).await;
        nobody.assert_error(401, "not_authenticated", "Not authenticated");
        let bad = announce_the_worst(&app, Some("bad"), method, path).await;
        bad.assert_error(401, "invalid_token", "Invalid or expired token");
    }
    for path in [KEY, UNKNOWN_KEY] {
        let user = announce_the_worst(&app, alice.token.as_deref(), "PUT", path).await;
        user.assert_error(403, "admin_required", "Admin access required");
    }
}

async fn the_key_is_checked_before_the_body(setup: Setup) {
    let app = setup.start().await;
    let admin = app.admin().await;
    let unknown = announce_the_worst(&app, admin.token.as_deref(), "PUT", UNKNOWN_KEY).await;
    unknown.assert_error(
        404,
        "unknown_config_key",
        "Unknown config key. The known keys are discogs_consumer_key and discogs_consumer_secret.",
    );
}

async fn a_body_is_checked_for_length_then_type_then_content(setup: Setup) {
    let app = setup.start().await;
    let admin = app.admin().await;
    let large = send_the_worst(&admin, Method::PUT, KEY).await;
    large.assert_error(413, "body_too_large", "The request body is larger than 64 KiB.");
    let request = admin.request(Method::PUT, KEY).header("content-type", "text/plain").body("{");
    assert_eq!(send(request).await.json()["code"], "not_json");
    let broken = admin.send_body(Method::PUT, KEY, "{").await;
    assert_eq!(broken.json()["code"], "invalid_input");
}

async fn the_input_is_checked_before_the_configuration(setup: Setup) {
    let app = setup.unconfigured().start().await;
    let alice = app.user("alice").await;
    let large = send_the_worst(&alice, Method::POST, VERIFY).await;
    large.assert_error(413, "body_too_large", "The request body is larger than 64 KiB.");
    let bad = alice.verify("state", "").await;
    let msg = "Value error, Code (PIN) must not be empty";
    bad.assert_refused("oauth_verifier", "value_error", msg);
    let not_set_up = alice.verify("state", "1234567890").await;
    let detail = "Discogs app credentials not configured";
    not_set_up.assert_error(503, "discogs_not_configured", detail);
    let twice = json!({ "email": alice.email, "password": "short" });
    let taken = app.anonymous().post("/api/auth/register", &twice).await;
    assert_eq!(taken.status, 422);
    assert_eq!(app.anonymous().register(&alice.email, PASSWORD).await.status, 409);
}
