//! What knows users and no HTTP.

pub mod first_admin;
pub mod password;
