//! A limited number of marks in memory. This module must not depend on Redis.
//!
//! A mark is kept until it expires, also if it is read again with a shorter life, or no longer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How many marks are removed at once, so that requests wait only briefly.
const CHUNK: usize = 1_000;

/// How many more marks than necessary are removed at the limit, so that this happens rarely.
const SPARE_PERCENT: usize = 1;

/// Identifies a token by its `jti`, which may have any length: the first half of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenId([u8; 16]);

/// A mark as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) revoked: Revoked,
    /// The remaining life; `None` if the mark never expires.
    pub(super) life: Option<Duration>,
}

/// The tokens that a mark revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revoked {
    /// One token.
    Token(TokenId),
    /// The user's tokens that were issued until then, in seconds since the Unix epoch.
    Until(Uuid, i64),
}

/// Marks that a single task changes and every request reads.
pub(super) struct Marks {
    most: usize,
    began: Instant,
    kept: RwLock<Kept>,
}

/// In whole seconds after [`Marks::began`], rounded up.
type Expiry = u32;

const NEVER: Expiry = Expiry::MAX;

#[derive(Default)]
struct Kept {
    tokens: HashMap<TokenId, Expiry>,
    users: HashMap<Uuid, (i64, Expiry)>,
}

impl TokenId {
    pub(super) fn of(jti: &[u8]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(Sha256::digest(jti).split_at(16).0);
        Self(id)
    }
}

