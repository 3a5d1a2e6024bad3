//! Services: what all users of an upstream share, and the order in which a call goes through it.
//!
//! Relies on the files beside it in `upstream`; `Upstream::call` calls it.

mod endpoints;

use std::{
    net::SocketAddr,
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body::Body as _;
use tokio::{
    sync::watch,
    time::{sleep, timeout_at},
};

use self::endpoints::{Endpoint, Endpoints};
use super::{
    Call, Failure, Fault, Reply, Taking, UpstreamConfig,
    breaker::{Breaker, Outcome, State},
    discovery::{Discovery, Records},
    failure::late,
    headers,
    health::HealthCheckConfig,
    pool::Limits,
    proxy_protocol::Client,
    random,
    retry::{Retry, Ticket},
};
use crate::{
    body::{Body, Reader},
    coding,
    error::{Error, ErrorKind},
    exchange::{Exchange, Upload, within},
    grpc,
    telemetry::{metrics::Metrics, traces::TraceContext},
};

/// Largest body that is kept until the outcome is there, so that it can be sent once more.
const REPLAYED: u64 = 64 << 10;

/// Makes a call's request once more, around this body; nothing when it cannot be made. A caller that has what the request was made
/// from spares every call a copy of its head.
pub type Remake<'a> = &'a (dyn Fn(Body) -> Option<Request<Body>> + Send + Sync);

/// What all users of an upstream share.
#[derive(Debug)]
pub struct Service {
    name: Arc<str>,
    config: UpstreamConfig,
    endpoints: ArcSwap<Endpoints>,
    /// What is left of those of all endpoints together.
    limits: Limits,
    /// Whether endpoints were looked for already; nothing to wait for when they are listed.
    is_found: Option<watch::Receiver<bool>>,
    breaker: Breaker,
    retry: Retry,
    metrics: Arc<Metrics>,
}

/// A call's place among those under way, until the body of its answer has ended.
#[derive(Debug)]
pub struct Slot {
    service: Arc<Service>,
    endpoint: Arc<Endpoint>,
    upload: Option<Arc<Upload>>,
}

impl Slot {
    /// Whether all of the call's request was there to be sent.
    pub fn is_sent(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.is_over())
    }
}

