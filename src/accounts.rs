//! What belongs to users and not to HTTP: passwords, and the first admin.

pub mod first_admin;
pub mod password;
