//! `migrate`: brings the schema up to date, whatever the value of `AUTO_MIGRATE`.

use super::{Context, NewDatabase, create_stores, say};
use crate::config::Migrations;

pub(super) async fn migrate(context: Context<'_>) -> anyhow::Result<()> {
    let (stores, _) = create_stores(context, NewDatabase::Create)?;
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
