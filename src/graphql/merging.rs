//! Merging: fields of one response key take the same arguments. The parser crate checks that too, but takes lists for equal when one
//! is the beginning of the other.
//!
//! Relied on by `graphql::operation`. Input: a document that the parser crate takes for valid. Output: the fields that cannot be merged
//! all the same. Cost: one look at each field; only where a response key has lists that differ, fields are collected as they are
//! executed, up to a budget. Example: `{ sum(of: [1]) sum(of: [1, 2]) }` is refused.
//! Spec: <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::{Argument, Value},
    executable::{Field, Selection, SelectionSet},
};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::error::{Location, Problem};

/// Selections that are collected for one document. Fragments can make them exponentially many; beyond this nothing more is looked for.
const MAX_VISITS: usize = 100_000;

/// The fields of a document that cannot be merged.
pub fn problems(schema: &Schema, document: &ExecutableDocument) -> Vec<Problem> {
    let suspects = suspects(document);
    let mut merging = Merging { schema, document, suspects, left: MAX_VISITS, problems: Vec::new() };
    if !merging.suspects.is_empty() {
        for operation in document.operations.iter() {
            merging.check(&[&operation.selection_set]);
        }
    }
    merging.problems
}

/// Response keys that stand for fields with lists that differ, somewhere in the document.
fn suspects(document: &ExecutableDocument) -> FxHashSet<&Name> {
    let mut open: Vec<&SelectionSet> = document.operations.iter().map(|operation| &operation.selection_set).collect();
    open.extend(document.fragments.values().map(|fragment| &fragment.selection_set));
    let mut met: FxHashMap<&Name, &Field> = FxHashMap::default();
    let mut suspects = FxHashSet::default();
    while let Some(set) = open.pop() {
        open.extend(set.selections.iter().filter_map(below));
        let fields = set.selections.iter().filter_map(Selection::as_field);
        for field in fields.filter(|field| field.arguments.iter().any(|argument| has_list(&argument.value))) {
            let first = *met.entry(field.response_key()).or_insert(field);
            if !are_same(&first.arguments, &field.arguments) {
                suspects.insert(field.response_key());
            }
        }
    }
    suspects
}

/// The selection set that a selection has in itself.
fn below(selection: &Selection) -> Option<&SelectionSet> {
    match selection {
        Selection::Field(field) => Some(&field.selection_set),
        Selection::InlineFragment(fragment) => Some(&fragment.selection_set),
        Selection::FragmentSpread(_) => None,
    }
}

/// A field and the type whose field it is there.
type Collected<'a> = (&'a Name, &'a Node<Field>);

struct Merging<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    suspects: FxHashSet<&'a Name>,
    /// Selections that may still be visited.
    left: usize,
    problems: Vec<Problem>,
}

impl<'a> Merging<'a> {
    /// Checks the fields of selection sets that are merged, and what is below them. The parser bounds how deep that is.
    fn check(&mut self, sets: &[&'a SelectionSet]) {
        let mut fields = IndexMap::default();
        let mut spread = FxHashSet::default();
        sets.iter().for_each(|set| self.collect(set, &mut fields, &mut spread));
        for (key, all) in &fields {
            if self.suspects.contains(key) {
                self.compare(all);
            }
            let objects: FxHashSet<&Name> = all.iter().map(|(parent, _)| *parent).filter(|name| self.is_object(name)).collect();
            let below = |object: Option<&Name>| {
                let is_there = |parent: &Name| object.is_none_or(|object| object == parent || !self.is_object(parent));
                let sets = all.iter().filter(|(parent, _)| is_there(parent)).map(|(_, field)| &field.selection_set);
                sets.filter(|set| !set.selections.is_empty()).collect::<Vec<_>>()
            };
            // Fields of different objects are never in one answer, so what is below them is not merged.
            let merged: Vec<_> = match objects.len() {
                0 | 1 => vec![below(None)],
                _ => objects.iter().map(|object| below(Some(*object))).collect(),
            };
            for sets in merged.iter().filter(|sets| !sets.is_empty()) {
                self.check(sets);
            }
        }
    }

    fn collect(
        &mut self,
        set: &'a SelectionSet,
        fields: &mut IndexMap<&'a Name, Vec<Collected<'a>>, FxBuildHasher>,
        spread: &mut FxHashSet<&'a Name>,
    ) {
        for selection in &set.selections {
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            match selection {
                Selection::Field(field) => fields.entry(field.response_key()).or_default().push((&set.ty, field)),
                Selection::InlineFragment(fragment) => self.collect(&fragment.selection_set, fields, spread),
                Selection::FragmentSpread(named) => {
                    let fragment = self.document.fragments.get(&named.fragment_name);
                    if let Some(fragment) = fragment.filter(|_| spread.insert(&named.fragment_name)) {
                        self.collect(&fragment.selection_set, fields, spread);
                    }
                }
            }
        }
    }

    /// Compares each field with those before it that may be in one answer with it, until one differs.
    fn compare(&mut self, all: &[Collected<'a>]) {
        for (index, (parent, field)) in all.iter().enumerate() {
            let before = all.get(..index).unwrap_or_default();
            self.left = self.left.saturating_sub(before.len());
            if self.left == 0 {
                return;
            }
            let is_other = |(other, before): &&Collected<'_>| {
                let meet = other == parent || !self.is_object(other) || !self.is_object(parent);
                meet && !are_same(&before.arguments, &field.arguments)
            };
            if let Some((_, other)) = before.iter().find(is_other) {
                let message =
                    format!("The fields for {} have different arguments; give one of them an alias.", field.response_key());
                let places = [*other, *field].into_iter().filter_map(|field| field.line_column_range(&self.document.sources));
                let locations = places.map(|range| Location { line: range.start.line, column: range.start.column }).collect();
                self.problems.push(Problem { message, locations, path: Vec::new() });
                return;
            }
        }
    }

    fn is_object(&self, name: &Name) -> bool {
        self.schema.get_object(name).is_some()
    }
}

/// Whether a value has a list in it.
fn has_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Object(fields) => fields.iter().any(|(_, value)| has_list(value)),
        _ => false,
    }
}

