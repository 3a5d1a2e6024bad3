//! The thread that writes the access log, and the buffer between it and the requests.
//!
//! Relied on by `access_log`. A request copies its line under a lock that is held for nothing longer than such a copy.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem::take,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

/// Bytes that may wait for the writer.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How long the writer rests. The buffer is large enough for 400 MB a second.
const REST: Duration = Duration::from_millis(20);
/// How long [`Writer::flush`] waits.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Takes lines. What was taken is written even after this is dropped.
#[derive(Debug)]
pub struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Rung when the first of something is waiting.
    has_work: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// What else is wanted, and after how many of the bytes.
    orders: Vec<(usize, Order)>,
    is_closed: bool,
}

#[derive(Debug)]
enum Order {
    Reopen,
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

impl Writer {
    /// A writer to `stdout` or to the end of a file.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn open(path: &Path) -> io::Result<Self> {
        let sink = if path == Path::new("stdout") { Sink::Stdout } else { Sink::File(path.to_owned(), append(path)?) };
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_all(&of_thread, sink))?;
        Ok(Self(shared))
    }

    /// Takes a line, unless too many are waiting.
    pub fn append(&self, line: &[u8]) -> bool {
        let mut waiting = self.0.lock();
        let has_room = waiting.lines.len() + line.len() <= MOST_BYTES;
        if has_room {
            let is_first = waiting.is_idle();
            waiting.lines.extend_from_slice(line);
            drop(waiting);
            self.0.ring(is_first);
        }
        has_room
    }

    /// Opens the file anew, after whatever was taken so far.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Waits until what was taken so far is written. Blocks for two seconds at most.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        self.order(Order::Flush(done));
        let _ = written.recv_timeout(FLUSH_WITHIN);
    }

    fn order(&self, order: Order) {
        let mut waiting = self.0.lock();
        let at = waiting.lines.len();
        waiting.orders.push((at, order));
        drop(waiting);
        self.0.ring(true);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.ring(true);
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && self.orders.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, is_first: bool) {
        if is_first {
            self.has_work.notify_one();
        }
    }

    /// Waits for work; none when there is no more. `spare` becomes the next buffer.
    fn work(&self, spare: Vec<u8>) -> Option<Waiting> {
        let is_waiting = |waiting: &mut Waiting| waiting.is_idle() && !waiting.is_closed;
        let mut waiting = self.has_work.wait_while(self.lock(), is_waiting).unwrap_or_else(PoisonError::into_inner);
        let next = Waiting { lines: spare, orders: Vec::new(), is_closed: waiting.is_closed };
        Some(std::mem::replace(&mut *waiting, next)).filter(|work| !work.is_idle())
    }
}

/// Writes until the log is dropped. Lines that are waiting are written together.
fn write_all(shared: &Shared, mut sink: Sink) {
    let mut spare = Vec::new();
    while let Some(Waiting { mut lines, orders, .. }) = shared.work(take(&mut spare)) {
        let mut written = 0;
        for (until, order) in orders {
            sink.write(lines.get(written..until).unwrap_or_default());
            written = until;
            match order {
                Order::Reopen => sink.reopen(),
                Order::Flush(done) => drop(done.try_send(())),
            }
        }
        sink.write(lines.get(written..).unwrap_or_default());
        lines.clear();
        spare = lines;
        rest();
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the writer's own thread")]
fn rest() {
    std::thread::sleep(REST);
}

enum Sink {
    Stdout,
    File(PathBuf, File),
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Sink {
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let written = match self {
            Self::Stdout => io::stdout().lock().write_all(lines),
            Self::File(_, file) => file.write_all(lines),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "access-log lines could not be written");
        }
    }

    fn reopen(&mut self) {
        if let Self::File(path, file) = self {
            match append(path) {
                Ok(opened) => *file = opened,
                Err(error) => tracing::warn!(%error, path = %path.display(), "the access log could not be opened again"),
            }
        }
    }
}
