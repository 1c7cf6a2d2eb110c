//! Encrypts the records of flows. Records that are not encrypted are read, too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use super::RecordForm;
use crate::expiring::{Change, Decide, Expiring, ExpiringError, Stored};
use crate::keyring::{Keyring, PlainText, Purpose};

/// Records that are stored encrypted if there is a key.
#[derive(Debug)]
pub struct Sealed {
    records: Arc<dyn Expiring>,
    keyring: Arc<Keyring>,
    form: RecordForm,
}

impl Sealed {
    /// Wraps `records`. With [`RecordForm::Python`], all are written unencrypted.
    #[must_use]
    pub fn new(records: Arc<dyn Expiring>, keyring: Arc<Keyring>, form: RecordForm) -> Self {
        Self { records, keyring, form }
    }
}

#[async_trait]
impl Expiring for Sealed {
    async fn ping(&self) -> Result<(), ExpiringError> {
        self.records.ping().await
    }

    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError> {
        self.records.put(key, &seal(&self.keyring, self.form, record), life).await
    }

    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError> {
        let (keyring, form) = (Arc::clone(&self.keyring), self.form);
        let decide: Decide = Arc::new(move |stored, now| {
            let opened: Vec<_> = stored.iter().map(|stored| open(&keyring, stored)).collect();
            decide(&opened, now)
                .into_iter()
                .map(|change| seal_change(&keyring, form, change))
                .collect()
        });
        self.records.replace(keys, decide).await
    }
}

/// A record that can't be decrypted is treated as missing.
fn open(keyring: &Keyring, stored: &Stored) -> Stored {
    let text = str::from_utf8(stored.as_deref()?).ok()?;
    let opened = keyring.open(Purpose::Flows, text, PlainText::Accepted).ok()?;
    Some(opened.expose_secret().as_bytes().to_vec())
}

fn seal_change(keyring: &Keyring, form: RecordForm, change: Change) -> Change {
    match change {
        Change::Nothing | Change::Delete => change,
        Change::Replace(record) => Change::Replace(seal(keyring, form, &record)),
        Change::Renew(record, life) => Change::Renew(seal(keyring, form, &record), life),
    }
}

fn seal(keyring: &Keyring, form: RecordForm, record: &str) -> String {
    match form {
        RecordForm::Own => keyring.seal(Purpose::Flows, record),
        RecordForm::Python => record.to_owned(),
    }
}
