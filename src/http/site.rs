//! The pages: the account page and the documentation of the API, from files in the program.

mod asset;
pub(super) mod docs;
pub(super) mod page;
