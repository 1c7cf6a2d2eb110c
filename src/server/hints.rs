//! What the operator of a new service does next, said at a start while there is something to do.

use tracing::info;

use crate::model::ConfigEntry;
use crate::storage::Storage;

/// Says it; where the storage fails there is nothing to say that health would not.
pub(super) async fn tell(storage: &dyn Storage, has_sandbox: bool) {
    let (Ok(entries), Ok(admins)) = (storage.config().await, storage.admins().await) else {
        return;
    };
    if !has_sandbox && ConfigEntry::consumer(&entries).is_none() {
        info!(
            set = "discogsography-api discogs-setup --consumer-key KEY --consumer-secret SECRET",
            try_offline = "discogsography-api serve --sandbox",
            "🔧 Nobody can connect Discogs yet: the app's credentials are not set"
        );
    }
    if admins.is_empty() {
        let grant = if has_sandbox {
            "discogsography-api admin grant EMAIL --sandbox"
        } else {
            "discogsography-api admin grant EMAIL"
        };
        info!(grant, "🔧 Nobody is an admin yet: register first, then grant it");
    }
}
