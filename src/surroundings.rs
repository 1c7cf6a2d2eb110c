//! What the program gets from outside besides its configuration.

use oauth1::Consumer;

use crate::clock::Clock;
use crate::random::Random;

/// Time, randomness, and the sandbox.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Tells the time.
    pub clock: Clock,
    /// Draws ids, salts, nonces.
    pub random: Random,
    /// The sandbox's credentials, where the service was started with one.
    pub sandbox_consumer: Option<Consumer>,
}
