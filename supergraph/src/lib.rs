//! Composition and query planning for GraphQL federation: a pure library without I/O, async, clock or randomness.
//!
//! ```text
//! subgraph SDL ──► compose::compose ──► supergraph SDL ──► model::Supergraph ──► plan::plan ──► plan::Plan
//! ```
//! The gateway (`supergate`) relies on it; it relies on a GraphQL parser and validator (behind `document`), an index map and a hasher.

pub mod compose;
pub mod diagnostics;
pub mod document;
mod hierarchy;
pub mod ids;
pub mod model;
pub mod plan;
pub mod subgraph;
mod syntax;
