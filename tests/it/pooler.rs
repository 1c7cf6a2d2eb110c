//! PostgreSQL behind PgBouncer in transaction mode.
//!
//! Each transaction may get another connection, so no state may be kept on one.

use crate::harness::{Composition, PASSWORD, PgBouncer, Setup, TestStores};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_whole_story_works_behind_a_pooler_of_transactions() {
    let pooler = PgBouncer::start().await;
    let stores = TestStores::new(Composition::Servers).await;
    let setup = Setup::new(Composition::Servers)
        .with("POSTGRES_ADDRESS", &pooler.address())
        .with("POSTGRES_STATEMENTS", "unnamed");
    let app = setup.start_on(stores).await;
    let replica = app.replica().await;
    let alice = app.user("alice").await;
    let everybody = (0..20).map(|number| {
        let (anonymous, alice) = (app.anonymous(), alice.at(&replica.url));
        tokio::spawn(async move {
            let email = format!("{number}@example.com");
            assert_eq!(anonymous.register(&email, PASSWORD).await.status, 201);
            assert_eq!(anonymous.sign_in(&email, PASSWORD).await.me().await.status, 200);
            assert_eq!(alice.me().await.status, 200);
            assert_eq!(alice.status().await.status, 200);
        })
    });
    for one in everybody.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let state = alice.start().await;
    let pin = app.sandbox.approve(&state).unwrap();
    assert_eq!(alice.verify(&state, &pin).await.status, 200);
    assert_eq!(alice.status().await.json()["connected"], true);
    assert_eq!(alice.revoke().await.status, 200);
    let admin = app.admin().await;
    admin.put_config("discogs_consumer_key", "another-key").await;
    assert_eq!(admin.get("/api/admin/config").await.status, 200);
    assert_eq!(admin.delete("/api/admin/config/discogs_consumer_key").await.status, 204);
    app.wait_until_healthy().await;
}
