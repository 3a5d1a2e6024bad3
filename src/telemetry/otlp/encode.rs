//! The protobuf messages of OTLP: a span as it fills, and the request that carries many.
//!
//! A message may hold its fields in any order, so a span is written as its facts come in and needs no tree.
//! Relied on by `otlp`. Spec: <https://protobuf.dev/programming-guides/encoding/>

use std::time::Instant;

use bytes::{BufMut, BytesMut};

use crate::telemetry::clock;

/// The longest text of a span; the rest is cut off.
pub const LONGEST_TEXT: usize = 4_096;
/// The field of a span for its facts.
const ATTRIBUTE: u32 = 9;
/// Room for a span with usual facts.
pub const LONGEST_USUAL: usize = 512;

/// The wire types in use.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;
/// Bytes of a size that is known only later.
const LATE: usize = 5;
/// Bytes before a message of gRPC: not compressed, and its size.
const FRAME: usize = 5;
/// `Status.code`: an error.
const STATUS_ERROR: u64 = 2;

/// Whose work a span is, by its number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own.
    Internal = 1,
    /// A request that we answer.
    Server = 2,
    /// A request that we make.
    Client = 3,
}

/// The value of a fact.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text, of which [`LONGEST_TEXT`] bytes are kept.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// Yes or no.
    Bool(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

/// A span that has begun: its message so far.
#[derive(Debug)]
pub struct Record {
    message: Vec<u8>,
    is_named: bool,
}

impl Record {
    /// A span that began at `started`. A `parent` of zero is none.
    pub fn new(kind: Kind, trace: [u8; 16], id: u64, parent: u64, started: Instant) -> Self {
        let mut message = Vec::with_capacity(LONGEST_USUAL);
        message.extend_from_slice(&[tag_of(1, BYTES), 16]);
        message.extend_from_slice(&trace);
        message.extend_from_slice(&[tag_of(2, BYTES), 8]);
        message.extend_from_slice(&id.to_be_bytes());
        if parent != 0 {
            message.extend_from_slice(&[tag_of(4, BYTES), 8]);
            message.extend_from_slice(&parent.to_be_bytes());
        }
        message.extend_from_slice(&[tag_of(6, VARINT), kind as u8]);
        time(&mut message, 7, started);
        Self { message, is_named: false }
    }

    /// Names the span with these words; the first name stays.
    pub fn name(&mut self, words: &[&str]) {
        if !std::mem::replace(&mut self.is_named, true) {
            joined(&mut self.message, 5, words);
        }
    }

    /// Hands on what the caller's tracing system said of the trace.
    pub fn state(&mut self, state: &str) {
        bytes(&mut self.message, 3, shortened(state).as_bytes());
    }

    /// States a fact. Inlined, so that the key is a part of the program and not copied from anywhere.
    #[inline]
    pub fn set<'a>(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        let value = value.into();
        let is_set = match value {
            Value::Text(text) => short_text(&mut self.message, key, text),
            Value::Number(number) => small_number(&mut self.message, key, number),
            Value::Bool(_) => false,
        };
        if !is_set {
            attribute(&mut self.message, ATTRIBUTE, key, value);
        }
    }

    /// Marks the work as failed.
    pub fn fail(&mut self, code: &str) {
        let code = shortened(code);
        tag(&mut self.message, 15, BYTES);
        varint(&mut self.message, field_size(code.len()) + 2);
        bytes(&mut self.message, 2, code.as_bytes());
        number(&mut self.message, 3, STATUS_ERROR);
    }

    /// Ends the span and appends it to others.
    pub fn end(mut self, ended: Instant, siblings: &mut BytesMut) {
        time(&mut self.message, 8, ended);
        // Sampled; and what is known of the parent is not said.
        tag(&mut self.message, 16, FIXED32);
        self.message.extend(1_u32.to_le_bytes());
        bytes(siblings, 2, &self.message);
    }
}

/// What precedes the spans in an export request: the request, its resource and its scope, each with its size. The spans follow to
/// the end. The sizes are known only then, so each has [`LATE`] bytes.
#[derive(Debug)]
pub struct Envelope {
    bytes: Vec<u8>,
    /// Whether it begins with gRPC's frame.
    is_framed: bool,
    /// Where the sizes are that count everything behind them.
    sizes: [usize; 2],
}

