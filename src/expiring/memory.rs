//! A limited number of records in this process's memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Change, Decide, Expiring, ExpiringError, Stored};
use crate::clock::{Clock, Timestamp};

/// How often expired records are removed, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// [`Expiring`] in memory; at capacity, each new record replaces an arbitrary one.
#[derive(Debug)]
pub struct MemoryRecords {
    clock: Clock,
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    by_key: HashMap<String, Entry>,
    next_sweep: Timestamp,
}

#[derive(Debug)]
struct Entry {
    text: String,
    expires_at: Timestamp,
}

impl MemoryRecords {
    /// Creates a store of at most `capacity` records.
    #[must_use]
    pub fn new(clock: Clock, capacity: usize) -> Self {
        let entries = Entries { by_key: HashMap::new(), next_sweep: clock.now() };
        Self { clock, capacity, entries: Mutex::new(entries) }
    }

    /// Like [`Expiring::replace`], but does not wait; returns the outcome of `decide`.
    pub fn update_now<T>(
        &self,
        keys: &[String],
        decide: impl FnOnce(&[Stored], Timestamp) -> (Vec<Change>, T),
    ) -> T {
        let now = self.clock.now();
        let mut entries = self.lock();
        let stored: Vec<_> = keys.iter().map(|key| entries.read(key, now)).collect();
        let (changes, outcome) = decide(&stored, now);
        entries.write_all(keys, changes, now, self.capacity);
        outcome
    }

    /// Writes records regardless of what is stored.
    pub fn write_now(&self, keys: &[String], changes: Vec<Change>) {
        let now = self.clock.now();
        self.lock().write_all(keys, changes, now, self.capacity);
    }

    /// Returns the number of records in memory, including expired ones.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Expiring for MemoryRecords {
    async fn ping(&self) -> Result<(), ExpiringError> {
        Ok(())
    }

    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError> {
        self.write_now(&[key.to_owned()], vec![Change::Renew(record.to_owned(), life)]);
        Ok(())
    }

    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError> {
        self.update_now(keys, |stored, now| (decide(stored, now), ()));
        Ok(())
    }
}

impl Entries {
    fn read(&self, key: &str, now: Timestamp) -> Stored {
        let entry = self.by_key.get(key).filter(|entry| entry.expires_at > now)?;
        Some(entry.text.clone().into_bytes())
    }

    fn write_all(
        &mut self,
        keys: &[String],
        changes: Vec<Change>,
        now: Timestamp,
        capacity: usize,
    ) {
        for (key, change) in keys.iter().zip(changes) {
            match change {
                Change::Nothing => {}
                Change::Replace(text) => {
                    if let Some(entry) = self.by_key.get_mut(key) {
                        entry.text = text;
                    }
                }
                Change::Renew(text, life) => {
                    if !self.by_key.contains_key(key) {
                        self.make_room(now, capacity);
                    }
                    let entry = Entry { text, expires_at: now.plus(life) };
                    self.by_key.insert(key.clone(), entry);
                }
                Change::Delete => {
                    self.by_key.remove(key);
                }
            }
        }
    }

    fn make_room(&mut self, now: Timestamp, capacity: usize) {
        if now >= self.next_sweep {
            self.by_key.retain(|_, entry| entry.expires_at > now);
            self.next_sweep = now.plus(SWEEP_INTERVAL);
        }
        if self.by_key.len() >= capacity
            && let Some(key) = self.by_key.keys().next().cloned()
        {
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Change, Clock, MemoryRecords, Timestamp};

    const MINUTE: Duration = Duration::from_secs(60);

    fn records() -> (MemoryRecords, Clock) {
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        (MemoryRecords::new(clock.clone(), 100), clock)
    }

    fn put(records: &MemoryRecords, key: &str) {
        records.write_now(&[key.to_owned()], vec![Change::Renew("{}".to_owned(), MINUTE)]);
    }

    #[test]
    fn expired_records_are_removed() {
        let (records, clock) = records();
        (0..100).for_each(|number| put(&records, &number.to_string()));
        clock.advance(MINUTE);
        put(&records, "one more");
        assert_eq!(records.len(), 1);
    }

    #[test]
    fn the_capacity_is_never_exceeded() {
        let (records, _) = records();
        (0..110).for_each(|number| put(&records, &number.to_string()));
        assert_eq!(records.len(), 100);
        put(&records, "109");
        assert_eq!(records.len(), 100);
    }
}
