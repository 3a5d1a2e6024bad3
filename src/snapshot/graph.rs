//! The GraphQL endpoint of a snapshot: the supergraph, and whom to call for each of its subgraphs.

use std::sync::Arc;

use http::Uri;
use supergraph::{ids::IdVec, model};

use super::Builder;
use crate::{
    config::Config,
    execute,
    graphql::{Endpoint, Graph, Settings, budget::Budget, http::Reading},
    pipeline::limits::LimitsConfig,
    upstream::{UpstreamConfig, discovery::EndpointConfig, headers::Rules},
};

/// The endpoint; without a supergraph it says that there is none.
pub fn endpoint(builder: &mut Builder<'_>, supergraph: Option<Arc<model::Supergraph>>) -> Result<Endpoint, String> {
    let config = builder.config;
    let settings = Settings {
        introspection: config.supergraph.introspection,
        authorization: config.authorization.directives.clone(),
        budget: budget(&config.limits),
        demand_control: config.demand_control.clone(),
        planning: config.supergraph.query_planning.clone(),
        persisted: config.persisted_queries.clone(),
        batching: config.batching.clone(),
        deduplicate: config.traffic_shaping.router.deduplicate,
        reading: Reading { max_bytes: max_bytes(config), file_uploads: config.file_uploads.clone() },
    };
    let graph = match supergraph {
        None => None,
        Some(supergraph) => {
            if let Some(feature) = supergraph.features.unserved() {
                let purpose = feature.purpose.as_deref().unwrap_or_default();
                return Err(format!("the schema needs {} for {purpose}, which this version does not know", feature.identity));
            }
            if !supergraph.access.is_empty() && config.authentication.is_none() {
                tracing::warn!("the schema guards fields, and nobody can authenticate: configure `authentication`");
            }
            let mut subgraphs = IdVec::default();
            for (_, subgraph) in supergraph.subgraphs.iter() {
                let name = &subgraph.name;
                subgraphs.push(self::subgraph(builder, subgraph).map_err(|error| format!("subgraph `{name}`: {error}"))?);
            }
            Some(Graph { supergraph, subgraphs })
        }
    };
    Endpoint::new(settings, graph)
}

/// The largest request that any listener lets in; each has its own limit before this one.
fn max_bytes(config: &Config) -> usize {
    let own = config.listeners.iter().filter_map(|listener| listener.limits.as_ref());
    own.chain([&config.limits]).map(|limits| limits.http_max_request_bytes.bytes()).max().unwrap_or_default()
}

/// Whom to call for a subgraph: what the configuration says about its name, and otherwise the address in the supergraph.
fn subgraph(builder: &mut Builder<'_>, subgraph: &model::Subgraph) -> Result<execute::Subgraph, String> {
    let config = builder.config;
    let name = &*subgraph.name;
    let own = config.subgraphs.get(name);
    let (upstream, uri) = match own.and_then(|own| own.upstream.as_deref()) {
        Some(upstream) => {
            let path = own.and_then(|own| own.path.as_deref()).unwrap_or("/");
            (builder.named(upstream)?, path.parse().map_err(|_| format!("`{path}` is not a path"))?)
        }
        None => {
            let url = own.and_then(|own| own.url.as_deref()).unwrap_or(&subgraph.url);
            let (origin, uri) = split(url)?;
            let endpoints = vec![EndpointConfig { url: origin, weight: 1 }];
            (builder.upstream(name, &UpstreamConfig { endpoints, ..UpstreamConfig::default() })?, uri)
        }
    };
    let headers = &config.headers;
    let lists: Vec<_> = std::iter::once(&headers.all).chain(headers.subgraphs.get(name)).collect();
    let shaping = config.shaping(name);
    let shown = &config.include_subgraph_errors;
    Ok(execute::Subgraph {
        name: name.into(),
        upstream: Arc::new(upstream.for_subgraph(name.into(), uri, Rules::new(&lists)?, shaping)),
        timeout: shaping.timeout.0,
        max_response_bytes: config.limits.max_subgraph_response_bytes.bytes(),
        are_errors_included: shown.subgraphs.get(name).copied().unwrap_or(shown.all),
    })
}

/// `http://host:1/graphql` as `http://host:1` and `/graphql`.
fn split(url: &str) -> Result<(String, Uri), String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{url}` is not an address"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("`{url}` is not an address: configure `subgraphs.<name>.url`"));
    };
    let origin = format!("{scheme}://{authority}");
    Ok((origin, uri))
}

fn budget(limits: &LimitsConfig) -> Budget {
    let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    Budget {
        max_depth: size(limits.max_depth),
        max_height: size(limits.max_height),
        max_aliases: size(limits.max_aliases),
        max_root_fields: size(limits.max_root_fields),
        max_directives: size(limits.max_directives),
        parser_max_tokens: limits.parser_max_tokens,
        parser_max_recursion: limits.parser_max_recursion,
        warn_only: limits.warn_only,
    }
}
