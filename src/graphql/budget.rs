//! Budgets of an operation: depth, height, aliases, root fields and directives, counted with fragments spread.
//!
//! Relied on by `graphql::operation`, which applies them before anything is planned. Each fragment is measured once and its
//! counts are added wherever it is spread, so the cost is linear in the document; sums saturate.

use apollo_compiler::{
    ExecutableDocument, Name,
    executable::{Operation, Selection, SelectionSet},
};
use rustc_hash::FxHashMap;

use crate::error::{Error, ErrorKind};

/// What one operation may ask for. The words are those of `limits:` in `router.yaml`.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Deepest nesting of fields.
    pub max_depth: usize,
    /// Fields, each counted where it is selected.
    pub max_height: usize,
    /// Aliased fields.
    pub max_aliases: usize,
    /// Fields of the root selection set.
    pub max_root_fields: usize,
    /// Directives.
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

/// Levels of fragments and selection sets that are followed; documents that pass validation and are nested deeper are refused.
const MAX_LEVELS: usize = 1000;

/// How large a selection set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measure {
    depth: usize,
    height: usize,
    aliases: usize,
    root_fields: usize,
    directives: usize,
}

impl Measure {
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.height = self.height.saturating_add(other.height);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.directives = self.directives.saturating_add(other.directives);
    }
}

/// Refuses an operation that is over its budget.
///
/// # Errors
/// It is, and that is not only to be logged.
pub fn check(budget: &Budget, document: &ExecutableDocument, operation: &Operation) -> Result<(), Error> {
    let mut measuring = Measuring { document, fragments: FxHashMap::default() };
    let Some(mut measure) = measuring.set(&operation.selection_set, 0) else {
        return Err(Error::new(ErrorKind::OperationTooLarge, "The operation's fragments are nested too deep."));
    };
    let of_variables = operation.variables.iter().map(|variable| variable.directives.len());
    measure.directives = of_variables.fold(measure.directives.saturating_add(operation.directives.len()), usize::saturating_add);
    let limits = [
        ("max_depth", measure.depth, budget.max_depth),
        ("max_height", measure.height, budget.max_height),
        ("max_aliases", measure.aliases, budget.max_aliases),
        ("max_root_fields", measure.root_fields, budget.max_root_fields),
        ("max_directives", measure.directives, budget.max_directives),
    ];
    for (limit, found, allowed) in limits.into_iter().filter(|(_, found, allowed)| found > allowed) {
        if !budget.warn_only {
            return Err(Error::new(
                ErrorKind::OperationTooLarge,
                format!("The operation is over the limit {limit}: {found} of at most {allowed}."),
            ));
        }
        let name = operation.name.as_ref().map_or("", |name| name.as_str());
        tracing::warn!(operation = name, limit, found, allowed, "an operation is over a limit");
    }
    Ok(())
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    fragments: FxHashMap<&'a Name, Measure>,
}

impl<'a> Measuring<'a> {
    /// Measures a selection set; `None` when it is nested too deep.
    fn set(&mut self, set: &'a SelectionSet, level: usize) -> Option<Measure> {
        if level > MAX_LEVELS {
            return None;
        }
        let mut total = Measure::default();
        for selection in &set.selections {
            let mut own = match selection {
                Selection::Field(field) => {
                    let mut below = self.set(&field.selection_set, level + 1)?;
                    if matches!(field.name.as_str(), "__schema" | "__type") {
                        // What tools ask of a schema is deep and wide; introspection has limits of its own.
                        (below.depth, below.height) = (0, 0);
                    }
                    Measure {
                        depth: below.depth.saturating_add(1),
                        height: below.height.saturating_add(1),
                        aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                        root_fields: 1,
                        directives: below.directives,
                    }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set, level + 1)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name, level + 1)?,
            };
            own.directives = own.directives.saturating_add(selection.directives().len());
            total.add(own);
        }
        Some(total)
    }

    fn fragment(&mut self, name: &'a Name, level: usize) -> Option<Measure> {
        if let Some(known) = self.fragments.get(name) {
            return Some(*known);
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Some(Measure::default()) };
        let mut measure = self.set(&fragment.selection_set, level)?;
        measure.directives = measure.directives.saturating_add(fragment.directives.len());
        self.fragments.insert(name, measure);
        Some(measure)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use apollo_compiler::Schema;

    use super::*;

    fn checked(budget: &Budget, operation: &str) -> Result<(), Error> {
        let schema = Schema::parse_and_validate("type Query { a: Int q: Query }", "schema").unwrap();
        let document = ExecutableDocument::parse_and_validate(&schema, operation, "operation").unwrap();
        let operation = document.operations.iter().next().unwrap();
        check(budget, &document, operation)
    }

    fn limited(set: impl FnOnce(&mut Budget), operation: &str) -> String {
        let mut budget = Budget {
            max_depth: 100,
            max_height: 100,
            max_aliases: 100,
            max_root_fields: 100,
            max_directives: 100,
            ..Budget::default()
        };
        assert!(checked(&budget, operation).is_ok(), "{operation}");
        set(&mut budget);
        let error = checked(&budget, operation).unwrap_err();
        assert_eq!(error.kind, ErrorKind::OperationTooLarge);
        budget.warn_only = true;
        assert!(checked(&budget, operation).is_ok(), "{operation}");
        error.detail.into_owned()
    }

    #[test]
    fn each_limit_counts_through_fragments() {
        let spread = "{ ...F } fragment F on Query { q { q { a } } x: a y: a @skip(if: false) }";
        assert!(limited(|budget| budget.max_depth = 2, spread).contains("max_depth: 3 of at most 2"));
        assert!(limited(|budget| budget.max_height = 4, spread).contains("max_height: 5 of at most 4"));
        assert!(limited(|budget| budget.max_aliases = 1, spread).contains("max_aliases: 2 of at most 1"));
        assert!(limited(|budget| budget.max_root_fields = 2, spread).contains("max_root_fields: 3 of at most 2"));
        assert!(limited(|budget| budget.max_directives = 0, spread).contains("max_directives: 1 of at most 0"));
    }

    #[test]
    fn what_is_asked_of_the_schema_counts_as_one_field_but_its_aliases_count() {
        let budget = Budget { max_depth: 1, max_height: 1, max_aliases: 1, ..Budget::default() };
        assert!(checked(&budget, "{ __schema { types { ...F } } } fragment F on __Type { name a: fields { name } }").is_ok());
        let aliases = "{ __schema { a: types { name } b: types { name } } }";
        assert!(checked(&budget, aliases).unwrap_err().detail.contains("max_aliases"));
    }

    #[test]
    fn doubling_fragments_cost_nothing_and_overflow_nothing() {
        let mut text = "{ ...F0 }".to_owned();
        for level in 0..80 {
            text += &format!(" fragment F{level} on Query {{ x: q {{ ...F{0} }} y: q {{ ...F{0} }} }}", level + 1);
        }
        text += " fragment F80 on Query { a }";
        let budget = Budget { max_depth: 1000, ..Budget::default() };
        assert_eq!(checked(&budget, &text).unwrap_err().kind, ErrorKind::OperationTooLarge);
    }
}