/// Whether these are the same arguments, in any order.
fn are_same(left: &[Node<Argument>], right: &[Node<Argument>]) -> bool {
    let same = |argument: &Node<Argument>| right.iter().find(|other| other.name == argument.name);
    left.len() == right.len()
        && left.iter().all(|argument| same(argument).is_some_and(|other| is_same(&argument.value, &other.value)))
}

/// Whether these are the same value. The order of input fields makes no difference.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |name: &Name| right.iter().find(|(other, _)| other == name);
            left.len() == right.len()
                && left.iter().all(|(name, value)| same(name).is_some_and(|(_, other)| is_same(value, other)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    const SCHEMA: &str = "interface N { sum(of: [Int], in: In): Int n: N } input In { of: [[Int]] a: Int }
        type A implements N { sum(of: [Int], in: In): Int n: N } type B implements N { sum(of: [Int], in: In): Int n: N }
        type Query { sum(of: [Int], in: In): Int n: N a: A u: U } union U = A | B";

    fn count(text: &str) -> usize {
        let schema = Schema::parse_and_validate(SCHEMA, "schema").unwrap();
        let document = ExecutableDocument::parse_and_validate(&schema, text, "operation").unwrap();
        problems(&schema, &document).len()
    }

    #[test]
    fn lists_are_the_same_only_when_they_are_as_long() {
        for good in [
            "{ sum(of: [1]) sum(of: [1]) }",
            "{ sum(of: [1]) x: sum(of: [1, 2]) }",
            "{ sum(of: [1], in: {a: 1, of: []}) sum(in: {of: [], a: 1}, of: [1]) }",
            "{ sum(of: [1]) n { sum(of: [1, 2]) } }",
            "{ n { ... on A { sum(of: [1]) } ... on B { sum(of: [1, 2]) } } }",
            "{ u { ... on A { n { ... on A { sum(of: [1]) } } } ... on B { n { ... on A { sum(of: []) } } } } }",
            "query A { sum(of: [1]) } query B { sum(of: []) }",
        ] {
            assert_eq!(count(good), 0, "{good}");
        }
        for bad in [
            "{ sum(of: [1]) sum(of: [1, 2]) }",
            "{ sum(of: []) sum(of: [1]) }",
            "{ sum(in: {of: [[1], []]}) sum(in: {of: [[1]]}) }",
            "{ sum(of: [1]) ...F } fragment F on Query { sum(of: []) }",
            "{ n { sum(of: [1]) ... on A { sum(of: []) } } }",
            "{ n { ... on A { n { sum(of: [1]) } } } n { n { sum(of: []) } } }",
            "{ u { ... on A { n { sum(of: [1]) } } ... on N { n { sum(of: []) } } } }",
            "{ x: sum(of: [1, 2]) n { x: sum(of: [1]) x: sum(of: []) } }",
        ] {
            assert_eq!(count(bad), 1, "{bad}");
        }
    }

    #[test]
    fn doubling_fragments_have_an_end() {
        let mut text = "{ sum(of: [1]) n { ...F0 } }".to_owned();
        for level in 0..30 {
            text += &format!(" fragment F{level} on N {{ x: n {{ ...F{0} }} y: n {{ ...F{0} }} }}", level + 1);
        }
        text += " fragment F30 on N { sum(of: []) }";
        assert_eq!(count(&text), 0);
    }
}
