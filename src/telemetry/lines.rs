//! Where log lines go: into a buffer that a thread empties, so that no hook ever waits for whoever reads the log.
//!
//! Must not know what a line says. A reader that stands still or is gone, and a disk that is full, cost lines, which are
//! counted, never hooks.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::locks::lock;
use crate::metrics::Metrics;

/// Lines waiting to be written; a reader this far behind is not reading.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Between two writes: under load, lines are written by the dozen.
const PAUSE: Duration = Duration::from_millis(2);

/// How long the end of the process waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The buffer. Cheap to clone: clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    metrics: OnceLock<Arc<Metrics>>,
}

/// Words a line about as many lost ones, in the format of the log.
pub(super) type Notice = fn(u64) -> String;

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    closing: bool,
    closed: bool,
}

/// Writes the last lines when dropped: to be held until the process ends.
#[derive(Debug)]
#[must_use]
pub struct Flush(pub(super) Lines);

impl Lines {
    /// Starts the thread that writes to standard error.
    pub(super) fn start(notice: Notice) -> io::Result<Self> {
        let lines = Self::default();
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_out(notice, io::stderr()))?;
        Ok(lines)
    }

    /// Adds a line, or counts it as dropped.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = lock(&self.0.waiting);
        if waiting.bytes.len() + line.len() > MAX_WAITING_BYTES {
            waiting.dropped += 1;
            drop(waiting);
            self.0.count(1);
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_all();
        }
    }
}

/// For a formatter that writes each event at once, as tracing-subscriber's does.
impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl Lines {
    /// What was pushed, without a thread that writes it out.
    pub(super) fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.0.waiting).bytes)
    }
}

impl Shared {
    fn count(&self, lost: u64) {
        if let Some(metrics) = self.metrics.get() {
            metrics.log_dropped.inc_by(lost);
        }
    }

    fn write_out(&self, notice: Notice, mut to: impl io::Write) {
        let (mut batch, mut is_cut) = (Vec::new(), false);
        loop {
            let mut waiting = lock(&self.waiting);
            while waiting.bytes.is_empty() && !waiting.closing {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut waiting.bytes, &mut batch);
            let (dropped, closing) = (std::mem::take(&mut waiting.dropped), waiting.closing);
            if batch.is_empty() && closing {
                waiting.closed = true;
                self.changed.notify_all();
                return;
            }
            drop(waiting);
            if dropped > 0 {
                batch.extend(notice(dropped).bytes());
            }
            if is_cut {
                // What comes next is a line of its own.
                is_cut = !write(&mut to, b"\n").is_empty();
            }
            let unwritten = write(&mut to, &batch);
            if !unwritten.is_empty() {
                // A notice stands last, so it is lost with whatever is: the next one tells of both.
                let lines = unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
                let lost = lines - u64::from(dropped > 0);
                self.count(lost);
                lock(&self.waiting).dropped += dropped + lost;
                is_cut |= batch[..batch.len() - unwritten.len()].last().is_some_and(|byte| *byte != b'\n');
            }
            batch.clear();
            if !closing {
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Writes as much as can be written, and returns the rest.
fn write<'b>(to: &mut impl io::Write, batch: &'b [u8]) -> &'b [u8] {
    let mut rest = batch;
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(written @ 1..) => rest = &rest[written..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    rest
}

impl Flush {
    /// Counts what is lost from now on: whoever does not read the log may still read the metrics.
    pub fn count_in(&self, metrics: Arc<Metrics>) {
        // Only a second call finds it set, and the first one's serve as well.
        let _ = self.0.0.metrics.set(metrics);
    }

    /// Waits until the lines so far are written, a second at most: for an end of the process that drops nothing.
    pub fn end(&self) {
        let shared = &self.0.0;
        let mut waiting = lock(&shared.waiting);
        waiting.closing = true;
        shared.changed.notify_all();
        let _ = shared.changed.wait_timeout_while(waiting, LAST_WORDS, |waiting| !waiting.closed);
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A file on a disk with room for so many bytes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn with_room(&self, bytes: usize) {
            self.0.lock().expect("no panic").1 = bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").0.clone()).expect("text")
        }
    }

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (file, room) = &mut *self.0.lock().expect("no panic");
            let fits = bytes.len().min(*room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= fits;
            file.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_of_later() {
        let (lines, disk, metrics) = (Lines::default(), Disk::default(), Arc::new(Metrics::new()));
        let (shared, file) = (Arc::clone(&lines.0), disk.clone());
        let writer = thread::spawn(move || shared.write_out(|count| format!("lost {count}\n"), file));
        let flush = Flush(lines.clone());
        flush.count_in(Arc::clone(&metrics));
        let counted = |count: u64| {
            let until = Instant::now() + Duration::from_secs(10);
            while metrics.log_dropped.get() != count {
                assert!(Instant::now() < until, "{} of {count}", metrics.log_dropped.get());
                thread::sleep(PAUSE);
            }
        };
        disk.with_room(8);
        lines.push(b"first\nsecond\nthird\n");
        counted(2);
        lines.push(b"fourth\n");
        counted(3);
        disk.with_room(1000);
        lines.push(b"fifth\n");
        drop(flush);
        writer.join().expect("no panic");
        assert_eq!((disk.text().as_str(), metrics.log_dropped.get()), ("first\nse\nfifth\nlost 3\n", 3));
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_not_the_writer() {
        let lines = Lines::default();
        let metrics = Arc::new(Metrics::new());
        Flush(lines.clone()).count_in(Arc::clone(&metrics));
        let line = [b'x'; 1024];
        for _ in 0..5000 {
            lines.push(&line);
        }
        let waiting = lock(&lines.0.waiting);
        assert_eq!((waiting.bytes.len(), waiting.dropped), (4096 * 1024, 5000 - 4096));
        assert!(metrics.render().contains("okta_hook_log_dropped_total 904"));
    }
}
