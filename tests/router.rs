//! The router from outside: the built binary on real sockets, against the example upstreams or scripted ones.
//!
//! One test binary, so that the router is linked once. The folders are those of `src/`; a file is named after what it tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking.

mod cli;
mod envoy;
mod execute;
mod federation;
mod graphql;
mod grpc;
mod pipeline;
mod reload;
mod rest;
mod server;
mod support;
mod telemetry;
mod upstream;
