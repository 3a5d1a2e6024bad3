//! Endpoints: the addresses of a service at one time, with what is known of each.
//!
//! Relied on by `upstream::service`.

use std::{
    hash::BuildHasher as _,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
};

use http::{HeaderValue, Request, Uri, header, uri::PathAndQuery};

use super::super::{
    Failure, Fault, UpstreamConfig,
    balance::{Balance, Candidate},
    discovery::{EndpointConfig, Records},
    health::{Health, HealthCheckConfig},
    pool::{self, Http2, Limits, Pool},
    slow_start::SlowStartConfig,
    tls,
};
use crate::{body::Body, error::Error};

/// The addresses of a service, how one is chosen, and how they are. Replaced whole.
#[derive(Debug)]
pub struct Endpoints {
    /// Each of them.
    pub all: Vec<Arc<Endpoint>>,
    /// How one is chosen.
    pub balance: Balance,
    /// Which may be called.
    pub health: Health,
    /// The percentage of those that are well below which all are called.
    panic_threshold: usize,
    slow_start: Option<SlowStartConfig>,
}

/// One address of a service.
#[derive(Debug)]
pub struct Endpoint {
    /// What it is told it is called.
    pub host: HeaderValue,
    /// Goes before the path of every request; empty, or without a slash at its end.
    base: Box<str>,
    weight: u32,
    /// Where it is, hashed: the same for the same address in any list.
    id: u64,
    /// Calls that it has not answered in full.
    pub under_way: AtomicUsize,
    /// Its connections.
    pool: Arc<Pool>,
    /// The one for requests to switch protocols (WebSocket), where others may be sent over HTTP/2, which has no way to do so.
    switching: Option<Arc<Pool>>,
    /// The one for its checks, which must not wait for those of calls.
    checks: Option<Arc<Pool>>,
}

impl Endpoints {
    /// Those that the configuration lists.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn listed(config: &UpstreamConfig, limits: &Limits) -> Result<Self, String> {
        let all = config.endpoints.iter().map(|endpoint| Endpoint::listed(endpoint, (config, limits)).map(Arc::new));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let weights: Vec<u32> = all.iter().map(|endpoint| endpoint.weight).collect();
        let balance = Balance::new(&config.balance, &weights)?;
        let health = Health::new(config.outlier_detection.as_ref(), all.len());
        let panic_threshold = usize::from(config.panic_threshold.0);
        Ok(Self { balance, health, all, panic_threshold, slow_start: config.slow_start.clone() })
    }

    /// Those that DNS says now, with what these know; nothing when they are the same.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn next(&self, (config, limits): (&UpstreamConfig, &Limits), records: &Records) -> Result<Option<Self>, String> {
        let (mut all, mut kept) = (Vec::new(), Vec::new());
        for record in &records.all {
            let id = rustc_hash::FxBuildHasher.hash_one((record.address, &record.host));
            let known = self.all.iter().position(|known| known.id == id && known.weight == record.weight);
            let endpoint = match known.and_then(|index| self.all.get(index)) {
                Some(known) => known.clone(),
                None => {
                    let place = Place {
                        host: &record.host,
                        address: (&record.address.ip().to_string(), record.address.port()),
                        base: "",
                        weight: record.weight,
                        is_secure: config.dns.as_ref().is_some_and(|dns| dns.tls),
                        id,
                    };
                    Arc::new(Endpoint::new(&place, (config, limits))?)
                }
            };
            all.push(endpoint);
            kept.push(known);
        }
        if kept.len() == self.all.len() && kept.iter().enumerate().all(|(index, known)| *known == Some(index)) {
            return Ok(None);
        }
        let weights: Vec<u32> = all.iter().map(|endpoint| endpoint.weight).collect();
        let (balance, health) = (Balance::new(&config.balance, &weights)?, self.health.next(&kept));
        Ok(Some(Self { balance, health, all, panic_threshold: self.panic_threshold, slow_start: self.slow_start.clone() }))
    }

    /// The index of the endpoint for a call, `avoid` only if there is no other.
    pub fn choose(&self, key: Option<u64>, avoid: Option<&Arc<Endpoint>>) -> usize {
        if self.all.len() <= 1 {
            return 0;
        }
        let candidate = |(index, endpoint): (usize, &Arc<Endpoint>)| Candidate {
            id: endpoint.id,
            weight: endpoint.weight,
            load: endpoint.under_way.load(Ordering::Relaxed),
            is_available: self.health.is_available(index),
            share: self.slow_start.as_ref().and_then(|slow| Some(slow.share(self.health.age(index)?))).unwrap_or(100),
        };
        let mut candidates: Vec<_> = self.all.iter().enumerate().map(candidate).collect();
        let well = candidates.iter().filter(|candidate| candidate.is_available).count();
        if well * 100 < self.panic_threshold * candidates.len() {
            candidates.iter_mut().for_each(|candidate| candidate.is_available = true);
        }
        let avoid = avoid.and_then(|avoid| self.all.iter().position(|endpoint| Arc::ptr_eq(endpoint, avoid)));
        self.balance.choose(&candidates, key, avoid).unwrap_or_default()
    }
}

