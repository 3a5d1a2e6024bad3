//! How an exchange looks in the access log.
//!
//! A line is made for every exchange, so numbers and times are written digit by digit: the general formatting of a timestamp and
//! of two durations costs more than all the rest of a line. Relied on by `access_log`.

use std::{
    cell::Cell,
    io::Write as _,
    net::IpAddr,
    time::{Duration, Instant},
};

use http::HeaderName;
use time::OffsetDateTime;

use super::Outcome;
use crate::{exchange::Exchange, telemetry::clock::since_epoch};

/// The longest value of one field, in characters.
const LONGEST: usize = 2_048;
/// Room for a line with usual values.
const USUAL: usize = 768;
/// Memory that a thread keeps for its next line, in bytes.
const MOST_KEPT: usize = 4_096;

thread_local! {
    /// The memory of this thread's last line.
    static LAST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The second that this thread wrote last, since 1970, and its text: taking a date apart costs more than a field.
    static SECOND: Cell<(u64, [u8; SECOND_LENGTH])> = const { Cell::new((u64::MAX, [0; SECOND_LENGTH])) };
}

/// `2026-11-21T12:30:00`
const SECOND_LENGTH: usize = 19;

/// What stands before the value of a field of ours, known when the program is built.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// Keeps the memory of a line that was written.
pub fn reuse(mut line: Vec<u8>) {
    if line.capacity() <= MOST_KEPT {
        line.clear();
        LAST.set(line);
    }
}

/// A JSON object in the making, printable ASCII whatever goes into it.
pub struct Object(Vec<u8>);

impl Object {
    /// An object with its `timestamp`, counted since 1970.
    pub fn new(now: Duration) -> Self {
        let mut line = LAST.take();
        line.reserve(USUAL);
        line.extend_from_slice(b"{\"timestamp\":\"");
        timestamp(&mut line, now);
        line.push(b'"');
        Self(line)
    }

    /// Text from outside.
    #[inline]
    pub fn text(&mut self, key: &'static str, value: &str) {
        self.0.extend_from_slice(key.as_bytes());
        self.string(value);
    }

    /// Text from outside, if there is any.
    pub fn maybe(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A header, under its own name, in which nothing needs escaping.
    pub fn header(&mut self, name: &HeaderName, value: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b"\":");
        self.string(value);
    }

    /// Text that needs no escaping.
    #[inline]
    pub fn plain(&mut self, key: &'static str, value: &[u8]) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'"');
        self.0.extend_from_slice(value);
        self.0.push(b'"');
    }

    /// An address of a host.
    pub fn address(&mut self, key: &'static str, value: IpAddr) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'"');
        match value {
            IpAddr::V4(value) => {
                for (place, octet) in value.octets().into_iter().enumerate() {
                    if place > 0 {
                        self.0.push(b'.');
                    }
                    decimal(&mut self.0, octet.into());
                }
            }
            IpAddr::V6(value) => drop(write!(self.0, "{value}")),
        }
        self.0.push(b'"');
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, key: &'static str, value: u64) {
        self.0.extend_from_slice(key.as_bytes());
        decimal(&mut self.0, value);
    }

    /// A time in seconds, to the microsecond.
    #[inline]
    pub fn seconds(&mut self, key: &'static str, value: Duration) {
        self.0.extend_from_slice(key.as_bytes());
        decimal(&mut self.0, value.as_secs());
        self.0.push(b'.');
        padded::<6>(&mut self.0, value.subsec_micros());
    }

    /// The whole line.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"}\n");
        self.0
    }

    fn string(&mut self, value: &str) {
        self.0.push(b'"');
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        // Every byte is looked at, so that the compiler can look at many at once.
        if value.len() <= LONGEST && value.bytes().fold(true, |are, byte| are & is_plain(byte)) {
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
}

/// `12:30:00 POST /graphql 200 3.1ms graphql (query Name)`
pub fn text(exchange: &Exchange, outcome: Outcome, ended: Instant) -> Vec<u8> {
    let mut line = LAST.take();
    clock(&mut line, day_and_time(since_epoch(ended)));
    let millis = (ended - exchange.started).as_secs_f64() * 1e3;
    let (method, path, status) = (&exchange.method, exchange.uri.path(), outcome.status.as_u16());
    let _ = write!(line, " {method} {} {status} {millis:.1}ms", path.escape_default());
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

/// A time since 1970, in UTC.
fn day_and_time(since: Duration) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(since.try_into().unwrap_or_default())
}

/// `2026-11-21T12:30:00.123456Z`
fn timestamp(out: &mut Vec<u8>, now: Duration) {
    let (mut second, mut text) = SECOND.get();
    if second != now.as_secs() {
        (second, text) = (now.as_secs(), seconds_of(now));
        SECOND.set((second, text));
    }
    out.extend_from_slice(&text);
    out.push(b'.');
    padded::<6>(out, now.subsec_micros());
    out.push(b'Z');
}

/// A time since 1970 up to its second.
fn seconds_of(now: Duration) -> [u8; SECOND_LENGTH] {
    let (mut out, now) = (Vec::with_capacity(SECOND_LENGTH), day_and_time(now));
    padded::<4>(&mut out, now.year().unsigned_abs());
    out.push(b'-');
    padded::<2>(&mut out, u32::from(u8::from(now.month())));
    out.push(b'-');
    padded::<2>(&mut out, u32::from(now.day()));
    out.push(b'T');
    clock(&mut out, now);
    out.try_into().unwrap_or([b'0'; SECOND_LENGTH])
}

/// `12:30:00`
fn clock(out: &mut Vec<u8>, now: OffsetDateTime) {
    padded::<2>(out, u32::from(now.hour()));
    out.push(b':');
    padded::<2>(out, u32::from(now.minute()));
    out.push(b':');
    padded::<2>(out, u32::from(now.second()));
}

/// A number with leading zeros, in `WIDTH` digits; more are cut off.
fn padded<const WIDTH: usize>(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

/// A number without leading zeros.
fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        (value, first) = (value / 10, first - 1);
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_what_the_general_formatting_gives() {
        for value in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
        for micros in [7, 8] {
            let mut object = Object::new(Duration::new(951_827_696, micros * 1_000));
            object.seconds(key!("d"), Duration::new(12, 34_000));
            object.number(key!("n"), 200);
            object.address(key!("a"), [192, 0, 2, 70].into());
            object.address(key!("b"), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into());
            let line = String::from_utf8_lossy(&object.end()).into_owned();
            let fields = "\"d\":12.000034,\"n\":200,\"a\":\"192.0.2.70\",\"b\":\"2001:db8::1\"";
            assert_eq!(line, format!("{{\"timestamp\":\"2000-02-29T12:34:56.00000{micros}Z\",{fields}}}\n"));
        }
        let next = Object::new(Duration::new(951_868_800, 0)).end();
        assert_eq!(next, b"{\"timestamp\":\"2000-03-01T00:00:00.000000Z\"}\n");
    }
}
