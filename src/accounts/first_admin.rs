//! Creates the first admin from `ADMIN_EMAIL` and `ADMIN_PASSWORD`, if there is no admin yet.
//!
//! Every step is safe to repeat, so replicas that start together create one account: the second one
//! finds the address taken, with the same password. An account with a different password may be a
//! stranger's, since addresses are not confirmed, so it is not made an admin.

use thiserror::Error;
use tracing::{info, warn};

use crate::accounts::password::{PasswordError, Passwords, Requester};
use crate::config::FirstAdmin;
use crate::model::NewUser;
use crate::outage;
use crate::random::Random;
use crate::storage::{Admin, Storage, StorageError, Written};

/// What is needed to create an account.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    /// Stores the user.
    pub storage: &'a dyn Storage,
    /// Hashes and checks the password.
    pub passwords: &'a Passwords,
    /// Generates the user's id.
    pub random: &'a Random,
}

/// Why an attempt failed.
#[derive(Debug, Error)]
enum Failure {
    #[error("the password could not be hashed")]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Creates the admin, and retries until that succeeds.
pub async fn ensure(admin: &FirstAdmin, accounts: Accounts<'_>) {
    let report = |_: &Failure, problem: &str| {
        warn!(problem, "⚠️ The first admin can't be created yet; retrying");
    };
    outage::retry(|| accounts.create(admin), report).await;
}

impl Accounts<'_> {
    async fn create(self, admin: &FirstAdmin) -> Result<(), Failure> {
        if !self.storage.admins().await?.is_empty() {
            return Ok(());
        }
        let FirstAdmin { email, password } = admin;
        let requester = Requester::stranger(None);
        let hashed_password = self.passwords.hash(password.clone(), requester).await?;
        let user = NewUser { id: self.random.uuid(), email: email.clone(), hashed_password };
        match self.storage.create_user(&user).await {
            Ok(_) => {}
            Err(StorageError::EmailTaken) if self.has_password(admin).await? => {}
            Err(StorageError::EmailTaken) => {
                warn!(
                    "⚠️ ADMIN_EMAIL already has an account with a different password, so it was \
                     not made an admin"
                );
                return Ok(());
            }
            Err(StorageError::Untranslatable(_)) => {
                warn!(
                    "⚠️ The encoding of the database can't store ADMIN_EMAIL: it was not made an \
                     admin"
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // Of replicas that start together, only the one that made the change logs it.
        if self.storage.put_admin(email.as_str(), Admin::Granted).await? == Some(Written::Changed) {
            info!("🔧 Created the first admin, from ADMIN_EMAIL and ADMIN_PASSWORD");
        }
        Ok(())
    }

    /// Whether the existing account with this address has this password.
    async fn has_password(self, admin: &FirstAdmin) -> Result<bool, Failure> {
        let found = self.storage.user_by_email(admin.email.as_str()).await?;
        let password = admin.password.clone().into_secret();
        let user = self.passwords.sign_in(found, password, Requester::stranger(None)).await?;
        Ok(user.is_some())
    }
}
