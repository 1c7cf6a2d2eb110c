//! `migrate`: brings the schema up to date, whatever the value of `AUTO_MIGRATE`.

use super::{Context, NewDatabase, name_stores, say};
use crate::config::Migrations;

pub(super) async fn migrate(context: Context<'_>) -> anyhow::Result<()> {
    let (stores, _) = name_stores(context, NewDatabase::Made)?;
    let storage = stores.storage;
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
