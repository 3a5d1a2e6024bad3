//! Counters, gauges and histograms in Prometheus' text format, with the names that dashboards expect.
//!
//! A leaf: one [`Metrics`] lives as long as the process, whatever snapshot is served. Labels that an outsider can choose are
//! bounded: beyond [`MOST_VALUES`] distinct values the rest is counted under `other`.

mod recent;

use std::{
    cell::RefCell,
    collections::HashSet,
    fmt::Write as _,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use self::recent::{Answers, Exchanges, Recent, place};
use crate::{error::ErrorKind, exchange::Cost};

/// Most distinct values of one label that an outsider can choose.
pub const MOST_VALUES: usize = 1_000;

/// Buckets of durations that a client sees, in seconds.
const REQUEST_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of planning times, in seconds.
const PLANNING_BUCKETS: [f64; 9] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0];

/// Buckets of costs of operations.
const COST_BUCKETS: [f64; 7] = [0.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

type Text = Arc<str>;

macro_rules! labels {
    ($($name:ident { $($(#[$how:meta])? $field:ident: $type:ty),* })*) => {$(
        #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        struct $name { $($(#[$how])? $field: $type),* }
    )*};
}

/// The label `listener`, which is there only where there are several: otherwise everything has the labels that it always had.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Listener(Option<Text>);

impl EncodeLabelSet for Listener {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_ref().map_or(Ok(()), |name| ("listener", &**name).encode(encoder.encode_label()))
    }
}

labels! {
    DurationLabels { method: &'static str, route: Text, status_code: u16, #[prometheus(flatten)] listener: Listener }
    RequestLabels { method: &'static str, route: Text, status_code: u16, consumer: Text, #[prometheus(flatten)] listener: Listener }
    ErrorLabels { method: &'static str, route: Text, error_type: &'static str, #[prometheus(flatten)] listener: Listener }
    OperationLabels { operation_name: Text, operation_type: &'static str, outcome: &'static str }
    RemainingLabels { consumer: Text, route: Text }
    HitLabels { consumer: Text, plan: Text, route: Text }
    LatencyLabels { service: Text, status: u16 }
    FailureLabels { service: Text, error_type: &'static str }
    ServiceLabels { service: Text }
    LimitLabels { service: Text, limit: &'static str }
    OutcomeLabels { outcome: &'static str }
    CacheLabels { cache: &'static str }
}

/// A histogram family that can make its members.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

thread_local! {
    static EXCHANGES: RefCell<Recent<Exchanges>> = const { RefCell::new(Recent::new()) };
    static ANSWERS: RefCell<Recent<Answers>> = const { RefCell::new(Recent::new()) };
}

/// Everything that is counted.
pub struct Metrics {
    /// Differs from that of all others in the process.
    id: u64,
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_durations: Durations<DurationLabels>,
    errors: Family<ErrorLabels, Counter>,
    operations: Durations<OperationLabels>,
    planning: Durations<OutcomeLabels>,
    costs: Family<OutcomeLabels, Histogram, fn() -> Histogram>,
    active_connections: Gauge,
    active_requests: Gauge,
    rate_limit_hits: Family<HitLabels, Counter>,
    rate_limit_remaining: Family<RemainingLabels, Gauge>,
    circuit_breaker_state: Family<ServiceLabels, Gauge>,
    cache_hits: Family<CacheLabels, Counter>,
    cache_misses: Family<CacheLabels, Counter>,
    cache_size: Family<CacheLabels, Gauge>,
    upstream_latency: Durations<LatencyLabels>,
    upstream_errors: Family<FailureLabels, Counter>,
    upstream_healthy: Family<ServiceLabels, Gauge>,
    upstream_remaining: Family<LimitLabels, Gauge>,
    reloads: Family<OutcomeLabels, Counter>,
    compositions: Family<OutcomeLabels, Counter>,
    dropped_log_lines: Counter,
    consumers: Bounded,
    operation_names: Bounded,
}

/// What is counted of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeFacts<'a> {
    /// Where it came in, where there are several places.
    pub listener: Option<&'a Arc<str>>,
    /// Method of the request.
    pub method: &'a Method,
    /// Name of the route, empty when none matched.
    pub route: &'a Arc<str>,
    /// Status of the response.
    pub status: StatusCode,
    /// Who asked; empty for nobody.
    pub consumer: &'a str,
    /// From the request's head to the response's head.
    pub duration: Duration,
    /// Why it failed, if it did.
    pub error: Option<ErrorKind>,
}

/// A gauge that goes down again when this is dropped.
#[derive(Debug)]
pub struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is left of a limit, as a gauge shows it.
#[derive(Clone, Debug, Default)]
pub struct Remaining(Gauge);

impl Remaining {
    /// So many more are left, or fewer.
    pub fn add(&self, count: i64) {
        self.0.inc_by(count);
    }

    /// So many are left.
    pub fn set(&self, count: u32) {
        self.0.set(count.into());
    }
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_BUCKETS)
}

fn planning_histogram() -> Histogram {
    Histogram::new(PLANNING_BUCKETS)
}

fn cost_histogram() -> Histogram {
    Histogram::new(COST_BUCKETS)
}

impl Metrics {
    /// A new, empty set.
    pub fn new() -> Arc<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut metrics = Self {
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            registry: Registry::default(),
            requests: Family::default(),
            request_durations: Family::new_with_constructor(request_histogram),
            errors: Family::default(),
            operations: Family::new_with_constructor(request_histogram),
            planning: Family::new_with_constructor(planning_histogram),
            costs: Family::new_with_constructor(cost_histogram),
            active_connections: Gauge::default(),
            active_requests: Gauge::default(),
            rate_limit_hits: Family::default(),
            rate_limit_remaining: Family::default(),
            circuit_breaker_state: Family::default(),
            cache_hits: Family::default(),
            cache_misses: Family::default(),
            cache_size: Family::default(),
            upstream_latency: Family::new_with_constructor(request_histogram),
            upstream_errors: Family::default(),
            upstream_healthy: Family::default(),
            upstream_remaining: Family::default(),
            reloads: Family::default(),
            compositions: Family::default(),
            dropped_log_lines: Counter::default(),
            consumers: Bounded::default(),
            operation_names: Bounded::default(),
        };
        metrics.register_client_side();
        metrics.register_inside();
        Arc::new(metrics)
    }

    fn register_client_side(&mut self) {
        let registry = &mut self.registry;
        registry.register("api_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "api_request_duration",
            "From a request's head to its response's head",
            Unit::Seconds,
            self.request_durations.clone(),
        );
        registry.register("api_errors", "Requests that failed, by public error code", self.errors.clone());
        registry.register_with_unit(
            "graphql_operation_duration",
            "GraphQL operations, by name, kind and outcome",
            Unit::Seconds,
            self.operations.clone(),
        );
        registry.register("graphql_operation_cost_estimated", "Estimated costs of operations", self.costs.clone());
        registry.register("api_active_connections", "Client connections open now", self.active_connections.clone());
        registry.register("api_active_requests", "Requests in flight now", self.active_requests.clone());
        registry.register("api_rate_limit_hits", "Requests refused by a rate limit", self.rate_limit_hits.clone());
        registry.register("api_rate_limit_remaining", "Requests left in a rate limit", self.rate_limit_remaining.clone());
    }

    fn register_inside(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "graphql_planning_duration",
            "Planning of new operations",
            Unit::Seconds,
            self.planning.clone(),
        );
        registry.register("api_cache_hits", "Answers found in a cache", self.cache_hits.clone());
        registry.register("api_cache_misses", "Answers not found in a cache", self.cache_misses.clone());
        registry.register_with_unit("api_cache_size", "Size of a cache", Unit::Bytes, self.cache_size.clone());
        registry.register_with_unit(
            "api_upstream_latency",
            "From a call's start to the head of its answer",
            Unit::Seconds,
            self.upstream_latency.clone(),
        );
        registry.register("api_upstream_errors", "Calls without a usable answer", self.upstream_errors.clone());
        registry.register("api_upstream_healthy_count", "Endpoints that may be called", self.upstream_healthy.clone());
        registry.register(
            "api_upstream_remaining",
            "What is left of the limits of a circuit breaker",
            self.upstream_remaining.clone(),
        );
        registry.register("api_circuit_breaker_state", "0 closed, 1 probing, 2 open", self.circuit_breaker_state.clone());
        registry.register("config_reloads", "Configurations taken or refused", self.reloads.clone());
        registry.register("supergraph_compositions", "Supergraphs taken or refused", self.compositions.clone());
        registry.register(
            "log_lines_dropped",
            "Access-log lines lost because their writer was behind",
            self.dropped_log_lines.clone(),
        );
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            let _ = writeln!(out, "# EOF");
        }
        out
    }

    /// Counts one exchange.
    pub fn exchange(&self, facts: &ExchangeFacts<'_>) {
        let (method, status) = (method_label(facts.method), facts.status.as_u16());
        if let Some(kind) = facts.error {
            let (route, listener) = (facts.route.clone(), Listener(facts.listener.cloned()));
            self.errors.get_or_create(&ErrorLabels { method, route, error_type: kind.code(), listener }).inc();
        }
        let is_it = |it: &Exchanges| {
            (it.of, it.status) == (self.id, status)
                && Arc::ptr_eq(&it.route, facts.route)
                && (it.method, &*it.consumer) == (method, facts.consumer)
                && it.listener.as_ref() == facts.listener
        };
        EXCHANGES.with_borrow_mut(|exchanges| {
            let find = || self.exchanges(method, status, facts);
            if let Some(counted) = exchanges.get(place(facts.route, status), is_it, find) {
                counted.durations.observe(facts.duration.as_secs_f64());
                counted.count.inc();
            }
        });
    }

    fn exchanges(&self, method: &'static str, status_code: u16, facts: &ExchangeFacts<'_>) -> Exchanges {
        let (route, consumer) = (facts.route.clone(), self.consumers.label(facts.consumer));
        let listener = Listener(facts.listener.cloned());
        let labels = DurationLabels { method, route: route.clone(), status_code, listener: listener.clone() };
        let durations = self.request_durations.get_or_create(&labels).clone();
        let labels = RequestLabels { method, route: route.clone(), status_code, consumer: consumer.clone(), listener };
        let count = self.requests.get_or_create(&labels).clone();
        let listener = facts.listener.cloned();
        Exchanges { of: self.id, method, route, status: status_code, consumer, listener, count, durations }
    }

    /// Counts one GraphQL operation; `errors` is the number of errors in its answer.
    pub fn operation(&self, name: Option<&Arc<str>>, operation_type: &'static str, errors: usize, duration: Duration) {
        let operation_name = self.operation_names.label(name.map_or("", |name| name));
        let outcome = if errors == 0 { "ok" } else { "errors" };
        self.operations
            .get_or_create(&OperationLabels { operation_name, operation_type, outcome })
            .observe(duration.as_secs_f64());
    }

    /// Counts what one operation was estimated to cost.
    pub fn operation_cost(&self, cost: Cost) {
        self.costs.get_or_create(&OutcomeLabels { outcome: cost.outcome }).observe(cost.estimated as f64);
    }

    /// Counts one run of the planner.
    pub fn planning(&self, is_planned: bool, duration: Duration) {
        self.planning.get_or_create(&outcome(is_planned)).observe(duration.as_secs_f64());
    }

    /// Counts a look into a cache (`plan`, `document`, `response`, `token`).
    pub fn cache(&self, cache: &'static str, is_hit: bool) {
        let family = if is_hit { &self.cache_hits } else { &self.cache_misses };
        family.get_or_create(&CacheLabels { cache }).inc();
    }

    /// States the size of a cache, in bytes.
    pub fn cache_size(&self, cache: &'static str, bytes: u64) {
        self.cache_size.get_or_create(&CacheLabels { cache }).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A client connection, open until the result is dropped.
    pub fn connection(&self) -> Active {
        self.active_connections.inc();
        Active(self.active_connections.clone())
    }

    /// A request in flight until the result is dropped.
    pub fn request(&self) -> Active {
        self.active_requests.inc();
        Active(self.active_requests.clone())
    }

    /// Counts a refusal by a rate limit; `plan` is the rule's name.
    pub fn rate_limit_hit(&self, consumer: &str, plan: &Arc<str>, route: &Arc<str>) {
        let labels = HitLabels { consumer: self.consumers.label(consumer), plan: plan.clone(), route: route.clone() };
        self.rate_limit_hits.get_or_create(&labels).inc();
    }

    /// States what is left of a consumer's rate limit.
    pub fn rate_limit_remaining(&self, consumer: &str, route: &Arc<str>, remaining: u64) {
        let labels = RemainingLabels { consumer: self.consumers.label(consumer), route: route.clone() };
        self.rate_limit_remaining.get_or_create(&labels).set(i64::try_from(remaining).unwrap_or(i64::MAX));
    }

    /// Counts an answered call.
    pub fn upstream_answer(&self, service: &Arc<str>, status: StatusCode, duration: Duration) {
        let status = status.as_u16();
        let is_it = |it: &Answers| (it.of, it.status) == (self.id, status) && Arc::ptr_eq(&it.service, service);
        let find = || {
            let labels = LatencyLabels { service: service.clone(), status };
            let latencies = self.upstream_latency.get_or_create(&labels).clone();
            Answers { of: self.id, service: service.clone(), status, latencies }
        };
        ANSWERS.with_borrow_mut(|answers| {
            if let Some(counted) = answers.get(place(service, status), is_it, find) {
                counted.latencies.observe(duration.as_secs_f64());
            }
        });
    }

    /// Counts a call that failed.
    pub fn upstream_error(&self, service: &Arc<str>, kind: ErrorKind) {
        self.upstream_errors.get_or_create(&FailureLabels { service: service.clone(), error_type: kind.code() }).inc();
    }

    /// States how many endpoints of a service may be called.
    pub fn upstream_healthy(&self, service: &Arc<str>, endpoints: usize) {
        let count = i64::try_from(endpoints).unwrap_or(i64::MAX);
        self.upstream_healthy.get_or_create(&ServiceLabels { service: service.clone() }).set(count);
    }

    /// What is left of one limit of a service: `connections`, `pending`, `requests` or `retries`.
    pub fn upstream_remaining(&self, service: &Arc<str>, limit: &'static str) -> Remaining {
        Remaining(self.upstream_remaining.get_or_create(&LimitLabels { service: service.clone(), limit }).clone())
    }

    /// States a breaker's state: 0 closed, 1 probing, 2 open.
    pub fn circuit_breaker_state(&self, service: &Arc<str>, state: i64) {
        self.circuit_breaker_state.get_or_create(&ServiceLabels { service: service.clone() }).set(state);
    }

    /// Counts a configuration that was taken or refused.
    pub fn reload(&self, is_taken: bool) {
        self.reloads.get_or_create(&outcome(is_taken)).inc();
    }

    /// Counts a supergraph that was taken or refused.
    pub fn composition(&self, is_taken: bool) {
        self.compositions.get_or_create(&outcome(is_taken)).inc();
    }

    /// Counts a line that the access log lost.
    pub fn dropped_log_line(&self) {
        self.dropped_log_lines.inc();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn outcome(is_good: bool) -> OutcomeLabels {
    OutcomeLabels { outcome: if is_good { "ok" } else { "error" } }
}

/// The method as a label: those of RFC 9110 and PATCH by name, any other as `other`.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

/// The distinct values of a label so far, at most [`MOST_VALUES`].
#[derive(Default)]
struct Bounded {
    values: RwLock<HashSet<Arc<str>>>,
}

impl Bounded {
    /// The shared text of `value`, or `other` when there are too many.
    fn label(&self, value: &str) -> Arc<str> {
        const LONGEST: usize = 128;
        let value = value.get(..value.floor_char_boundary(LONGEST)).unwrap_or(value);
        let known = |set: &HashSet<Arc<str>>| set.get(value).cloned();
        let found = self.values.read().ok().and_then(|set| known(&set));
        found.unwrap_or_else(|| match self.values.write() {
            Ok(mut set) if set.len() < MOST_VALUES => {
                let value = Arc::<str>::from(value);
                set.insert(value.clone());
                value
            }
            _ => "other".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(method: &'a Method, route: &'a Arc<str>, consumer: &'a str) -> ExchangeFacts<'a> {
        let duration = Duration::from_millis(20);
        ExchangeFacts { listener: None, method, route, status: StatusCode::OK, consumer, duration, error: None }
    }

    #[test]
    fn counts_are_exact_and_named_as_documented() {
        let metrics = Metrics::new();
        let route: Arc<str> = "orders".into();
        for _ in 0..3 {
            metrics.exchange(&facts(&Method::GET, &route, "ann"));
        }
        let failed = ExchangeFacts {
            error: Some(ErrorKind::RateLimited),
            status: StatusCode::TOO_MANY_REQUESTS,
            ..facts(&Method::GET, &route, "")
        };
        metrics.exchange(&failed);
        let text = metrics.encode();
        for line in [
            r#"api_requests_total{method="GET",route="orders",status_code="200",consumer="ann"} 3"#,
            r#"api_requests_total{method="GET",route="orders",status_code="429",consumer=""} 1"#,
            r#"api_errors_total{method="GET",route="orders",error_type="RATE_LIMITED"} 1"#,
            r#"api_request_duration_seconds_count{method="GET",route="orders",status_code="200"} 3"#,
            r#"api_request_duration_seconds_bucket{le="0.05",method="GET",route="orders",status_code="200"} 3"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn listeners_are_a_label_where_there_are_several() {
        let (metrics, route, name): (_, Arc<str>, Arc<str>) = (Metrics::new(), "orders".into(), "private".into());
        metrics.exchange(&ExchangeFacts { listener: Some(&name), ..facts(&Method::GET, &route, "") });
        let line = r#"api_requests_total{method="GET",route="orders",status_code="200",consumer="",listener="private"} 1"#;
        assert!(metrics.encode().contains(line), "{}", metrics.encode());
    }

    #[test]
    fn labels_that_outsiders_choose_are_bounded() {
        let metrics = Metrics::new();
        let (route, method) = ("r".into(), Method::from_bytes(b"BREW").unwrap_or_default());
        for consumer in 0..100_000 {
            metrics.exchange(&facts(&method, &route, &consumer.to_string()));
        }
        let text = metrics.encode();
        let lines = text.lines().filter(|line| line.starts_with("api_requests_total")).count();
        assert_eq!(lines, MOST_VALUES + 1);
        assert!(text.contains(r#"method="other",route="r",status_code="200",consumer="other"} 99000"#));
    }

    #[test]
    fn what_a_thread_remembers_is_told_apart() {
        let (metrics, others, route): (_, _, Arc<str>) = (Metrics::new(), Metrics::new(), "r".into());
        for method in [Method::GET, Method::PUT, Method::GET] {
            for (consumer, status) in [("ann", 200), ("bob", 200), ("ann", 404), ("ann", 200)] {
                let status = StatusCode::from_u16(status).unwrap_or_default();
                metrics.exchange(&ExchangeFacts { status, ..facts(&method, &route, consumer) });
                metrics.upstream_answer(&route, status, Duration::ZERO);
            }
        }
        others.exchange(&facts(&Method::GET, &route, "ann"));
        let text = metrics.encode();
        for line in [
            r#"api_requests_total{method="GET",route="r",status_code="200",consumer="ann"} 4"#,
            r#"api_requests_total{method="GET",route="r",status_code="200",consumer="bob"} 2"#,
            r#"api_requests_total{method="GET",route="r",status_code="404",consumer="ann"} 2"#,
            r#"api_requests_total{method="PUT",route="r",status_code="200",consumer="ann"} 2"#,
            r#"api_upstream_latency_seconds_count{service="r",status="200"} 9"#,
            r#"api_upstream_latency_seconds_count{service="r",status="404"} 3"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let line = r#"api_requests_total{method="GET",route="r",status_code="200",consumer="ann"} 1"#;
        assert!(others.encode().contains(line));
    }

    #[test]
    fn gauges_go_down_again() {
        let metrics = Metrics::new();
        let open = metrics.connection();
        assert!(metrics.encode().contains("api_active_connections 1"));
        drop(open);
        assert!(metrics.encode().contains("api_active_connections 0"));
    }
}
