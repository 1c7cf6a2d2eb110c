//! The command line: one function per command. Results go to stdout, everything else to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration. This module must not depend on HTTP.

mod admin;
mod backup;
mod discogs_setup;
mod doctor;
mod health;
mod keys;
mod migrate;
mod restore;
mod sandbox;
mod serve;
mod shown;
mod signals;
mod takeover;
mod token;
mod user;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{
    Config, ConfigError, EmbeddedStores, Environment, Migrations, StoreKind, Stores,
};
use crate::http::openapi_document;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::server::{OpenedStores, open_stores};
use crate::storage::Storage;
use crate::surroundings::Surroundings;
use crate::{panics, sqlite, telemetry, threads};

const PROGRAM: &str = "discogsography-api";

/// The binary under this name is the command `discogs-setup`, as in the Python service's image.
const DISCOGS_SETUP: &str = "discogs-setup";

/// The command whose argument is an access token.
const TOKEN: &str = "token";

/// Accounts, access tokens and the Discogs connection for Discogsography.
///
/// Without a command, it runs the service. Configuration comes from environment variables: see
/// docs/configuration.md.
#[derive(Parser)]
#[command(
    name = PROGRAM,
    version,
    arg_required_else_help = false,
    after_help = "Example:\n  DATA_DIR=/var/lib/discogsography discogsography-api"
)]
pub struct Cli {
    /// Use the sandbox's own store, `DATA_DIR/sandbox`; with `serve`, also run a
    /// stand-in for Discogs, so that the whole flow works offline.
    #[arg(long, global = true)]
    sandbox: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command receives.
#[derive(Clone, Copy)]
struct Context<'a> {
    environment: &'a Environment,
    store: StoreKind,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    #[command(after_help = "Example:\n  discogsography-api serve --sandbox")]
    Serve(serve::ServeArguments),
    /// Run a stand-in for Discogs alone, for developers of sibling services.
    #[command(after_help = "Example:\n  discogsography-api sandbox --port 8014")]
    Sandbox(sandbox::SandboxArguments),
    /// Apply the migrations that the database lacks, and print them.
    #[command(after_help = "Example:\n  AUTO_MIGRATE=off discogsography-api migrate")]
    Migrate,
    /// Grant, revoke and list the right to use /api/admin.
    #[command(after_help = "Example:\n  discogsography-api admin grant digger@example.com")]
    Admin {
        #[command(subcommand)]
        command: admin::Command,
    },
    /// List, show, disable, enable or delete users.
    #[command(after_help = "Example:\n  discogsography-api user list @example.com")]
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Set, show or remove the app's Discogs credentials.
    #[command(
        after_help = "Examples:\n  discogsography-api discogs-setup --consumer-key KEY --consumer-secret SECRET\n  \
                      discogsography-api discogs-setup --consumer-key KEY --consumer-secret - < secret.txt\n  \
                      discogsography-api discogs-setup --show"
    )]
    DiscogsSetup(discogs_setup::SetupArguments),
    /// Generate a key that encrypts stored secrets; encrypt, decrypt or rotate them.
    #[command(after_help = "Example:\n  discogsography-api keys status")]
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Say what an access token contains, and why the service refuses it.
    #[command(after_help = "Example:\n  discogsography-api token verify - < token.txt")]
    Token {
        #[command(subcommand)]
        command: token::Command,
    },
    /// Check everything that the service depends on, and print what is wrong and what to do.
    ///
    /// It changes nothing, works with or without a running service, and makes at most two calls to
    /// Discogs.
    #[command(
        after_help = "Exit codes: 0 no errors; 1 at least one error; 2 the configuration is invalid.\n\n\
                      Examples:\n  discogsography-api doctor\n  discogsography-api doctor --json"
    )]
    Doctor(doctor::DoctorArguments),
    /// Prepare to take over the stores of a Python service.
    #[command(after_help = "Example:\n  discogsography-api takeover check")]
    Takeover {
        #[command(subcommand)]
        command: takeover::Command,
    },
    /// Copy the database of the embedded store into a file, even while a service uses it.
    ///
    /// The copy is checked, readable only by its owner, and appears only once it is complete. It
    /// contains neither `DATA_DIR/jwt-secret` nor `DATA_DIR/master-key`: back these up, too, but store
    /// them apart from the copy.
    #[command(
        after_help = "Examples:\n  discogsography-api backup copy.db\n  discogsography-api backup - > copy.db"
    )]
    Backup(backup::BackupArguments),
    /// Replace the database of the embedded store with a backup. Stop the service first.
    ///
    /// The old database is kept under another name.
    #[command(
        after_help = "Examples:\n  discogsography-api restore copy.db\n  discogsography-api restore - < copy.db"
    )]
    Restore(restore::RestoreArguments),
    /// Check a running service by its health port; exit code 0 if it is healthy or degraded.
    #[command(after_help = "Example:\n  discogsography-api health && echo healthy")]
    Health,
    /// Print the OpenAPI 3.1 document of the API.
    #[command(after_help = "Example:\n  discogsography-api openapi > openapi.json")]
    Openapi,
}

