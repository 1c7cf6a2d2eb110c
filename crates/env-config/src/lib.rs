//! Environment variables, each declared once and read with every problem reported at once.
//!
//! [`variables!`] declares a variable's name, kind, default, example and parser in one place. A
//! [`Reader`] reads them, remembers what is wrong with each, and never puts a value that may be
//! secret into a message. This crate must not depend on what the variables mean.

mod environment;
mod problem;
mod reader;
mod shown;
pub mod similar;
mod variable;
mod wrapped;

pub use environment::Environment;
pub use problem::{Problem, Problems, Warning};
pub use reader::{Certainty, Reader, Sourced};
pub use shown::path_shown;
pub use variable::{Declaration, Group, Variable, declaration, is_service_link};
pub use wrapped::wrapped_secret;
