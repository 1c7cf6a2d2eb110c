//! `keys`: generate a key, count what is encrypted with which one, encrypt, decrypt and rotate.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use fernet_seal::MasterKey;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Context, NewDatabase, UsageError, open_with_keys, say, surroundings};
use crate::keyring::{Keyring, SealedTable};
use crate::keys::{self, Direction, TableTally, Tally};
use crate::storage::{Encryption, Storage};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print a new key for `ENCRYPTION_MASTER_KEY`.
    #[command(
        after_help = "Example:\n  (umask 077; discogsography-api keys generate > master-key)"
    )]
    Generate,
    /// Count the stored secrets by table and key.
    #[command(
        after_help = "Exit code 1 if a secret can't be read.\n\nExample:\n  discogsography-api keys status"
    )]
    Status {
        /// Print the result as a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Encrypt the secrets that are stored as plain text.
    ///
    /// Services may run meanwhile; all of them need the key. Can be stopped and repeated.
    #[command(after_help = "Example:\n  discogsography-api keys encrypt --dry-run")]
    Encrypt(Work),
    /// Store all secrets as plain text, for services that have no key.
    #[command(after_help = "Example:\n  discogsography-api keys decrypt")]
    Decrypt(Work),
    /// Re-encrypt, with `ENCRYPTION_MASTER_KEY`, the secrets that are encrypted with a previous key.
    ///
    /// Services may run meanwhile; all of them need both keys. Can be stopped and repeated.
    #[command(after_help = "Example:\n  discogsography-api keys rotate")]
    Rotate(Work),
    /// Delete the secrets that no configured key can decrypt. Their users then have to connect Discogs
    /// again.
    #[command(after_help = "For a lost key. Run `keys status` first.\n\n\
                      Example:\n  discogsography-api keys clear-unreadable")]
    ClearUnreadable {
        /// Don't ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
pub(super) struct Work {
    /// Only count what would be written.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn keys(command: Command, context: Context<'_>) -> anyhow::Result<()> {
    match command {
        Command::Generate => {
            let key = MasterKey::generate(&surroundings()?.random.bytes());
            return Ok(say(key.expose_secret())?);
        }
        Command::ClearUnreadable { yes: false } if !std::io::stdin().is_terminal() => {
            let error =
                "keys clear-unreadable asks for confirmation, which needs a terminal: add --yes";
            return Err(UsageError(error.to_owned()).into());
        }
        _ => {}
    }
    let (storage, keyring) = open_with_keys(context, NewDatabase::Refuse).await?;
    let stores = Opened { storage, keyring };
    let done = stores.run(command).await;
    stores.storage.close().await;
    done
}

struct Opened {
    storage: Arc<dyn Storage>,
    keyring: Arc<Keyring>,
}

impl Opened {
    async fn run(&self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Generate => Ok(()),
            Command::Status { json } => self.status(json).await,
            Command::Encrypt(work) => self.reseal(Direction::Encrypt, &work).await,
            Command::Decrypt(work) => self.reseal(Direction::Decrypt, &work).await,
            Command::Rotate(work) => self.reseal(Direction::Rotate, &work).await,
            Command::ClearUnreadable { yes } => self.clear_unreadable(yes).await,
        }
    }

    async fn status(&self, json: bool) -> anyhow::Result<()> {
        let encryption = self.storage.encryption().await?;
        let tally = self.tally(json).await?;
        if json {
            say(&self.to_json(&tally, &encryption))?;
        } else {
            self.show(&tally, &encryption)?;
        }
        refuse_unreadable(&tally)
    }

    async fn reseal(&self, direction: Direction, work: &Work) -> anyhow::Result<()> {
        if direction != Direction::Decrypt && !self.keyring.seals() {
            bail!(
                "there is no key to encrypt with: set ENCRYPTION_MASTER_KEY to the output of \
                 `discogsography-api keys generate`"
            );
        }
        keys::fit(&*self.storage, &self.keyring).await?;
        if work.dry_run {
            let tally = self.tally(work.json).await?;
            let rows: u64 = tally.iter().map(|(_, rows)| rows.left(direction)).sum();
            return report(
                work.json,
                "would_write",
                rows,
                &tally,
                &format!("Would write {rows} rows."),
            );
        }
        let progress = progress(work.json);
        let done = keys::reseal(&*self.storage, &self.keyring, direction, &progress).await?;
        let rows = done.written;
        report(work.json, "written", rows, &done.left, &format!("Wrote {rows} rows."))?;
        refuse_unreadable(&done.left)?;
        let left: u64 = done.left.iter().map(|(_, rows)| rows.left(direction)).sum();
        if left > 0 {
            bail!("while this command ran, a service wrote {left} rows {}", way_out(direction));
        }
        Ok(())
    }

    async fn clear_unreadable(&self, yes: bool) -> anyhow::Result<()> {
        let tally = self.tally(false).await?;
        let rows: u64 = tally.iter().map(|(_, rows)| rows.unreadable).sum();
        if !yes && !is_confirmed(rows)? {
            bail!("not confirmed, so nothing was deleted");
        }
        for (table, rows) in keys::clear_unreadable(&*self.storage, &self.keyring).await? {
            say(&format!("{:<14}{rows} deleted", table.name()))?;
        }
        Ok(())
    }

    async fn tally(&self, json: bool) -> anyhow::Result<Tally> {
        Ok(keys::tally(&*self.storage, &self.keyring, &progress(json)).await?)
    }

    fn show(&self, tally: &Tally, encryption: &Encryption) -> std::io::Result<()> {
        let (current, previous) = self.keyring.fingerprints();
        say(&format!(
            "Current key    {}",
            current.unwrap_or("none: new secrets are stored as plain text")
        ))?;
        for (fingerprint, number) in previous.iter().zip(1..) {
            say(&format!("Previous key {number} {fingerprint}"))?;
        }
        say("\nTABLE           PLAIN   CURRENT  PREVIOUS  UNREADABLE  PLAIN TEXT IS")?;
        for (table, rows) in tally {
            let old: u64 = rows.previous.iter().sum();
            let is_refused = encryption.tables.contains(table);
            let plain = if is_refused { "refused" } else { "accepted" };
            let TableTally { plain: unsealed, current, unreadable, .. } = rows;
            let name = table.name();
            say(&format!(
                "{name:<12}{unsealed:>9} {current:>9} {old:>9} {unreadable:>11}  {plain}"
            ))?;
        }
        Ok(())
    }

    fn to_json(&self, tally: &Tally, encryption: &Encryption) -> String {
        let (current, previous) = self.keyring.fingerprints();
        let recorded: Vec<_> = encryption.tables.iter().map(|table| table.name()).collect();
        json!({
            "current_key": current,
            "previous_keys": previous,
            "tables": tables(tally),
            "plain_text_refused_in": recorded,
        })
        .to_string()
    }
}

/// Shows on a terminal how far the work is.
fn progress(json: bool) -> impl Fn(SealedTable, u64, u64) + Send + Sync {
    let is_shown = !json && std::io::stderr().is_terminal();
    move |table, read, written| {
        if is_shown {
            let line = format!("\r{}: {read} rows read, {written} written ", table.name());
            // Ignore errors: the terminal may have been closed.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn report(json: bool, name: &str, rows: u64, tally: &Tally, text: &str) -> anyhow::Result<()> {
    Ok(say(&if json {
        json!({ name: rows, "tables": tables(tally) }).to_string()
    } else {
        text.to_owned()
    })?)
}

fn tables(tally: &Tally) -> serde_json::Value {
    let table = |(table, rows): &(SealedTable, TableTally)| {
        json!({
            "table": table.name(),
            "plain": rows.plain,
            "current": rows.current,
            "previous": rows.previous,
            "unreadable": rows.unreadable,
            "unreadable_rows": rows.unreadable_rows,
        })
    };
    tally.iter().map(table).collect()
}

fn refuse_unreadable(tally: &Tally) -> anyhow::Result<()> {
    let unreadable = tally.iter().filter(|(_, rows)| rows.unreadable > 0);
    let named: Vec<_> = unreadable
        .map(|(table, rows)| {
            let (table, count, rows) =
                (table.name(), rows.unreadable, rows.unreadable_rows.join(", "));
            format!("{count} rows of {table} ({rows})")
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    bail!(
        "no configured key decrypts {}: add their key to ENCRYPTION_MASTER_KEY_PREVIOUS; if it is lost, \
         run `discogsography-api keys clear-unreadable`",
        named.join("; ")
    )
}

fn way_out(direction: Direction) -> &'static str {
    match direction {
        Direction::Encrypt => "as plain text: give it the key, then repeat this command",
        Direction::Rotate => "with a previous key: give it the new one, then repeat this command",
        Direction::Decrypt => "encrypted: restart it without the key, then repeat this command",
    }
}

fn is_confirmed(rows: u64) -> std::io::Result<bool> {
    let mut stderr = std::io::stderr();
    write!(stderr, "Delete {rows} secrets that can't be read? This can't be undone. Type yes: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
