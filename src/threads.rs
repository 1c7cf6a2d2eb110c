//! Checks that the operating system provides enough threads, and suggests fixes.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use rustix::io::Errno;
use thiserror::Error;

/// Threads that the async runtime needs in addition to one per processor.
const BESIDES: usize = 2;

/// The operating system refused to create a thread.
#[derive(Debug, Error)]
#[error("the operating system gives this program no more threads: {}", cure(.0))]
pub struct NoThreads(io::Error);

impl From<io::Error> for NoThreads {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Checks that the async runtime can have its threads, by starting as many at once.
///
/// The runtime itself would panic if it could not start one.
///
/// # Errors
///
/// If the operating system refuses to create one of them.
pub fn try_out() -> Result<(), NoThreads> {
    let count = processors().get() + BESIDES;
    thread::scope(|scope| {
        let (mut started, mut refused) = (Vec::with_capacity(count), None);
        for _ in 0..count {
            match thread::Builder::new().spawn_scoped(scope, thread::park) {
                Ok(thread) => started.push(thread),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        for thread in &started {
            thread.thread().unpark();
        }
        refused.map_or(Ok(()), |error| Err(NoThreads(error)))
    })
}

/// The likely cause, and what to do about it.
fn cure(error: &io::Error) -> String {
    let cure = match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::NOSYS) => {
            "something forbids the system call `clone3`, most likely a Docker older than 20.10.10 \
             or its libseccomp; update Docker, or run the container with \
             `--security-opt seccomp=unconfined`"
        }
        Some(Errno::AGAIN) => {
            "a limit on processes is reached; raise it (Docker: `--pids-limit`, Kubernetes: \
             `podPidsLimit`, systemd: `TasksMax`, a shell: `ulimit -u`)"
        }
        Some(Errno::NOMEM) => "the memory is used up; allow more",
        _ => return error.to_string(),
    };
    format!("{cure} ({error})")
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{NoThreads, try_out};

    #[test]
    fn threads_can_be_had_here() {
        try_out().unwrap();
    }

    #[test]
    fn the_likely_cause_and_the_cure_are_named() {
        for (errno, cause, cure) in [
            (Errno::PERM, "Docker older than 20.10.10", "--security-opt seccomp=unconfined"),
            (Errno::AGAIN, "a limit on processes", "--pids-limit"),
            (Errno::NOMEM, "memory", "allow more"),
        ] {
            let said = NoThreads(io::Error::from(errno)).to_string();
            assert!(said.contains(cause) && said.contains(cure), "{said}");
        }
    }
}
