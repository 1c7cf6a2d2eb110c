//! Writes lines to stderr in batches, and reports lost lines.
//!
//! It runs on the thread of `tracing_appender`, and adds what the appender lacks. It batches lines,
//! since waking the thread costs more than writing a line, and it reports losses.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::ErrorCounter;

/// How long lines are collected after a batch is written.
///
/// Also how long to wait before writing again to a target that would block.
const PAUSE: Duration = Duration::from_millis(10);

/// A batch of this many bytes is written even if more lines are waiting.
const FULL_BATCH: usize = 64 * 1024;

/// The lines that were not logged.
#[derive(Default)]
pub(super) struct Losses {
    /// Lines that found the appender's queue full.
    pub(super) not_queued: OnceLock<ErrorCounter>,
    /// Lines that could not be written.
    not_written: AtomicU64,
}

impl Losses {
    /// Returns how many lines were lost since the start.
    pub(super) fn total(&self) -> u64 {
        let not_queued = self.not_queued.get().map_or(0, ErrorCounter::dropped_lines);
        not_queued as u64 + self.not_written.load(Ordering::Relaxed)
    }
}

/// A [`Write`] that accepts whole lines.
pub(super) struct Sink<W> {
    target: W,
    batch: Vec<u8>,
    /// Whether the last write ended within a line.
    is_mid_line: bool,
    losses: Arc<Losses>,
    /// The part of [`Losses::total`] that the log already reports.
    reported: u64,
    /// Formats the line that reports losses.
    report: fn(u64) -> String,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(target: W, losses: Arc<Losses>, report: fn(u64) -> String) -> Self {
        Self { target, batch: Vec::new(), is_mid_line: false, losses, reported: 0, report }
    }

