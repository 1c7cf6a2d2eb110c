//! What the lines are written to, stderr as a rule, and how many of them it did not take.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

/// Until one that takes nothing for the moment, such as a full pipe that does not block, is asked
/// again.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes whole lines.
pub(super) struct Sink {
    target: Box<dyn Write + Send>,
    /// Whether writing failed within a line.
    is_mid_line: bool,
}

impl Sink {
    pub(super) fn new(target: Box<dyn Write + Send>) -> Self {
        Self { target, is_mid_line: false }
    }

    /// Writes whole lines, and says how many of the last ones are not written, or not whole: a log
    /// that can't be written, such as one on a full disk, must not end the service.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        if self.is_mid_line && !self.write_all(b"\n").is_empty() {
            return count(lines);
        }
        self.is_mid_line = false;
        let rest = self.write_all(lines);
        let written = lines.strip_suffix(rest).unwrap_or_default();
        self.is_mid_line = written.last().is_some_and(|byte| *byte != b'\n');
        count(rest)
    }

    /// Gives what could not be written.
    fn write_all<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while !bytes.is_empty() {
            match self.target.write(bytes) {
                Ok(0) => break,
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
                Err(_) => break,
            }
        }
        bytes
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.split_inclusive(|byte| *byte == b'\n').count() as u64
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own has nothing else to wait for")]
fn pause() {
    thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Write};
    use std::sync::{Arc, Mutex};

    use super::Sink;

    #[derive(Clone, Default)]
    struct Target(Arc<Mutex<Story>>);

    /// What it does one after another when it is written to, before it takes everything, and what
    /// it has taken.
    #[derive(Default)]
    struct Story {
        to_do: VecDeque<io::Result<usize>>,
        taken: Vec<u8>,
    }

    impl Target {
        fn does(&self, actions: impl IntoIterator<Item = io::Result<usize>>) {
            self.0.lock().unwrap().to_do.extend(actions);
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().taken.clone()).unwrap()
        }
    }

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut story = self.0.lock().unwrap();
            let length = story.to_do.pop_front().unwrap_or(Ok(bytes.len()))?;
            story.taken.extend(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn fails(kind: ErrorKind) -> io::Result<usize> {
        Err(kind.into())
    }

    #[test]
    fn what_is_taken_bit_by_bit_is_all_written() {
        let target = Target::default();
        target.does([Ok(2), fails(ErrorKind::WouldBlock), Ok(3), fails(ErrorKind::Interrupted)]);
        let mut sink = Sink::new(Box::new(target.clone()));
        assert_eq!(sink.write(b"first\nsecond\n"), 0);
        assert_eq!(target.text(), "first\nsecond\n");
    }

    #[test]
    fn lines_that_are_not_taken_are_counted() {
        let target = Target::default();
        target.does([Ok(6), fails(ErrorKind::StorageFull), Ok(0), fails(ErrorKind::BrokenPipe)]);
        let mut sink = Sink::new(Box::new(target.clone()));
        assert_eq!(sink.write(b"first\nsecond\nthird\n"), 2);
        assert_eq!(sink.write(b"fourth\n"), 1);
        assert_eq!(sink.write(b"fifth\n"), 1);
        assert_eq!(sink.write(b"sixth\n"), 0);
        assert_eq!(target.text(), "first\nsixth\n");
    }

    #[test]
    fn a_line_after_a_part_of_one_begins_anew() {
        let target = Target::default();
        let full = || fails(ErrorKind::StorageFull);
        target.does([Ok(9), full(), full()]);
        let mut sink = Sink::new(Box::new(target.clone()));
        assert_eq!(sink.write(b"first\nsecond\n"), 1);
        assert_eq!(sink.write(b"third\n"), 1);
        assert_eq!(sink.write(b"fourth\n"), 0);
        assert_eq!(target.text(), "first\nsec\nfourth\n");
    }
}
