//! Field sets: the `fields` arguments of `@key`, `@requires` and `@provides`, parsed once and shared.
//!
//! Relies on `document` for the grammar. Relied on by the rules, by the facts about fields, by composition and by satisfiability.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives>

use crate::document::{self, Fault};
use apollo_compiler::{Name, Node, ast};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A parsed field set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSet {
    /// As the user wrote it.
    pub text: String,
    /// What it selects, in order; duplicates are kept.
    pub selections: Vec<Selection>,
    /// Whether a directive is applied somewhere inside (never allowed).
    pub has_directives: bool,
    /// The first alias inside (never allowed), e.g. `other: name`.
    pub alias: Option<String>,
}

/// One selection of a field set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// A field, with its arguments and, for composite types, its own selections.
    Field {
        /// Its name.
        name: Name,
        /// Arguments as written.
        arguments: Vec<Node<ast::Argument>>,
        /// Nested selections; empty for leaves.
        selections: Vec<Selection>,
    },
    /// `... on Type { }` or `... { }`.
    Fragment {
        /// The type condition.
        on: Option<Name>,
        /// What it selects.
        selections: Vec<Selection>,
    },
}

impl FieldSet {
    /// Parses `text`.
    ///
    /// # Errors
    /// The first syntax error; a spread of a named fragment is one.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let parsed = document::selections(text)?;
        let mut set = Self { text: text.to_owned(), selections: Vec::new(), has_directives: false, alias: None };
        set.selections = set.convert(&parsed)?;
        Ok(set)
    }

    /// Recursion is bounded by [`document::MAX_DEPTH`].
    fn convert(&mut self, selections: &[ast::Selection]) -> Result<Vec<Selection>, Fault> {
        selections.iter().map(|selection| self.convert_one(selection)).collect()
    }

    fn convert_one(&mut self, selection: &ast::Selection) -> Result<Selection, Fault> {
        match selection {
            ast::Selection::Field(field) => {
                self.has_directives |= !field.directives.is_empty();
                if let (Some(alias), None) = (&field.alias, &self.alias) {
                    self.alias = Some(format!("{alias}: {}", field.name));
                }
                let selections = self.convert(&field.selection_set)?;
                Ok(Selection::Field { name: field.name.clone(), arguments: field.arguments.clone(), selections })
            }
            ast::Selection::InlineFragment(fragment) => {
                self.has_directives |= !fragment.directives.is_empty();
                let selections = self.convert(&fragment.selection_set)?;
                Ok(Selection::Fragment { on: fragment.type_condition.clone(), selections })
            }
            ast::Selection::FragmentSpread(spread) => Err(Fault {
                message: format!(
                    "it spreads the fragment \"{}\", but a field set cannot use named fragments",
                    spread.fragment_name
                ),
                at: None,
            }),
        }
    }
}

/// Field sets by text, so that the ones that repeat (`id`) are parsed once.
#[derive(Default)]
pub struct FieldSets {
    known: FxHashMap<String, Result<Arc<FieldSet>, Fault>>,
}

impl FieldSets {
    /// The field set of `text`.
    ///
    /// # Errors
    /// The first syntax error.
    pub fn parse(&mut self, text: &str) -> Result<Arc<FieldSet>, Fault> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let parsed = FieldSet::parse(text).map(Arc::new);
        self.known.insert(text.to_owned(), parsed.clone());
        parsed
    }
}
