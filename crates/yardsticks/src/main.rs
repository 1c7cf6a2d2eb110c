//! What the service's speed is measured against, for `scripts/try bench`.
//!
//! A route that does nothing, hashing that does nothing else, and a client that asks at a steady
//! pace: each prints figures for a program to read. Must not know the service.

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
    /// Prints how many password hashes one thread makes in a second.
    Hashes {
        /// How they are made.
        way: hashes::Way,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Asks at a steady pace over one connection; prints the percentiles of the answers' times
    /// in milliseconds: the 50th, the 99th, the longest.
    Pace {
        /// `127.0.0.1:8004`
        address: std::net::SocketAddr,
        /// `/health`
        path: String,
        /// Requests in a second.
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
