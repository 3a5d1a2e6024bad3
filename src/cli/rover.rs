//! rover's `supergraph.yaml`, taken as a configuration that has nothing but subgraphs.
//!
//! Relied on by `compose`.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::config::{Config, InsertRule, SchemaConfig, SubgraphConfig};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rover {
    /// Which composition rover would use; ours understands every version.
    #[serde(rename = "federation_version")]
    _version: Option<String>,
    subgraphs: IndexMap<String, RoverSubgraph>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoverSubgraph {
    routing_url: Option<String>,
    schema: RoverSchema,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RoverSchema {
    file: Option<std::path::PathBuf>,
    subgraph_url: Option<String>,
    sdl: Option<String>,
    introspection_headers: IndexMap<String, String>,
}

impl From<Rover> for Config {
    fn from(rover: Rover) -> Self {
        let subgraphs = rover.subgraphs.into_iter().map(|(name, subgraph)| (name, subgraph.into())).collect();
        Self { subgraphs, ..Self::default() }
    }
}

impl From<RoverSubgraph> for SubgraphConfig {
    fn from(RoverSubgraph { routing_url, schema }: RoverSubgraph) -> Self {
        let headers = schema.introspection_headers.into_iter();
        Self {
            url: routing_url.or_else(|| schema.subgraph_url.clone()),
            schema: Some(SchemaConfig {
                file: schema.file,
                subgraph_url: schema.subgraph_url,
                headers: headers.map(|(name, value)| InsertRule { name, value }).collect(),
                sdl: schema.sdl,
            }),
            ..Self::default()
        }
    }
}
