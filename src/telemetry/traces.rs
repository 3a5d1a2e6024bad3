//! Spans of an exchange, exported over OTLP, with W3C trace context in and out.
//!
//! Off costs nothing: no tracer is made and no exchange has a span. Spec: <https://www.w3.org/TR/trace-context/>

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, KeyValue, Value,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{self as sdk, SdkTracer, SdkTracerProvider},
};

use super::{OtlpConfig, Sampler, TracingConfig};

/// Facts that are stated of an exchange, about.
const MAX_FACTS: usize = 12;
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

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
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// The tracer of this configuration; none when it sends spans nowhere. It must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// The endpoint is not a URL, or the exporter cannot be made.
    pub fn new(config: &TracingConfig) -> Result<Option<Self>, String> {
        let OtlpConfig { enabled, endpoint, protocol } = &config.otlp;
        if !enabled {
            return Ok(None);
        }
        let builder = SpanExporter::builder();
        let exporter = match protocol {
            Transport::Grpc => builder.with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build(),
            Transport::Http => {
                let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/').trim_end_matches("/v1/traces"));
                builder.with_http().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()
            }
        };
        let exporter = exporter.map_err(|error| format!("the OTLP exporter for {endpoint} cannot be made: {error}"))?;
        let sampler = match config.sampler {
            Sampler::AlwaysOn => sdk::Sampler::AlwaysOn,
            Sampler::AlwaysOff => sdk::Sampler::AlwaysOff,
            Sampler::Ratio(share) => sdk::Sampler::TraceIdRatioBased(share),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sdk::Sampler::ParentBased(Box::new(sampler)))
            .with_resource(Resource::builder().with_service_name("supergate").build())
            .build();
        let tracer = provider.tracer("supergate");
        Ok(Some(Self { provider, tracer }))
    }

    /// Starts the span of an exchange, as a child of the span that the request's headers name.
    pub fn start(&self, name: &'static str, headers: &HeaderMap) -> RequestSpan {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(Vec::with_capacity(MAX_FACTS));
        let span = builder.start_with_context(&self.tracer, &parent);
        RequestSpan { context: parent.with_span(span), tracer: self.tracer.clone() }
    }

    /// Exports what is left. Blocks for at most the export's timeout.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "some spans could not be exported");
        }
    }
}

/// A span that ends when its last clone is dropped; children nest under it.
#[derive(Clone, Debug)]
pub struct RequestSpan {
    context: Context,
    tracer: SdkTracer,
}

impl RequestSpan {
    /// A span of our own work under this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        self.under(name, SpanKind::Internal)
    }

    /// The span of a call that we make.
    #[must_use]
    pub fn call(&self, name: &'static str) -> Self {
        self.under(name, SpanKind::Client)
    }

    fn under(&self, name: &'static str, kind: SpanKind) -> Self {
        let span = self.tracer.span_builder(name).with_kind(kind).start_with_context(&self.tracer, &self.context);
        Self { context: self.context.with_span(span), tracer: self.tracer.clone() }
    }

    /// Gives the span a more telling name.
    pub fn rename(&self, name: String) {
        self.context.span().update_name(name);
    }

    /// States a fact about the work.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(key, value));
    }

    /// States several facts at once.
    pub fn set_all(&self, facts: impl IntoIterator<Item = (&'static str, Value)>) {
        self.context.span().set_attributes(facts.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    }

    /// Marks the work as failed, with the error's public code.
    pub fn fail(&self, code: &'static str) {
        self.context.span().set_status(Status::error(code));
    }

    /// The trace's id, for logs.
    pub fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Writes `traceparent` (and `tracestate`) so that the callee's spans become children of this one.
    pub fn inject(&self, headers: &mut HeaderMap) {
        TraceContextPropagator::new().inject_context(&self.context, &mut HeadersMut(headers));
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value))
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    /// A tracer without an exporter.
    fn tracer() -> Tracer {
        let provider = SdkTracerProvider::builder().with_sampler(sdk::Sampler::AlwaysOn).build();
        let tracer = provider.tracer("test");
        Tracer { provider, tracer }
    }

    fn injected(span: &RequestSpan) -> String {
        let mut headers = HeaderMap::new();
        span.inject(&mut headers);
        headers.get("traceparent").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_valid_parent_is_continued_and_an_invalid_one_is_not() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (parent, is_continued) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-future"), true),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(), false),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), false),
            ("garbage".to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", parent.parse().unwrap());
            let span = tracer().start("request", &headers);
            assert_eq!(span.trace_id() == trace, is_continued, "{parent}");
        }
    }

    #[test]
    fn children_share_the_trace_and_not_the_span() {
        let request = tracer().start("request", &HeaderMap::new());
        let fetch = request.call("fetch");
        let (request, fetch) = (injected(&request), injected(&fetch));
        assert_eq!(request[3..35], fetch[3..35]);
        assert_ne!(request[36..52], fetch[36..52]);
    }
}
