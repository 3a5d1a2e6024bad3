//! Spans of an exchange, exported over OTLP, with W3C trace context in and out.
//!
//! Off costs nothing: no tracer is made and no exchange has a span. On, a span is a message that fills (`otlp`): no lock is taken
//! and nothing is looked up until it ends. Spec: <https://www.w3.org/TR/trace-context/>

use std::{
    cell::Cell,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Instant,
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Sampler, TracingConfig,
    hexadecimal::{digits_of_64, digits_of_128},
    otlp::{Exporter, Kind, Queue, Record, Value},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `00-{32 digits}-{16 digits}-{2 digits}`
const TRACEPARENT_LENGTH: usize = 55;

/// A protocol of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// Starts spans and exports those that ended.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: Arc<Queue>,
    exporter: Exporter,
}

impl Tracer {
    /// The tracer of this configuration; none when it sends spans nowhere. It must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// The endpoint is not a URL, or no client for it can be made.
    pub fn new(config: &TracingConfig) -> Result<Option<Self>, String> {
        if !config.otlp.enabled {
            return Ok(None);
        }
        let queue = Arc::new(Queue::new(&config.otlp));
        let exporter = Exporter::start(&config.otlp, queue.clone())?;
        Ok(Some(Self { sampler: config.sampler, queue, exporter }))
    }

    /// Starts the span of an exchange that began at `started`, as a child of the span that the request's headers name.
    pub fn start(&self, headers: &HeaderMap, started: Instant) -> RequestSpan {
        let context = match TraceContext::of(headers) {
            Some(caller) => caller,
            None => TraceContext::root(self.sampler),
        };
        RequestSpan::under(&context, Kind::Server, &self.queue, started)
    }

    /// Exports what is left; gives up after five seconds.
    pub async fn shutdown(&self) {
        self.exporter.shutdown().await;
    }
}

/// Where in which trace a span is: what a callee is told.
#[derive(Clone, Debug)]
pub struct TraceContext {
    trace: [u8; 16],
    /// The span; zero where the trace has none yet.
    span: u64,
    is_sampled: bool,
    /// What the caller's tracing system said of the trace.
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// A trace that begins here.
    fn root(sampler: Sampler) -> Self {
        let (high, low) = (random(), random());
        let is_sampled = match sampler {
            Sampler::AlwaysOn => true,
            Sampler::AlwaysOff => false,
            // The lower half decides, as in OpenTelemetry's TraceIdRatioBased.
            Sampler::Ratio(share) => (low as f64) < share * u64::MAX as f64,
        };
        let trace = ((u128::from(high) << 64 | u128::from(low)) | 1).to_be_bytes();
        Self { trace, span: 0, is_sampled, state: None }
    }

    /// The caller's place, if it says one that is valid.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).into_iter();
        let (parent, None) = (parents.next()?.as_bytes(), parents.next()) else { return None };
        let (known, more) = parent.split_at_checked(TRACEPARENT_LENGTH)?;
        let version = number(known.get(..2)?)?;
        let is_version =
            version != 0xff && if version == 0 { more.is_empty() } else { more.first().is_none_or(|&it| it == b'-') };
        let are_parts = [2, 35, 52].iter().all(|&at| known.get(at) == Some(&b'-'));
        let trace = number(known.get(3..35)?)?;
        let span = number(known.get(36..52)?)? as u64;
        let flags = number(known.get(53..)?)?;
        let is_valid = is_version && are_parts && trace != 0 && span != 0;
        is_valid.then(|| Self { trace: trace.to_be_bytes(), span, is_sampled: flags & 1 == 1, state: state(headers) })
    }

    /// Writes `traceparent` (and `tracestate`) so that the callee's spans become children of this one.
    pub fn inject(&self, headers: &mut HeaderMap) {
        let mut text = *b"00-................................-................-0.";
        for (place, digits) in
            [(3..35, &digits_of_128(u128::from_be_bytes(self.trace)) as &[u8]), (36..52, &digits_of_64(self.span))]
        {
            if let Some(place) = text.get_mut(place) {
                place.copy_from_slice(digits);
            }
        }
        if let Some(flags) = text.last_mut() {
            *flags = if self.is_sampled { b'1' } else { b'0' };
        }
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            headers.insert(TRACEPARENT, value);
        }
        match &self.state {
            Some(state) => drop(headers.insert(TRACESTATE, state.clone())),
            None => drop(headers.remove(TRACESTATE)),
        }
    }
}

/// The state of the caller's trace; several headers are one list.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(TRACESTATE).into_iter();
    let first = all.next()?;
    let mut list = first.as_bytes().to_vec();
    for more in all {
        list.push(b',');
        list.extend(more.as_bytes());
    }
    HeaderValue::from_bytes(&list).ok().filter(|state| !state.is_empty() && state.to_str().is_ok())
}

/// A hexadecimal number in lower case.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

/// A number that differs each time (SplitMix64); to tell things apart, not for secrets.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A span that ends when it is dropped, unless it is told when; children nest under it.
#[derive(Debug)]
pub struct RequestSpan {
    context: TraceContext,
    queue: Arc<Queue>,
    /// What will be exported, if it is sampled.
    record: Option<Record>,
}

