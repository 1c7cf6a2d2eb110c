//! The program: parses the command line, runs the command, and ends with its exit code.

use std::io::Write as _;
use std::process::ExitCode;

use discogsography_api::cli;
use discogsography_api::config::Environment;
use discogsography_api::printable;

/// What a request takes is often given back by another thread (docs/decisions/0017-the-allocator.md).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let commanded = cli::parse(std::env::args_os());
    match cli::run(commanded, &Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed, the exit code has to say it.
            let said = printable::lines(&format!("error: {error:#}"));
            let _ = writeln!(std::io::stderr(), "{said}");
            cli::exit_code(&error)
        }
    }
}
