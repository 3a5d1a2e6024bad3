//! Every document of a plan held against the schema of its subgraph, in debug builds: what fails here is a bug of the planner.
//!
//! Relied on by `plan()`; relies on `model::subgraph_schema` and on the parser crate through `document`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Validation>

use super::{Plan, PlanError, Tables};
use crate::document;
use crate::model::Supergraph;

/// Validates the documents. Schemas are made when they are first needed.
///
/// # Errors
/// The first document that its subgraph would refuse.
pub(super) fn documents(supergraph: &Supergraph, tables: &Tables, plan: &Plan) -> Result<(), PlanError> {
    for (_, fetch) in plan.fetches.iter() {
        let Some(schema) = tables.schema(supergraph, fetch.subgraph) else { continue };
        let faults = document::operation_faults(schema, &fetch.document);
        if let Some(fault) = faults.first() {
            let subgraph = supergraph.subgraph(fetch.subgraph).name.clone();
            let message = format!("{} in {}", fault.message, fetch.document);
            return Err(PlanError::InvalidFetch { subgraph, message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;
    use crate::compose::{Source, compose};
    use crate::ids::Id;
    use crate::plan::{PlanOptions, operation::Operation, plan};
    use apollo_compiler::ExecutableDocument;

    #[test]
    fn a_document_that_its_subgraph_would_refuse_is_found() {
        let link =
            r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@requires", "@external"])"#;
        let source = |name: &str, sdl: &str| Source { name: name.into(), url: String::new(), sdl: format!("{link} {sdl}") };
        let sources = [
            source(
                "a",
                r#"type Query { t(e: E = ONE, i: I): T } type T @key(fields: "id") { id: ID! w: Int } enum E { ONE TWO } input I { x: Int! = 1 y: [E!] }"#,
            ),
            source("b", r#"type T @key(fields: "id") { id: ID! w: Int @external cost(of: Float): Int! @requires(fields: "w") }"#),
        ];
        let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
        let tables = Tables::new(&supergraph);
        let text = "query($e: E!, $i: I, $of: Float) { t(e: $e, i: $i) { cost(of: $of) } other: t(i: { y: [TWO] }) { id } }";
        let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
        let operation = Operation::new(&supergraph, &document, None).unwrap();
        let good = plan(&supergraph, &tables, &operation, &PlanOptions::default()).unwrap();
        assert_eq!(documents(&supergraph, &tables, &good), Ok(()));
        for (what, by) in
            [("cost(of: $of)", "cost(by: $of)"), ("TWO", "THREE"), ("$of: Float", "$of: Int"), ("... on T", "... on U")]
        {
            let mut wrong = good.clone();
            for index in 0..good.fetches.len() {
                let fetch = wrong.fetches.get_mut(Id::new(index)).unwrap();
                fetch.document = fetch.document.replace(what, by);
            }
            let found = documents(&supergraph, &tables, &wrong);
            assert!(matches!(found, Err(PlanError::InvalidFetch { .. })), "{what} is {by}: {found:?}");
        }
    }
}
