//! Configuration: `router.yaml` to [`Config`]. It composes each behaviour's own configuration; behaviours never see the whole.
//!
//! ```text
//! text ──► tree (places) ──► expand ──► overlay (routes inherit) ──► decode (types) ──► check (contradictions) ──► Config
//! ```
//! Relied on by `app`, `reload`, `snapshot` and the command line.

mod check;
mod decode;
mod expand;
mod given;
pub mod listeners;
mod overlay;
pub mod problem;
mod routes;
pub mod schema;
mod subgraphs;
mod tree;
mod unsupported;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    admin::{AdminConfig, HealthConfig},
    graphql::{
        IncludeSubgraphErrorsConfig, batching::BatchingConfig, demand_control::DemandControlConfig,
        file_uploads::FileUploadsConfig, persisted::PersistedQueriesConfig, plans::QueryPlanningConfig,
    },
    pipeline::{
        access::AuthorizationConfig, access_log::AccessLogConfig, auth::AuthenticationConfig, cache::CacheConfig,
        compression::CompressionConfig, concurrency::RouterShapingConfig, cors::CorsConfig, csrf::CsrfConfig,
        explorer::ExplorerConfig, limits::LimitsConfig, rate_limit::RateLimitConfig, server_timing::ServerTiming,
    },
    server::{connection::ConnectionConfig, drain::ShutdownConfig, tls::TlsConfig},
    telemetry::{ExportersConfig, logs},
    units::{Network, Span},
    upstream::{ShapingConfig, UpstreamConfig, headers::HeadersConfig},
};
pub use given::{ConfigSource, Given};
use listeners::ListenerConfig;
use problem::{Problem, Refused};
pub use routes::{Destination, RouteConfig};
pub use subgraphs::{InsertRule, SchemaConfig, SchemaSource, SubgraphConfig};

/// Largest `router.yaml`, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Everything that `router.yaml` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The listening address, the GraphQL endpoint, and where its schema comes from.
    pub supergraph: SupergraphConfig,
    /// The services whose schemas are composed, by name.
    pub subgraphs: IndexMap<String, SubgraphConfig>,
    /// Services that routes (and, where they say so, subgraphs) lead to, by name.
    pub upstreams: IndexMap<String, UpstreamConfig>,
    /// Which headers go on to upstreams and back to clients.
    pub headers: HeadersConfig,
    /// Timeouts, de-duplication, concurrency.
    pub traffic_shaping: TrafficShapingConfig,
    /// Sizes of requests, operations and answers.
    pub limits: LimitsConfig,
    /// What operations may cost.
    pub demand_control: DemandControlConfig,
    /// Who may be asking, and how that is proved.
    pub authentication: Option<AuthenticationConfig>,
    /// What a request needs beyond credentials.
    pub authorization: AuthorizationConfig,
    /// Quotas. `rate_limit` is the same.
    pub ratelimit: Option<RateLimitConfig>,
    /// Which web pages of other origins may call.
    pub cors: Option<CorsConfig>,
    /// Protection of GraphQL against requests that a web page could forge.
    pub csrf: CsrfConfig,
    /// Answers kept and shared between clients.
    pub cache: CacheConfig,
    /// How answers are compressed.
    pub compression: CompressionConfig,
    /// Files in the place of GraphQL variables.
    pub file_uploads: FileUploadsConfig,
    /// Several GraphQL requests in one.
    pub batching: BatchingConfig,
    /// Operations that clients name instead of sending them.
    pub persisted_queries: PersistedQueriesConfig,
    /// Which errors of subgraphs clients see in full.
    pub include_subgraph_errors: IncludeSubgraphErrorsConfig,
    /// Networks whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether every connection comes from one of `trusted_proxies` and begins with the PROXY protocol (version 1 or 2).
    pub proxy_protocol: bool,
    /// HTTPS on the listening address.
    pub tls: Option<TlsConfig>,
    /// Further addresses that clients connect to.
    pub listeners: Vec<ListenerConfig>,
    /// The listener for liveness and readiness.
    pub health_check: HealthConfig,
    /// The listener for operators.
    pub admin: Option<AdminConfig>,
    /// The page that browsers get at the GraphQL endpoint.
    pub explorer: ExplorerConfig,
    /// How the process ends.
    pub shutdown: ShutdownConfig,
    /// How long clients' connections live.
    pub connection: ConnectionConfig,
    /// What the outside sees of the gateway's work.
    pub telemetry: TelemetryConfig,
    /// REST routes. The one that matches most specifically takes the request.
    pub routes: Vec<RouteConfig>,
}

