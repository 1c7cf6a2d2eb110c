//! The service stops while clients come.

use std::io::Write as _;
use std::net::TcpStream;

use crate::harness::wire::{answer, head};
use crate::harness::{Composition, Setup};

/// So many that they are not all let in by chance.
const CLIENTS: usize = 20;

#[tokio::test]
async fn who_has_connected_and_was_not_let_in_yet_is_answered() {
    let mut app = Setup::new(Composition::Embedded).start().await;
    let address = app.url.trim_start_matches("http://");
    let request = head("GET", "/health/live", &[]);
    // The service has this thread, too, and gets it with the first `await`: after all of this.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.set_nonblocking(true).unwrap();
            tokio::net::TcpStream::from_std(client).unwrap()
        })
        .collect();
    app.begin_to_stop();
    for client in clients {
        assert_eq!(answer(client).await.status, 200);
    }
}