impl Service {
    /// A service of this configuration, with the tasks that keep it up to date as long as it is used.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn start(name: Arc<str>, config: &UpstreamConfig, metrics: Arc<Metrics>) -> Result<Arc<Self>, String> {
        let discovery = config.dns.as_ref().map(Discovery::new).transpose()?;
        let (found, is_found) = watch::channel(false);
        let remaining = |limit| metrics.upstream_remaining(&name, limit);
        let limits = Limits { connections: remaining("connections"), pending: remaining("pending") };
        let service = Arc::new(Self {
            endpoints: ArcSwap::from_pointee(Endpoints::listed(config, &limits)?),
            is_found: discovery.is_some().then_some(is_found),
            breaker: Breaker::new(&config.circuit_breaker, remaining("requests")),
            retry: Retry::new(&config.retry, config.circuit_breaker.max_retries, remaining("retries")),
            limits,
            config: config.clone(),
            name,
            metrics,
        });
        service.metrics.upstream_healthy(&service.name, service.endpoints.load().all.len());
        service.metrics.circuit_breaker_state(&service.name, State::Closed as i64);
        if let Some(check) = &config.health_check {
            tokio::spawn(check_health(Arc::downgrade(&service), check.clone()));
        }
        if let Some(discovery) = discovery {
            tokio::spawn(discover(Arc::downgrade(&service), discovery, found));
        }
        Ok(service)
    }

    /// Says for whom a call is made, where the upstream wants to know.
    pub fn introduce(&self, exchange: &Exchange, request: &mut Request<Body>) {
        if self.config.proxy_protocol.is_some() {
            let is_direct = exchange.peer.ip().to_canonical() == exchange.client_ip;
            let port = if is_direct { exchange.peer.port() } else { 0 };
            request.extensions_mut().insert(Client(SocketAddr::new(exchange.client_ip, port)));
        }
    }

    /// Whether requests of REST routes are sent again whatever their method.
    pub fn repeats_all(&self) -> bool {
        self.config.retry.non_idempotent
    }

    /// See `Upstream::admit_other`.
    pub fn admit_other(&self, result: &Result<Reply, Error>) -> Option<Ticket<'_>> {
        let outcomes: &[_] = match result.as_ref().map(http::Response::status).map_err(|error| error.kind) {
            Ok(status) => &[Ok(status)],
            Err(ErrorKind::UpstreamUnreachable) => &[Err(Fault::Connect), Err(Fault::Reset { is_reused: false })],
            Err(ErrorKind::UpstreamTimeout) => &[Err(Fault::Timeout)],
            Err(ErrorKind::UpstreamInvalid) => &[Err(Fault::Invalid)],
            Err(_) => &[],
        };
        outcomes.iter().find_map(|outcome| self.retry.admit(*outcome, 0, self.breaker.under_way()))
    }

    /// What keeps an exchange's calls on one endpoint, where that is wanted.
    pub fn key(&self, exchange: &Exchange) -> Option<u64> {
        self.endpoints.load().balance.key(exchange)
    }

    /// Breaker, then tries. Every try chooses an endpoint, takes a connection and sends.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn call(self: &Arc<Self>, call: Call, key: Option<u64>, remake: Option<Remake<'_>>) -> Result<Reply, Error> {
        let started = Instant::now();
        let pass = self.breaker.admit().inspect_err(|error| self.metrics.upstream_error(&self.name, error.kind))?;
        if pass.is_probe() {
            self.metrics.circuit_breaker_state(&self.name, State::Probing as i64);
        }
        let result = self.try_all(call, key, remake).await;
        let took = started.elapsed();
        let outcome = judge(&result).map(|is_good| Outcome { is_good, is_answered: result.is_ok(), took });
        if let Some(state) = outcome.and_then(|outcome| pass.record(outcome)) {
            self.metrics.circuit_breaker_state(&self.name, state as i64);
            tracing::info!(upstream = %self.name, ?state, "the circuit breaker changes");
        }
        match result {
            Ok(mut reply) => {
                self.metrics.upstream_answer(&self.name, reply.status(), took);
                if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
                    headers::strip_hop_by_hop(reply.headers_mut());
                }
                Ok(reply)
            }
            Err(failure) => {
                self.metrics.upstream_error(&self.name, failure.error.kind);
                Err(failure.error)
            }
        }
    }

    /// A call and its whole answer.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn fetch(self: Arc<Self>, call: Call, key: Option<u64>, taking: Taking) -> Result<http::Response<Bytes>, Error> {
        let deadline = call.deadline;
        let Taking { limit, reader } = taking;
        let (mut head, body) = self.call(call, key, None).await?.into_parts();
        let mut reader = reader.filter(|_| !head.headers.contains_key(header::CONTENT_ENCODING));
        let shown = reader.as_deref_mut().map(|reader| reader as &mut dyn Reader);
        let body = body.read(limit, (ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid), shown);
        let body = timeout_at(deadline.into(), body).await.unwrap_or_else(|_| Err(late()))?;
        if let Some(reader) = reader {
            reader.tell(&mut head.extensions);
        }
        let body = coding::decode(&head.headers, body, limit)
            .map_err(|reason| reason.error(ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid))?;
        Ok(http::Response::from_parts(head, body))
    }

    async fn try_all(self: &Arc<Self>, call: Call, key: Option<u64>, remake: Option<Remake<'_>>) -> Result<Reply, Failure> {
        let Call { mut request, deadline, upload, is_idempotent, trace } = call;
        let time = (deadline, upload.as_ref());
        if let Some(trace) = &trace {
            trace.inject(request.headers_mut());
        }
        if let Some(is_found) = self.is_found.clone().filter(|is_found| !*is_found.borrow()) {
            found(is_found, deadline).await?;
        }
        let is_replayable = self.retry.is_possible(is_idempotent);
        if is_replayable && may_be_gathered(&request) {
            request = gather(request, time).await?;
        }
        let mut avoid = None;
        let mut tries = 0;
        let mut ticket = None;
        loop {
            let spare = if is_replayable { Spare::of(&request, remake) } else { None };
            let endpoints = self.endpoints.load_full();
            let index = endpoints.choose(key, avoid.as_ref());
            let mut result = self.try_one(request, (&endpoints, index), time).await;
            let outcome = result.as_ref().map(http::Response::status).map_err(|failure| failure.fault);
            let unsent = result.as_mut().err().and_then(|failure| failure.unsent.take());
            if unsent.is_none() && spare.is_none() {
                return result;
            }
            let is_stale = tries == 0 && outcome == Err(Fault::Reset { is_reused: true });
            drop(ticket.take());
            if !is_stale {
                let admitted = self.retry.admit(outcome, tries, self.breaker.under_way());
                if admitted.is_none() {
                    return result;
                }
                // Held until the retry's outcome is there.
                ticket = admitted;
                let pause = Retry::pause(tries, random());
                if Instant::now() + pause >= deadline {
                    return result;
                }
                sleep(pause).await;
            }
            let again = || spare?.request(remake, trace.as_ref());
            let Some(next) = unsent.map(|unsent| *unsent).or_else(again) else { return result };
            (request, avoid, tries) = (next, endpoints.all.get(index).cloned(), tries + 1);
        }
    }

    async fn try_one(
        self: &Arc<Self>,
        mut request: Request<Body>,
        (endpoints, index): (&Endpoints, usize),
        (deadline, upload): (Instant, Option<&Arc<Upload>>),
    ) -> Result<Reply, Failure> {
        let Some(endpoint) = endpoints.all.get(index) else {
            let error = Error::new(ErrorKind::UpstreamUnavailable, "there is no endpoint");
            return Err(Failure::new(Fault::Connect, error));
        };
        self.breaker.enter().map_err(|error| Failure::new(Fault::Overflow, error))?;
        endpoint.under_way.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { service: self.clone(), endpoint: endpoint.clone(), upload: upload.cloned() };
        let upload = upload.map(Arc::as_ref);
        let before = endpoint.address(&mut request)?;
        let until = self.retry.per_try_timeout().map_or(deadline, |limit| deadline.min(Instant::now() + limit));
        if request.method() == Method::POST {
            grpc::pass_on(until, request.headers_mut());
        }
        let sent = within(until, upload, endpoint.pool_for(&request).send(request, Some(slot))).await;
        let mut result = sent.unwrap_or_else(|| Err(Failure::late(upload)));
        if let Some((unsent, before)) = result.as_mut().err().and_then(|failure| failure.unsent.as_mut()).zip(before) {
            before.restore(unsent);
        }
        if judge(&result).is_some_and(|is_good| endpoints.health.record(index, is_good)) {
            let available = endpoints.health.available();
            self.metrics.upstream_healthy(&self.name, available);
            tracing::warn!(upstream = %self.name, host = ?endpoint.host, available, "an endpoint is ejected");
        }
        result
    }

    /// Takes what DNS said. Endpoints that were there before keep their connections and what is known of them; those that are
    /// gone finish what they have begun.
    fn take(&self, records: &Records) {
        let before = self.endpoints.load_full();
        match before.next((&self.config, &self.limits), records) {
            Ok(Some(next)) => {
                self.metrics.upstream_healthy(&self.name, next.health.available());
                tracing::info!(upstream = %self.name, endpoints = next.all.len(), "the endpoints change");
                self.endpoints.store(Arc::new(next));
            }
            Ok(None) => {}
            Err(error) => tracing::error!(upstream = %self.name, error, "what DNS says cannot be used"),
        }
    }
}