impl Envelope {
    /// An envelope that says these facts of the process, and is a message of gRPC if it `is_framed`.
    pub fn new(facts: &[(String, String)], is_framed: bool) -> Self {
        let mut resource = Vec::new();
        for (key, value) in facts {
            attribute(&mut resource, 1, key, Value::Text(value));
        }
        let mut scope = Vec::new();
        bytes(&mut scope, 1, b"supergate");
        bytes(&mut scope, 2, env!("CARGO_PKG_VERSION").as_bytes());

        let mut request = Vec::new();
        if is_framed {
            request.extend([0; FRAME]);
        }
        let outer = late(&mut request, 1);
        bytes(&mut request, 1, &resource);
        let inner = late(&mut request, 2);
        bytes(&mut request, 1, &scope);
        Self { bytes: request, is_framed, sizes: [outer, inner] }
    }

    /// The bytes that precede the spans.
    pub fn open(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the sizes into a request that begins with this envelope.
    pub fn close(&self, request: &mut [u8]) {
        let behind = |place: usize| request.len().saturating_sub(place);
        let frame = (behind(FRAME) as u32).to_be_bytes();
        let sizes = self.sizes.map(|at| (at, padded(behind(at + LATE))));
        if self.is_framed
            && let Some(place) = request.get_mut(1..FRAME)
        {
            place.copy_from_slice(&frame);
        }
        for (at, size) in sizes {
            if let Some(place) = request.get_mut(at..at + LATE) {
                place.copy_from_slice(&size);
            }
        }
    }
}

/// A field of bytes whose size comes later; where that is.
fn late(out: &mut Vec<u8>, field: u32) -> usize {
    tag(out, field, BYTES);
    out.extend([0; LATE]);
    out.len() - LATE
}

/// A varint may be longer than it need be.
fn padded(size: usize) -> [u8; LATE] {
    std::array::from_fn(|place| {
        let more = if place + 1 < LATE { 0x80 } else { 0 };
        (size >> (7 * place)) as u8 & 0x7f | more
    })
}

/// The size of a field of bytes whose number is below 16.
fn field_size(length: usize) -> usize {
    1 + varint_size(length) + length
}

fn varint_size(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn tag(out: &mut impl BufMut, field: u32, wire: u8) {
    varint(out, (field << 3) as usize | usize::from(wire));
}

fn varint(out: &mut impl BufMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn bytes(out: &mut impl BufMut, field: u32, value: &[u8]) {
    tag(out, field, BYTES);
    varint(out, value.len());
    out.put_slice(value);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value as usize);
}

fn time(out: &mut Vec<u8>, field: u32, at: Instant) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&(clock::since_epoch(at).as_nanos() as u64).to_le_bytes());
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: Value<'_>) {
    let size = match value {
        Value::Text(text) => field_size(shortened(text).len()),
        Value::Number(number) => 1 + varint_size(number as usize),
        Value::Bool(_) => 2,
    };
    tag(out, field, BYTES);
    varint(out, field_size(key.len()) + field_size(size));
    bytes(out, 1, key.as_bytes());
    tag(out, 2, BYTES);
    varint(out, size);
    match value {
        Value::Text(text) => bytes(out, 1, shortened(text).as_bytes()),
        Value::Bool(is) => number(out, 2, u64::from(is)),
        Value::Number(value) => number(out, 3, value as u64),
    }
}

/// The tag of a field below 16.
const fn tag_of(field: u32, wire: u8) -> u8 {
    (field << 3) as u8 | wire
}

/// A span's fact whose every size takes one byte, as nearly all do; whether it is one.
#[inline]
fn short_text(out: &mut Vec<u8>, key: &'static str, text: &str) -> bool {
    let (key_size, text_size) = (key.len(), text.len());
    let size = key_size + text_size + 6;
    let is_short = size < 0x80;
    if is_short {
        out.extend_from_slice(&[tag_of(ATTRIBUTE, BYTES), size as u8, tag_of(1, BYTES), key_size as u8]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&[tag_of(2, BYTES), text_size as u8 + 2, tag_of(1, BYTES), text_size as u8]);
        out.extend_from_slice(text.as_bytes());
    }
    is_short
}

/// The same for a number of two digits to the base of 128, as statuses are.
#[inline]
fn small_number(out: &mut Vec<u8>, key: &'static str, number: i64) -> bool {
    let key_size = key.len();
    let size = key_size + 7;
    let is_small = size < 0x80 && (0x80..0x4000).contains(&number);
    if is_small {
        out.extend_from_slice(&[tag_of(ATTRIBUTE, BYTES), size as u8, tag_of(1, BYTES), key_size as u8]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&[tag_of(2, BYTES), 3, tag_of(3, VARINT), number as u8 | 0x80, (number >> 7) as u8]);
    }
    is_small
}

