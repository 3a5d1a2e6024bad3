//! One line per exchange, in JSON for machines or text for people, to standard output or a file.
//!
//! A line is made where the exchange ends and appended to a bounded buffer that a thread writes out: requests never wait for a
//! disk, and what the writer cannot take is dropped and counted. The writer rests after each write, so that a busy process wakes it
//! for many lines at once. Paths are logged without their query, so that no token in it reaches a log. A file is opened again when
//! [`AccessLog::reopen`] is called, which is what log rotation asks for.

mod line;
mod writer;

use std::{io, path::PathBuf, sync::Arc, time::Instant};

use http::{HeaderName, StatusCode, Version, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    line::{Object, key},
    writer::Writer,
};
use crate::{
    error::ErrorKind,
    exchange::Exchange,
    telemetry::{clock::since_epoch, metrics::Metrics},
};

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
    /// Request headers that are logged beside the fixed fields; of credentials and cookies only that they were there.
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
    writer: Writer,
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

impl AccessLog {
    /// The log of this configuration.
    ///
    /// # Errors
    /// A name in `fields` cannot be a header's, the file cannot be opened for appending, or no thread can be started.
    pub fn open(config: &AccessLogConfig, metrics: Arc<Metrics>) -> io::Result<Self> {
        let named = |name: &String| HeaderName::try_from(name).map_err(|error| io::Error::other(format!("`{name}`: {error}")));
        let headers = config.fields.iter().map(named).collect::<io::Result<_>>()?;
        Ok(Self { writer: Writer::open(&config.path)?, form: config.format, headers, metrics })
    }

    /// Logs an exchange that has ended.
    pub fn write(&self, exchange: &Exchange, listener: Option<&str>, outcome: Outcome, ended: Instant) {
        let line = match self.form {
            Form::Json => self.json(exchange, listener, outcome, ended),
            Form::Text => line::text(exchange, outcome, ended),
        };
        if !self.writer.append(&line) {
            self.metrics.dropped_log_line();
        }
        line::reuse(line);
    }

    /// Opens the file anew, after whatever was logged so far.
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    /// Waits until what was logged so far is written. Blocks for two seconds at most.
    pub fn flush(&self) {
        self.writer.flush();
    }

    fn json(&self, exchange: &Exchange, listener: Option<&str>, outcome: Outcome, ended: Instant) -> Vec<u8> {
        let mut line = Object::new(since_epoch(ended));
        // Plain, or it would not have been taken.
        line.plain(key!("request_id"), exchange.id.as_bytes());
        line.address(key!("client_ip"), exchange.client_ip);
        line.text(key!("method"), exchange.method.as_str());
        line.text(key!("path"), exchange.uri.path());
        line.plain(key!("protocol"), protocol(exchange.version).as_bytes());
        line.number(key!("status"), u64::from(outcome.status.as_u16()));
        line.seconds(key!("duration"), ended - exchange.started);
        line.maybe(key!("listener"), listener);
        line.text(key!("route"), &exchange.route);
        line.maybe(key!("upstream"), exchange.upstream.as_deref());
        line.seconds(key!("upstream_duration"), exchange.upstream_time);
        line.maybe(key!("consumer"), exchange.identity.as_ref().map(|identity| &*identity.subject));
        line.maybe(key!("error"), outcome.error.map(ErrorKind::code));
        if let Some(operation) = &exchange.operation {
            line.maybe(key!("operation_name"), operation.name.as_deref());
            line.text(key!("operation_type"), operation.kind);
            line.number(key!("graphql_errors"), operation.errors as u64);
            if let Some(cost) = operation.cost {
                line.number(key!("operation_cost"), cost.estimated);
            }
        }
        if let Some(span) = &exchange.span {
            line.plain(key!("trace_id"), &span.trace_id());
        }
        for name in &self.headers {
            match exchange.headers.get(name) {
                Some(_) if is_secret(name) => line.header(name, HIDDEN),
                Some(value) => line.header(name, &String::from_utf8_lossy(value.as_bytes())),
                None => {}
            }
        }
        line.end()
    }
}

/// Stands for a value that is there, and that nobody should read in a log.
const HIDDEN: &str = "(hidden)";

/// Whether a header's value lets whoever reads it act for the client.
fn is_secret(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || *name == header::PROXY_AUTHORIZATION || *name == header::COOKIE
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{path::Path, time::Duration};

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
        let config = AccessLogConfig {
            path: path.clone(),
            fields: ["User-Agent", "Authorization", "Cookie"].map(Into::into).into(),
            ..AccessLogConfig::default()
        };
        let log = AccessLog::open(&config, Metrics::new()).unwrap();
        let mut exchange = exchange("/a%22b?token=secret");
        exchange.headers.insert(header::AUTHORIZATION, http::HeaderValue::from_static("Bearer secret"));
        exchange.headers.insert(user_agent, http::HeaderValue::from_bytes(b"\"\\\x09\xff \xe2\x82\xac").unwrap());
        log.write(&exchange, None, Outcome { status: StatusCode::OK, error: None }, Instant::now());
        let lines = lines_after(log, &path, 1);
        assert!(lines[0].bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert!(!lines[0].contains("secret"));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["path"], "/a%22b");
        assert_eq!((&line["authorization"], &line["cookie"]), (&HIDDEN.into(), &Value::Null));
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
            log.write(&exchange("/"), None, Outcome { status: StatusCode::OK, error: None }, Instant::now());
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
            log.write(&exchange("/before"), None, outcome, Instant::now());
        }
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        for _ in 0..100 {
            log.write(&exchange("/after"), None, outcome, Instant::now());
        }
        let after = lines_after(log, &path, 100);
        let before = std::fs::read_to_string(&moved).unwrap();
        assert_eq!((before.lines().count(), after.len()), (100, 100));
        assert!(after[0].contains("GET /after 502") && after[0].ends_with("UPSTREAM_UNREACHABLE"), "{}", after[0]);
    }
}
