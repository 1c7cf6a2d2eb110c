//! What pending flows guarantee, tested in both stores.

use std::time::Duration;

use discogsography_api::flows::{
    CLAIM_LEASE, ClaimId, Claimed, PendingAuthorization, Release, STATE_LIFE,
};
use discogsography_api::model::{DiscogsToken, FlowEpoch, FlowOwner};
use oauth1::Token;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::harness::{Opened, on_both_stores};

const ALICE: FlowOwner = FlowOwner { user_id: Uuid::from_u128(1), epoch: FlowEpoch(7) };
const BOB: FlowOwner = FlowOwner { user_id: Uuid::from_u128(2), epoch: FlowEpoch(7) };
/// Alice, after her pending flows were ended.
const ALICE_LATER: FlowOwner = FlowOwner { epoch: FlowEpoch(8), ..ALICE };
/// The real time that a test may take, which also passes in Redis.
const MARGIN: Duration = Duration::from_secs(5);
const MILLISECOND: Duration = Duration::from_millis(1);

on_both_stores!(
    a_state_can_be_claimed_once,
    one_of_fifty_concurrent_claims_succeeds,
    a_state_belongs_to_the_user_who_started_it,
    a_claim_can_be_released,
    a_claim_ends_with_its_lease,
    a_repeated_claim_is_the_same_claim,
    a_state_expires_on_time,
    a_claim_and_its_release_do_not_extend_the_life,
    the_third_refused_verifier_deletes_the_state,
    a_granted_token_is_kept_for_another_life,
    a_granted_token_is_kept_when_the_state_has_just_expired,
    a_removed_state_is_gone,
    a_state_of_an_ended_flow_is_unknown_and_removed,
    a_late_finish_does_not_disturb_its_successor,
    states_of_any_characters_are_kept_apart,
    a_state_that_was_never_put_is_unknown,
);

fn pending(state: &str) -> PendingAuthorization {
    let request_token = Token { token: state.to_owned(), secret: "request secret".into() };
    PendingAuthorization { owner: ALICE, request_token, granted: None }
}

fn claim(name: &str) -> ClaimId {
    ClaimId(name.to_owned())
}

async fn started(opened: &Opened, state: &str) {
    opened.flows.put(&pending(state)).await.unwrap();
}

/// Claims a state for Alice; returns the result as a word.
async fn claimed(opened: &Opened, state: &str, by: &str) -> &'static str {
    word(&opened.flows.claim(state, ALICE, &claim(by)).await.unwrap())
}

fn word(claimed: &Claimed) -> &'static str {
    match claimed {
        Claimed::Yours(_) => "yours",
        Claimed::Busy => "busy",
        Claimed::NotYours => "not yours",
        Claimed::Unknown => "unknown",
    }
}

async fn a_state_can_be_claimed_once(opened: Opened) {
    started(&opened, "state").await;
    let Claimed::Yours(found) = opened.flows.claim("state", ALICE, &claim("a")).await.unwrap()
    else {
        panic!("the state is there")
    };
    assert_eq!(found.owner, ALICE);
    assert_eq!(found.request_token.token, "state");
    assert_eq!(found.request_token.secret.expose_secret(), "request secret");
    assert!(found.granted.is_none());
    assert_eq!(claimed(&opened, "state", "b").await, "busy");
}

async fn one_of_fifty_concurrent_claims_succeeds(opened: Opened) {
    started(&opened, "state").await;
    let claims = (0..50).map(|number| {
        let flows = opened.flows.clone();
        tokio::spawn(async move {
            word(&flows.claim("state", ALICE, &claim(&number.to_string())).await.unwrap())
        })
    });
    let mut words = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        words.push(claim.await.unwrap());
    }
    words.sort_unstable();
    assert_eq!(words.pop(), Some("yours"));
    assert!(words.iter().all(|word| *word == "busy"), "{words:?}");
}

