//! Field sets: the `fields` arguments of `@key`, `@requires` and `@provides`, parsed once and shared.
//!
//! Relies on `document` for the grammar. Relied on by the rules, by the facts about fields, by composition and by satisfiability.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives>

use crate::document::{self, Fault};
use apollo_compiler::{Name, Node, ast};
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;

/// A parsed field set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSet {
    /// As the user wrote it.
    pub text: String,
    /// What it selects, in order; duplicates are kept.
    pub selections: Vec<Selection>,
    /// The directives that are applied somewhere inside (never allowed).
    pub directives: Vec<Name>,
    /// What it selects, in an order that depends on nothing but the selection.
    normal: String,
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
        let mut set =
            Self { text: text.to_owned(), selections: Vec::new(), directives: Vec::new(), normal: String::new(), alias: None };
        set.selections = set.convert(&parsed)?;
        set.normal = normal(&set.selections);
        Ok(set)
    }

    /// Whether both select the same fields, in any order.
    #[must_use]
    pub fn selects_same(&self, other: &Self) -> bool {
        self.normal == other.normal
    }

    /// Selections as text, without outer braces.
    #[must_use]
    pub fn print(selections: &[Selection]) -> String {
        let printed: Vec<String> = selections.iter().map(ToString::to_string).collect();
        printed.join(" ")
    }

    /// Recursion is bounded by [`document::MAX_DEPTH`].
    fn convert(&mut self, selections: &[ast::Selection]) -> Result<Vec<Selection>, Fault> {
        selections.iter().map(|selection| self.convert_one(selection)).collect()
    }

    fn convert_one(&mut self, selection: &ast::Selection) -> Result<Selection, Fault> {
        match selection {
            ast::Selection::Field(field) => {
                self.directives.extend(field.directives.iter().map(|directive| directive.name.clone()));
                if let (Some(alias), None) = (&field.alias, &self.alias) {
                    self.alias = Some(format!("{alias}: {}", field.name));
                }
                let selections = self.convert(&field.selection_set)?;
                Ok(Selection::Field { name: field.name.clone(), arguments: field.arguments.clone(), selections })
            }
            ast::Selection::InlineFragment(fragment) => {
                self.directives.extend(fragment.directives.iter().map(|directive| directive.name.clone()));
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

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, selections) = self.split();
        f.write_str(&head)?;
        if selections.is_empty() { Ok(()) } else { write!(f, " {{ {} }}", FieldSet::print(selections)) }
    }
}

/// The selections sorted and without repetitions, at every level.
fn normal(selections: &[Selection]) -> String {
    let mut lines: Vec<String> = selections
        .iter()
        .map(|selection| {
            let (head, selections) = selection.split();
            if selections.is_empty() { head } else { format!("{head} {{ {} }}", normal(selections)) }
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join(" ")
}

impl Selection {
    /// The selection without what is nested in it, as text, and what is nested in it.
    fn split(&self) -> (String, &[Selection]) {
        match self {
            Self::Field { name, arguments, selections } if arguments.is_empty() => (name.to_string(), selections),
            Self::Field { name, arguments, selections } => {
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| format!("{}: {}", argument.name, argument.value)).collect();
                (format!("{name}({})", arguments.join(", ")), selections)
            }
            Self::Fragment { on: Some(on), selections } => (format!("... on {on}"), selections),
            Self::Fragment { on: None, selections } => ("...".to_owned(), selections),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;

    #[test]
    fn order_does_not_matter_for_equality() {
        let set = |text| FieldSet::parse(text).unwrap();
        assert!(set("a b { c d }").selects_same(&set("b { d c } a")));
        assert!(!set("a b { c d }").selects_same(&set("a b { c }")));
        assert!(!set("a(x: 1)").selects_same(&set("a(x: 2)")));
    }

    #[test]
    fn what_is_not_allowed_is_recorded() {
        let set = FieldSet::parse("a: b c @include(if: true)").unwrap();
        assert_eq!(set.alias.as_deref(), Some("a: b"));
        assert_eq!(set.directives.len(), 1);
        assert!(FieldSet::parse("...F").is_err());
        assert!(FieldSet::parse("a }").is_err());
    }
}
