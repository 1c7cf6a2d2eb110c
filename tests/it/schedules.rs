//! Random schedules: `verify` requests for one state, and registrations of one address.
//!
//! Checks what must hold in every order.
//!
//! `SCHEDULES=10000` runs more of them than the suite does.

use std::sync::Arc;

use discogsography_api::flows::{
    CLAIM_LEASE, ClaimId, Claimed, Flows, PendingAuthorization, REFUSALS_ALLOWED, Release,
};
use discogsography_api::model::{DiscogsToken, FlowEpoch, FlowOwner};
use discogsography_api::storage::StorageError;
use oauth1::Token;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use crate::harness::{Opened, new_user, on_both_stores};

const ALICE: FlowOwner = FlowOwner { user_id: Uuid::from_u128(1), epoch: FlowEpoch(0) };

/// How many schedules wait together for their leases to end, as Redis needs real time.
const AT_ONCE: u64 = 250;

on_both_stores!(verifies_in_any_order_use_a_state_once, registrations_in_any_order_make_one_user);

#[expect(clippy::disallowed_methods, reason = "a developer may ask for more schedules")]
fn schedules() -> u64 {
    std::env::var("SCHEDULES").map_or(1_000, |number| number.parse().unwrap())
}

/// A `verify` request and how far it got.
struct Finish {
    claim: ClaimId,
    at: At,
}

enum At {
    Begin,
    /// It holds the claim and must exchange the verifier.
    Exchange(PendingAuthorization),
    /// It has a token and must request the identity.
    Identity,
    End,
}

/// One state and the `verify` requests that compete for it.
struct Schedule {
    state: String,
    random: StdRng,
    requests: Vec<Finish>,
    holder: Option<usize>,
    granted: u32,
    refused: u32,
    is_removed: bool,
}

async fn verifies_in_any_order_use_a_state_once(opened: Opened) {
    for first in (0..schedules()).step_by(AT_ONCE.try_into().unwrap()) {
        let mut run = Vec::new();
        for seed in first..first + AT_ONCE {
            let mut schedule = Schedule::new(seed);
            opened.flows.put(&schedule.pending()).await.unwrap();
            schedule.run(&opened.flows).await;
            run.push(schedule);
        }
        opened.advance(CLAIM_LEASE).await;
        for schedule in run {
            schedule.assert_that_nothing_sticks(&opened.flows).await;
        }
    }
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let requests = (0..random.random_range(1..=5))
            .map(|number| Finish { claim: ClaimId(format!("{seed}-{number}")), at: At::Begin });
        Self {
            state: format!("state {seed}"),
            requests: requests.collect(),
            random,
            holder: None,
            granted: 0,
            refused: 0,
            is_removed: false,
        }
    }

    fn pending(&self) -> PendingAuthorization {
        let request_token = Token { token: self.state.clone(), secret: "secret".into() };
        PendingAuthorization { owner: ALICE, request_token, granted: None }
    }

    /// Advances requests in random order until all have ended or been killed.
    async fn run(&mut self, flows: &Flows) {
        loop {
            let waiting = self.requests.iter().enumerate();
            let waiting = waiting.filter(|(_, finish)| !matches!(finish.at, At::End));
            let waiting: Vec<_> = waiting.map(|(number, _)| number).collect();
            if waiting.is_empty() {
                return;
            }
            let number = waiting[self.random.random_range(0..waiting.len())];
            if self.random.random_bool(0.05) {
                // Killed: it does nothing more and keeps its claim.
                self.requests[number].at = At::End;
            } else {
                self.advance(number, flows).await;
            }
        }
    }

    async fn advance(&mut self, number: usize, flows: &Flows) {
        let claim = self.requests[number].claim.clone();
        let at = std::mem::replace(&mut self.requests[number].at, At::End);
        self.requests[number].at = match at {
            At::Begin => self.claim(number, &claim, flows).await,
            At::Exchange(pending) => self.exchange(pending, &claim, flows).await,
            At::Identity => self.identify(&claim, flows).await,
            At::End => At::End,
        };
    }

    async fn claim(&mut self, number: usize, claim: &ClaimId, flows: &Flows) -> At {
        match flows.claim(&self.state, ALICE, claim).await.unwrap() {
            Claimed::Yours(pending) => {
                assert_eq!(self.holder, None, "{}: two have it", self.state);
                assert!(!self.is_removed, "{}: it was used", self.state);
                let is_granted = pending.granted.is_some();
                assert_eq!(is_granted, self.granted > 0, "{}: what was granted", self.state);
                self.holder = Some(number);
                if is_granted { At::Identity } else { At::Exchange(pending) }
            }
            Claimed::Busy => {
                assert!(self.holder.is_some(), "{}: no finish has it", self.state);
                if self.random.random_bool(0.3) { At::Begin } else { At::End }
            }
            Claimed::Unknown => {
                let is_over = self.is_removed || self.refused == REFUSALS_ALLOWED;
                assert!(is_over, "{}: it is lost", self.state);
                At::End
            }
            Claimed::NotYours => panic!("{}: it is Alice's", self.state),
        }
    }

    /// Has Discogs grant, refuse or fail.
    async fn exchange(
        &mut self,
        mut pending: PendingAuthorization,
        claim: &ClaimId,
        flows: &Flows,
    ) -> At {
        match self.random.random_range(0..4) {
            0 => self.give_back(claim, Release::VerifierRefused, flows).await,
            1 => self.give_back(claim, Release::Failed, flows).await,
            _ => {
                self.granted += 1;
                assert_eq!(self.granted, 1, "{}: exchanged twice", self.state);
                let token = Token { token: "token".to_owned(), secret: "secret".into() };
                pending.granted = Some(DiscogsToken(token));
                flows.granted(claim, &pending).await.unwrap();
                At::Identity
            }
        }
    }

    async fn identify(&mut self, claim: &ClaimId, flows: &Flows) -> At {
        if self.random.random_bool(0.3) {
            return self.give_back(claim, Release::Failed, flows).await;
        }
        flows.remove(&self.state, claim).await.unwrap();
        (self.holder, self.is_removed) = (None, true);
        At::End
    }

    async fn give_back(&mut self, claim: &ClaimId, why: Release, flows: &Flows) -> At {
        flows.release(&self.state, claim, why).await.unwrap();
        self.holder = None;
        self.refused += u32::from(why == Release::VerifierRefused);
        if self.random.random_bool(0.5) { At::Begin } else { At::End }
    }

    /// Asserts that after the leases ended, another `verify` gets the state unless it was used.
    async fn assert_that_nothing_sticks(mut self, flows: &Flows) {
        self.holder = None;
        let claim = ClaimId("one more".to_owned());
        let at = self.claim(usize::MAX, &claim, flows).await;
        let is_over = self.is_removed || self.refused == REFUSALS_ALLOWED;
        assert_eq!(matches!(at, At::End), is_over, "{}", self.state);
    }
}

async fn registrations_in_any_order_make_one_user(opened: Opened) {
    for number in 0..schedules() / 10 {
        let email = format!("{number}@example.com");
        let racing = (0..5).map(|_| {
            let new = new_user(&email);
            let storage = Arc::clone(&opened.storage);
            tokio::spawn(async move { storage.create_user(&new).await })
        });
        let mut made = Vec::new();
        for race in racing.collect::<Vec<_>>() {
            match race.await.unwrap() {
                Ok(user) => made.push(user.id),
                Err(StorageError::EmailTaken) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let kept = opened.storage.user_by_email(&email).await.unwrap().unwrap();
        assert_eq!(made, [kept.user.id], "{email}");
    }
}
