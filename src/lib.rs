//! The account service of Discogsography.
