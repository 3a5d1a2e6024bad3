//! What composition, reading and planning have to say about their input: errors and hints with stable codes.
//!
//! Relied on by every other module of this crate; relies on nothing.

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A hint that only helps when one looks for it.
    Debug,
    /// A hint worth reading.
    Info,
    /// A hint about a probable mistake.
    Warn,
    /// The input is refused.
    Error,
}

/// A position in the SDL of one subgraph (or of the supergraph, when `subgraph` is `None`). Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Name of the subgraph.
    pub subgraph: Option<String>,
    /// Line and column, where known.
    pub at: Option<(usize, usize)>,
}

/// One error or hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code that users and their tools know, e.g. `KEY_INVALID_FIELDS`.
    pub code: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What is wrong and what to do, in one or two sentences.
    pub message: String,
    /// Where, most important first.
    pub places: Vec<Place>,
}
