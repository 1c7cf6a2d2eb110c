//! What a command depends on besides its configuration.

use oauth1::Consumer;

use crate::clock::Clock;
use crate::random::Random;

/// Time, randomness, and the sandbox.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The time of day.
    pub clock: Clock,
    /// Generates ids, salts and nonces.
    pub random: Random,
    /// The sandbox's credentials, if the service was started with one.
    pub sandbox_consumer: Option<Consumer>,
}