impl RequestSpan {
    /// A span of our own work under this one.
    #[must_use]
    pub fn child(&self, started: Instant) -> Self {
        Self::under(&self.context, Kind::Internal, &self.queue, started)
    }

    /// The span of a call that we make.
    #[must_use]
    pub fn call(&self, started: Instant) -> Self {
        Self::under(&self.context, Kind::Client, &self.queue, started)
    }

    fn under(parent: &TraceContext, kind: Kind, queue: &Arc<Queue>, started: Instant) -> Self {
        let context = TraceContext { span: random() | 1, ..parent.clone() };
        let record = parent.is_sampled.then(|| {
            let mut record = Record::new(kind, context.trace, context.span, parent.span, started);
            if let Some(state) = context.state.as_ref().and_then(|state| state.to_str().ok()) {
                record.state(state);
            }
            record
        });
        Self { context, queue: queue.clone(), record }
    }

    /// Names the span with these words. The first name stays.
    pub fn name(&mut self, words: &[&str]) {
        if let Some(record) = &mut self.record {
            record.name(words);
        }
    }

    /// States a fact about the work.
    #[inline]
    pub fn set<'a>(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        if let Some(record) = &mut self.record {
            record.set(key, value);
        }
    }

    /// Marks the work as failed, with the error's public code.
    pub fn fail(&mut self, code: &'static str) {
        if let Some(record) = &mut self.record {
            record.fail(code);
        }
    }

    /// What a callee is told.
    pub fn context(&self) -> TraceContext {
        self.context.clone()
    }

    /// The trace's id in hexadecimal, for logs.
    pub fn trace_id(&self) -> [u8; 32] {
        digits_of_128(u128::from_be_bytes(self.context.trace))
    }

    /// Ends the span at this instant.
    pub fn end(mut self, ended: Instant) {
        if let Some(record) = self.record.take() {
            self.queue.push(record, ended);
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.queue.push(record, Instant::now());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::telemetry::OtlpConfig;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn start(headers: &HeaderMap) -> RequestSpan {
        let context = TraceContext::of(headers).unwrap_or_else(|| TraceContext::root(Sampler::AlwaysOn));
        let queue = Arc::new(Queue::new(&OtlpConfig::default()));
        RequestSpan::under(&context, Kind::Server, &queue, Instant::now())
    }

    fn injected(span: &RequestSpan) -> HeaderMap {
        let mut headers = HeaderMap::new();
        span.context().inject(&mut headers);
        headers
    }

    fn traceparent(span: &RequestSpan) -> String {
        injected(span).get(TRACEPARENT).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_valid_parent_is_continued_and_an_invalid_one_is_not() {
        for (parent, is_continued) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01-future"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01future"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{TRACE}-00f067aa0ba902b7-01"), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(), false),
            (format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()), false),
            (format!("00_{TRACE}-00f067aa0ba902b7-01"), false),
            ("garbage".to_owned(), false),
        ] {
            let span = start(&headers(&[("traceparent", parent.clone())]));
            assert_eq!(span.trace_id() == TRACE.as_bytes(), is_continued, "{parent}");
        }
        let twice = ("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        assert_ne!(start(&headers(&[twice.clone(), twice])).trace_id(), TRACE.as_bytes());
    }

    #[test]
    fn a_trace_that_its_caller_does_not_sample_is_handed_on_and_not_recorded() {
        let span = start(&headers(&[("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-00"))]));
        assert!(span.record.is_none() && span.call(Instant::now()).record.is_none());
        assert!(traceparent(&span).starts_with(&format!("00-{TRACE}-")) && traceparent(&span).ends_with("-00"));
    }

    #[test]
    fn the_state_of_a_trace_is_handed_on_as_one_list() {
        let parent = ("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let given = headers(&[parent, ("tracestate", "a=1".to_owned()), ("tracestate", "b=2".to_owned())]);
        assert_eq!(injected(&start(&given).call(Instant::now())).get(TRACESTATE).unwrap(), "a=1,b=2");
        assert!(injected(&start(&headers(&[("tracestate", "a=1".to_owned())]))).get(TRACESTATE).is_none());
    }

    #[test]
    fn children_share_the_trace_and_not_the_span() {
        let request = start(&HeaderMap::new());
        let (request, fetch) = (traceparent(&request), traceparent(&request.call(Instant::now())));
        assert_eq!(request[..36], fetch[..36]);
        assert_ne!(request[36..52], fetch[36..52]);
        assert_eq!((request.len(), &request[52..]), (TRACEPARENT_LENGTH, "-01"));
    }

    #[test]
    fn a_sampler_takes_its_share() {
        let taken = |sampler| (0..4_000).filter(|_| TraceContext::root(sampler).is_sampled).count();
        assert_eq!((taken(Sampler::AlwaysOn), taken(Sampler::AlwaysOff)), (4_000, 0));
        assert!((800..1_200).contains(&taken(Sampler::Ratio(0.25))));
    }
}
