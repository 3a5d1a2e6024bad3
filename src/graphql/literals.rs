//! Literals: what is to be checked of values in documents and the parser crate does not check. Input fields come once, exactly one
//! field of a `@oneOf` input object is given, and variables fit where they stand, also inside of lists and input objects.
//!
//! Relied on by `graphql::operation`; values of variables are checked by `variables`. Input: a document that the parser crate takes for
//! valid. Output: what is wrong with it all the same. Cost: one look at each value, and one at each variable in use for each operation
//! that reaches it.
//! Spec: <https://spec.graphql.org/September2025/#sec-Values>, <https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::{Argument, Directive, InputValueDefinition, Type, Value, VariableDefinition},
    executable::{Operation, Selection, SelectionSet},
    schema::ExtendedType,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Location, Problem};

/// Everything that is wrong with a document's values.
pub fn problems(schema: &Schema, document: &ExecutableDocument) -> Vec<Problem> {
    let mut checking = Checking { schema, document, found: Found::default(), problems: Vec::new() };
    let fragments: FxHashMap<&Name, Found<'_>> = document
        .fragments
        .values()
        .map(|fragment| {
            checking.directives(&fragment.directives);
            checking.set(&fragment.selection_set);
            (&fragment.name, std::mem::take(&mut checking.found))
        })
        .collect();
    for operation in document.operations.iter() {
        for variable in &operation.variables {
            if let Some(value) = &variable.default_value {
                checking.value(Position::of(&variable.ty), value);
            }
            checking.directives(&variable.directives);
        }
        checking.directives(&operation.directives);
        checking.set(&operation.selection_set);
        let own = std::mem::take(&mut checking.found);
        checking.usages(operation, &own, &fragments);
    }
    checking.problems
}

/// What a selection set has in it that is judged for each operation that reaches it.
#[derive(Default)]
struct Found<'a> {
    usages: Vec<Usage<'a>>,
    spreads: Vec<&'a Name>,
}

/// A variable in use.
struct Usage<'a> {
    name: &'a Name,
    value: &'a Node<Value>,
    position: Position<'a>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Position<'a> {
    ty: &'a Type,
    /// Whether it may be left out in spite of its type.
    has_default: bool,
    /// The `@oneOf` input object that it is a field of.
    one_of: Option<&'a Name>,
}

impl<'a> Position<'a> {
    /// Of this type.
    fn of(ty: &'a Type) -> Self {
        Self { ty, has_default: false, one_of: None }
    }

    /// Of an argument or an input field.
    fn defined(definition: &'a InputValueDefinition) -> Self {
        Self { has_default: definition.default_value.is_some(), ..Self::of(&definition.ty) }
    }

    /// Whether a variable may stand here.
    fn takes(&self, variable: &VariableDefinition) -> bool {
        let ty = &*variable.ty;
        if self.one_of.is_some() {
            // A default value does not keep null from being given.
            return ty.is_non_null() && ty.is_assignable_to(self.ty);
        }
        if ty.is_non_null() || !self.ty.is_non_null() {
            return ty.is_assignable_to(self.ty);
        }
        let has_value = variable.default_value.as_ref().is_some_and(|value| !value.is_null());
        (has_value || self.has_default) && ty.is_assignable_to(&self.ty.clone().nullable())
    }
}

struct Checking<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    found: Found<'a>,
    problems: Vec<Problem>,
}

