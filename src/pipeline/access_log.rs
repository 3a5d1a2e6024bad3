//! One line per exchange, in JSON for machines or text for people, to standard output or a file.
//!
//! A line is made where the exchange ends and handed to a writer thread over a bounded queue: requests never wait for a disk,
//! and what the writer cannot take is dropped and counted. The writer rests after each write, so that a busy process wakes it for
//! many lines at once. Paths are logged without their query, so that no token in it
//! reaches a log. A file is opened again when [`AccessLog::reopen`] is called, which is what log rotation asks for.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

use http::{HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::{error::ErrorKind, exchange::Exchange, telemetry::metrics::Metrics};

/// Lines that may wait for the writer.
const QUEUE: usize = 8_192;
/// How long the writer rests. The queue is long enough for 400,000 lines a second.
const REST: Duration = Duration::from_millis(20);
/// How long [`AccessLog::flush`] waits.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// The longest value of one field, in characters.
const LONGEST: usize = 2_048;
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// `telemetry.access_log`: where exchanges are logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogConfig {
    /// Whether they are.
    pub enabled: bool,
    /// `stdout`, or a file.
    pub path: PathBuf,
    /// `json`, or `text` for people.
    pub format: Form,
    /// Request headers that are logged beside the fixed fields.
    pub fields: Vec<String>,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self { enabled: true, path: "stdout".into(), format: Form::Json, fields: Vec::new() }
    }
}

/// Writes a line per exchange.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    form: Form,
    headers: Vec<HeaderName>,
    metrics: Arc<Metrics>,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// Readable text.
    Text,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Status of the response; 499 when the client left before there was one.
    pub status: StatusCode,
    /// Why it failed, if it did.
    pub error: Option<ErrorKind>,
}

enum Message {
    Line(Vec<u8>),
    Reopen,
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// The log of this configuration.
    ///
    /// # Errors
    /// A name in `fields` cannot be a header's, the file cannot be opened for appending, or no thread can be started.
    pub fn open(config: &AccessLogConfig, metrics: Arc<Metrics>) -> io::Result<Self> {
        let named = |name: &String| HeaderName::try_from(name).map_err(|error| io::Error::other(format!("`{name}`: {error}")));
        let headers = config.fields.iter().map(named).collect::<io::Result<_>>()?;
        let path = &config.path;
        let sink = if path == Path::new("stdout") { Sink::Stdout } else { Sink::File(path.clone(), append(path)?) };
        let (queue, lines) = sync_channel(QUEUE);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_lines(&lines, sink))?;
        Ok(Self { queue, form: config.format, headers, metrics })
    }

    /// Logs an exchange that has ended.
    pub fn write(&self, exchange: &Exchange, outcome: Outcome) {
        let now = OffsetDateTime::now_utc();
        let line = match self.form {
            Form::Json => self.json(exchange, outcome, now),
            Form::Text => text(exchange, outcome, now),
        };
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.metrics.dropped_log_line();
        }
    }

    /// Opens the file anew, after whatever was logged so far.
    pub fn reopen(&self) {
        let _ = self.queue.send(Message::Reopen);
    }

    /// Waits until what was logged so far is written. Blocks for two seconds at most.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_WITHIN);
        }
    }

    fn json(&self, exchange: &Exchange, outcome: Outcome, now: OffsetDateTime) -> Vec<u8> {
        let mut line = Object::new();
        line.text("timestamp", &timestamp(now));
        line.text("request_id", &exchange.id);
        line.text("client_ip", &exchange.client_ip.to_string());
        line.text("method", exchange.method.as_str());
        line.text("path", exchange.uri.path());
        line.text("protocol", &format!("{:?}", exchange.version));
        line.number("status", outcome.status.as_u16());
        line.number("duration", format_args!("{:.6}", exchange.started.elapsed().as_secs_f64()));
        line.text("route", &exchange.route);
        line.maybe("upstream", exchange.upstream.as_deref());
        line.number("upstream_duration", format_args!("{:.6}", exchange.upstream_time.as_secs_f64()));
        line.maybe("consumer", exchange.identity.as_ref().map(|identity| &*identity.subject));
        line.maybe("error", outcome.error.map(ErrorKind::code));
        if let Some(operation) = &exchange.operation {
            line.maybe("operation_name", operation.name.as_deref());
            line.text("operation_type", operation.kind);
            line.number("graphql_errors", operation.errors);
            if let Some(cost) = operation.cost {
                line.number("operation_cost", cost.estimated);
            }
        }
        line.maybe("trace_id", exchange.span.as_ref().map(|span| span.trace_id()).as_deref());
        for name in &self.headers {
            line.maybe(
                name.as_str(),
                exchange.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes())).as_deref(),
            );
        }
        line.end()
    }
}

fn timestamp(now: OffsetDateTime) -> String {
    now.format(TIMESTAMP).unwrap_or_default()
}

/// `12:30:00 POST /graphql 200 3.1ms graphql (query Name)`
fn text(exchange: &Exchange, outcome: Outcome, now: OffsetDateTime) -> Vec<u8> {
    let clock = timestamp(now);
    let mut line = Vec::with_capacity(160);
    let millis = exchange.started.elapsed().as_secs_f64() * 1e3;
    let (method, path, status) = (&exchange.method, exchange.uri.path(), outcome.status.as_u16());
    let _ = write!(line, "{} {method} {} {status} {millis:.1}ms", clock.get(11..19).unwrap_or(&clock), path.escape_default());
    if !exchange.route.is_empty() {
        let _ = write!(line, " {}", exchange.route);
    }
    if let Some(operation) = &exchange.operation {
        let _ = write!(line, " ({} {})", operation.kind, operation.name.as_deref().unwrap_or("anonymous"));
    }
    if let Some(error) = outcome.error {
        let _ = write!(line, " {}", error.code());
    }
    line.push(b'\n');
    line
}

