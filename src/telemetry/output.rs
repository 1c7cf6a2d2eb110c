//! Where lines go: into one bounded buffer, and from there to stderr by a thread of its own.
//!
//! A request never waits for whoever reads the log. When the reader stands still and the buffer
//! is full, lines are dropped; how many is said as soon as something can be said again.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Lines of some seconds at full load.
const MOST_PENDING: usize = 1024 * 1024;

/// So long the thread lets lines gather, since waking it costs more than a line does.
const GATHERING: Duration = Duration::from_millis(2);

/// Takes lines; clones share the buffer.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

struct Shared {
    pending: Mutex<Pending>,
    has_lines: Condvar,
    /// Locked before `pending`, so that what is taken first is written first.
    target: Mutex<Box<dyn Write + Send>>,
    dropped: fn(u64) -> Vec<u8>,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    dropped: u64,
}

impl Output {
    /// Starts the thread; `dropped` words the line that says how many are missing.
    pub(super) fn start(
        target: Box<dyn Write + Send>,
        dropped: fn(u64) -> Vec<u8>,
    ) -> std::io::Result<Self> {
        let output = Self::new(target, dropped);
        let shared = Arc::clone(&output.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.work())?;
        Ok(output)
    }

    fn new(target: Box<dyn Write + Send>, dropped: fn(u64) -> Vec<u8>) -> Self {
        let (pending, has_lines) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { pending, has_lines, target: Mutex::new(target), dropped }))
    }

    /// Adds a whole line.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = lock(&self.0.pending);
        if pending.lines.len() + line.len() > MOST_PENDING {
            pending.dropped += 1;
            return;
        }
        let was_empty = pending.lines.is_empty();
        pending.lines.extend_from_slice(line);
        drop(pending);
        if was_empty {
            self.0.has_lines.notify_one();
        }
    }

    /// Writes all that was added so far.
    pub(super) fn flush(&self) {
        self.0.write(&mut Vec::new());
    }
}

impl Shared {
    fn work(&self) {
        let mut spare = Vec::new();
        loop {
            let is_empty = |pending: &mut Pending| pending.lines.is_empty();
            let pending = self.has_lines.wait_while(lock(&self.pending), is_empty);
            drop(pending.unwrap_or_else(PoisonError::into_inner));
            #[expect(clippy::disallowed_methods, reason = "lines gather while this sleeps")]
            thread::sleep(GATHERING);
            self.write(&mut spare);
        }
    }

    /// Swaps the buffer for an empty one and writes what was in it.
    fn write(&self, spare: &mut Vec<u8>) {
        let mut target = lock(&self.target);
        let mut pending = lock(&self.pending);
        std::mem::swap(&mut pending.lines, spare);
        let dropped = std::mem::take(&mut pending.dropped);
        drop(pending);
        if dropped > 0 {
            spare.extend((self.dropped)(dropped));
        }
        // A log that nobody takes must not end the service.
        let _ = target.write_all(spare);
        spare.clear();
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;

    use super::{MOST_PENDING, Output};

    /// Passes on what is written.
    struct Reader(mpsc::Sender<Vec<u8>>);

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
        let (send, received) = mpsc::channel();
        let output = Output::start(Box::new(Reader(send)), told).unwrap();
        let lines: Vec<_> = (0..1000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            output.push(line.as_bytes());
        }
        output.flush();
        assert_eq!(text(&received), lines.concat());
    }

    #[test]
    fn the_thread_writes_without_being_told() {
        let (send, received) = mpsc::channel();
        let output = Output::start(Box::new(Reader(send)), told).unwrap();
        for line in ["first\n", "second\n"] {
            output.push(line.as_bytes());
            assert_eq!(received.recv().unwrap(), line.as_bytes());
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (send, received) = mpsc::channel();
        let output = Output::new(Box::new(Reader(send)), told);
        let line = [b'x'; 1024];
        for _ in 0..MOST_PENDING / line.len() + 3 {
            output.push(&line);
        }
        output.flush();
        let written = text(&received);
        assert_eq!(written.len(), MOST_PENDING + "dropped 3\n".len());
        assert!(written.ends_with("dropped 3\n"));
        output.push(b"again\n");
        output.flush();
        assert_eq!(text(&received), "again\n");
    }
}