impl Marks {
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self { most, began: now, kept: RwLock::default() }
    }

    pub(super) fn is_revoked(
        &self,
        user_id: Uuid,
        issued_at: Option<i64>,
        token: Option<TokenId>,
    ) -> bool {
        let (of_token, of_user) = {
            let kept = self.read();
            let of_token = token.and_then(|token| kept.tokens.get(&token).copied());
            (of_token, kept.users.get(&user_id).copied())
        };
        let of_user = of_user.filter(|(until, _)| issued_at.is_none_or(|at| at <= *until));
        let expiries = [of_token, of_user.map(|(_, expiry)| expiry)];
        // The time is only read for a token that has a mark.
        expiries.into_iter().flatten().any(|expiry| !self.has_expired(expiry, Instant::now()))
    }

    /// Keeps marks; returns whether some had to be removed to stay within the limit.
    pub(super) fn keep(&self, marks: &[Mark], now: Instant) -> bool {
        self.insert(marks, now);
        if self.len() <= self.most {
            return false;
        }
        self.sweep(now);
        let excess = self.len().saturating_sub(self.most);
        if excess > 0 {
            self.remove_soonest(excess + self.most * SPARE_PERCENT / 100);
        }
        excess > 0
    }

    fn insert(&self, marks: &[Mark], now: Instant) {
        let mut kept = self.write();
        for Mark { revoked, life } in marks {
            let expiry = life.map_or(NEVER, |life| self.expiry(now + life));
            match *revoked {
                Revoked::Token(id) => {
                    let known = kept.tokens.entry(id).or_default();
                    *known = expiry.max(*known);
                }
                Revoked::Until(user_id, until) => {
                    let known = kept.users.entry(user_id).or_insert((until, expiry));
                    *known = (until.max(known.0), expiry.max(known.1));
                }
            }
        }
    }

    /// Removes expired marks.
    pub(super) fn sweep(&self, now: Instant) {
        let (tokens, users) = {
            let kept = self.read();
            let is_over = |expiry: &Expiry| self.has_expired(*expiry, now);
            let tokens = kept.tokens.iter().filter(|(_, expiry)| is_over(expiry));
            let users = kept.users.iter().filter(|(_, (_, expiry))| is_over(expiry));
            (keys(tokens), keys(users))
        };
        self.remove(&tokens, &users);
    }

    /// Removes the marks that expire first.
    fn remove_soonest(&self, count: usize) {
        let (tokens, users) = {
            let kept = self.read();
            let tokens = kept.tokens.iter().map(|(id, expiry)| (*expiry, Ok(*id)));
            let users = kept.users.iter().map(|(id, (_, expiry))| (*expiry, Err(*id)));
            let mut all: Vec<(Expiry, Result<TokenId, Uuid>)> = tokens.chain(users).collect();
            if count < all.len() {
                all.select_nth_unstable_by_key(count, |(expiry, _)| *expiry);
                all.truncate(count);
            }
            let tokens = all.iter().filter_map(|(_, id)| id.ok()).collect::<Vec<_>>();
            (tokens, all.iter().filter_map(|(_, id)| id.err()).collect::<Vec<_>>())
        };
        self.remove(&tokens, &users);
    }

    fn remove(&self, tokens: &[TokenId], users: &[Uuid]) {
        for ids in tokens.chunks(CHUNK) {
            let mut kept = self.write();
            for id in ids {
                kept.tokens.remove(id);
            }
        }
        for ids in users.chunks(CHUNK) {
            let mut kept = self.write();
            for id in ids {
                kept.users.remove(id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        let (tokens, users) = self.count();
        tokens + users
    }

    /// Returns how many tokens and how many users have a mark.
    pub(super) fn count(&self) -> (usize, usize) {
        let kept = self.read();
        (kept.tokens.len(), kept.users.len())
    }

    fn expiry(&self, at: Instant) -> Expiry {
        let after = at.saturating_duration_since(self.began).as_secs().saturating_add(1);
        Expiry::try_from(after).unwrap_or(NEVER)
    }

    fn has_expired(&self, expiry: Expiry, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.began).as_secs();
        expiry != NEVER && passed >= u64::from(expiry)
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys<'a, K: Copy + Eq + Hash + 'a, V: 'a>(entries: impl Iterator<Item = (&'a K, V)>) -> Vec<K> {
    entries.map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use uuid::Uuid;

    use super::{Mark, Marks, Revoked, TokenId};

    const ALICE: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);
    const MINUTE: Duration = Duration::from_secs(60);

    fn id(number: u64) -> TokenId {
        TokenId::of(&number.to_le_bytes())
    }

    fn token(number: u64, life: Duration) -> Mark {
        Mark { revoked: Revoked::Token(id(number)), life: Some(life) }
    }

    fn changed(user_id: Uuid, at: i64, life: Duration) -> Mark {
        Mark { revoked: Revoked::Until(user_id, at), life: Some(life) }
    }

    fn marks() -> Marks {
        Marks::new(100, Instant::now())
    }

    #[test]
    fn a_mark_of_a_token_revokes_only_that_token() {
        let marks = marks();
        marks.keep(&[token(1, MINUTE)], Instant::now());
        assert!(marks.is_revoked(ALICE, Some(5), Some(id(1))));
        assert!(marks.is_revoked(BOB, None, Some(id(1))));
        assert!(!marks.is_revoked(ALICE, Some(5), Some(id(2))));
        assert!(!marks.is_revoked(ALICE, Some(5), None));
    }

    #[test]
    fn a_mark_of_a_user_revokes_the_tokens_issued_until_then() {
        let marks = marks();
        marks.keep(&[changed(ALICE, 100, MINUTE)], Instant::now());
        for (issued_at, is_revoked) in [(99, true), (100, true), (101, false), (i64::MIN, true)] {
            assert_eq!(marks.is_revoked(ALICE, Some(issued_at), Some(id(1))), is_revoked);
        }
        assert!(marks.is_revoked(ALICE, None, None), "a token without `iat` is as old as any");
        assert!(!marks.is_revoked(BOB, Some(99), None));
    }

    #[test]
    fn an_older_mark_does_not_replace_a_newer_one() {
        let marks = marks();
        let now = Instant::now();
        marks.keep(&[changed(ALICE, 100, 2 * MINUTE), token(1, 2 * MINUTE)], now);
        marks.keep(&[changed(ALICE, 50, MINUTE), token(1, MINUTE)], now);
        marks.sweep(now + Duration::from_secs(119));
        assert!(marks.is_revoked(ALICE, Some(100), None));
        assert!(marks.is_revoked(BOB, None, Some(id(1))));
    }

    #[test]
    fn a_mark_is_kept_until_it_expires() {
        let now = Instant::now();
        let marks = Marks::new(100, now);
        let forever = Mark { revoked: Revoked::Token(id(2)), life: None };
        marks.keep(&[token(1, MINUTE), changed(ALICE, 1, MINUTE), forever], now);
        marks.sweep(now + MINUTE);
        assert_eq!(marks.count(), (2, 1));
        marks.sweep(now + MINUTE + Duration::from_secs(1));
        assert_eq!(marks.count(), (1, 0));
        assert!(!marks.has_expired(super::NEVER, now + 1_000_000 * MINUTE));
    }

    #[test]
    fn an_expired_mark_counts_no_longer_even_before_it_is_removed() {
        let began = Instant::now().checked_sub(2 * MINUTE).unwrap();
        let marks = Marks::new(100, began);
        marks.keep(&[token(1, MINUTE), changed(ALICE, 9, MINUTE)], began);
        assert_eq!(marks.len(), 2);
        assert!(!marks.is_revoked(ALICE, Some(1), Some(id(1))));
    }

    #[test]
    fn at_the_limit_the_marks_that_expire_last_stay() {
        let (marks, now) = (marks(), Instant::now());
        let life = |number: u64| Duration::from_secs(1_000 + number);
        let many: Vec<_> = (0..99).map(|number| token(number, life(number))).collect();
        assert!(!marks.keep(&many, now));
        assert!(!marks.keep(&[changed(ALICE, 9, Duration::from_secs(1))], now));
        assert!(marks.keep(&[token(99, life(99))], now), "101 are too many");
        // The user's mark expired first; one more makes room for the next.
        assert_eq!(marks.count(), (99, 0));
        assert!(!marks.is_revoked(BOB, None, Some(id(0))));
        assert!((1..100).all(|number| marks.is_revoked(BOB, None, Some(id(number)))));
    }

    #[test]
    fn marks_that_expire_together_are_not_all_removed() {
        let (marks, now) = (marks(), Instant::now());
        let many: Vec<_> = (0..150).map(|number| token(number, MINUTE)).collect();
        assert!(marks.keep(&many, now));
        assert_eq!(marks.len(), 99);
    }

    #[test]
    fn expired_marks_make_room_for_others() {
        let now = Instant::now();
        let marks = Marks::new(100, now);
        let many = |from: u64| (from..from + 80).map(|number| token(number, MINUTE));
        marks.keep(&many(0).collect::<Vec<_>>(), now);
        assert!(!marks.keep(&many(100).collect::<Vec<_>>(), now + 2 * MINUTE));
        assert_eq!(marks.len(), 80);
    }
}
