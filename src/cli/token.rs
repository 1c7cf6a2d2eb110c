//! `token`: says what an access token contains, and why the service refuses it.
//!
//! A token is a secret: it is neither printed nor logged. Its header and claims are printed without the
//! signature, so they are of no use to others.

mod inspect;
mod times;
mod verify;

use std::io::{self, IsTerminal as _, Read as _};

use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::{Context, UsageError, hint};

/// The most bytes of a token: more than a request's headers can have.
const LONGEST_TOKEN: u64 = 64 * 1024;

const SCHEME: &str = "bearer";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show a token's header, claims and times, and check the rules that need no secret.
    ///
    /// Anyone can write such a token: only `verify` checks the signature.
    #[command(
        after_help = "Exit codes: 0 no rule is broken; 1 at least one is; 2 invalid command.\n\n\
                      Example:\n  discogsography-api token inspect - < token.txt"
    )]
    Inspect(Given),
    /// Say whether the service accepts a token, and otherwise why not.
    ///
    /// It needs the same settings as the service.
    #[command(
        after_help = "Exit codes: 0 accepted; 1 refused; 2 invalid command or configuration.\n\n\
                      Example:\n  discogsography-api token verify - < token.txt"
    )]
    Verify {
        #[command(flatten)]
        given: Given,
        /// Check the token alone: neither its user in the database, nor marks in Redis.
        #[arg(long)]
        offline: bool,
    },
}

#[derive(Args)]
pub(super) struct Given {
    /// The access token; `-` reads it from stdin, which keeps it out of the process list and the
    /// shell's history.
    token: String,
    /// Print the result as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn token(command: Command, context: Context<'_>) -> anyhow::Result<()> {
    match command {
        Command::Inspect(given) => inspect::inspect(&token_of(given.token)?, given.json),
        Command::Verify { given, offline } => {
            verify::verify(&token_of(given.token)?, given.json, offline, context).await
        }
    }
}

/// Returns the token, without the name of the scheme.
fn token_of(given: String) -> anyhow::Result<SecretString> {
    let text = if given == "-" { read_stdin()? } else { given };
    let text = text.trim();
    let mut words = text.splitn(2, char::is_whitespace);
    let has_scheme = words.next().is_some_and(|word| word.eq_ignore_ascii_case(SCHEME));
    let token = if has_scheme { words.next().unwrap_or_default().trim_start() } else { text };
    if token.is_empty() {
        return Err(UsageError("there is no token".to_owned()).into());
    }
    Ok(token.into())
}

fn read_stdin() -> anyhow::Result<String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        hint("Paste the token, then press Enter and Ctrl-D.")?;
    }
    let mut bytes = Vec::new();
    stdin.lock().take(LONGEST_TOKEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_TOKEN {
        return Err(UsageError(format!("stdin has more than {LONGEST_TOKEN} bytes")).into());
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|_| UsageError("what stdin has is not text".to_owned()))?)
}
