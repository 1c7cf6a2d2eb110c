//! The account service of Discogsography.
fn main() {}
