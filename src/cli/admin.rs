//! `admin`: who may use `/api/admin`.

use clap::Subcommand;

use super::{Context, open_storage, say};
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
    /// Take it back.
    #[command(after_help = "Example:\n  discogsography-api admin revoke digger@example.com")]
    Revoke {
        /// The user's email address.
        email: String,
    },
    /// Show the email addresses of all admins, one a line.
    #[command(after_help = "Example:\n  discogsography-api admin list")]
    List,
}

pub(super) async fn admin(command: Command, context: Context<'_>) -> anyhow::Result<()> {
    let storage = open_storage(context).await?;
    let (email, admin, done) = match command {
        Command::Grant { email } => (email, Admin::Granted, "is an admin now"),
        Command::Revoke { email } => (email, Admin::Revoked, "is no admin any more"),
        Command::List => {
            for email in storage.admins().await? {
                say(&shown(&email))?;
            }
            storage.close().await;
            return Ok(());
        }
    };
    let email = normalize_email(&email);
    if !storage.put_admin(&email, admin).await? {
        let email = shown(&email);
        anyhow::bail!("nobody is registered as {email}: register first, then try again");
    }
    say(&format!("{} {done}.", shown(&email)))?;
    storage.close().await;
    Ok(())
}

/// An address with what can't be seen made visible, and what moves a terminal's cursor harmless:
/// two that look alike are two.
fn shown(email: &str) -> String {
    email.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_can_not_be_seen_of_an_address_is_shown() {
        for (email, expected) in [
            ("o'brien@example.com", "o'brien@example.com"),
            ("हिन्दी@उदाहरण.भारत", "हिन्दी@उदाहरण.भारत"),
            ("a\u{200b}b@example.com", "a\\u{200b}b@example.com"),
            ("moc.\u{202e}@example.com", "moc.\\u{202e}@example.com"),
            ("\u{1b}[2J@example.com", "\\u{1b}[2J@example.com"),
            ("two\nlines@example.com", "two\\nlines@example.com"),
        ] {
            assert_eq!(shown(email), expected);
        }
    }
}
