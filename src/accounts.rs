//! User accounts, independent of HTTP: passwords, and the first admin.

pub mod first_admin;
pub mod password;
