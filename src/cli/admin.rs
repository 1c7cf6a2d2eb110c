//! `admin`: grants, revokes and lists the right to use `/api/admin`.

use clap::Subcommand;

use super::shown::shown;
use super::{Context, NewDatabase, hint, open_storage, say};
use crate::model::normalize_email;
use crate::storage::Admin;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a registered user an admin.
    #[command(after_help = "Example:\n  discogsography-api admin grant digger@example.com")]
    Grant {
        /// The user's email address.
        email: String,
    },
    /// Take the right away from an admin.
    #[command(after_help = "Example:\n  discogsography-api admin revoke digger@example.com")]
    Revoke {
        /// The user's email address.
        email: String,
    },
    /// Show the email addresses of all admins, one per line.
    #[command(after_help = "Example:\n  discogsography-api admin list")]
    List,
}

pub(super) async fn admin(command: Command, context: Context<'_>) -> anyhow::Result<()> {
    let storage = open_storage(context, NewDatabase::Refuse).await?;
    let (email, admin, done) = match command {
        Command::Grant { email } => (email, Admin::Granted, "is an admin now"),
        Command::Revoke { email } => (email, Admin::Revoked, "is no longer an admin"),
        Command::List => {
            let admins = storage.admins().await?;
            if admins.is_empty() {
                hint("No user is an admin. To make one: discogsography-api admin grant EMAIL")?;
            }
            for email in admins {
                say(&shown(&email))?;
            }
            storage.close().await;
            return Ok(());
        }
    };
    let email = normalize_email(&email);
    if storage.put_admin(&email, admin).await?.is_none() {
        let email = shown(&email);
        anyhow::bail!("no user is registered as {email}: register first, then try again");
    }
    say(&format!("{} {done}.", shown(&email)))?;
    storage.close().await;
    Ok(())
}
