//! The password queue with real workers: a flood from one network leaves room for others.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;

use discogsography_api::accounts::password::{PasswordError, Passwords, Requester};
use discogsography_api::metrics::Metrics;
use discogsography_api::model::{Network, Standing};
use discogsography_api::random::Random;

fn requester(standing: Standing, address: &str) -> Requester {
    let address: IpAddr = address.parse().unwrap();
    Requester { standing, network: Some(Network::around(address, 24, 48)) }
}

async fn polled<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[tokio::test]
async fn a_flood_of_one_network_leaves_room_for_others_and_for_known_devices() {
    let random = Random::from_system().unwrap();
    let passwords = Passwords::start(NonZeroUsize::MIN, random, Metrics::new()).unwrap();
    let verify = |requester| Box::pin(passwords.verify("password".into(), None, requester));
    let mut flood = Vec::new();
    let refused = loop {
        let address = format!("2001:db8:0:{:x}::1", flood.len());
        let mut one = verify(requester(Standing::Stranger, &address));
        match polled(one.as_mut()).await {
            Poll::Pending => flood.push(one),
            Poll::Ready(answer) => break answer,
        }
    };
    assert!(matches!(refused, Err(PasswordError::Overloaded { .. })), "{refused:?}");
    let (stranger, known) = tokio::join!(
        verify(requester(Standing::Stranger, "2001:db8:1::1")),
        verify(requester(Standing::Known, "2001:db8::1")),
    );
    assert_eq!((stranger, known), (Ok(false), Ok(false)));
    let mut displaced = 0;
    for one in &mut flood {
        match polled(one.as_mut()).await {
            Poll::Ready(Err(PasswordError::Overloaded { .. })) => displaced += 1,
            Poll::Ready(answer) => assert_eq!(answer, Ok(false)),
            Poll::Pending => {}
        }
    }
    assert!(displaced > 0, "of {} some made room", flood.len());
}
