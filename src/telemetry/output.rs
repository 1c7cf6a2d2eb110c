//! Where lines go: into one bounded buffer, and from there to stderr by a thread of its own.
//!
//! A request never waits for whoever reads the log. When the reader stands still and the buffer
//! is full, lines are dropped, and so are those that can't be written; how many is said as soon as
//! something can be said again.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::sink::Sink;

/// Some 3,000 lines, in bytes.
const MOST_PENDING: usize = 1024 * 1024;

/// So long the thread lets lines gather, since waking it costs more than a line does.
const GATHERING: Duration = Duration::from_millis(10);

/// It waits no longer when so many bytes have.
const MANY: usize = MOST_PENDING / 2;

/// Takes lines; clones share the buffer.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

struct Shared {
    pending: Mutex<Pending>,
    has_lines: Condvar,
    has_written: Condvar,
    dropped: fn(u64) -> Vec<u8>,
    /// All that were ever dropped.
    dropped_in_all: AtomicU64,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    dropped: u64,
    is_writing: bool,
}

/// What the thread has.
struct Writer {
    sink: Sink,
    lines: Vec<u8>,
    /// Lines that are missing, as has not been said yet.
    unsaid: u64,
}

impl Output {
    /// Starts the thread; `dropped` words the line that says how many are missing.
    pub(super) fn start(
        target: Box<dyn Write + Send>,
        dropped: fn(u64) -> Vec<u8>,
    ) -> std::io::Result<Self> {
        let output = Self::new(dropped);
        let shared = Arc::clone(&output.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.work(Sink::new(target)))?;
        Ok(output)
    }

    fn new(dropped: fn(u64) -> Vec<u8>) -> Self {
        let (pending, has_lines, has_written, dropped_in_all) = Default::default();
        Self(Arc::new(Shared { pending, has_lines, has_written, dropped, dropped_in_all }))
    }

    /// Adds a whole line.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = lock(&self.0.pending);
        if pending.lines.len() + line.len() > MOST_PENDING {
            pending.dropped += 1;
            self.0.dropped_in_all.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = pending.lines.len();
        pending.lines.extend_from_slice(line);
        let has_many = before < MANY && pending.lines.len() >= MANY;
        drop(pending);
        if before == 0 || has_many {
            self.0.has_lines.notify_one();
        }
    }

