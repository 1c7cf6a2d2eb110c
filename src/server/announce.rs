//! What the log says at a start: first which stores are used, last where to go.

use std::net::TcpListener;

use tracing::info;

use super::Listeners;
use crate::config::{Config, Stores, WebPage};

/// Says which stores are used, and what should worry the operator.
pub(super) fn announce(config: &Config) {
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
    for warning in &config.warnings {
        warning.log();
    }
}

/// Where the service can be reached, as URLs.
pub(super) struct Addresses {
    api: String,
    health: String,
    /// The account page, if it is served.
    page: Option<String>,
}

impl Addresses {
    pub(super) fn of(listeners: &Listeners, web_page: WebPage) -> Self {
        let address = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
        };
        let (api, health) = (address(&listeners.api), address(&listeners.health));
        let page = (web_page == WebPage::On).then(|| format!("{api}/"));
        Self { api, health, page }
    }

    /// The last line of a start.
    pub(super) fn tell(&self) {
        let Self { api, health, page } = self;
        info!(page, docs = format!("{api}/docs"), api, health, "🚀 Ready");
    }
}