/// A JSON object in the making, printable ASCII whatever goes into it.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(b'{');
        Self(bytes)
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.string(key);
        self.0.push(b':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.0, "{value}");
    }

    fn string(&mut self, value: &str) {
        self.0.push(b'"');
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if value.len() <= LONGEST && value.bytes().all(is_plain) {
            self.0.extend_from_slice(value.as_bytes());
            return self.0.push(b'"');
        }
        for character in value.chars().take(LONGEST) {
            match character {
                '"' | '\\' => self.0.extend([b'\\', character as u8]),
                ' '..='~' => self.0.push(character as u8),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
            }
        }
        self.0.push(b'"');
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(b"}\n");
        self.0
    }
}

enum Sink {
    Stdout,
    File(PathBuf, BufWriter<File>),
}

fn append(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?))
}

/// Writes until the log is dropped. Lines that are waiting are written together.
fn write_lines(lines: &Receiver<Message>, mut sink: Sink) {
    let mut batch = Vec::new();
    while let Ok(first) = lines.recv() {
        let mut next = Ok(first);
        batch.clear();
        loop {
            match next {
                Ok(Message::Line(line)) => batch.extend_from_slice(&line),
                Ok(Message::Reopen) => {
                    sink.write(&batch);
                    batch.clear();
                    sink.reopen();
                }
                Ok(Message::Flush(done)) => {
                    sink.write(&batch);
                    batch.clear();
                    let _ = done.try_send(());
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            next = lines.try_recv();
        }
        sink.write(&batch);
        rest();
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the writer's own thread")]
fn rest() {
    std::thread::sleep(REST);
}

impl Sink {
    fn write(&mut self, batch: &[u8]) {
        let written = match self {
            Self::Stdout => io::stdout().lock().write_all(batch),
            Self::File(_, file) => file.write_all(batch).and_then(|()| file.flush()),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::exchange::Peer;

    fn exchange(uri: &str) -> Exchange {
        let peer = Peer { address: "192.0.2.7:4711".parse().unwrap(), is_tls: false };
        let (head, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        let mut exchange = Exchange::new(peer, head, Duration::from_secs(1));
        exchange.id = "id-1".into();
        exchange.route = "orders".into();
        exchange.upstream = Some("orders".into());
        exchange
    }

    #[allow(clippy::disallowed_methods, reason = "the writer is a thread, and so is this test")]
    fn lines_after(log: AccessLog, path: &Path, wanted: usize) -> Vec<String> {
        drop(log);
        for _ in 0..500 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= wanted {
                return text.lines().map(str::to_owned).collect();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("supergate-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn a_line_is_ascii_json_without_the_query_whatever_the_client_sent() {
        let path = scratch("access.log");
        let user_agent = HeaderName::from_static("user-agent");
        let config = AccessLogConfig { path: path.clone(), fields: vec!["User-Agent".into()], ..AccessLogConfig::default() };
        let log = AccessLog::open(&config, Metrics::new()).unwrap();
        let mut exchange = exchange("/a%22b?token=secret");
        exchange.headers.insert(user_agent, http::HeaderValue::from_bytes(b"\"\\\x09\xff \xe2\x82\xac").unwrap());
        log.write(&exchange, Outcome { status: StatusCode::OK, error: None });
        let lines = lines_after(log, &path, 1);
        assert!(lines[0].bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert!(!lines[0].contains("secret"));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["path"], "/a%22b");
        assert_eq!(line["user-agent"], "\"\\\t\u{fffd} \u{20ac}");
        assert_eq!((&line["status"], &line["route"], &line["method"]), (&200.into(), &"orders".into(), &"GET".into()));
        for field in ["timestamp", "duration", "upstream", "request_id", "client_ip"] {
            assert!(!line[field].is_null(), "{field} is missing");
        }
    }

    #[test]
    fn what_was_logged_is_written_when_the_process_ends() {
        let path = scratch("flushed.log");
        let log = AccessLog::open(&AccessLogConfig { path: path.clone(), ..AccessLogConfig::default() }, Metrics::new()).unwrap();
        for _ in 0..50 {
            log.write(&exchange("/"), Outcome { status: StatusCode::OK, error: None });
        }
        log.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 50);
    }

    #[test]
    fn rotation_loses_no_line() {
        let (path, moved) = (scratch("rotated.log"), scratch("rotated.log.1"));
        let config = AccessLogConfig { path: path.clone(), format: Form::Text, ..AccessLogConfig::default() };
        let log = AccessLog::open(&config, Metrics::new()).unwrap();
        let outcome = Outcome { status: StatusCode::BAD_GATEWAY, error: Some(ErrorKind::UpstreamUnreachable) };
        for _ in 0..100 {
            log.write(&exchange("/before"), outcome);
        }
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        for _ in 0..100 {
            log.write(&exchange("/after"), outcome);
        }
        let after = lines_after(log, &path, 100);
        let before = std::fs::read_to_string(&moved).unwrap();
        assert_eq!((before.lines().count(), after.len()), (100, 100));
        assert!(after[0].contains("GET /after 502") && after[0].ends_with("UPSTREAM_UNREACHABLE"), "{}", after[0]);
    }
}
