//! `migrate`: bring the schema up to date, whatever `AUTO_MIGRATE` says.

use super::{say, surroundings};
use crate::config::{Config, Environment, Migrations};
use crate::server::open_stores;
use crate::telemetry;

pub(super) async fn migrate(environment: &Environment) -> anyhow::Result<()> {
    let config = Config::load(environment)?;
    telemetry::start(config.log_level, config.log_format)?;
    let storage = open_stores(&config.stores, &surroundings()?)?.storage;
    let applied = storage.prepare(Migrations::Automatic).await?;
    for migration in &applied {
        say(&format!("Applied {migration}."))?;
    }
    if applied.is_empty() {
        say("The schema is up to date.")?;
    }
    storage.close().await;
    Ok(())
}
