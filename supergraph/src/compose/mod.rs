//! Composition: the SDL of any number of subgraphs to one supergraph.
//!
//! ```text
//! sources ──► subgraph::read_all ──► merge ──► rules ──► print ──► satisfiable ──► Composition
//! ```
//! Each stage runs only when the one before found no error; a stage reports all its errors at once.
//! Relies on `subgraph` for reading and validating each SDL; the gateway and the command line rely on `compose`.

mod access;
mod aliases;
mod arguments;
pub mod codes;
mod custom;
mod definitions;
mod descriptions;
mod diagnose;
mod directives;
mod enums;
mod external;
mod features;
mod fields;
mod inaccessible;
mod inputs;
mod interfaces;
mod join;
mod merge;
mod merged;
mod normal;
mod objects;
mod overrides;
mod places;
mod print;
mod rules;
pub mod satisfiable;
mod sharing;
mod sources;
mod specs;
mod strategies;
mod subtypes;
mod tree;
mod types;
mod unions;
mod values;

use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Locations};
use crate::model::{Supergraph, client};
use crate::subgraph;
use places::Places;
use rustc_hash::FxHashSet;

/// Errors, and hints, beyond which only the first of each further code is told; the last one says how many were left out.
pub const MAX_DIAGNOSTICS: usize = 500;

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

/// Composes subgraphs. The order of `sources` does not matter.
///
/// # Errors
/// Every error of the first stage that finds any.
pub fn compose(sources: &[Source]) -> Result<Composition, Vec<Diagnostic>> {
    // Nearly always there is no error, and reading without locations is several times faster.
    match compose_once(sources, Locations::Skip) {
        Ok(composition) => Ok(Composition { hints: capped(composition.hints), ..composition }),
        Err(_) => compose_with_places(sources),
    }
}

/// Composes subgraphs as [`compose`] does, with line and column in hints too. It takes several times longer.
///
/// # Errors
/// Every error of the first stage that finds any.
pub fn compose_with_places(sources: &[Source]) -> Result<Composition, Vec<Diagnostic>> {
    match compose_once(sources, Locations::Keep) {
        Ok(composition) => Ok(Composition { hints: capped(composition.hints), ..composition }),
        Err(errors) => Err(capped(errors)),
    }
}

/// Keeps the first [`MAX_DIAGNOSTICS`] and the first of every further code; the last one says how many were left out.
fn capped(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let total = all.len();
    let mut codes = FxHashSet::default();
    let mut position = 0;
    all.retain(|diagnostic| {
        position += 1;
        codes.insert(diagnostic.code) || position <= MAX_DIAGNOSTICS
    });
    let left_out = total - all.len();
    if let Some(last) = all.last_mut().filter(|_| left_out > 0) {
        last.message
            .push_str(&format!(" ({left_out} more of these kinds are left out: only {MAX_DIAGNOSTICS} are told at once.)"));
    }
    all
}

fn compose_once(sources: &[Source], locations: Locations) -> Result<Composition, Vec<Diagnostic>> {
    let subgraphs = subgraph::read_all(sources, locations)?;
    let outcome = merge::merge(&subgraphs)?;
    let errors = rules::check(&subgraphs, &outcome);
    if !errors.is_empty() {
        return Err(errors);
    }
    let supergraph = print::print(&outcome.merged);
    let document = tree::document(&outcome.merged, &print::header(&outcome.merged))
        .map_err(|faults| faults.into_iter().map(unreadable).collect::<Vec<_>>())?;
    let errors = inaccessible::check(&document, Places(&subgraphs));
    if !errors.is_empty() {
        return Err(errors);
    }
    let locate = |subgraph: &str, ty: &str, field: Option<&str>| Places(&subgraphs).in_subgraph(subgraph, ty, field);
    let graph = Supergraph::without_client(&document).map_err(|errors| {
        let unknown = rules::known_types::check(&subgraphs, &outcome.merged);
        if unknown.is_empty() { errors } else { unknown }
    })?;
    let satisfiability = satisfiable::check(&graph, &locate);
    if !satisfiability.errors.is_empty() {
        return Err(satisfiability.errors);
    }
    let api_schema = client::client_document(&document).to_string();
    let mut hints = outcome.hints;
    hints.extend(satisfiability.hints);
    Ok(Composition { supergraph, api_schema, hints })
}

/// What we printed must read back; if it does not, that is a fault of ours, told rather than hidden.
fn unreadable(fault: document::Fault) -> Diagnostic {
    let message = format!("The composed supergraph does not read back: {}", fault.message);
    Diagnostic {
        code: "INVALID_FEDERATION_SUPERGRAPH",
        level: Level::Error,
        message,
        places: vec![Place { subgraph: None, at: fault.at }],
    }
}