/// Where an endpoint is.
struct Place<'a> {
    /// Its name, with the port unless that is the usual one.
    host: &'a str,
    /// What is connected to.
    address: (&'a str, u16),
    base: &'a str,
    weight: u32,
    is_secure: bool,
    id: u64,
}

impl Endpoint {
    fn listed(config: &EndpointConfig, upstream: (&UpstreamConfig, &Limits)) -> Result<Self, String> {
        let url: Uri = config.url.parse().map_err(|_| format!("`{}` is not a URL", config.url))?;
        let authority = url.authority().ok_or_else(|| format!("`{}` has no host", config.url))?;
        let (port, is_secure) = match url.scheme_str() {
            Some("http") => (80, false),
            Some("https") => (443, true),
            _ => return Err(format!("`{}` is neither http:// nor https://", config.url)),
        };
        let place = Place {
            host: authority.as_str(),
            address: (authority.host(), url.port_u16().unwrap_or(port)),
            base: url.path().trim_end_matches('/'),
            weight: config.weight,
            is_secure,
            id: rustc_hash::FxBuildHasher.hash_one(&config.url),
        };
        Self::new(&place, upstream)
    }

    fn new(place: &Place<'_>, (upstream, limits): (&UpstreamConfig, &Limits)) -> Result<Self, String> {
        let name = place.host.parse::<http::uri::Authority>().map_err(|_| format!("`{}` is not a host", place.host))?;
        let secure = match place.is_secure {
            true => Some(tls::secure(&upstream.tls, name.host(), upstream.pool.http2.protocols())?),
            false => None,
        };
        let settings = pool::Settings {
            config: upstream.pool.clone(),
            connect_timeout: upstream.connect_timeout.0,
            max_connections: upstream.circuit_breaker.max_connections as usize,
            max_pending: upstream.circuit_breaker.max_pending_requests as usize,
            proxy_protocol: upstream.proxy_protocol,
            limits: limits.clone(),
        };
        let (host, port) = place.address;
        let checks = upstream.health_check.is_some().then(|| {
            let settings = pool::Settings { max_connections: 1, max_pending: 1, limits: Limits::default(), ..settings.clone() };
            Pool::new(host, port, secure.clone(), settings)
        });
        let switching = secure.as_ref().filter(|_| upstream.pool.http2 == Http2::Auto).map(|secure| {
            let config = pool::PoolConfig { http2: Http2::Never, ..upstream.pool.clone() };
            let settings = pool::Settings { config, limits: Limits::default(), ..settings.clone() };
            Pool::new(host, port, Some(tls::with_protocols(secure, Http2::Never.protocols())), settings)
        });
        Ok(Self {
            checks,
            switching,
            host: place.host.parse().map_err(|_| format!("`{}` is not a host", place.host))?,
            base: place.base.into(),
            weight: place.weight,
            id: place.id,
            under_way: AtomicUsize::new(0),
            pool: Pool::new(host, port, secure, settings),
        })
    }

    /// The connections for a request.
    pub fn pool_for(&self, request: &Request<Body>) -> &Arc<Pool> {
        let switching = self.switching.as_ref().filter(|_| request.headers().contains_key(header::UPGRADE));
        switching.unwrap_or(&self.pool)
    }

    /// One check.
    pub async fn is_healthy(&self, config: &HealthCheckConfig) -> bool {
        let host = config.host.as_deref().map_or_else(|| self.host.as_bytes(), str::as_bytes);
        let request = Request::get(config.path.as_str()).header(header::HOST, host).body(Body::empty());
        let (Ok(request), Some(pool)) = (request, &self.checks) else { return false };
        let answer = tokio::time::timeout(config.timeout.0, pool.send(request, None)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| config.is_expected(answer.status())))
    }

    /// Completes a request for this endpoint: its target, and `Host` unless there is one. How it was before, if it was different.
    ///
    /// # Errors
    /// A bug: targets and bases are parts of valid ones.
    pub fn address(&self, request: &mut Request<Body>) -> Result<Option<Unaddressed>, Failure> {
        let has_host = request.headers().contains_key(header::HOST);
        let has_target = self.base.is_empty() && request.uri().scheme().is_none();
        if has_host && has_target {
            return Ok(None);
        }
        let before = Unaddressed { uri: request.uri().clone(), has_host };
        if !has_host {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        if !has_target {
            let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let uri = format!("{}{target}", self.base).parse::<Uri>().map_err(|error| {
                let error = Error::bug(format!("the target `{target}` does not fit behind `{}`: {error}", self.base));
                Failure::new(Fault::Request, error)
            })?;
            *request.uri_mut() = uri;
        }
        Ok(Some(before))
    }
}

/// What a request was before it was completed for one endpoint.
#[derive(Debug)]
pub struct Unaddressed {
    uri: Uri,
    has_host: bool,
}

impl Unaddressed {
    /// Takes back what the request was told, so that it can go to another endpoint.
    pub fn restore(self, request: &mut Request<Body>) {
        *request.uri_mut() = self.uri;
        if !self.has_host {
            request.headers_mut().remove(header::HOST);
        }
    }
}
