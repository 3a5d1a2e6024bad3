//! What must hold for every set of subgraphs, whatever is in them. Both targets rely on it.

use supergraph::compose::{Source, compose};
use supergraph::model::Supergraph;

/// Composes, and panics where composition breaks a promise: an answer without a reason, one that depends on the order of the
/// subgraphs, or a supergraph that does not read back.
pub fn check(mut sources: Vec<Source>) {
    let first = compose(&sources);
    sources.reverse();
    let second = compose(&sources);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.supergraph, second.supergraph, "the supergraph depends on the order of the subgraphs");
            assert!(Supergraph::read(&first.supergraph).is_ok(), "the supergraph does not read back:\n{}", first.supergraph);
        }
        (Err(first), Err(second)) => {
            assert!(!first.is_empty(), "refused without a reason");
            assert!(first.iter().all(|error| error.code != "INVALID_FEDERATION_SUPERGRAPH"), "{first:#?}");
            assert_eq!(first, second, "the errors depend on the order of the subgraphs");
        }
        _ => panic!("the outcome depends on the order of the subgraphs"),
    }
}
