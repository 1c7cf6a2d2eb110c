//! The account page and the API documentation, from files embedded in the program.

mod asset;
pub(super) mod docs;
pub(super) mod page;