impl<'a> Checking<'a> {
    /// Checks the arguments of a selection set. The parser bounds how deep those are.
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, |name| field.definition.argument_by_name(name));
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => self.found.spreads.push(&spread.fragment_name),
            }
        }
    }

    fn directives(&mut self, directives: &'a [Node<Directive>]) {
        for directive in directives {
            if let Some(definition) = self.schema.directive_definitions.get(&directive.name) {
                self.arguments(&directive.arguments, |name| definition.argument_by_name(name));
            }
        }
    }

    fn arguments(&mut self, given: &'a [Node<Argument>], defined: impl Fn(&str) -> Option<&'a Node<InputValueDefinition>>) {
        for argument in given {
            if let Some(definition) = defined(&argument.name) {
                self.value(Position::defined(definition), &argument.value);
            }
        }
    }

    fn value(&mut self, position: Position<'a>, value: &'a Node<Value>) {
        match &**value {
            Value::Variable(name) => self.found.usages.push(Usage { name, value, position }),
            Value::List(items) => items.iter().for_each(|item| self.value(Position::of(position.ty.item_type()), item)),
            Value::Object(fields) => self.object(position.ty.inner_named_type(), value, fields),
            _ => {}
        }
    }

    fn object(&mut self, ty: &'a Name, value: &'a Node<Value>, fields: &'a [(Name, Node<Value>)]) {
        self.each_once(fields);
        let Some(ExtendedType::InputObject(input)) = self.schema.types.get(ty) else {
            // In what a custom scalar takes nothing is known of the types.
            fields.iter().for_each(|(_, value)| self.unknown(value));
            return;
        };
        let one_of = input.directives.has("oneOf").then_some(&input.name);
        if let Some(name) = one_of.filter(|_| fields.len() != 1 || fields.iter().any(|(_, value)| value.is_null())) {
            self.refuse(value, not_one(name));
        }
        for (name, value) in fields {
            if let Some(field) = input.fields.get(name) {
                self.value(Position { one_of, ..Position::defined(field) }, value);
            }
        }
    }

    /// A value in a custom scalar.
    fn unknown(&mut self, value: &'a Node<Value>) {
        match &**value {
            Value::List(items) => items.iter().for_each(|item| self.unknown(item)),
            Value::Object(fields) => {
                self.each_once(fields);
                fields.iter().for_each(|(_, value)| self.unknown(value));
            }
            _ => {}
        }
    }

    fn each_once(&mut self, fields: &[(Name, Node<Value>)]) {
        let mut names = FxHashSet::default();
        for (name, value) in fields {
            if !names.insert(name) {
                self.refuse(value, format!("The input field {name} is given more than once."));
            }
        }
    }

    /// Checks the variables that an operation uses, in fragments too.
    fn usages(&mut self, operation: &'a Operation, own: &Found<'a>, fragments: &FxHashMap<&Name, Found<'a>>) {
        let (mut reached, mut open) = (FxHashSet::default(), vec![own]);
        while let Some(found) = open.pop() {
            for usage in &found.usages {
                let declared = operation.variables.iter().find(|variable| variable.name == *usage.name);
                if let Some(variable) = declared.filter(|variable| !usage.position.takes(variable)) {
                    self.refuse(usage.value, misplaced(variable, usage.position));
                }
            }
            let next = found.spreads.iter().filter(|name| reached.insert(**name));
            open.extend(next.filter_map(|name| fragments.get(*name)));
        }
    }

    fn refuse(&mut self, value: &Node<Value>, message: String) {
        let place = value.line_column_range(&self.document.sources);
        let location = |range: std::ops::Range<apollo_compiler::parser::LineColumn>| Location {
            line: range.start.line,
            column: range.start.column,
        };
        self.problems.push(Problem { message, locations: place.map(location).into_iter().collect(), path: Vec::new() });
    }
}

fn not_one(name: &Name) -> String {
    format!("Exactly one field of {name} must be given, and it must not be null.")
}

