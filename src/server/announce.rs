//! What the log says during a start: the stores, what should worry the operator, what to do next,
//! and the addresses.

use std::net::TcpListener;

use tracing::info;

use super::Listeners;
use crate::config::{Config, Stores, Warning, WebPage};
use crate::model::ConfigEntry;
use crate::storage::Storage;

/// The URLs of the service.
pub(super) struct Addresses {
    api: String,
    health: String,
    /// The account page, if it is served.
    page: Option<String>,
}

/// Logs which stores are used, and the warnings about the configuration.
pub(super) fn log_configuration(config: &Config) {
    match &config.stores {
        Stores::Embedded(embedded) => {
            let file = embedded.database().display().to_string();
            info!(file, "🚀 Starting on the embedded store, one SQLite file");
        }
        Stores::Servers { postgres, redis } => {
            let postgres = format!("{}/{}", postgres.address(), postgres.database);
            info!(postgres, redis = redis.address(), "🚀 Starting on PostgreSQL and Redis");
        }
    }
    let count = config.jwt_secret_key_previous.len();
    if count > 0 {
        info!(count, "🔧 Access tokens of previous secrets are accepted, too");
    }
    config.warnings.iter().for_each(log_warning);
}

/// Logs a warning about the configuration.
pub(super) fn log_warning(warning: &Warning) {
    match warning {
        Warning::Careful(what) => tracing::warn!("⚠️ {what}"),
        Warning::Alarming(what) => tracing::error!("❌ {what}"),
    }
}

/// Logs what the operator of a new service still has to set up.
///
/// Logs nothing if the storage fails: readiness reports that.
pub(super) async fn log_next_steps(storage: &dyn Storage, has_sandbox: bool) {
    let (Ok(entries), Ok(admins)) = (storage.config().await, storage.admins().await) else {
        return;
    };
    if !has_sandbox && ConfigEntry::consumer(&entries).is_none() {
        info!(
            set = "discogsography-api discogs-setup --consumer-key KEY --consumer-secret SECRET",
            try_offline = "discogsography-api serve --sandbox",
            "🔧 Users can't connect Discogs yet: the app's credentials are not set"
        );
    }
    if admins.is_empty() {
        let grant = if has_sandbox {
            "discogsography-api admin grant EMAIL --sandbox"
        } else {
            "discogsography-api admin grant EMAIL"
        };
        info!(grant, "🔧 There is no admin yet: register first, then grant the role");
    }
}

impl Addresses {
    pub(super) fn of(listeners: &Listeners, web_page: WebPage) -> Self {
        let url = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
        };
        let (api, health) = (url(&listeners.api), url(&listeners.health));
        let page = (web_page == WebPage::On).then(|| format!("{api}/"));
        Self { api, health, page }
    }

    /// Logs the last line of a start.
    pub(super) fn log(&self) {
        let Self { api, health, page } = self;
        info!(page, docs = format!("{api}/docs"), api, health, "🚀 Ready");
    }
}
