//! Supergate: a GraphQL federation router and REST API gateway. ARCHITECTURE.md is the map; this file is its index.

pub mod admin;
pub mod app;
pub mod body;
pub mod busy;
pub mod cli;
pub mod coding;
pub mod config;
pub mod error;
pub mod exchange;
pub mod execute;
pub mod graphql;
pub mod grpc;
pub mod percent;
pub mod pipeline;
pub mod reload;
pub mod rest;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod units;
pub mod upstream;