impl Slot {
    /// The same for a try of which nothing was sent: the body that is still arriving is for the next one.
    #[must_use]
    pub fn without_upload(mut self) -> Self {
        self.upload = None;
        self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.service.breaker.leave();
        self.endpoint.under_way.fetch_sub(1, Ordering::Relaxed);
        if let Some(upload) = &self.upload {
            upload.stop();
        }
    }
}

/// Whether the other side is well; nothing where the outcome is of our or the client's making.
fn judge(result: &Result<Reply, Failure>) -> Option<bool> {
    match result {
        Ok(reply) => Some(!reply.status().is_server_error()),
        Err(failure) => (!matches!(failure.fault, Fault::Request | Fault::Overflow)).then_some(false),
    }
}

/// Waits until endpoints were looked for.
async fn found(mut is_found: watch::Receiver<bool>, deadline: Instant) -> Result<(), Failure> {
    let waiting = timeout_at(deadline.into(), is_found.wait_for(|is_found| *is_found)).await;
    waiting.map(drop).map_err(|_| Failure::new(Fault::Timeout, late()))
}

/// Asks DNS over and over, as long as the service is used: when what it said runs out, and sooner after it did not answer.
async fn discover(service: Weak<Service>, discovery: Discovery, found: watch::Sender<bool>) {
    let mut failures = 0;
    while let Some(service) = service.upgrade() {
        let next = match discovery.resolve().await {
            Ok(records) => {
                failures = 0;
                service.take(&records);
                records.lifetime
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(upstream = %service.name, error, "DNS gives no endpoints, the last ones stay");
                }
                failures += 1;
                Discovery::pause(failures)
            }
        };
        found.send_replace(true);
        drop(service);
        sleep(next).await;
    }
}

