//! The sandbox over real HTTP: the whole flow, each refusal, the page, each fault.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may panic")]

mod dance;
mod faults;
mod harness;
mod page;
mod places;
mod refusals;
mod watching;
