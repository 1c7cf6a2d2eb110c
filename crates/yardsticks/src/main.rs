//! Yardsticks for the speed of the service, for `scripts/try bench`.
//!
//! A route that does nothing, hashing alone, and a client with a steady request rate. Each prints
//! figures for a program to read. This program must not depend on the service.

mod bare;
mod hashes;
mod pace;

use std::io::Write as _;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    yardstick: Yardstick,
}

#[derive(Subcommand)]
enum Yardstick {
    /// Serves one axum route that answers a constant, on 127.0.0.1, until it is killed.
    Bare {
        /// The port.
        port: u16,
    },
    /// Prints how many password hashes one thread computes in a second.
    Hashes {
        /// How they are computed.
        way: hashes::Way,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Sends requests at a steady rate over one connection; prints response times in milliseconds:
    /// the 50th and the 99th percentile, and the longest.
    Pace {
        /// `127.0.0.1:8004`
        address: std::net::SocketAddr,
        /// `/health`
        path: String,
        /// Requests per second.
        rate: u32,
        /// For how long, in seconds.
        seconds: u64,
        /// An access token to send.
        token: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let text = match Arguments::parse().yardstick {
        Yardstick::Bare { port } => return bare::serve(port),
        Yardstick::Hashes { way, seconds } => {
            format!("{:.2}", hashes::per_second(way, Duration::from_secs(seconds)))
        }
        Yardstick::Pace { address, path, rate, seconds, token } => {
            let request = pace::request(&path, token.as_deref());
            let mut times = pace::ask(address, &request, rate, Duration::from_secs(seconds))?;
            times.sort_unstable();
            let [middle, high, longest] =
                [0.5, 0.99, 1.0].map(|part| pace::percentile(&times, part));
            format!("{middle:.3} {high:.3} {longest:.3}")
        }
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