/// Words with spaces between them. Their length is known only once they are written: two bytes are kept for it.
fn joined(out: &mut Vec<u8>, field: u32, words: &[&str]) {
    tag(out, field, BYTES);
    let start = out.len() + 2;
    out.extend([0, 0]);
    for word in words {
        let room = LONGEST_TEXT.saturating_sub(out.len() - start + 1);
        if out.len() > start && room > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word.get(..word.floor_char_boundary(room)).unwrap_or_default().as_bytes());
    }
    let length = out.len() - start;
    if let Some([low, high]) = out.get_mut(start - 2..start) {
        (*low, *high) = (length as u8 | 0x80, (length >> 7) as u8);
    }
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::{KeyValue, any_value::Value as Any},
    };
    use prost::Message as _;

    use super::*;

    fn value(facts: &[KeyValue], key: &str) -> Option<Any> {
        facts.iter().find(|fact| fact.key == key)?.value.clone()?.value
    }

    #[test]
    fn what_is_written_is_what_the_official_messages_read() {
        let now = Instant::now();
        let mut first = Record::new(Kind::Server, [7; 16], 0x0102, 0, now);
        let long = "é".repeat(LONGEST_TEXT);
        first.name(&["GET", &long, "more"]);
        first.name(&["second"]);
        first.state("vendor=1");
        first.set("text", long.as_str());
        first.set("short", "é");
        first.set("number", 200_i64);
        first.set("small", 3_i64);
        first.set("large", 1_i64 << 40);
        first.set("negative", -3_i64);
        first.set("yes", true);
        first.set("no", false);
        first.set("empty", "");
        first.fail("CODE");
        let mut second = Record::new(Kind::Client, [8; 16], 3, 4, now);
        second.name(&["fetch", "of", "orders"]);
        let envelope = Envelope::new(&[("service.name".to_owned(), "s".to_owned())], true);
        let mut request = BytesMut::from(envelope.open());
        first.end(now, &mut request);
        second.end(now, &mut request);
        envelope.close(&mut request);

        let (frame, request) = request.split_at(FRAME);
        assert_eq!(frame, [&[0], (request.len() as u32).to_be_bytes().as_slice()].concat());
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let [resource] = request.resource_spans.try_into().unwrap();
        assert_eq!(value(&resource.resource.unwrap().attributes, "service.name"), Some(Any::StringValue("s".to_owned())));
        let [scope] = resource.scope_spans.try_into().unwrap();
        assert_eq!(scope.scope.unwrap().name, "supergate");
        let [first, second] = scope.spans.try_into().unwrap();
        assert_eq!(
            (first.trace_id.as_slice(), first.span_id.as_slice()),
            ([7; 16].as_slice(), 0x0102_u64.to_be_bytes().as_slice())
        );
        assert!(first.parent_span_id.is_empty() && first.name.starts_with("GET éé"));
        assert!(first.name.len() <= LONGEST_TEXT && first.name.len() > LONGEST_TEXT - 3);
        assert_eq!((first.kind, first.trace_state.as_str(), first.flags), (2, "vendor=1", 1));
        let facts = &first.attributes;
        assert_eq!(value(facts, "text"), Some(Any::StringValue("é".repeat(LONGEST_TEXT / 2))));
        assert_eq!(value(facts, "short"), Some(Any::StringValue("é".to_owned())));
        assert_eq!(value(facts, "number"), Some(Any::IntValue(200)));
        assert_eq!(value(facts, "small"), Some(Any::IntValue(3)));
        assert_eq!(value(facts, "large"), Some(Any::IntValue(1 << 40)));
        assert_eq!(value(facts, "negative"), Some(Any::IntValue(-3)));
        assert_eq!(value(facts, "yes"), Some(Any::BoolValue(true)));
        assert_eq!(value(facts, "no"), Some(Any::BoolValue(false)));
        assert_eq!(value(facts, "empty"), Some(Any::StringValue(String::new())));
        let status = first.status.unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "CODE"));
        assert!(first.start_time_unix_nano > 1_700_000_000_000_000_000 && first.end_time_unix_nano >= first.start_time_unix_nano);
        assert_eq!((second.parent_span_id.as_slice(), second.name.as_str()), (4_u64.to_be_bytes().as_slice(), "fetch of orders"));
        assert!(second.status.is_none());
    }
}
