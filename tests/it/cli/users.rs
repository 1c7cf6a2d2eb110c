//! The command `user` while a service runs.

use serde_json::{Value, json};

use super::{assert_failed, assert_printed};
use crate::connect::{STATE_UNKNOWN, approved, assert_refusal, connect};
use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::{
    Actor, Composition, Outcome, PASSWORD, Program, TestApp, on_both_compositions,
};

on_both_compositions!(
    users_are_listed_by_address_and_filtered,
    users_are_listed_page_by_page,
    a_user_is_shown_for_people_and_for_programs,
    a_user_is_found_as_typed_normalised_or_by_id,
    a_disabled_user_is_signed_out_at_once_and_can_be_enabled,
    a_deleted_user_leaves_nothing,
    a_user_referenced_by_other_rows_is_anonymised,
    the_last_active_admin_can_not_be_removed,
    similar_addresses_are_distinguishable,
);

/// Returns the program, configured for the stores of this service.
fn program_for(app: &TestApp) -> Program {
    let program = Program::new().with("JWT_SECRET_KEY", JWT_SECRET_KEY);
    app.stores.variables().iter().fold(program, |program, (name, value)| program.with(name, value))
}

/// Returns the objects that a command printed, one per line.
#[track_caller]
fn objects(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn emails(outcome: &Outcome) -> Vec<String> {
    objects(outcome).iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect()
}

/// Returns an active user without a connection, as `--json` prints it.
async fn not_connected(actor: &Actor) -> Value {
    json!({
        "id": actor.id,
        "email": actor.email,
        "is_active": true,
        "is_admin": false,
        "totp_enabled": false,
        "created_at": actor.me().await.json()["created_at"],
        "connected": false,
        "discogs_username": null,
        "discogs_user_id": null,
        "connected_at": null,
    })
}

async fn users_are_listed_by_address_and_filtered(app: TestApp) {
    let program = program_for(&app);
    let empty = program.run(&["user", "list"]);
    assert_printed(&empty, "");
    assert_eq!(empty.stderr.lines().next_back(), Some("There are no users."), "{empty:?}");
    let (zoe, amy) = (app.user("zoe").await, app.user("amy").await);
    connect(&app, &amy).await;
    app.sql("update users set is_active = false where email = 'zoe@example.com'").await;
    app.sql("update users set is_admin = true, totp_enabled = true where email like 'amy%'").await;
    let today = amy.me().await.json()["created_at"].as_str().unwrap()[..10].to_owned();
    let (heading, amys, zoes) = (
        "CREATED     STATE     ADMIN  2FA  DISCOGS  ID                                    EMAIL\n",
        format!("{today}  active    yes    yes  yes      {}  amy@example.com\n", amy.id),
        format!("{today}  disabled  no     no   no       {}  zoe@example.com\n", zoe.id),
    );
    assert_printed(&program.run(&["user", "list"]), &format!("{heading}{amys}{zoes}"));
    assert_printed(&program.run(&["user", "list", "ZOE@"]), &format!("{heading}{zoes}"));
    assert_printed(&program.run(&["user", "list", &amy.id]), &format!("{heading}{amys}"));
    let none = program.run(&["user", "list", "%"]);
    assert_printed(&none, "");
    assert_eq!(none.stderr.lines().next_back(), Some("No user matches."), "{none:?}");
    assert_eq!(emails(&program.run(&["user", "list", "--json"])), [amy.email, zoe.email]);
}

async fn users_are_listed_page_by_page(app: TestApp) {
    let (id, now) = if app.composition == Composition::Embedded {
        ("printf('00000000-0000-4000-8000-%012d', n)", "0")
    } else {
        ("('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid", "now()")
    };
    app.sql(&format!(
        "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 1100)
         insert into users (id, email, hashed_password, created_at, updated_at)
         select {id}, 'user' || (10000 + n) || '@example.com', 'x', {now}, {now} from numbers"
    ))
    .await;
    let program = program_for(&app);
    let expected: Vec<_> = (10_001..=11_100).map(|n| format!("user{n}@example.com")).collect();
    assert_eq!(emails(&program.run(&["user", "list", "--json"])), expected);
    let filtered = emails(&program.run(&["user", "list", "0@", "--json"]));
    assert_eq!(filtered.len(), 110);
    let (code, output) = program.run_unread(&["user", "list"]);
    assert_eq!(code, Some(0), "{output}");
}

async fn a_user_is_shown_for_people_and_for_programs(app: TestApp) {
    let (program, alice) = (program_for(&app), app.user("alice").await);
    let created_at = alice.me().await.json()["created_at"].as_str().unwrap().to_owned();
    let shown = program.run(&["user", "show", &alice.email]);
    let about = format!("Email          alice@example.com\nId             {}\n", alice.id);
    assert_printed(
        &shown,
        &format!(
            "{about}State          active\nAdmin          no\nSecond factor  off\n\
             Created        {created_at}\nDiscogs        not connected\n"
        ),
    );
    let mut user = not_connected(&alice).await;
    let as_json = program.run(&["user", "show", &alice.email, "--json"]);
    assert_eq!(objects(&as_json), [user.clone()]);
    connect(&app, &alice).await;
    app.sql("update users set is_active = false, is_admin = true, totp_enabled = true").await;
    let status = program.run(&["user", "show", &alice.email, "--json"]);
    let connected_at = objects(&status)[0]["connected_at"].as_str().unwrap().to_owned();
    for (name, value) in [
        ("is_active", json!(false)),
        ("is_admin", json!(true)),
        ("totp_enabled", json!(true)),
        ("connected", json!(true)),
        ("discogs_username", json!("sandbox_digger")),
        ("discogs_user_id", json!("1001")),
        ("connected_at", json!(connected_at)),
    ] {
        user[name] = value;
    }
    assert_eq!(objects(&status), [user]);
    assert_printed(
        &program.run(&["user", "show", &alice.email]),
        &format!(
            "{about}State          disabled\nAdmin          yes\n\
             Second factor  on, so the user can't sign in here\nCreated        {created_at}\n\
             Discogs        sandbox_digger (id 1001), since {connected_at}\n"
        ),
    );
}

async fn a_user_is_found_as_typed_normalised_or_by_id(app: TestApp) {
    let (program, alice) = (program_for(&app), app.user("alice").await);
    let expected = [not_connected(&alice).await];
    for who in [" Alice@EXAMPLE.com", &alice.id, &alice.id.to_uppercase()] {
        assert_eq!(objects(&program.run(&["user", "show", who, "--json"])), expected, "{who}");
    }
    app.sql("update users set email = 'Not Ours'").await;
    assert_eq!(emails(&program.run(&["user", "show", "Not Ours", "--json"])), ["Not Ours"]);
    for who in ["alice@example.com", "not ours", "nul", "", "%"] {
        let command = ["show", "disable", "enable", "delete"].map(|word| ["user", word, who]);
        let [show, disable, enable, delete] = &command;
        let error =
            format!("error: no user has the address or id {who}: see discogsography-api user list");
        for arguments in [show, disable, enable] {
            assert_failed(&program.run(arguments), 1, &error);
        }
        assert_failed(&program.run(&[&delete[..], &["--yes"]].concat()), 1, &error);
    }
}

async fn a_disabled_user_is_signed_out_at_once_and_can_be_enabled(app: TestApp) {
    let (program, alice) = (program_for(&app), app.user("alice").await);
    connect(&app, &alice).await;
    let (state, pin) = approved(&app, &alice).await;
    for _ in 0..2 {
        let output = "alice@example.com is disabled: no sign-in, and access tokens are refused.\n";
        assert_printed(&program.run(&["user", "disable", "alice@example.com"]), output);
        alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
        let login = alice.login(&alice.email, PASSWORD).await;
        login.assert_error(401, "invalid_credentials", "Incorrect email or password");
    }
    for _ in 0..2 {
        let enabled = program.run(&["user", "enable", "alice@example.com"]);
        assert_printed(&enabled, "alice@example.com is enabled.\n");
        assert_eq!(alice.me().await.status, 200);
        assert_eq!(alice.login(&alice.email, PASSWORD).await.status, 200);
    }
    assert_refusal(&alice.verify(&state, &pin).await, STATE_UNKNOWN);
    assert_eq!(alice.status().await.json()["connected"], true, "the connection stays");
    for (word, is_active) in [("disable", false), ("enable", true)] {
        let changed = objects(&program.run(&["user", word, "alice@example.com", "--json"]));
        assert_eq!(changed[0]["is_active"], is_active);
    }
}

async fn a_deleted_user_leaves_nothing(app: TestApp) {
    let (program, alice, bob) = (program_for(&app), app.user("alice").await, app.user("bob").await);
    for actor in [&alice, &bob] {
        connect(&app, actor).await;
    }
    let deleted = program.run(&["user", "delete", "alice@example.com", "--yes"]);
    assert_printed(&deleted, "alice@example.com is deleted.\n");
    alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
    let left = "select cast(count(*) as text) from oauth_tokens";
    assert_eq!(app.sql_text(left).await.as_deref(), Some("1"));
    let deleted = program.run(&["user", "delete", &bob.id, "--yes", "--json"]);
    let expected = json!({ "id": bob.id, "email": "bob@example.com", "anonymised": false });
    assert_eq!(objects(&deleted), [expected]);
    assert_eq!(emails(&program.run(&["user", "list", "--json"])), Vec::<String>::new());
    assert_eq!(app.anonymous().register(&alice.email, PASSWORD).await.status, 201);
}

async fn a_user_referenced_by_other_rows_is_anonymised(app: TestApp) {
    let (program, id) =
        (program_for(&app), if app.stores.servers.is_some() { "uuid" } else { "text" });
    for (number, rule) in ["", "on delete restrict"].into_iter().enumerate() {
        let alice = app.user("alice").await;
        connect(&app, &alice).await;
        app.sql(&format!(
            "create table sleeves{number} (owner {id} references users (id) {rule});
             insert into sleeves{number} select id from users where email = 'alice@example.com'"
        ))
        .await;
        let deleted = program.run(&["user", "delete", "alice@example.com", "--yes"]);
        let output = "alice@example.com is anonymised: rows of another program refer to the user, so the \
                    row stays, disabled and without the address, the password and the connection.\n";
        assert_printed(&deleted, output);
        let anonymous = format!("deleted-{}@invalid", alice.id);
        let shown = objects(&program.run(&["user", "show", &anonymous, "--json"]));
        let shown = ["is_active", "is_admin", "connected"].map(|name| shown[0][name].clone());
        assert_eq!(shown, [false, false, false]);
        let hash = format!("select hashed_password from users where email = '{anonymous}'");
        assert_eq!(app.sql_text(&hash).await.as_deref(), Some("!"));
        alice.me().await.assert_error(401, "invalid_token", "Invalid or expired token");
    }
    assert_eq!(app.user("alice").await.me().await.status, 200, "the address is free again");
}

async fn the_last_active_admin_can_not_be_removed(app: TestApp) {
    let (program, boss) = (program_for(&app), app.user("boss").await);
    app.user("deputy").await;
    let grant = |email| assert_eq!(program.run(&["admin", "grant", email]).code, Some(0));
    grant("boss@example.com");
    let error = "error: boss@example.com is the last active admin: make another user an admin first \
                 (discogsography-api admin grant EMAIL), or take the right away (discogsography-api \
                 admin revoke boss@example.com)";
    let assert_refused = || {
        assert_failed(&program.run(&["user", "disable", "boss@example.com"]), 1, error);
        assert_failed(&program.run(&["user", "delete", "boss@example.com", "--yes"]), 1, error);
    };
    assert_refused();
    grant("deputy@example.com");
    assert_eq!(program.run(&["user", "disable", "deputy@example.com"]).code, Some(0));
    assert_refused();
    assert_eq!(boss.get("/api/admin/config").await.status, 200);
    assert_eq!(program.run(&["user", "enable", "deputy@example.com"]).code, Some(0));
    assert_eq!(program.run(&["user", "delete", "boss@example.com", "--yes"]).code, Some(0));
    assert_eq!(program.run(&["admin", "revoke", "deputy@example.com"]).code, Some(0));
    assert_eq!(program.run(&["user", "delete", "deputy@example.com", "--yes"]).code, Some(0));
}

async fn similar_addresses_are_distinguishable(app: TestApp) {
    let program = program_for(&app);
    let twins = ["boss\u{fe0f}@example.com", "b\u{43e}ss@example.com", "boss\u{202e}@example.com"];
    let shown = [
        "boss\\u{fe0f}@example.com",
        "b\u{43e}ss@example.com (b\\u{43e}ss@example.com)",
        "boss\\u{202e}@example.com",
    ];
    for (twin, shown) in twins.into_iter().zip(shown) {
        assert_eq!(app.anonymous().register(twin, PASSWORD).await.status, 201);
        assert_printed(
            &program.run(&["admin", "grant", twin]),
            &format!("{shown} is an admin now.\n"),
        );
        let list = program.run(&["user", "list", twin]);
        assert!(list.stdout.ends_with(&format!("  {shown}\n")), "{list:?}");
        assert!(program.run(&["admin", "list"]).stdout.lines().any(|line| line == shown));
        assert_eq!(emails(&program.run(&["user", "list", twin, "--json"])), [twin]);
    }
}

#[test]
fn deleting_a_user_needs_confirmation() {
    let program = Program::new();
    let outcome = program.run_with_input(&["user", "delete", "alice@example.com"], "yes\n");
    let error = "error: user delete asks for confirmation, which needs a terminal: add --yes";
    assert_failed(&outcome, 2, error);
    assert!(program.left_nothing());
}
