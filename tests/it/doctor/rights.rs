//! A role of PostgreSQL that lacks rights, as one that somebody else's tables are handed to.

use crate::connect::connect;
use crate::harness::{Composition, Setup};

use super::scene::Scene;

const PASSWORD: &str = "a-password-of-a-role";

/// A role that may sign in and nothing else, and everything as that role.
async fn with_guest(scene: Scene) -> (Scene, String) {
    let role = format!("guest-of-{}", scene.stores.database().name);
    scene.sql(&format!("create role \"{role}\" login password '{PASSWORD}'")).await;
    (scene.with("POSTGRES_USERNAME", &role).with("POSTGRES_PASSWORD", PASSWORD), role)
}

/// Runs the statements that a finding's mend has between its backticks, as the owner.
async fn follow(scene: &Scene, mend: &serde_json::Value) {
    let [_, statements, _] = *mend.as_str().unwrap().split('`').collect::<Vec<_>>() else {
        panic!("no statements in {mend}")
    };
    scene.sql(statements).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn with_the_rights_that_doctor_asks_for_a_role_can_do_all() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    let finding = scene.finding("database", "error");
    let what = "PostgreSQL can't be used: the role lacks delete, insert, select, update on app_config; \
                delete, insert, select, update on known_addresses; \
                delete, insert, select, update on oauth_tokens; insert, select, update on users; \
                select on api_migrations";
    assert_eq!(finding["what"], what);
    follow(&scene, &finding["mend"]).await;
    for check in ["database", "schema", "app_credentials"] {
        scene.finding(check, "ok");
    }

    let Scene { stores, program, .. } = scene;
    let setup = Setup::new(Composition::Servers).unconfigured();
    let setup = setup.with("POSTGRES_USERNAME", &role).with("POSTGRES_PASSWORD", PASSWORD);
    let app = setup.start_on(stores).await;
    let alice = app.user("alice").await;
    let granted = program.run(&["admin", "grant", "alice@example.com"]);
    assert_eq!(granted.code, Some(0), "{granted:?}");
    alice.put_config("discogs_consumer_key", "sandbox-key").await;
    alice.put_config("discogs_consumer_secret", "sandbox-secret").await;
    for _ in 0..2 {
        connect(&app, &alice).await;
    }
    assert_eq!(alice.revoke().await.status, 200);
    assert_eq!(alice.delete("/api/admin/config/discogs_consumer_key").await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn rights_on_columns_are_enough() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    let users = "id, email, hashed_password, is_active, created_at, updated_at, is_admin";
    let others = "oauth_tokens, app_config, known_addresses, api_migrations";
    scene
        .sql(&format!(
            "grant select ({users}), insert ({users}), update ({users}) on users to \"{role}\";
             grant select, insert, update, delete on {others} to \"{role}\""
        ))
        .await;
    for check in ["database", "schema"] {
        scene.finding(check, "ok");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_role_that_can_not_bring_the_schema_up_to_date_is_found() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    // As the Python service leaves it, but for the table of what was applied.
    scene
        .sql(
            "alter table users drop column is_admin; drop table known_addresses;
             delete from api_migrations",
        )
        .await;
    let tables = "users, oauth_tokens, app_config";
    scene
        .sql(&format!(
            "grant select, insert, update, delete on {tables} to \"{role}\";
             grant select on api_migrations to \"{role}\""
        ))
        .await;
    let finding = scene.finding("schema", "error");
    let what = finding["what"].as_str().unwrap();
    let lacks = "and the role that would bring it up to date lacks usage, create on schema public; \
                 insert on api_migrations; ownership of users";
    assert!(what.ends_with(lacks), "{what}");
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(1), "{migrated:?}");
    follow(&scene, &finding["mend"]).await;
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    scene.finding("schema", "ok");
}
