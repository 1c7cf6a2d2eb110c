//! The program: parses the command line, runs the command, exits with its code.

use std::io::Write as _;
use std::process::ExitCode;

use discogsography_api::cli;
use discogsography_api::config::Environment;

/// Fast when memory is freed by another thread, as a request's often is
/// (docs/decisions/0017-the-allocator.md).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let commanded = cli::parse(std::env::args_os());
    match cli::run(commanded, &Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, the exit code has to suffice.
            let message = printable::lines(&format!("error: {error:#}"));
            let _ = writeln!(std::io::stderr(), "{message}");
            cli::exit_code(&error)
        }
    }
}