/// The command line is invalid.
#[derive(Debug, Error)]
#[error("{0}")]
struct UsageError(String);

/// Parses the command line. Ends the process if it asks for help or is invalid.
#[must_use]
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Cli {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let name = arguments.first().and_then(|path| Path::new(path).file_stem());
    if name == Some(OsStr::new(DISCOGS_SETUP)) {
        // Without the binary's name, so that help shows the command once.
        arguments.splice(..1, [PROGRAM.into(), DISCOGS_SETUP.into()]);
    }
    let takes_secrets =
        arguments.iter().any(|argument| argument == DISCOGS_SETUP || argument == TOKEN);
    let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| {
        let error = if takes_secrets { without_values(error) } else { error };
        error.exit()
    });
    if let Some(Command::Serve(serve)) = &cli.command
        && serve.sandbox_port.is_some()
        && !cli.sandbox
    {
        let error = "--sandbox-port needs --sandbox";
        Cli::command().error(ErrorKind::MissingRequiredArgument, error).exit();
    }
    cli
}

/// Hides every value in an error, which may be a misplaced secret; keeps option names.
fn without_values(mut error: clap::Error) -> clap::Error {
    let hidden = || ContextValue::String("(not shown)".to_owned());
    let is_option = |argument: &ContextValue| matches!(argument, ContextValue::String(argument) if argument.starts_with("--"));
    if error.kind() == ErrorKind::UnknownArgument
        && !error.get(ContextKind::InvalidArg).is_some_and(is_option)
    {
        error.insert(ContextKind::InvalidArg, hidden());
        error.remove(ContextKind::Suggested);
    }
    if error.get(ContextKind::InvalidSubcommand).is_some() {
        error.insert(ContextKind::InvalidSubcommand, hidden());
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::Suggested);
    }
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, hidden());
    }
    error
}

/// Runs a command.
///
/// # Errors
///
/// What failed; [`exit_code`] returns its code.
pub fn run(cli: Cli, environment: &Environment) -> anyhow::Result<()> {
    threads::try_out()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let store = if cli.sandbox { StoreKind::Sandbox } else { StoreKind::Real };
    let context = Context { environment, store };
    let command = async {
        match cli.command.unwrap_or_else(|| Command::Serve(serve::ServeArguments::default())) {
            Command::Serve(arguments) => serve::serve(&arguments, context).await,
            Command::Sandbox(arguments) => sandbox::sandbox(&arguments).await,
            Command::Migrate => migrate::migrate(context).await,
            Command::Admin { command } => admin::admin(command, context).await,
            Command::User { command } => user::user(command, context).await,
            Command::DiscogsSetup(arguments) => {
                discogs_setup::discogs_setup(&arguments, context).await
            }
            Command::Keys { command } => keys::keys(command, context).await,
            Command::Token { command } => token::token(command, context).await,
            Command::Doctor(arguments) => doctor::doctor(&arguments, context).await,
            Command::Takeover { command } => takeover::takeover(&command, context).await,
            Command::Backup(arguments) => backup::backup(&arguments, context),
            Command::Restore(arguments) => restore::restore(&arguments, context),
            Command::Health => health::health(environment).await,
            Command::Openapi => Ok(say(openapi_document().trim_end())?),
        }
    };
    let ended = panics::catch(|| runtime.block_on(command));
    // A name lookup that gets no answer must not delay the exit.
    runtime.shutdown_background();
    telemetry::flush();
    ended?
}

