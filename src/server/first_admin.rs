//! Making the first admin, where there is none at all.
//!
//! Every step is safe to repeat, so replicas that start together make one account: whoever comes
//! second finds the address taken, with the same password. An account with another one may be a
//! stranger's, since no address is confirmed, and stays as it is.

use thiserror::Error;
use tracing::{info, warn};

use super::LONGEST_PAUSE;
use crate::clock;
use crate::config::FirstAdmin;
use crate::http::AppState;
use crate::model::NewUser;
use crate::password::{PasswordError, Place};
use crate::storage::{Admin, StorageError, Written};
use crate::telemetry::chain;

/// Why it was not made this time.
#[derive(Debug, Error)]
enum Failure {
    #[error("the password could not be hashed")]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes it, trying again until that succeeds.
pub(super) async fn make_sure(admin: &FirstAdmin, app: &AppState) {
    let mut last_problem = String::new();
    while let Err(error) = make(admin, app).await {
        let problem = chain(&error);
        if problem != last_problem {
            warn!(problem, "⚠️ The first admin can't be made yet; trying again until it is");
            last_problem = problem;
        }
        clock::pause(LONGEST_PAUSE).await;
    }
}

async fn make(admin: &FirstAdmin, app: &AppState) -> Result<(), Failure> {
    let FirstAdmin { email, password } = admin;
    if !app.storage.admins().await?.is_empty() {
        return Ok(());
    }
    let hashed_password = app.passwords.hash(password.clone(), Place::of_stranger(None)).await?;
    let user = NewUser { id: app.random.uuid(), email: email.clone(), hashed_password };
    match app.storage.create_user(&user).await {
        Ok(_) => {}
        Err(StorageError::EmailTaken) if is_theirs(admin, app).await? => {}
        Err(StorageError::EmailTaken) => {
            warn!("⚠️ ADMIN_EMAIL has an account that ADMIN_PASSWORD opens not: it is no admin");
            return Ok(());
        }
        Err(StorageError::Untranslatable(_)) => {
            warn!(
                "⚠️ The encoding of the database can't store ADMIN_EMAIL: it was not made an admin"
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    // Of replicas that start together, the one that made the change says so.
    if app.storage.put_admin(email.as_str(), Admin::Granted).await? == Some(Written::Changed) {
        info!("🔧 Made the first admin, from ADMIN_EMAIL and ADMIN_PASSWORD");
    }
    Ok(())
}

/// Whether the address's account is open to whoever has the password.
async fn is_theirs(admin: &FirstAdmin, app: &AppState) -> Result<bool, Failure> {
    let found = app.storage.user_by_email(admin.email.as_str()).await?;
    let user = app
        .passwords
        .sign_in(found, admin.password.clone().into_secret(), Place::of_stranger(None))
        .await?;
    Ok(user.is_some())
}
