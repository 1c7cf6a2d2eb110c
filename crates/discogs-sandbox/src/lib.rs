//! A stand-in for the parts of Discogs that an OAuth 1.0a client meets.
//!
//! It checks what Discogs checks (consumer, HMAC-SHA1 or PLAINTEXT signature, nonce, timestamp,
//! `User-Agent`, verifier), shows a page to approve on, keeps the rate limit, and can be told to
//! misbehave. It accepts the requests of published clients: `scripts/check-clients` tries them.
//! Where it is open how Discogs behaves, [`Options`] has both readings. It holds everything in
//! memory, within bounds, and must not know the service that talks to it.
//!
//! To read on: [`Sandbox`] is what a test holds; `server` accepts connections and breaks them;
//! `routes` has the addresses, `page` what a person sees; `desk` is Discogs itself, without any
//! I/O; `script` keeps what a test has ordered and what was called.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use discogs_sandbox::{Fault, Options, Sandbox, Step};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let clock = Arc::new(|| Duration::from_secs(1_790_000_000));
//! let sandbox = Sandbox::start(listener, Options::new(clock, 7))?;
//! sandbox.order(Step::RequestToken, Fault::Reset);
//! assert!(sandbox.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(sandbox.calls(Step::RequestToken), []);
//! # Ok(())
//! # }
//! ```

mod answer;
mod check;
mod desk;
mod fault;
mod options;
mod page;
mod routes;
mod sandbox;
mod script;
mod server;

pub use desk::ApprovalError;
pub use fault::{Canned, Fault};
pub use options::{
    BadSignature, Clock, Identity, Options, RefusedStatus, TokenSteps, VerifierAlphabet,
};
pub use sandbox::Sandbox;
pub use script::{Hold, RecordedCall, Step, Stopped};