async fn a_state_belongs_to_the_user_who_started_it(opened: Opened) {
    started(&opened, "state").await;
    for _ in 0..5 {
        let by_bob = opened.flows.claim("state", BOB, &claim("b")).await.unwrap();
        assert_eq!(word(&by_bob), "not yours");
    }
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    let by_bob = opened.flows.claim("state", BOB, &claim("b")).await.unwrap();
    assert_eq!(word(&by_bob), "not yours");
}

async fn a_claim_can_be_released(opened: Opened) {
    started(&opened, "state").await;
    for _ in 0..10 {
        assert_eq!(claimed(&opened, "state", "a").await, "yours");
        opened.flows.release("state", &claim("b"), Release::Failed).await.unwrap();
        assert_eq!(claimed(&opened, "state", "b").await, "busy");
        for _ in 0..2 {
            opened.flows.release("state", &claim("a"), Release::Failed).await.unwrap();
        }
    }
    assert_eq!(claimed(&opened, "state", "b").await, "yours");
}

async fn a_claim_ends_with_its_lease(opened: Opened) {
    started(&opened, "state").await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    opened.advance(CLAIM_LEASE.saturating_sub(MARGIN)).await;
    assert_eq!(claimed(&opened, "state", "b").await, "busy");
    opened.advance(MARGIN).await;
    assert_eq!(claimed(&opened, "state", "b").await, "yours");
}

async fn a_repeated_claim_is_the_same_claim(opened: Opened) {
    started(&opened, "state").await;
    for _ in 0..3 {
        assert_eq!(claimed(&opened, "state", "a").await, "yours");
    }
}

