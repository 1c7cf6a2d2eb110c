//! Hashing alone on one thread: the upper bound of a core.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use pbkdf2_lanes::{Job, derive};
use sha2::Sha256;

/// The same number as for a stored password.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

const PASSWORD: &[u8] = b"a password of usual length";
const SALT: &[u8] = &[7; 32];

/// How hashes are computed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    /// One after another, by the `pbkdf2` library.
    Library,
    /// Four at once, by `pbkdf2-lanes`.
    FourLanes,
}

/// Returns how many hashes one thread computes in a second.
pub(crate) fn per_second(way: Way, time: Duration) -> f64 {
    let begun = Instant::now();
    let mut made = 0_u32;
    while begun.elapsed() < time {
        made += hash(way);
    }
    f64::from(made) / begun.elapsed().as_secs_f64()
}

/// Computes some, and returns how many.
fn hash(way: Way) -> u32 {
    match way {
        Way::Library => {
            let key: [u8; 32] =
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(PASSWORD, SALT, ITERATIONS.get());
            black_box(key);
            1
        }
        Way::FourLanes => {
            let jobs = [Job { password: PASSWORD, salt: SALT }; 4];
            black_box(derive(&jobs, ITERATIONS));
            4
        }
    }
}
