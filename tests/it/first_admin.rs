//! The first admin, which the service creates if there is none.

use crate::harness::{Composition, PASSWORD, Program, Setup, TestApp, TestStores, on_both_setups};

const EMAIL: &str = "boss@example.com";
const ADMIN_PASSWORD: &str = "a password of the operator's";

on_both_setups!(
    the_first_admin_is_made_at_the_first_start,
    another_start_changes_nothing,
    an_account_with_another_password_stays_as_it_is,
    an_account_that_the_password_opens_becomes_the_admin,
    while_there_is_an_admin_nothing_happens,
);

/// Sets the variables of the first admin, with the address as a person may type it.
fn with_admin(setup: Setup) -> Setup {
    setup.with("ADMIN_EMAIL", " Boss@Example.com ").with("ADMIN_PASSWORD", ADMIN_PASSWORD)
}

async fn emails(app: &TestApp, condition: &str) -> String {
    let list = if app.composition == Composition::Embedded {
        "group_concat(email, ' ')"
    } else {
        "string_agg(email, ' ' order by email)"
    };
    let query = format!("select {list} from users where {condition}");
    app.sql_text(&query).await.unwrap_or_default()
}

async fn the_first_admin_is_made_at_the_first_start(setup: Setup) {
    let app = with_admin(setup).start().await;
    let boss = app.anonymous().sign_in(EMAIL, ADMIN_PASSWORD).await;
    assert_eq!(boss.get("/api/admin/config").await.status, 200);
    assert_eq!(emails(&app, "is_admin").await, EMAIL);
}

async fn another_start_changes_nothing(setup: Setup) {
    let mut app = with_admin(setup).start().await;
    let before = app.sql_text("select hashed_password from users").await;
    app.restart().await;
    assert_eq!(app.sql_text("select hashed_password from users").await, before);
    assert_eq!(emails(&app, "true").await, EMAIL);
}

/// Addresses are not confirmed, so the account may be a stranger's.
async fn an_account_with_another_password_stays_as_it_is(setup: Setup) {
    let composition = setup.composition;
    let mut app = setup.start().await;
    app.anonymous().register_and_sign_in(EMAIL).await;
    app.stop().await.unwrap();
    let app = with_admin(Setup::new(composition)).unconfigured().start_on(app.stores).await;
    assert_eq!(app.anonymous().login(EMAIL, ADMIN_PASSWORD).await.status, 401);
    let stranger = app.anonymous().sign_in(EMAIL, PASSWORD).await;
    assert_eq!(stranger.get("/api/admin/config").await.status, 403);
}

async fn an_account_that_the_password_opens_becomes_the_admin(setup: Setup) {
    let composition = setup.composition;
    let mut app = setup.start().await;
    app.anonymous().register_and_sign_in(EMAIL).await;
    app.stop().await.unwrap();
    let again = Setup::new(composition).with("ADMIN_EMAIL", EMAIL).with("ADMIN_PASSWORD", PASSWORD);
    let app = again.unconfigured().start_on(app.stores).await;
    let boss = app.anonymous().sign_in(EMAIL, PASSWORD).await;
    assert_eq!(boss.get("/api/admin/config").await.status, 200);
}

async fn while_there_is_an_admin_nothing_happens(setup: Setup) {
    let composition = setup.composition;
    let mut app = setup.start().await;
    let admin = app.admin().await;
    app.user("alice").await;
    app.stop().await.unwrap();
    for (email, everybody) in [
        (EMAIL, format!("{} alice@example.com", admin.email)),
        ("alice@example.com", format!("{} alice@example.com", admin.email)),
    ] {
        let setup = Setup::new(composition).unconfigured();
        let setup = setup.with("ADMIN_EMAIL", email).with("ADMIN_PASSWORD", ADMIN_PASSWORD);
        app = setup.start_on(app.stores).await;
        assert_eq!(emails(&app, "is_admin").await, admin.email);
        assert_eq!(emails(&app, "true").await, everybody);
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn replicas_that_start_together_make_one() {
    let setup = with_admin(Setup::new(Composition::Servers)).unconfigured();
    let app = setup.launch_on(TestStores::new(Composition::Servers).await).await;
    let (_one, _two, ()) = tokio::join!(app.replica(), app.replica(), app.wait_until_healthy());
    assert_eq!(emails(&app, "true").await, EMAIL);
    assert_eq!(emails(&app, "is_admin").await, EMAIL);
    app.anonymous().sign_in(EMAIL, ADMIN_PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn it_is_made_once_the_database_is_there() {
    let stores = TestStores::new(Composition::Servers).await;
    stores.postgres().close();
    let setup = with_admin(Setup::new(Composition::Servers)).unconfigured();
    let app = setup.launch_on(stores).await;
    app.wait_for_health(503, "unhealthy").await;
    app.stores.postgres().open();
    app.wait_until_healthy().await;
    app.anonymous().sign_in(EMAIL, ADMIN_PASSWORD).await;
}

#[test]
fn one_line_says_it_without_the_address_or_the_password() {
    let program = Program::new().with("ADMIN_EMAIL", EMAIL).with("ADMIN_PASSWORD", ADMIN_PASSWORD);
    let said = program.serve(&["serve"]).end("TERM").stderr;
    assert_eq!(said.matches("Created the first admin").count(), 1, "{said}");
    assert!(!said.contains(EMAIL) && !said.contains(ADMIN_PASSWORD), "{said}");
    let said = program.serve(&["serve"]).end("TERM").stderr;
    assert!(!said.contains("first admin"), "{said}");
}
