//! Serves HTTP/1.1 on one port, with limits on connections, time and memory.
//!
//! [`serve`] passes each request to an [`Answer`], usually an async function, and tells an
//! [`Observer`] what there is to count and to log. This crate must not depend on what is served,
//! nor on how it is configured or measured.

mod answer;
mod connections;
mod door;
mod listen;
mod observer;
mod pause;
mod request_body;
mod response_body;
mod serving;
mod stream;

pub use answer::{Answer, Arrival};
pub use door::{Settings, serve};
pub use listen::{bind, connections_within_file_limit};
pub use observer::{Observer, Warning};
pub use request_body::RequestBody;
