//! A map that drops its oldest entry when it is full.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(crate) struct Bounded<K, V> {
    capacity: usize,
    entries: HashMap<K, V>,
    /// The keys of `entries`, oldest first.
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// Adds an entry; returns false and changes nothing if the key exists.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        if self.entries.contains_key(&key) {
            return false;
        }
        if self.entries.len() == self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, value);
        true
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// Removes an entry; returns whether it existed.
    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.order.retain(|ordered| ordered.borrow() != key);
        self.entries.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn the_oldest_entry_is_dropped_first() {
        let mut map = Bounded::new(2);
        assert!(map.insert("a", 1));
        assert!(map.insert("b", 2));
        assert!(map.insert("c", 3));
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (None, Some(&2), Some(&3)));
    }

    #[test]
    fn an_existing_key_keeps_its_value() {
        let mut map = Bounded::new(2);
        map.insert("a", 1);
        assert!(!map.insert("a", 2));
        assert_eq!(map.get("a"), Some(&1));
    }

    #[test]
    fn a_removed_entry_frees_its_place() {
        let mut map = Bounded::new(2);
        map.insert("a", 1);
        map.insert("b", 2);
        assert!(map.remove("a"));
        assert!(!map.remove("a"));
        map.insert("c", 3);
        assert_eq!((map.get("b"), map.get("c")), (Some(&2), Some(&3)));
        assert_eq!(map.order, ["b", "c"]);
    }
}
