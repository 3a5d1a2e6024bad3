//! Snapshot: everything that one configuration and one supergraph produce. Immutable; swapped whole, so that neither changes
//! under a request. And the [`Foundation`] that outlives snapshots: counters, connections, key sets, logs.
//!
//! Relies on `config`, `pipeline`, `graphql`, `rest` and `upstream`; `reload` and `app` build it.

mod graph;
mod policy;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use supergraph::model::Supergraph;

use crate::{
    config::{Config, Destination, RouteConfig, listeners::Listener},
    graphql::Endpoint,
    pipeline::{
        Pipeline, Policy, Route, Routes, Target, access_log::AccessLog, concurrency::Concurrency, jwks::KeySets,
        observe::Observer, path, rate_limit::Counters, route::MatchConfig, trusted_proxies::TrustedProxies,
    },
    rest::{
        Changes, Proxy,
        aggregate::Aggregate,
        body::BodyRewrite,
        mirror::Mirror,
        rewrite::{PathRewrite, Rewrite},
        split::Split,
    },
    telemetry::{metrics::Metrics, traces::Tracer},
    upstream::{Upstream, UpstreamConfig, headers::Rules},
};

/// The name of the GraphQL endpoint among the routes.
const GRAPHQL: &str = "graphql";

/// What requests are served by.
#[derive(Debug)]
pub struct Snapshot {
    /// The pipeline of each listener, by its place; the one at `supergraph.listen` first.
    pipelines: Vec<(String, Pipeline)>,
    /// The GraphQL endpoint, which is a target of the pipeline.
    endpoint: Option<Arc<Endpoint>>,
}

/// What all snapshots of a process share.
#[derive(Debug)]
pub struct Foundation {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The access log and the tracer.
    pub observer: Arc<Observer>,
    key_sets: KeySets,
    counters: Counters,
    /// The upstreams of the newest snapshot, whose connections and breakers the next one keeps where nothing changed.
    upstreams: Mutex<HashMap<String, Kept>>,
}

/// An upstream, and what it was made of.
#[derive(Clone, Debug)]
struct Kept {
    config: UpstreamConfig,
    /// The files of its TLS.
    files: Vec<Stamp>,
    upstream: Upstream,
}

/// When a file was written, and its size; nothing for what cannot be read.
pub type Stamp = Option<(std::time::SystemTime, u64)>;

/// A file as it is now.
pub fn stamp(path: &Path) -> Stamp {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

impl Foundation {
    /// What `config` wants of logs and traces. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A log cannot be opened, or spans not be exported.
    pub fn new(config: &Config) -> Result<Self, String> {
        let metrics = Metrics::new();
        let log = &config.telemetry.access_log;
        let access_log = log.enabled.then(|| AccessLog::open(log, metrics.clone())).transpose();
        let access_log = access_log.map_err(|error| format!("the access log cannot be opened: {error}"))?.map(Arc::new);
        let tracer = Tracer::new(&config.telemetry.exporters.tracing)?.map(Arc::new);
        Ok(Self::of(metrics, access_log, tracer))
    }

    /// One that nobody hears of, for checking a configuration.
    pub fn silent() -> Self {
        Self::of(Metrics::new(), None, None)
    }

    fn of(metrics: Arc<Metrics>, access_log: Option<Arc<AccessLog>>, tracer: Option<Arc<Tracer>>) -> Self {
        Self {
            observer: Arc::new(Observer { metrics: metrics.clone(), listener: None, access_log, tracer }),
            metrics,
            key_sets: KeySets::default(),
            counters: Counters::default(),
            upstreams: Mutex::default(),
        }
    }
}

impl Snapshot {
    /// The snapshot of a configuration and, once there is one, a supergraph. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn build(config: &Config, supergraph: Option<Arc<Supergraph>>, foundation: &Foundation) -> Result<Self, String> {
        let mut builder = Builder {
            config,
            foundation,
            concurrency: Concurrency::new(&config.traffic_shaping.router),
            upstreams: HashMap::new(),
            endpoint: None,
        };
        builder.endpoint = config.has_graph().then(|| graph::endpoint(&mut builder, supergraph)).transpose()?.map(Arc::new);
        let pipelines = config.all_listeners().map(|listener| Ok((listener.place(), builder.pipeline(listener)?)));
        let pipelines = pipelines.collect::<Result<_, String>>()?;
        *foundation.upstreams.lock().unwrap_or_else(PoisonError::into_inner) = builder.upstreams;
        Ok(Self { pipelines, endpoint: builder.endpoint })
    }

    /// Plans the operations that were used most while `before` was served, `most` of them.
    pub async fn warm_up(&self, before: &Self, most: usize) {
        if let (Some(endpoint), Some(before)) = (&self.endpoint, &before.endpoint) {
            endpoint.warm_up(before, most).await;
        }
    }

    /// Which of the pipelines belongs to the listener at a place.
    pub fn find(&self, place: &str) -> Option<usize> {
        self.pipelines.iter().position(|(known, _)| known == place)
    }

    /// One of the pipelines.
    pub fn pipeline(&self, at: usize) -> Option<&Pipeline> {
        self.pipelines.get(at).map(|(_, pipeline)| pipeline)
    }
}

