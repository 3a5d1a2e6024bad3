//! Field sets of a supergraph (`key`, `requires`, `provides`, context selections), parsed and resolved to fields.
//!
//! Relied on by `plan` and `compose::satisfiable`. A field set is resolved against a type as one subgraph has it: below a field,
//! the type is the one that the field has in that subgraph. Recursion is bounded by the parser's recursion limit.

use crate::document;
use crate::ids::{FieldId, TypeId};
use apollo_compiler::ast::{self, Value};
use apollo_compiler::{Name, Node};

/// A selection set without aliases and directives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSet {
    /// What it selects, in order.
    pub selections: Vec<Selection>,
}

/// One selection of a field set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// `__typename`
    Typename,
    /// A field, with what is selected below it.
    Field {
        /// Which.
        field: FieldId,
        /// Its constant arguments.
        arguments: Vec<(Name, Node<Value>)>,
        /// Empty for a leaf.
        below: FieldSet,
    },
    /// `... on T { }`
    Fragment {
        /// The type condition.
        on: TypeId,
        /// What is selected on objects of that type.
        below: FieldSet,
    },
}

/// A field set as text, as users write it.
pub fn print(graph: &super::Supergraph, set: &FieldSet) -> String {
    let mut text = String::new();
    print_into(graph, set, &mut text);
    text
}

fn print_into(graph: &super::Supergraph, set: &FieldSet, text: &mut String) {
    for (index, selection) in set.selections.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { " " });
        let below = match selection {
            Selection::Typename => {
                text.push_str("__typename");
                continue;
            }
            Selection::Field { field, arguments, below } => {
                text.push_str(&graph.field(*field).name);
                let given: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                if !given.is_empty() {
                    text.push_str(&format!("({})", given.join(", ")));
                }
                below
            }
            Selection::Fragment { on, below } => {
                text.push_str(&format!("... on {}", graph.get_type(*on).name));
                below
            }
        };
        if !below.selections.is_empty() {
            text.push_str(" { ");
            print_into(graph, below, text);
            text.push_str(" }");
        }
    }
}

/// What resolving asks about the supergraph.
pub(super) trait Lookup {
    /// The field `name` of `parent`, and the type below it in the subgraph at hand.
    fn field(&self, parent: TypeId, name: &str) -> Option<(FieldId, TypeId)>;
    /// The type with this name.
    fn type_named(&self, name: &str) -> Option<TypeId>;
}

/// Why a field set is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Syntax,
    UnknownField(Name),
    UnknownType(Name),
    Unsupported,
}

/// Parses `text`, with or without the outer braces, without looking names up.
pub(super) fn parse(text: &str) -> Result<Vec<ast::Selection>, Problem> {
    let selections = document::selections(text).map_err(|_| Problem::Syntax)?;
    if selections.is_empty() { Err(Problem::Syntax) } else { Ok(selections) }
}

/// Resolves parsed selections against `parent`.
pub(super) fn resolve(selections: &[ast::Selection], parent: TypeId, lookup: &impl Lookup) -> Result<FieldSet, Problem> {
    let selections = selections.iter().map(|selection| resolve_one(selection, parent, lookup)).collect::<Result<_, _>>()?;
    Ok(FieldSet { selections })
}

fn resolve_one(selection: &ast::Selection, parent: TypeId, lookup: &impl Lookup) -> Result<Selection, Problem> {
    match selection {
        ast::Selection::Field(field) if field.name == "__typename" => Ok(Selection::Typename),
        ast::Selection::Field(node) => {
            let unknown = || Problem::UnknownField(node.name.clone());
            let (field, below) = lookup.field(parent, &node.name).ok_or_else(unknown)?;
            let arguments = node.arguments.iter().map(|argument| (argument.name.clone(), argument.value.clone())).collect();
            Ok(Selection::Field { field, arguments, below: resolve(&node.selection_set, below, lookup)? })
        }
        ast::Selection::InlineFragment(node) => {
            let on = match &node.type_condition {
                Some(name) => lookup.type_named(name).ok_or_else(|| Problem::UnknownType(name.clone()))?,
                None => parent,
            };
            Ok(Selection::Fragment { on, below: resolve(&node.selection_set, on, lookup)? })
        }
        ast::Selection::FragmentSpread(_) => Err(Problem::Unsupported),
    }
}