/// Checks every endpoint over and over, as long as the service is used.
async fn check_health(service: Weak<Service>, config: HealthCheckConfig) {
    /// The part of an interval by which checks of many gateways are spread.
    const JITTER: f64 = 0.1;
    while let Some(service) = service.upgrade() {
        let started = Instant::now();
        let endpoints = service.endpoints.load_full();
        let checks = endpoints.all.iter().enumerate().map(|(index, endpoint)| {
            let (service, config, endpoints) = (&service, &config, &endpoints);
            async move {
                let is_success = endpoint.is_healthy(config).await;
                if let Some(is_healthy) = endpoints.health.check(config, index, is_success) {
                    tracing::info!(upstream = %service.name, host = ?endpoint.host, is_healthy, "an endpoint's health changes");
                }
            }
        });
        futures_util::future::join_all(checks).await;
        service.metrics.upstream_healthy(&service.name, endpoints.health.available());
        drop(service);
        let jitter = config.interval.0.mul_f64(JITTER * (random() >> 11) as f64 / (1_u64 << 53) as f64);
        // An endpoint that hangs must not make the others wait longer for their next check.
        sleep(config.interval.0.saturating_sub(started.elapsed()) + jitter).await;
    }
}

/// Whether a body is small enough to be kept for another try, and its sender waits for nothing before it goes on.
fn may_be_gathered(request: &Request<Body>) -> bool {
    let is_small = request.body().size_hint().upper().is_some_and(|size| size <= REPLAYED);
    is_small && !request.headers().contains_key(header::EXPECT)
}

/// The request with all of its body.
async fn gather(request: Request<Body>, (deadline, upload): (Instant, Option<&Arc<Upload>>)) -> Result<Request<Body>, Failure> {
    let upload = upload.map(Arc::as_ref);
    if request.body().try_clone().is_some() {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let bytes = body.collect(REPLAYED as usize, ErrorKind::BodyTooLarge, ErrorKind::BadRequest);
    let bytes = within(deadline, upload, bytes).await.ok_or_else(|| Failure::late(upload))?;
    let bytes = bytes.map_err(|error| Failure::new(Fault::Request, error))?;
    Ok(Request::from_parts(head, Body::full(bytes)))
}

/// A call, and a copy of it for another service unless its body is too large to be kept.
///
/// # Errors
/// The client's body is broken, or late.
pub async fn copy(call: Call) -> Result<(Call, Option<Call>), Error> {
    let Call { mut request, deadline, upload, is_idempotent, trace } = call;
    if may_be_gathered(&request) {
        request = gather(request, (deadline, upload.as_ref())).await.map_err(|failure| failure.error)?;
    }
    let copy = Spare::of(&request, None).and_then(|spare| spare.request(None, None));
    let copy = copy.map(|request| Call { request, deadline, upload: upload.clone(), is_idempotent, trace: trace.clone() });
    Ok((Call { request, deadline, upload, is_idempotent, trace }, copy))
}

/// What a request whose body is all there can be sent again from.
enum Spare {
    /// All of it.
    Copy(Box<Request<Body>>),
    /// Its body: the head can be made again.
    Body(Body),
}

impl Spare {
    fn of(request: &Request<Body>, remake: Option<Remake<'_>>) -> Option<Self> {
        let body = request.body().try_clone()?;
        if remake.is_some() {
            return Some(Self::Body(body));
        }
        let mut copy = Request::new(body);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        Some(Self::Copy(Box::new(copy)))
    }

    fn request(self, remake: Option<Remake<'_>>, trace: Option<&TraceContext>) -> Option<Request<Body>> {
        match self {
            Self::Copy(request) => Some(*request),
            Self::Body(body) => {
                let mut request = remake?(body)?;
                if let Some(trace) = trace {
                    trace.inject(request.headers_mut());
                }
                Some(request)
            }
        }
    }
}
