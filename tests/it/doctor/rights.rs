//! PostgreSQL roles that lack privileges, for example on tables of another owner.

use crate::connect::connect;
use crate::harness::{Composition, Setup, test_servers};

use super::scene::{MASTER_KEY, Scene};

const PASSWORD: &str = "a-password-of-a-role";

/// All privileges that the service needs on an up-to-date database.
const ALL: &str = "delete, insert, select, update on api_encryption; \
                   delete, insert, select, update on app_config; \
                   delete, insert, select, update on known_addresses; \
                   delete, insert, select, update on oauth_tokens; insert, select, update on users; \
                   select on api_migrations";

/// Creates a role that may only sign in, and returns the scene with that role.
async fn with_guest(scene: Scene) -> (Scene, String) {
    let role = format!("guest-of-{}", scene.stores.database().name);
    scene.sql(&format!("create role \"{role}\" login password '{PASSWORD}'")).await;
    (as_role(scene, &role, PASSWORD), role)
}

fn as_role(scene: Scene, role: &str, password: &str) -> Scene {
    scene.with("POSTGRES_USERNAME", role).with("POSTGRES_PASSWORD", password)
}

fn as_owner(scene: Scene) -> Scene {
    let servers = test_servers();
    as_role(scene, &servers.postgres_username, &servers.postgres_password)
}

/// Returns the statements that drop a role, which would outlive the test's database.
fn dropped(role: &str) -> String {
    format!("drop owned by \"{role}\"; drop role \"{role}\"")
}

/// Asserts that `doctor` finds exactly these privileges missing, and runs its fix.
async fn grant_missing(scene: &Scene, lacks: &str) {
    let finding = scene.finding("database", "error");
    assert_eq!(finding["what"], format!("PostgreSQL can't be used: the role lacks {lacks}"));
    run_fix(scene, &finding["fix"]).await;
}

/// Runs the statements between the backticks of a finding's fix, as the owner.
async fn run_fix(scene: &Scene, fix: &serde_json::Value) {
    let [_, statements, _] = *fix.as_str().unwrap().split('`').collect::<Vec<_>>() else {
        panic!("no statements in {fix}")
    };
    scene.sql(statements).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_suggested_privileges_are_enough() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    grant_missing(&scene, ALL).await;
    for check in ["database", "schema", "app_credentials"] {
        scene.finding(check, "ok");
    }

    let Scene { stores, program, .. } = scene;
    let setup = Setup::new(Composition::Servers).unconfigured().with("RATE_LIMITS", "on");
    let setup = setup.with("ENCRYPTION_MASTER_KEY", MASTER_KEY);
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
    let known = app.sql_text("select count(*)::text from known_addresses").await;
    assert_eq!(known.as_deref(), Some("1"));
    app.sql(&dropped(&role)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn column_privileges_are_enough_only_on_every_column() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    let columns = "id, email, hashed_password, is_active, created_at, updated_at";
    let grant = |right: &str| format!("grant {right} to \"{role}\";");
    let others = "oauth_tokens, app_config, api_migrations, api_encryption, known_addresses";
    let others = grant(&format!("select, insert, update, delete on {others}"));
    let on_users = |columns| {
        grant(&format!("select ({columns}), insert ({columns}), update ({columns}) on users"))
    };
    scene.sql(&format!("{}{}", others, on_users(columns))).await;
    let finding = scene.finding("database", "error");
    let what = "PostgreSQL can't be used: the role lacks insert, select, update on users";
    assert_eq!(finding["what"], what);
    let on_all_columns = format!(
        "do $$ begin execute (
            select format('grant select (%1$s), insert (%1$s), update (%1$s) on users to %2$I',
                string_agg(attname, ', '), '{role}')
            from pg_attribute
            where attrelid = 'users'::regclass and attnum > 0 and not attisdropped
        ); end $$"
    );
    scene.sql(&on_all_columns).await;
    for check in ["database", "schema"] {
        scene.finding(check, "ok");
    }
    scene.sql(&dropped(&role)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn missing_access_to_the_database_or_schema_is_found() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    let database = scene.stores.database().name.clone();
    scene
        .sql(&format!(
            "revoke connect on database {database} from public;
             revoke usage on schema public from public"
        ))
        .await;
    let finding = scene.finding("database", "error");
    assert_eq!(
        finding["what"].as_str().unwrap().split(": ").nth(1),
        Some("a permission is missing")
    );
    run_fix(&scene, &finding["fix"]).await;
    grant_missing(&scene, "usage on schema public").await;
    grant_missing(&scene, ALL).await;
    scene.finding("schema", "ok");
    scene.sql(&dropped(&role)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_role_that_can_not_migrate_is_found() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    // The schema as the Python service leaves it.
    scene
        .sql(
            "alter table users drop column is_admin;
             drop table known_addresses, api_encryption, api_migrations",
        )
        .await;
    let tables = "users, oauth_tokens, app_config";
    scene.sql(&format!("grant select, insert, update, delete on {tables} to \"{role}\"")).await;
    let finding = scene.finding("schema", "error");
    let what = finding["what"].as_str().unwrap();
    let lacks =
        "the role lacks the privileges to migrate: create on schema public; ownership of users";
    assert!(what.ends_with(lacks), "{what}");
    let owner = &test_servers().postgres_username;
    assert!(finding["fix"].as_str().unwrap().contains(&format!(" of {owner}, ")), "{finding}");
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(1), "{migrated:?}");

    let scene = as_owner(scene);
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let scene = as_role(scene, &role, PASSWORD);
    let finding = scene.finding("database", "error");
    run_fix(&scene, &finding["fix"]).await;
    scene.finding("schema", "ok");
    let scene = as_owner(scene);
    scene.finding("database", "ok");
    scene.sql(&dropped(&role)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn missing_grants_are_fixed_by_the_suggested_statements() {
    let (scene, role) = with_guest(Scene::new(Composition::Servers).await).await;
    grant_missing(&scene, ALL).await;
    // This migration alters no existing table.
    scene.sql("drop table known_addresses; delete from api_migrations where number = 4").await;
    let scene = scene.with("AUTO_MIGRATE", "off");
    let finding = scene.finding("schema", "error");
    let what = "The schema is behind: 0004_known_addresses is missing, and the role lacks the \
                privileges to migrate: create on schema public; insert on api_migrations";
    assert_eq!(finding["what"], what);
    run_fix(&scene, &finding["fix"]).await;
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    scene.finding("schema", "ok");
    scene.sql(&dropped(&role)).await;
}