/// The exit code of a failed command.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() || error.is::<UsageError>() || error.is::<doctor::Unusable>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Writes a result, with control characters escaped.
///
/// A reader that closes the pipe early, like `head`, is not an error.
fn say(text: &str) -> std::io::Result<()> {
    say_while_read(text).map(drop)
}

/// Like [`say`], for one of many results; `Break` once stdout has no reader.
fn say_while_read(text: &str) -> std::io::Result<ControlFlow<()>> {
    match writeln!(std::io::stdout(), "{}", printable::lines(text)) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        written => written.map(ControlFlow::Continue),
    }
}

/// Writes a hint to stderr, so that programs don't read it as a result.
fn hint(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "{line}")
}

fn surroundings() -> anyhow::Result<Surroundings> {
    let random = Random::from_system()?;
    Ok(Surroundings { clock: Clock::system(), random, sandbox_consumer: None })
}

impl Context<'_> {
    /// Loads the configuration, with the sandbox's store if `--sandbox` asks for it.
    fn config(self) -> anyhow::Result<Config> {
        let config = Config::load(self.environment)?;
        match self.store {
            StoreKind::Real => Ok(config),
            StoreKind::Sandbox => {
                self.refuse_real_servers()?;
                Ok(config.in_sandbox())
            }
        }
    }

    /// Refuses variables of real stores and of the real Discogs in a sandbox.
    fn refuse_real_servers(self) -> Result<(), UsageError> {
        for name in [
            "POSTGRES_ADDRESS",
            "POSTGRES_HOST",
            "DATABASE_URL",
            "DATABASE_URL_FILE",
            "DISCOGS_API_URL",
        ] {
            if self.environment.get(name).is_some() {
                return Err(UsageError(format!(
                    "--sandbox can't be used while {name} is set: unset it, or omit --sandbox"
                )));
            }
        }
        Ok(())
    }
}

/// Returns the embedded store, or an error that names the tool to use instead.
fn embedded(config: &Config, instead: &str) -> Result<EmbeddedStores, UsageError> {
    match &config.stores {
        Stores::Embedded(embedded) => Ok(embedded.clone()),
        Stores::Servers { .. } => Err(UsageError(format!(
            "this works only with the embedded store: with PostgreSQL, use {instead} \
             (docs/operations/backup.md)"
        ))),
    }
}

/// Whether a command creates the database if the embedded store has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NewDatabase {
    /// Create one, like the first start.
    Create,
    /// Fail: `DATA_DIR` is probably wrong, and a new database would hide that.
    Refuse,
}

/// Creates the stores without opening them, and returns them with `AUTO_MIGRATE`.
fn create_stores(
    context: Context<'_>,
    new: NewDatabase,
) -> anyhow::Result<(OpenedStores, Migrations)> {
    let config = context.config()?;
    telemetry::start(config.log_level, config.log_format)?;
    if let (Stores::Embedded(embedded), NewDatabase::Refuse) = (&config.stores, new) {
        sqlite_file::require_database(&sqlite::settings(embedded))
            .map_err(|missing| anyhow!("{missing}: is DATA_DIR right?"))?;
    }
    let stores = open_stores(&config, &surroundings()?, &Metrics::new())?;
    Ok((stores, config.migrations))
}

/// Opens the storage and prepares its schema according to `AUTO_MIGRATE`.
async fn open_storage(context: Context<'_>, new: NewDatabase) -> anyhow::Result<Arc<dyn Storage>> {
    Ok(open_with_keys(context, new).await?.0)
}

/// Like [`open_storage`], with the keys of stored secrets.
async fn open_with_keys(
    context: Context<'_>,
    new: NewDatabase,
) -> anyhow::Result<(Arc<dyn Storage>, Arc<Keyring>)> {
    let (OpenedStores { storage, keyring, .. }, migrations) = create_stores(context, new)?;
    storage.prepare(migrations).await?;
    Ok((storage, keyring))
}