/// What is needed while a snapshot is built.
struct Builder<'a> {
    config: &'a Config,
    foundation: &'a Foundation,
    concurrency: Concurrency,
    upstreams: HashMap<String, Kept>,
    endpoint: Option<Arc<Endpoint>>,
}

impl Builder<'_> {
    /// What is to be had at a listener.
    fn pipeline(&mut self, listener: Listener<'_>) -> Result<Pipeline, String> {
        let (config, foundation) = (self.config, self.foundation);
        let mut routes = Vec::new();
        if let Some(endpoint) = self.endpoint.clone().filter(|_| listener.has(config.supergraph.listeners.as_deref())) {
            let (policy, target) = (policy::of_graphql(self, listener)?, Target::Graphql(endpoint));
            let matches = MatchConfig { path: format!("={}", config.supergraph.path), ..MatchConfig::default() };
            routes.push((matches, Route { name: GRAPHQL.into(), policy, target, varies_by_accept: false }));
        }
        for route in config.routes.iter().filter(|route| listener.has(route.listeners.as_deref())) {
            // Each way to match has its own path, from which the rewriting goes.
            for matches in std::iter::once(&route.matches).chain(&route.or) {
                let served = self.rest(route, matches, listener).map_err(|error| format!("route `{}`: {error}", route.name))?;
                routes.push((MatchConfig { path: path::configured(&matches.path)?, ..matches.clone() }, served));
            }
        }
        let name = (!config.listeners.is_empty()).then(|| listener.name.into());
        let observer = name.map(|name| Arc::new(Observer { listener: Some(name), ..Observer::clone(&foundation.observer) }));
        Ok(Pipeline {
            routes: Routes::new(routes)?,
            trusted_proxies: TrustedProxies::new(listener.trusted_proxies),
            observer: observer.unwrap_or_else(|| foundation.observer.clone()),
            server_timing: config.telemetry.server_timing,
        })
    }

    fn rest(&mut self, route: &RouteConfig, matches: &MatchConfig, listener: Listener<'_>) -> Result<Route, String> {
        let headers = &self.config.headers;
        let own = route.headers.as_ref().or_else(|| headers.routes.get(&route.name));
        let lists: Vec<_> = std::iter::once(&headers.all).chain(own).collect();
        let rules = Rules::new(&lists)?;
        let limit = self.config.limits.max_subgraph_response_bytes.bytes();
        let mut upstream = |name: &str| Ok::<_, String>(Arc::new(self.named(name)?.for_route(rules.clone())));
        let mut split = match route.destination() {
            Destination::One(name) => Split::one(upstream(name)?),
            Destination::Aggregate(config) => {
                let upstream = |name: &str| Ok(Upstream::clone(&*upstream(name)?));
                let aggregate = Aggregate::new(config, &matches.path, limit, upstream)?;
                let (policy, target) = (policy::of_route(self, route, listener)?, Target::Aggregate(Box::new(aggregate)));
                return Ok(Route { name: route.name.as_str().into(), policy, target, varies_by_accept: false });
            }
            Destination::Split(shares) => {
                let shares = shares.iter().map(|share| Ok::<_, String>((share, upstream(&share.upstream)?)));
                Split::new(shares.collect::<Result<_, _>>()?)?
            }
        };
        if let Some(canary) = &route.canary {
            split = split.with_canary(canary, upstream(&canary.upstream)?);
        }
        if let Some(key) = &route.sticky {
            split = split.with_key(key)?;
        }
        let mirror = route.mirror.as_ref().map(|mirror| Ok::<_, String>(Mirror::new(mirror, upstream(&mirror.upstream)?)));
        let mirror = mirror.transpose()?;
        let policy: Policy = policy::of_route(self, route, listener)?;
        let proxy = Proxy::new(split, rewrite(route, matches)?, mirror).with_changes(changes(route, self.config)?);
        let target = Target::Rest(Box::new(proxy));
        Ok(Route { name: route.name.as_str().into(), policy, target, varies_by_accept: false })
    }

    /// An upstream of `upstreams:`.
    fn named(&mut self, name: &str) -> Result<Upstream, String> {
        let config = self.config.upstreams.get(name).ok_or_else(|| format!("there is no upstream `{name}`"))?;
        self.upstream(name, config)
    }

    /// The upstream of this configuration, with the connections that it has already.
    fn upstream(&mut self, name: &str, config: &UpstreamConfig) -> Result<Upstream, String> {
        if let Some(kept) = self.upstreams.get(name).filter(|kept| kept.config == *config) {
            return Ok(kept.upstream.clone());
        }
        let files: Vec<Stamp> = config.tls.files().map(stamp).collect();
        let kept = self.foundation.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(name).filter(|kept| kept.config == *config && kept.files == files);
        let upstream = match kept {
            Some(kept) => kept.upstream.clone(),
            None => Upstream::new(name.into(), config, self.foundation.metrics.clone())
                .map_err(|error| format!("upstream `{name}`: {error}"))?,
        };
        self.upstreams.insert(name.to_owned(), Kept { config: config.clone(), files, upstream: upstream.clone() });
        Ok(upstream)
    }
}

