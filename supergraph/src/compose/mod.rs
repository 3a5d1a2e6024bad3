//! Composition: the SDL of any number of subgraphs to one supergraph.
//!
//! Relies on `subgraph` for reading and validating each SDL; the gateway and the command line rely on `compose`.

pub mod satisfiable;

use crate::diagnostics::Diagnostic;

/// One subgraph as composition takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that users gave it; unique.
    pub name: String,
    /// Where it answers GraphQL.
    pub url: String,
    /// Its schema, in Federation 1 or 2 dialect.
    pub sdl: String,
}

/// What composition makes.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The supergraph SDL with `join__` directives.
    pub supergraph: String,
    /// The schema that clients see, as SDL.
    pub api_schema: String,
    /// Remarks that do not stop composition, in a stable order.
    pub hints: Vec<Diagnostic>,
}
