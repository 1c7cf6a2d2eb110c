//! Register, sign in, get the current user.

use std::time::Duration;

use serde_json::json;

use crate::harness::{PASSWORD, TestApp, on_both_compositions, user_json};

on_both_compositions!(
    register_returns_the_new_user,
    the_email_is_normalized,
    an_address_registers_once,
    fifty_registrations_of_one_address_create_one_user,
    login_returns_a_token_for_me,
    every_failed_login_gets_the_same_answer,
    unusual_passwords_are_used_as_they_are,
    an_access_token_expires_at_its_exp,
    deactivation_takes_effect_at_once,
    the_token_of_a_deleted_user_is_invalid,
    a_password_alone_does_not_sign_in_a_user_with_a_second_factor,
);

async fn register_returns_the_new_user(app: TestApp) {
    let answer = app.anonymous().register("digger@example.com", PASSWORD).await;
    let body = answer.json();
    answer.assert(
        201,
        &user_json(body["id"].clone(), "digger@example.com", body["created_at"].clone()),
    );
    let id = body["id"].as_str().unwrap();
    assert_eq!(id, uuid::Uuid::parse_str(id).unwrap().to_string());
    let created_at = body["created_at"].as_str().unwrap();
    assert_eq!(created_at.len(), "2026-01-31T09:30:00.000000+00:00".len(), "{created_at}");
    assert!(created_at.ends_with("+00:00"), "{created_at}");
    let hash =
        app.sql_text("select hashed_password from users where email = 'digger@example.com'").await;
    let hash = hash.unwrap();
    let (salt, key) = hash.split_once(':').unwrap();
    for part in [salt, key] {
        assert_eq!(part.len(), 64);
        assert!(part.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit)));
    }
}

async fn the_email_is_normalized(app: TestApp) {
    let anonymous = app.anonymous();
    let registered = anonymous.register(" ÅSA@Example.COM\n", PASSWORD).await;
    assert_eq!(registered.json()["email"], "åsa@example.com");
    assert_eq!(anonymous.login("Åsa@EXAMPLE.com ", PASSWORD).await.status, 200);
    anonymous.register("åsa@example.com", PASSWORD).await.assert_error(
        409,
        "email_taken",
        "Email address already registered",
    );
}

async fn an_address_registers_once(app: TestApp) {
    let alice = app.user("alice").await;
    let again = app.anonymous().register(&alice.email, "another password").await;
    again.assert_error(409, "email_taken", "Email address already registered");
    assert_eq!(app.anonymous().login(&alice.email, PASSWORD).await.status, 200);
}

async fn fifty_registrations_of_one_address_create_one_user(app: TestApp) {
    let registrations = (0..50).map(|number| {
        let anonymous = app.anonymous();
        tokio::spawn(async move {
            anonymous.register("digger@example.com", &format!("password {number}")).await.status
        })
    });
    let mut statuses = Vec::new();
    for registration in registrations.collect::<Vec<_>>() {
        statuses.push(registration.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    let count = app
        .sql_text("select cast(count(*) as text) from users where email = 'digger@example.com'")
        .await;
    assert_eq!(count.as_deref(), Some("1"));
}

async fn login_returns_a_token_for_me(app: TestApp) {
    let alice = app.user("alice").await;
    let login = app.anonymous().login(&alice.email, PASSWORD).await;
    let token = login.json()["access_token"].clone();
    login.assert(
        200,
        &json!({ "access_token": token, "token_type": "bearer", "expires_in": 86_400 }),
    );
    let me = alice.with_token(token.as_str().unwrap()).me().await;
    me.assert(200, &user_json(&*alice.id, "alice@example.com", me.json()["created_at"].clone()));
}

async fn every_failed_login_gets_the_same_answer(app: TestApp) {
    let alice = app.user("alice").await;
    for (name, change) in
        [("inactive", "is_active = false"), ("unreadable", "hashed_password = 'x'")]
    {
        app.user(name).await;
        app.sql(&format!("update users set {change} where email = '{name}@example.com'")).await;
    }
    let wrong = [
        (alice.email.as_str(), "wrong password"),
        (alice.email.as_str(), "short"),
        (alice.email.as_str(), ""),
        (alice.email.as_str(), &"long".repeat(1000)),
        (alice.email.as_str(), "nul\0inside"),
        ("unknown@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", PASSWORD),
        ("nul\0@example.com", PASSWORD),
        (&"x".repeat(10_000), PASSWORD),
        ("inactive@example.com", PASSWORD),
        ("unreadable@example.com", PASSWORD),
    ];
    let mut names_of_headers = Vec::new();
    for (email, password) in wrong {
        let answer = app.anonymous().login(email, password).await;
        answer.assert_error(401, "invalid_credentials", "Incorrect email or password");
        names_of_headers.push(answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>());
    }
    names_of_headers.dedup();
    assert_eq!(names_of_headers.len(), 1, "{names_of_headers:?}");
}

async fn unusual_passwords_are_used_as_they_are(app: TestApp) {
    for (number, password) in
        ["        ", " pässwörd ", "🎧🎧🎧🎧🎧🎧🎧🎧", &"x".repeat(1024)].into_iter().enumerate()
    {
        let email = format!("{number}@example.com");
        assert_eq!(app.anonymous().register(&email, password).await.status, 201);
        assert_eq!(app.anonymous().login(&email, password).await.status, 200, "{password:?}");
        assert_eq!(app.anonymous().login(&email, &format!("{password} ")).await.status, 401);
    }
}

async fn an_access_token_expires_at_its_exp(app: TestApp) {
    let alice = app.user("alice").await;
    app.clock.advance(Duration::from_secs(86_399));
    assert_eq!(alice.me().await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
}

async fn deactivation_takes_effect_at_once(app: TestApp) {
    let alice = app.user("alice").await;
    app.sql("update users set is_active = false where email = 'alice@example.com'").await;
    alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
}

async fn the_token_of_a_deleted_user_is_invalid(app: TestApp) {
    let alice = app.user("alice").await;
    app.sql("delete from users where email = 'alice@example.com'").await;
    alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
    let login = app.anonymous().login(&alice.email, PASSWORD).await;
    login.assert_error(401, "invalid_credentials", "Incorrect email or password");
}

async fn a_password_alone_does_not_sign_in_a_user_with_a_second_factor(app: TestApp) {
    let alice = app.user("alice").await;
    app.sql("update users set totp_enabled = true where email = 'alice@example.com'").await;
    for _ in 0..2 {
        app.anonymous().login(&alice.email, PASSWORD).await.assert_error(
            503,
            "second_factor_unavailable",
            "This account has two-factor sign-in, which this service does not support yet.",
        );
    }
    let wrong = app.anonymous().login(&alice.email, "wrong password").await;
    wrong.assert_error(401, "invalid_credentials", "Incorrect email or password");
    assert_eq!(alice.me().await.status, 200, "the token is from before");
    app.sql("update users set is_active = false where email = 'alice@example.com'").await;
    let deactivated = app.anonymous().login(&alice.email, PASSWORD).await;
    deactivated.assert_error(401, "invalid_credentials", "Incorrect email or password");
    app.sql("update users set is_active = true, totp_enabled = false").await;
    assert_eq!(app.anonymous().login(&alice.email, PASSWORD).await.status, 200);
}
