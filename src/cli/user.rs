//! `user`: list, show, disable, enable and delete users.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};
use serde_json::json;

use super::shown::shown;
use super::{Context, NewDatabase, UsageError, hint, open_storage, say, say_while_read};
use crate::model::{UserDetails, normalize_email};
use crate::storage::{Storage, UserChange};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List users, one per line, sorted by email address.
    #[command(after_help = "Examples:\n  discogsography-api user list\n  \
                            discogsography-api user list @example.com --json")]
    List {
        /// Only users whose email address or id contains this, in upper or lower case.
        filter: Option<String>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Show one user.
    #[command(after_help = "Example:\n  discogsography-api user show digger@example.com")]
    Show(Who),
    /// Disable a user at once: no sign-in, access tokens are refused, pending flows end.
    #[command(after_help = "Example:\n  discogsography-api user disable digger@example.com")]
    Disable(Who),
    /// Enable a disabled user again.
    #[command(after_help = "Example:\n  discogsography-api user enable digger@example.com")]
    Enable(Who),
    /// Delete a user and everything that belongs to it. This can't be undone.
    #[command(after_help = "Example:\n  discogsography-api user delete digger@example.com --yes")]
    Delete {
        #[command(flatten)]
        who: Who,
        /// Don't ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
pub(super) struct Who {
    /// The user's email address, or id.
    #[arg(value_name = "EMAIL")]
    user: String,
    /// Print the result as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn user(command: Command, context: Context<'_>) -> anyhow::Result<()> {
    if let Command::Delete { yes: false, .. } = command
        && !std::io::stdin().is_terminal()
    {
        let error = "user delete asks for confirmation, which needs a terminal: add --yes";
        return Err(UsageError(error.to_owned()).into());
    }
    let storage = open_storage(context, NewDatabase::Refuse).await?;
    let done = run(command, &*storage).await;
    storage.close().await;
    done
}

async fn run(command: Command, storage: &dyn Storage) -> anyhow::Result<()> {
    match command {
        Command::List { filter, json } => list(storage, filter.as_deref(), json).await,
        Command::Show(Who { user, json }) => {
            let user = found(storage, &user).await?;
            if json { say_json(&user) } else { show(&user) }
        }
        Command::Disable(who) => {
            let user = found(storage, &who.user).await?;
            let change = storage.disable_user(&user.email).await?;
            let done = "is disabled: no sign-in, and access tokens are refused";
            report(storage, &user, change, done, who.json).await
        }
        Command::Enable(who) => {
            let user = found(storage, &who.user).await?;
            let change = storage.enable_user(&user.email).await?;
            report(storage, &user, change, "is enabled", who.json).await
        }
        Command::Delete { who, yes } => {
            let user = found(storage, &who.user).await?;
            if !yes && !is_confirmed(&user)? {
                anyhow::bail!("not confirmed, so nothing was deleted");
            }
            delete(storage, &user, who.json).await
        }
    }
}

/// Reads a page at a time: memory use does not depend on the number of users.
async fn list(storage: &dyn Storage, filter: Option<&str>, json: bool) -> anyhow::Result<()> {
    let filter = filter.unwrap_or_default().to_lowercase();
    let mut is_empty = true;
    let mut last: Option<UserDetails> = None;
    loop {
        let page = storage.users_after(last.as_ref()).await?;
        // If the last address is not UTF-8, the next page repeats its row.
        let is_new = |user: &UserDetails| last.as_ref().is_none_or(|last| last.id != user.id);
        for user in page.iter().filter(|user| is_new(user) && contains(user, &filter)) {
            if is_empty && !json {
                say(HEADING)?;
            }
            is_empty = false;
            let line = if json { json_of(user) } else { line_of(user) };
            if say_while_read(&line)?.is_break() {
                return Ok(());
            }
        }
        match page.into_iter().next_back().filter(is_new) {
            Some(user) => last = Some(user),
            None => break,
        }
    }
    if is_empty {
        hint(if filter.is_empty() { "There are no users." } else { "No user matches." })?;
    }
    Ok(())
}

fn contains(user: &UserDetails, filter: &str) -> bool {
    user.email.to_lowercase().contains(filter) || user.id.to_lowercase().contains(filter)
}

const HEADING: &str =
    "CREATED     STATE     ADMIN  2FA  DISCOGS  ID                                    EMAIL";

/// The address comes last because its length varies.
fn line_of(user: &UserDetails) -> String {
    let created = user.created_at.to_string();
    let created = created.split('T').next().unwrap_or_default();
    let state = if user.is_active { "active" } else { "disabled" };
    let discogs = yes_or_no(user.connection.is_some());
    let (admin, factor) = (yes_or_no(user.is_admin), yes_or_no(user.has_second_factor));
    let (id, email) = (shown(&user.id), shown(&user.email));
    format!("{created:<10}  {state:<8}  {admin:<5}  {factor:<3}  {discogs:<7}  {id:<36}  {email}")
}

fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn show(user: &UserDetails) -> anyhow::Result<()> {
    let factor = if user.has_second_factor { "on, so the user can't sign in here" } else { "off" };
    let discogs = user.connection.as_ref().map_or_else(
        || "not connected".to_owned(),
        |connection| {
            let name = |name: &Option<String>| shown(name.as_deref().unwrap_or("unknown"));
            let (username, id) = (&connection.provider_username, &connection.provider_user_id);
            format!("{} (id {}), since {}", name(username), name(id), connection.updated_at)
        },
    );
    for (name, value) in [
        ("Email", shown(&user.email)),
        ("Id", shown(&user.id)),
        ("State", if user.is_active { "active" } else { "disabled" }.to_owned()),
        ("Admin", yes_or_no(user.is_admin).to_owned()),
        ("Second factor", factor.to_owned()),
        ("Created", user.created_at.to_string()),
        ("Discogs", discogs),
    ] {
        say(&format!("{name:<15}{value}"))?;
    }
    Ok(())
}

async fn delete(storage: &dyn Storage, user: &UserDetails, json: bool) -> anyhow::Result<()> {
    let change = storage.delete_user(&user.email).await?;
    let done = match change {
        UserChange::Anonymised => {
            "is anonymised: rows of another program refer to the user, so the row stays, disabled and \
             without the address, the password and the connection"
        }
        _ => "is deleted",
    };
    refuse(change, user)?;
    if json {
        let is_anonymised = change == UserChange::Anonymised;
        let deleted = json!({ "id": user.id, "email": user.email, "anonymised": is_anonymised });
        return Ok(say(&printable::json(&deleted.to_string()))?);
    }
    Ok(say(&format!("{} {done}.", shown(&user.email)))?)
}

/// Reports a change, or prints the user as JSON.
async fn report(
    storage: &dyn Storage,
    user: &UserDetails,
    change: UserChange,
    done: &str,
    json: bool,
) -> anyhow::Result<()> {
    refuse(change, user)?;
    if json {
        return say_json(&found(storage, &user.email).await?);
    }
    Ok(say(&format!("{} {done}.", shown(&user.email)))?)
}

fn refuse(change: UserChange, user: &UserDetails) -> anyhow::Result<()> {
    let email = shown(&user.email);
    match change {
        UserChange::Done | UserChange::Anonymised => Ok(()),
        UserChange::NoSuchUser => anyhow::bail!("{email} was changed or deleted in the meantime"),
        UserChange::LastAdmin => anyhow::bail!(
            "{email} is the last active admin: make another user an admin first \
             (discogsography-api admin grant EMAIL), or take the right away \
             (discogsography-api admin revoke {email})"
        ),
    }
}

/// Returns the user with this address, as typed or normalised, or with this id.
async fn found(storage: &dyn Storage, who: &str) -> anyhow::Result<UserDetails> {
    for who in [who, &normalize_email(who)] {
        if let Some(user) = storage.user_details(who).await? {
            return Ok(user);
        }
    }
    anyhow::bail!("no user has the address or id {}: see discogsography-api user list", shown(who))
}

fn is_confirmed(user: &UserDetails) -> std::io::Result<bool> {
    let mut stderr = std::io::stderr();
    write!(stderr, "Delete {}? This can't be undone. Type yes: ", shown(&user.email))?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn say_json(user: &UserDetails) -> anyhow::Result<()> {
    Ok(say(&json_of(user))?)
}

/// Returns JSON with the field names of the HTTP API.
fn json_of(user: &UserDetails) -> String {
    let connection = user.connection.as_ref();
    let json = json!({
        "id": user.id,
        "email": user.email,
        "is_active": user.is_active,
        "is_admin": user.is_admin,
        "totp_enabled": user.has_second_factor,
        "created_at": user.created_at,
        "connected": connection.is_some(),
        "discogs_username": connection.and_then(|it| it.provider_username.as_deref()),
        "discogs_user_id": connection.and_then(|it| it.provider_user_id.as_deref()),
        "connected_at": connection.map(|it| it.updated_at),
    });
    printable::json(&json.to_string())
}
