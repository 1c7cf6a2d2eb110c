//! Making the first admin, where there is none at all.
//!
//! Every step is safe to repeat, so replicas that start together make one account: whoever comes
//! second finds the address taken, and makes its account the admin that it is about to become.

use thiserror::Error;
use tracing::{info, warn};

use super::LONGEST_PAUSE;
use crate::clock;
use crate::config::FirstAdmin;
use crate::http::AppState;
use crate::model::NewUser;
use crate::password::PasswordError;
use crate::storage::{Admin, StorageError};
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

async fn make(FirstAdmin { email, password }: &FirstAdmin, app: &AppState) -> Result<(), Failure> {
    if !app.storage.admins().await?.is_empty() {
        return Ok(());
    }
    let hashed_password = app.passwords.hash(password.clone()).await?;
    let user = NewUser { id: app.random.uuid(), email: email.clone(), hashed_password };
    let is_new = match app.storage.create_user(&user).await {
        Ok(_) => true,
        Err(StorageError::EmailTaken) => false,
        Err(error) => return Err(error.into()),
    };
    app.storage.put_admin(email.as_str(), Admin::Granted).await?;
    if is_new {
        info!("🔧 Made the first admin, from ADMIN_EMAIL and ADMIN_PASSWORD");
    } else {
        info!("🔧 Made the account of ADMIN_EMAIL the first admin; its password is as it was");
    }
    Ok(())
}
