//! Telemetry: what the outside sees of the gateway's work. A leaf that every module may use and that uses none of ours.

pub mod clock;
pub mod hexadecimal;
pub mod logs;
pub mod metrics;
mod otlp;
pub mod traces;

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where metrics and traces go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportersConfig {
    /// Counters, gauges, histograms.
    pub metrics: MetricsConfig,
    /// Spans.
    pub tracing: TracingConfig,
}

/// Where metrics go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Fetched by Prometheus.
    pub prometheus: PrometheusConfig,
}

/// A listener for Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusConfig {
    /// Whether it listens.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// The path of the metrics.
    pub path: String,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 9090)), path: "/metrics".into() }
    }
}

/// Where spans go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracingConfig {
    /// To an OpenTelemetry collector.
    pub otlp: OtlpConfig,
    /// Which exchanges are traced.
    pub sampler: Sampler,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpConfig {
    /// Whether spans are sent.
    pub enabled: bool,
    /// Its address.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: traces::Transport,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self { enabled: false, endpoint: "http://127.0.0.1:4317".into(), protocol: traces::Transport::Grpc }
    }
}

/// Which exchanges are traced: `always_on`, `always_off`, or a share from 0 to 1. A caller's sampled trace is always continued.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sampler {
    /// All.
    #[default]
    AlwaysOn,
    /// None but those a caller samples.
    AlwaysOff,
    /// This share, from 0.0 to 1.0.
    Ratio(f64),
}

impl Serialize for Sampler {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AlwaysOn => serializer.serialize_str("always_on"),
            Self::AlwaysOff => serializer.serialize_str("always_off"),
            Self::Ratio(share) => serializer.serialize_f64(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Sampler {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl serde::de::Visitor<'_> for Choice {
            type Value = Sampler;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("always_on, always_off or a number from 0 to 1")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sampler, E> {
                match (text, text.parse()) {
                    ("always_on", _) => Ok(Sampler::AlwaysOn),
                    ("always_off", _) => Ok(Sampler::AlwaysOff),
                    (_, Ok(share)) => self.visit_f64(share),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<Sampler, E> {
                match share {
                    0.0..=1.0 => Ok(Sampler::Ratio(share)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Float(share), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, share: u64) -> Result<Sampler, E> {
                self.visit_f64(if share <= 1 { share as f64 } else { f64::INFINITY })
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for Sampler {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sampler".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "enum": ["always_on", "always_off"] }, { "type": "number", "minimum": 0, "maximum": 1 }] })
    }
}