    /// How many lines did not get out since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped_in_all.load(Ordering::Relaxed)
    }

    /// Waits until all that was added is written, but no longer than `limit`: whoever reads may
    /// stand still.
    pub(super) fn flush(&self, limit: Duration) {
        let is_behind = |pending: &mut Pending| pending.is_writing || !pending.is_empty();
        let pending = lock(&self.0.pending);
        drop(self.0.has_written.wait_timeout_while(pending, limit, is_behind));
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

impl Shared {
    fn work(&self, sink: Sink) {
        let mut writer = Writer { sink, lines: Vec::new(), unsaid: 0 };
        loop {
            let pending = self.has_lines.wait_while(lock(&self.pending), |it| it.is_empty());
            let pending = pending.unwrap_or_else(PoisonError::into_inner);
            let has_few = |pending: &mut Pending| pending.lines.len() < MANY;
            drop(self.has_lines.wait_timeout_while(pending, GATHERING, has_few));
            self.write(&mut writer);
        }
    }

    /// Swaps the buffer for an empty one and writes what was in it.
    fn write(&self, writer: &mut Writer) {
        let mut pending = lock(&self.pending);
        std::mem::swap(&mut pending.lines, &mut writer.lines);
        writer.unsaid += std::mem::take(&mut pending.dropped);
        pending.is_writing = true;
        drop(pending);
        let failed = writer.write(self.dropped);
        self.dropped_in_all.fetch_add(failed, Ordering::Relaxed);
        lock(&self.pending).is_writing = false;
        self.has_written.notify_all();
    }
}

impl Writer {
    /// Writes the lines, and how many are missing; gives how many could not be written.
    fn write(&mut self, dropped: fn(u64) -> Vec<u8>) -> u64 {
        let is_said = self.unsaid > 0;
        if is_said {
            self.lines.extend(dropped(self.unsaid));
        }
        let unwritten = self.sink.write(&self.lines);
        self.lines.clear();
        // Where anything is not written, the last line is not: the one that says what is missing.
        let failed = unwritten.saturating_sub(u64::from(is_said));
        self.unsaid = if unwritten == 0 { 0 } else { self.unsaid + failed };
        failed
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{MOST_PENDING, Output, Sink, Writer};

    /// Longer than any test may take.
    const LONG: Duration = Duration::from_secs(60);

    /// Passes on what is written; stands still while nobody takes it, where it has little room.
    struct Reader(mpsc::SyncSender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, written: &[u8]) -> io::Result<usize> {
            self.0.send(written.to_vec()).unwrap();
            Ok(written.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(dropped: u64) -> Vec<u8> {
        format!("dropped {dropped}\n").into_bytes()
    }

    fn text(received: &mpsc::Receiver<Vec<u8>>) -> String {
        received.try_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn lines_come_out_in_the_order_in_which_they_went_in() {
        let (send, received) = mpsc::sync_channel(1000);
        let output = Output::start(Box::new(Reader(send)), told).unwrap();
        let lines: Vec<_> = (0..1000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            output.push(line.as_bytes());
        }
        output.flush(LONG);
        assert_eq!(text(&received), lines.concat());
    }

    #[test]
    fn the_thread_writes_without_being_told() {
        let (send, received) = mpsc::sync_channel(1);
        let output = Output::start(Box::new(Reader(send)), told).unwrap();
        for line in ["first\n", "second\n"] {
            output.push(line.as_bytes());
            assert_eq!(received.recv().unwrap(), line.as_bytes());
        }
    }

    #[test]
    fn a_reader_that_stands_still_is_not_waited_for() {
        let (send, received) = mpsc::sync_channel(0);
        let output = Output::start(Box::new(Reader(send)), told).unwrap();
        output.push(b"nobody takes it\n");
        output.flush(Duration::from_millis(10));
        assert_eq!(received.recv().unwrap(), b"nobody takes it\n");
        output.flush(LONG);
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (send, received) = mpsc::sync_channel(10);
        let output = Output::new(told);
        let sink = Sink::new(Box::new(Reader(send)));
        let mut writer = Writer { sink, lines: Vec::new(), unsaid: 0 };
        let mut write = || output.0.write(&mut writer);
        let line = [b'x'; 1024];
        for _ in 0..MOST_PENDING / line.len() + 3 {
            output.push(&line);
        }
        write();
        let written = text(&received);
        assert_eq!(written.len(), MOST_PENDING + "dropped 3\n".len());
        assert!(written.ends_with("dropped 3\n"));
        output.push(b"again\n");
        write();
        assert_eq!(text(&received), "again\n");
        assert_eq!(output.dropped(), 3);
    }

    /// Has no room at first, and as much as is asked for later.
    struct Disk {
        is_full: Arc<AtomicBool>,
        received: mpsc::SyncSender<Vec<u8>>,
    }

    impl Write for Disk {
        fn write(&mut self, written: &[u8]) -> io::Result<usize> {
            if self.is_full.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Reader(self.received.clone()).write(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_can_not_be_written_is_counted_and_said_once() {
        let (send, received) = mpsc::sync_channel(10);
        let is_full = Arc::new(AtomicBool::new(true));
        let disk = Disk { is_full: Arc::clone(&is_full), received: send };
        let output = Output::start(Box::new(disk), told).unwrap();
        for line in ["first\n", "second\n", "third\n"] {
            output.push(line.as_bytes());
            output.flush(LONG);
        }
        assert_eq!(output.dropped(), 3);
        is_full.store(false, Ordering::Relaxed);
        for line in ["fourth\n", "fifth\n"] {
            output.push(line.as_bytes());
            output.flush(LONG);
        }
        assert_eq!(text(&received), "fourth\ndropped 3\nfifth\n");
        assert_eq!(output.dropped(), 3);
    }
}