/// What is wrong with a variable where it stands.
fn misplaced(variable: &VariableDefinition, position: Position<'_>) -> String {
    match position.one_of {
        Some(name) if variable.ty.is_assignable_to(position.ty) => not_one(name),
        _ => format!(
            "Variable ${} of type {} cannot stand where a value of type {} is expected.",
            variable.name, variable.ty, position.ty
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    const SCHEMA: &str = "directive @oneOf on INPUT_OBJECT directive @mark(at: [Outer!]) on FIELD | QUERY scalar Any
        type Query { find(by: By, all: [By!], in: Outer, any: Any): Query list(of: [[Int!]]!, n: Int! = 1): Int }
        input By @oneOf { id: ID name: String at: Outer } input Outer { by: By, n: Int = 1, m: Int! = 2, of: [Int!], deep: Outer }";

    fn count(text: &str) -> usize {
        let schema = Schema::parse_and_validate(SCHEMA, "schema").unwrap();
        let document = ExecutableDocument::parse_and_validate(&schema, text, "operation").unwrap();
        problems(&schema, &document).len()
    }

    #[test]
    fn exactly_one_field_that_is_not_null() {
        for good in [
            "{ find(by: {id: 1}) { __typename } }",
            "{ find(by: null, all: [{id: 1}, {name: \"x\"}], in: {by: {at: {n: 2}}}) { __typename } }",
            "query($id: ID!) { find(by: {id: $id}) { __typename } }",
            "query($id: ID! = 1) { find(by: {id: $id}) { __typename } }",
            "query($by: By) { find(by: $by) { __typename } }",
            "query($by: By = {id: 1}) { find(by: $by) { __typename } }",
        ] {
            assert_eq!(count(good), 0, "{good}");
        }
        for bad in [
            "{ find(by: {}) { __typename } }",
            "{ find(by: {id: 1, name: \"x\"}) { __typename } }",
            "{ find(by: {id: null}) { __typename } }",
            "{ find(by: {id: 1, name: null}) { __typename } }",
            "{ find(all: [{id: 1}, {}]) { __typename } }",
            "{ find { find(in: {by: {}}) { __typename } } }",
            "query($id: ID) { find(by: {id: $id}) { __typename } }",
            "query($id: ID = 1) { find(by: {id: $id}) { __typename } }",
            "query($by: By = {id: 1, name: \"x\"}) { find(by: $by) { __typename } }",
            "{ ...F } fragment F on Query { find(by: {}) { __typename } }",
        ] {
            assert_eq!(count(bad), 1, "{bad}");
        }
    }

    #[test]
    fn an_input_field_comes_once() {
        for bad in [
            "{ find(in: {n: 1, n: 1}) { __typename } }",
            "{ find(in: {deep: {n: 1, m: 2, n: 3}}) { __typename } }",
            "{ find(any: {x: 1, y: [{z: 1, z: 2}]}) { __typename } }",
            "query($in: Outer = {n: 1, n: 2}) { find(in: $in) { __typename } }",
            "{ find { __typename @mark(at: [{n: 1, n: 2}]) } }",
            "{ ...F } fragment F on Query { find(in: {n: 1, n: null}) { __typename } }",
        ] {
            assert_eq!(count(bad), 1, "{bad}");
        }
        assert_eq!(count("{ find(in: {n: 1, deep: {n: 1}}, any: [{x: 1}, {x: 1}]) { __typename } }"), 0);
    }

    #[test]
    fn variables_fit_where_they_stand() {
        for good in [
            "query($n: Int!) { list(of: [[$n]]) }",
            "query($n: Int = 3) { list(of: [[$n]], n: $n) }",
            "query($n: Int) { list(of: [], n: $n) find(in: {n: $n, m: $n}) { __typename } }",
            "query($row: [Int!]) { list(of: [$row, [1]]) find(in: {of: $row}) { __typename } }",
            "query($any: Int) { find(any: {x: [$any]}) { __typename } }",
            "query A($n: Int!) { ...F } query B($n: Int) { list(of: [], n: $n) } fragment F on Query { list(of: [[$n]]) }",
        ] {
            assert_eq!(count(good), 0, "{good}");
        }
        for bad in [
            "query($n: Int) { list(of: [[$n]]) }",
            "query($n: Int = null) { list(of: [[$n]]) }",
            "query($n: [[Int!]] = null) { list(of: $n) }",
            "query($n: Int!) { list(of: [$n]) }",
            "query($n: Int!) { find(in: {of: $n}) { __typename } }",
            "query($n: Int) { find(in: {of: [1, $n]}) { __typename } }",
            "query($b: Boolean = null) { __typename @skip(if: $b) }",
            "query($n: Int) { __typename @mark(at: [{of: [$n]}]) }",
            "query A($n: Int!) { ...F } query B($n: Int) { ...G } fragment F on Query { list(of: [[$n]]) } fragment G on Query { ...F }",
        ] {
            assert_eq!(count(bad), 1, "{bad}");
        }
    }
}