/// The listening address, the GraphQL endpoint, and where its schema comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupergraphConfig {
    /// Where clients connect, for GraphQL and REST alike.
    pub listen: SocketAddr,
    /// The path of the GraphQL endpoint.
    pub path: String,
    /// The listeners that have the GraphQL endpoint; all when absent. `default` is the one at `listen`.
    pub listeners: Option<Vec<String>>,
    /// Whether clients may ask for the schema. On in `--dev`.
    pub introspection: bool,
    /// How often the subgraphs' schemas are fetched again.
    pub poll_interval: Span,
    /// Where the last supergraph that was served is kept, for a start while subgraphs are down.
    pub last_good: PathBuf,
    /// A ready supergraph schema, instead of composing the subgraphs' ones.
    pub schema: Option<PathBuf>,
    /// Planning and its cache.
    pub query_planning: QueryPlanningConfig,
}

impl Default for SupergraphConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            path: "/graphql".into(),
            listeners: None,
            introspection: false,
            poll_interval: Span::seconds(10),
            last_good: ".supergate/supergraph.graphql".into(),
            schema: None,
            query_planning: QueryPlanningConfig::default(),
        }
    }
}

/// Timeouts, de-duplication, concurrency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficShapingConfig {
    /// For client requests.
    pub router: RouterShapingConfig,
    /// For calls to subgraphs.
    pub all: ShapingConfig,
    /// For calls to one subgraph; what is absent is taken from `all`.
    pub subgraphs: IndexMap<String, ShapingConfig>,
}

/// Metrics, traces and logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Where metrics and traces go.
    pub exporters: ExportersConfig,
    /// The process's own log.
    pub logging: logs::LoggingConfig,
    /// One line per exchange.
    pub access_log: AccessLogConfig,
    /// Which clients are told how long their answer took.
    pub server_timing: ServerTiming,
}

impl Config {
    /// Reads and checks the file at `path`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Refused> {
        read(path, |text, directory| Self::parse(text, directory, &variable))
    }

    /// Reads and checks a configuration whose relative paths are relative to `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, directory: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        let mut tree = tree::Node::parse(text).map_err(|problem| vec![problem])?;
        let mut problems = expand::expand(&mut tree, &expand::Surroundings { variable, directory });
        overlay::rename(&mut tree);
        problems.extend(unsupported::find(&mut tree));
        overlay::anchor_paths(&mut tree, directory);
        overlay::inherit(&mut tree);
        let config = match decode::decode::<Self>(tree.clone()) {
            Ok(config) => config,
            Err(found) => {
                problems.extend(found);
                return Err(problems);
            }
        };
        if !problems.is_empty() {
            // What could not be expanded would be found wrong again.
            return Err(problems);
        }
        problems.extend(check::check(&config).into_iter().map(|(path, message)| {
            let at = Some(tree.place(&path));
            Problem { at, path, message }
        }));
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// The same with everything on that helps while developing: introspection, the explorer, readable logs.
    #[must_use]
    pub fn for_development(mut self) -> Self {
        self.supergraph.introspection = true;
        self.explorer.enabled = true;
        self.telemetry.logging.format = logs::Form::Text;
        self.telemetry.access_log.format = crate::pipeline::access_log::Form::Text;
        self.include_subgraph_errors.all = true;
        self
    }

    /// How calls to a subgraph are shaped.
    pub fn shaping(&self, subgraph: &str) -> &ShapingConfig {
        self.traffic_shaping.subgraphs.get(subgraph).unwrap_or(&self.traffic_shaping.all)
    }

    /// Whether GraphQL is wanted at all.
    pub fn has_graph(&self) -> bool {
        self.supergraph.schema.is_some() || !self.subgraphs.is_empty()
    }

    /// The files that are read when the configuration is taken, and again when they change: documents and certificates.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let upstreams = self.upstreams.values().flat_map(|upstream| upstream.tls.files());
        let front = self.all_listeners().filter_map(|listener| listener.tls).flat_map(TlsConfig::files);
        self.persisted_queries.manifests.iter().map(PathBuf::as_path).chain(front).chain(upstreams)
    }
}

/// Reads another file with the same expansions and the same strictness. Its relative paths at `subgraphs.*.schema.file` are
/// relative to its directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_as<T: DeserializeOwned>(path: &Path) -> Result<T, Refused> {
    read(path, |text, directory| {
        let mut tree = tree::Node::parse(text).map_err(|problem| vec![problem])?;
        let problems = expand::expand(&mut tree, &expand::Surroundings { variable: &variable, directory });
        if !problems.is_empty() {
            return Err(problems);
        }
        overlay::anchor_paths(&mut tree, directory);
        decode::decode(tree)
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read<T>(path: &Path, parse: impl FnOnce(&str, &Path) -> Result<T, Vec<Problem>>) -> Result<T, Refused> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the file cannot be read: {error}");
        Refused::new(path, vec![Problem { at: None, path: String::new(), message }])
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes"))));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|problems| Refused::new(path, problems))
}

#[cfg(test)]
mod tests;