async fn a_state_expires_on_time(opened: Opened) {
    started(&opened, "state").await;
    opened.advance(STATE_LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    opened.advance(MARGIN).await;
    assert_eq!(claimed(&opened, "state", "a").await, "unknown");
    let by_bob = opened.flows.claim("state", BOB, &claim("b")).await.unwrap();
    assert_eq!(word(&by_bob), "unknown");
}

async fn a_claim_and_its_release_do_not_extend_the_life(opened: Opened) {
    started(&opened, "state").await;
    opened.advance(STATE_LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    opened.flows.release("state", &claim("a"), Release::Failed).await.unwrap();
    opened.advance(MARGIN).await;
    assert_eq!(claimed(&opened, "state", "a").await, "unknown");
}

async fn the_third_refused_verifier_deletes_the_state(opened: Opened) {
    started(&opened, "state").await;
    for name in ["a", "b", "c"] {
        assert_eq!(claimed(&opened, "state", name).await, "yours");
        opened.flows.release("state", &claim(name), Release::Failed).await.unwrap();
        assert_eq!(claimed(&opened, "state", name).await, "yours");
        for _ in 0..2 {
            let why = Release::VerifierRefused;
            opened.flows.release("state", &claim(name), why).await.unwrap();
        }
    }
    assert_eq!(claimed(&opened, "state", "d").await, "unknown");
}

fn granted(state: &str) -> PendingAuthorization {
    let token = Token { token: "access".to_owned(), secret: "access secret".into() };
    PendingAuthorization { granted: Some(DiscogsToken(token)), ..pending(state) }
}

async fn a_granted_token_is_kept_for_another_life(opened: Opened) {
    started(&opened, "state").await;
    opened.advance(STATE_LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    for _ in 0..2 {
        opened.flows.granted(&claim("a"), &granted("state")).await.unwrap();
    }
    assert_eq!(claimed(&opened, "state", "b").await, "busy");
    opened.flows.release("state", &claim("a"), Release::Failed).await.unwrap();
    opened.advance(STATE_LIFE.saturating_sub(MARGIN)).await;
    let Claimed::Yours(found) = opened.flows.claim("state", ALICE, &claim("b")).await.unwrap()
    else {
        panic!("the state is there")
    };
    let DiscogsToken(token) = found.granted.unwrap();
    assert_eq!((token.token.as_str(), token.secret.expose_secret()), ("access", "access secret"));
    assert_eq!(found.request_token.secret.expose_secret(), "request secret");
}

async fn a_granted_token_is_kept_when_the_state_has_just_expired(opened: Opened) {
    started(&opened, "state").await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    opened.advance(STATE_LIFE + MILLISECOND).await;
    opened.flows.granted(&claim("a"), &granted("state")).await.unwrap();
    opened.flows.release("state", &claim("a"), Release::Failed).await.unwrap();
    let found = opened.flows.claim("state", ALICE, &claim("b")).await.unwrap();
    assert!(matches!(found, Claimed::Yours(PendingAuthorization { granted: Some(_), .. })));
}

async fn a_removed_state_is_gone(opened: Opened) {
    started(&opened, "state").await;
    assert_eq!(claimed(&opened, "state", "a").await, "yours");
    for _ in 0..2 {
        opened.flows.remove("state", &claim("a")).await.unwrap();
        assert_eq!(claimed(&opened, "state", "b").await, "unknown");
    }
}

async fn a_state_of_an_ended_flow_is_unknown_and_removed(opened: Opened) {
    let claimed_later =
        async |state| word(&opened.flows.claim(state, ALICE_LATER, &claim("later")).await.unwrap());
    for state in ["started", "claimed", "granted"] {
        started(&opened, state).await;
        if state != "started" {
            assert_eq!(claimed(&opened, state, "a").await, "yours");
        }
        if state == "granted" {
            opened.flows.granted(&claim("a"), &granted(state)).await.unwrap();
            opened.flows.release(state, &claim("a"), Release::Failed).await.unwrap();
        }
        assert_eq!(claimed_later(state).await, "unknown", "{state}");
        assert_eq!(claimed(&opened, state, "a").await, "unknown", "{state} is removed");
    }
    // A running finish may still write its token afterwards, which is useless.
    opened.flows.granted(&claim("a"), &granted("claimed")).await.unwrap();
    assert_eq!(claimed_later("claimed").await, "unknown");
    started(&opened, "another's").await;
    let by_bob = opened.flows.claim("another's", BOB, &claim("b")).await.unwrap();
    assert_eq!(word(&by_bob), "not yours");
}

async fn a_late_finish_does_not_disturb_its_successor(opened: Opened) {
    started(&opened, "state").await;
    assert_eq!(claimed(&opened, "state", "late").await, "yours");
    opened.advance(CLAIM_LEASE).await;
    assert_eq!(claimed(&opened, "state", "next").await, "yours");
    opened.flows.release("state", &claim("late"), Release::VerifierRefused).await.unwrap();
    opened.flows.remove("state", &claim("late")).await.unwrap();
    assert_eq!(claimed(&opened, "state", "third").await, "busy");
    opened.flows.granted(&claim("late"), &granted("state")).await.unwrap();
    assert_eq!(claimed(&opened, "state", "third").await, "busy");
    opened.flows.release("state", &claim("next"), Release::Failed).await.unwrap();
    let found = opened.flows.claim("state", ALICE, &claim("third")).await.unwrap();
    assert!(matches!(found, Claimed::Yours(PendingAuthorization { granted: Some(_), .. })));
}

async fn states_of_any_characters_are_kept_apart(opened: Opened) {
    let states = ["a", "A", "a ", "a\0", "a\0b", "ä", "🎧", "a\n", "*", "a:b", "{a}"];
    for state in states {
        started(&opened, state).await;
    }
    for state in states {
        assert_eq!(claimed(&opened, state, "a").await, "yours", "{state:?}");
        opened.flows.remove(state, &claim("a")).await.unwrap();
        assert_eq!(claimed(&opened, state, "a").await, "unknown", "{state:?}");
    }
}

async fn a_state_that_was_never_put_is_unknown(opened: Opened) {
    assert_eq!(claimed(&opened, "state", "a").await, "unknown");
    opened.flows.release("state", &claim("a"), Release::Failed).await.unwrap();
    opened.flows.remove("state", &claim("a")).await.unwrap();
    assert_eq!(claimed(&opened, "state", "a").await, "unknown");
    opened.flows.ping().await.unwrap();
}
