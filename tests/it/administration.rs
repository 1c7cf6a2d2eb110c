//! What both stores promise to operators, beyond what the command `user` shows.

use std::sync::Arc;

use discogsography_api::storage::{Admin, UserChange};

use crate::harness::{Opened, on_both_stores};

on_both_stores!(
    of_two_admins_who_go_at_once_one_stays,
    a_disabled_or_deleted_user_cannot_finish_a_flow,
);

async fn of_two_admins_who_go_at_once_one_stays(opened: Opened) {
    for number in 0..10 {
        let emails = ["a", "b"].map(|name| format!("{name}{number}@example.com"));
        for email in &emails {
            opened.user(email).await;
            opened.storage.put_admin(email, Admin::Granted).await.unwrap();
        }
        let changes = emails.clone().map(|email| {
            let storage = Arc::clone(&opened.storage);
            tokio::spawn(async move {
                match number % 2 {
                    0 => storage.disable_user(&email).await.unwrap(),
                    _ => storage.delete_user(&email).await.unwrap(),
                }
            })
        });
        let mut done = Vec::new();
        for change in changes {
            done.push(change.await.unwrap());
        }
        assert!(done.contains(&UserChange::Done), "{done:?}");
        assert!(done.contains(&UserChange::LastAdmin), "{done:?}");
        for email in &emails {
            opened.storage.put_admin(email, Admin::Revoked).await.unwrap();
        }
    }
}

async fn a_disabled_or_deleted_user_cannot_finish_a_flow(opened: Opened) {
    let (storage, email) = (&opened.storage, "alice@example.com");
    let before = opened.user(email).await;
    assert_eq!(storage.disable_user(email).await.unwrap(), UserChange::Done);
    assert_eq!(storage.enable_user(email).await.unwrap(), UserChange::Done);
    let after = storage.user_by_id(before.id).await.unwrap().unwrap();
    assert_ne!(after.flow_owner(), before.flow_owner());
    assert_eq!(storage.delete_user(email).await.unwrap(), UserChange::Done);
    for change in [
        storage.disable_user(email).await.unwrap(),
        storage.enable_user(email).await.unwrap(),
        storage.delete_user(email).await.unwrap(),
    ] {
        assert_eq!(change, UserChange::NoSuchUser);
    }
    for who in ["", "nul\0", email] {
        assert!(storage.user_details(who).await.unwrap().is_none(), "{who:?}");
    }
}
