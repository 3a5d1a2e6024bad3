//! Spans of an exchange, exported over OTLP, with W3C trace context in and out.
//!
//! Spec: <https://www.w3.org/TR/trace-context/>

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

/// A span that ends when its last clone is dropped; children nest under it.
#[derive(Clone, Debug)]
pub struct RequestSpan {
    context: Context,
    tracer: SdkTracer,
}

impl RequestSpan {
    /// A span under this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        let span = self.tracer.start_with_context(name, &self.context);
        Self { context: self.context.with_span(span), tracer: self.tracer.clone() }
    }

    /// States a fact about the work.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    /// Marks the work as failed, with the error's public code.
    pub fn fail(&self, code: &'static str) {
        self.context.span().set_status(Status::error(code));
    }

    /// Writes `traceparent` (and `tracestate`) so that the callee's spans become children of this one.
    pub fn inject(&self, headers: &mut HeaderMap) {
        let span = self.context.span();
        let context = span.span_context();
        let parent = format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags());
        if let Ok(value) = parent.try_into() {
            headers.insert("traceparent", value);
        }
        let state = context.trace_state().header();
        if let (false, Ok(value)) = (state.is_empty(), state.try_into()) {
            headers.insert("tracestate", value);
        }
    }
}
