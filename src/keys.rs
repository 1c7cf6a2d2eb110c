//! Encrypts, decrypts and re-encrypts the secrets of a whole database (docs/operations/encryption.md).
//!
//! `fit` checks a database against the configured keys. This module must not depend on HTTP.

mod fit;
mod reseal;

pub use fit::{Misfit, can_start_afresh, check_fits, fit};
pub use reseal::{
    Direction, Progress, Resealed, TableTally, Tally, clear_unreadable, reseal, tally,
};