/// What else a route changes of its requests and answers.
fn changes(route: &RouteConfig, config: &Config) -> Result<Changes, String> {
    let limits = route.limits.as_ref().unwrap_or(&config.limits);
    let method = route.rewrite.as_ref().and_then(|rewrite| rewrite.method.as_deref());
    let method = method.map(|method| method.parse().map_err(|_| format!("`{method}` is not a method")));
    let (most, most_back) = (limits.http_max_request_bytes.bytes(), limits.max_subgraph_response_bytes.bytes());
    Ok(Changes {
        method: method.transpose()?,
        request_body: route.request_body.as_ref().map(|body| BodyRewrite::of_requests(body, most)),
        response_body: route.response_body.as_ref().map(|body| BodyRewrite::of_answers(body, most_back)),
        retry_other: route.retry_other,
    })
}

/// What happens to the path and the query of a route's requests.
fn rewrite(route: &RouteConfig, matches: &MatchConfig) -> Result<Rewrite, String> {
    let template = route.rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    let path = match (&route.strip_prefix, template) {
        (Some(prefix), _) => PathRewrite::strip(prefix),
        (None, Some(template)) => PathRewrite::compose(template, &matches.path)?,
        (None, None) if route.strip_path => PathRewrite::strip(&matches.path),
        (None, None) => PathRewrite::Keep,
    };
    Ok(Rewrite { path, strip_query: route.strip_query.iter().map(|name| name.as_str().into()).collect() })
}
