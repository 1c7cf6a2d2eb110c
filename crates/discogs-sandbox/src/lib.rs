//! A stand-in for the parts of Discogs that an OAuth 1.0a client uses.
//!
//! It checks what Discogs checks (consumer, HMAC-SHA1 or PLAINTEXT signature, nonce, timestamp,
//! `User-Agent`, verifier), shows a page for approval, enforces the rate limit, and misbehaves on
//! request. It accepts the requests of published clients: `scripts/check-clients` runs them. Where
//! Discogs's behaviour is not documented, [`Options`] has both variants. It keeps everything in
//! memory, within limits, and must not depend on the service that calls it.
//!
//! A test holds a [`Sandbox`]. `server` accepts connections and breaks them; `routes` has the paths
//! and `page` the pages; `desk` is Discogs itself, without I/O; `script` keeps the requested faults
//! and the calls.
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
