//! Budgets of an operation: depth, height, aliases, root fields and directives, counted with fragments spread.
//!
//! Relied on by `graphql::operation`, which applies them before anything is planned.

/// What one operation may ask for. The words are those of `limits:` in `router.yaml`.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Levels of selection sets.
    pub max_depth: usize,
    /// Distinct response fields over the whole operation.
    pub max_height: usize,
    /// Aliased fields.
    pub max_aliases: usize,
    /// Fields of the root selection set.
    pub max_root_fields: usize,
    /// Directives on one place.
    pub max_directives: usize,
    /// Tokens of the document, checked while it is lexed.
    pub parser_max_tokens: usize,
    /// Nesting of the document's syntax.
    pub parser_max_recursion: usize,
    /// Log what is over a limit instead of rejecting it (the parser's limits always reject).
    pub warn_only: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            max_depth: 15,
            max_height: 200,
            max_aliases: 30,
            max_root_fields: 20,
            max_directives: 50,
            parser_max_tokens: 15_000,
            parser_max_recursion: 500,
            warn_only: false,
        }
    }
}
