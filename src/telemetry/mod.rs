//! Telemetry: what the outside sees of the gateway's work. A leaf that every module may use and that uses none of ours.

pub mod logs;
pub mod metrics;
pub mod traces;