    /// Writes the batch, then a report if lines are missing.
    ///
    /// A log that can't be written, for example on a full disk, must not stop the service, so
    /// failures are counted.
    fn write_batch(&mut self) {
        let missing = self.losses.total() - self.reported;
        let has_report = missing > 0;
        if has_report {
            self.batch.extend((self.report)(missing).as_bytes());
        }
        let batch = std::mem::take(&mut self.batch);
        let unwritten = self.write_lines(&batch);
        self.batch = batch;
        self.batch.clear();
        if unwritten == 0 {
            self.reported += missing;
        } else {
            // The report is the last of these lines.
            let lost = unwritten - u64::from(has_report);
            self.losses.not_written.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// Returns how many of the last lines were not completely written.
    fn write_lines(&mut self, lines: &[u8]) -> u64 {
        if self.is_mid_line && !self.write_bytes(b"\n").is_empty() {
            return count(lines);
        }
        self.is_mid_line = false;
        let rest = self.write_bytes(lines);
        let written = lines.strip_suffix(rest).unwrap_or_default();
        self.is_mid_line = written.last().is_some_and(|byte| *byte != b'\n');
        count(rest)
    }

    /// Returns the bytes that were not written.
    fn write_bytes<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
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

impl<W: Write> Write for Sink<W> {
    /// Adds a line to the batch.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.batch.extend_from_slice(line);
        if self.batch.len() >= FULL_BATCH {
            self.write_batch();
        }
        Ok(line.len())
    }

    /// Called when no more lines are waiting.
    fn flush(&mut self) -> io::Result<()> {
        self.write_batch();
        pause();
        Ok(())
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.split_inclusive(|byte| *byte == b'\n').count() as u64
}

#[expect(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
fn pause() {
    thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Write};
    use std::sync::{Arc, Mutex, mpsc};

    use tracing_appender::non_blocking::NonBlockingBuilder;

    use super::{Losses, Sink};

    #[derive(Clone, Default)]
    struct Target(Arc<Mutex<Story>>);

    /// The results of the next writes, after which all are accepted, and what was written.
    #[derive(Default)]
    struct Story {
        results: VecDeque<io::Result<usize>>,
        written: Vec<u8>,
    }

    impl Target {
        fn with(results: impl IntoIterator<Item = io::Result<usize>>) -> Self {
            let target = Self::default();
            target.0.lock().unwrap().results.extend(results);
            target
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
        }
    }

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut story = self.0.lock().unwrap();
            let length = story.results.pop_front().unwrap_or(Ok(bytes.len()))?;
            story.written.extend(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn fails(kind: ErrorKind) -> io::Result<usize> {
        Err(kind.into())
    }

    fn report(missing: u64) -> String {
        format!("{missing} missing\n")
    }

    fn sink(target: &Target) -> (Sink<Target>, Arc<Losses>) {
        let losses = Arc::<Losses>::default();
        (Sink::new(target.clone(), Arc::clone(&losses), report), losses)
    }

    fn write<W: Write>(sink: &mut Sink<W>, lines: &[&str]) {
        for line in lines {
            sink.write_all(line.as_bytes()).unwrap();
        }
        sink.flush().unwrap();
    }

    #[test]
    fn a_batch_is_written_whole_by_a_target_that_accepts_parts() {
        let target = Target::with([
            Ok(2),
            fails(ErrorKind::WouldBlock),
            Ok(3),
            fails(ErrorKind::Interrupted),
        ]);
        let (mut sink, losses) = sink(&target);
        write(&mut sink, &["first\n", "second\n"]);
        assert_eq!((target.text().as_str(), losses.total()), ("first\nsecond\n", 0));
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted_and_reported_once() {
        let target = Target::with([
            Ok(6),
            fails(ErrorKind::StorageFull),
            Ok(0),
            fails(ErrorKind::BrokenPipe),
        ]);
        let (mut sink, losses) = sink(&target);
        write(&mut sink, &["first\n", "second\n", "third\n"]);
        write(&mut sink, &["fourth\n"]);
        write(&mut sink, &["fifth\n"]);
        assert_eq!((target.text().as_str(), losses.total()), ("first\n", 4));
        write(&mut sink, &["sixth\n"]);
        write(&mut sink, &["seventh\n"]);
        assert_eq!(target.text(), "first\nsixth\n4 missing\nseventh\n");
        assert_eq!(losses.total(), 4);
    }

    #[test]
    fn a_line_never_follows_a_part_of_another() {
        let full = || fails(ErrorKind::StorageFull);
        let target = Target::with([Ok(9), full(), full()]);
        let (mut sink, losses) = sink(&target);
        write(&mut sink, &["first\n", "second\n"]);
        write(&mut sink, &["third\n"]);
        write(&mut sink, &["fourth\n"]);
        assert_eq!(target.text(), "first\nsec\nfourth\n2 missing\n");
        assert_eq!(losses.total(), 2);
    }

    #[test]
    fn a_large_batch_is_written_before_the_queue_is_empty() {
        let target = Target::default();
        let (mut sink, _) = sink(&target);
        sink.write_all(&vec![b'x'; super::FULL_BATCH]).unwrap();
        assert_eq!(target.text().len(), super::FULL_BATCH);
    }

    /// Passes on what is written, and blocks until it is received.
    struct Pipe(mpsc::SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            // Sent twice: the first message reports that writing begins.
            self.0.send(text.clone()).and_then(|()| self.0.send(text)).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_lines_and_is_told_how_many() {
        let (send, received) = mpsc::sync_channel(0);
        let losses = Arc::<Losses>::default();
        let sink = Sink::new(Pipe(send), Arc::clone(&losses), report);
        let (mut log, guard) = NonBlockingBuilder::default().buffered_lines_limit(2).finish(sink);
        losses.not_queued.set(log.error_counter()).unwrap();
        log.write_all(b"first\n").unwrap();
        assert_eq!(received.recv().unwrap(), "first\n");
        for line in ["second\n", "third\n", "fourth\n", "fifth\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(losses.total(), 2);
        let reader = std::thread::spawn(move || received.iter().collect::<Vec<_>>());
        drop(guard);
        drop(log);
        let batch = "second\nthird\n2 missing\n";
        assert_eq!(reader.join().unwrap(), ["first\n", batch, batch]);
    }
}
