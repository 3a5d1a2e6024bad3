//! `@oneOf` in documents: an input object of which exactly one field must be given. The parser crate does not know it.
//!
//! Relied on by `graphql::operation`; values of variables are checked by `variables`.
//! Spec: <https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>,
//! <https://spec.graphql.org/September2025/#sec-OneOf-Input-Objects>

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::{Argument, Type, Value},
    executable::{Selection, SelectionSet},
    schema::ExtendedType,
};

use crate::error::{Location, Problem};

/// Everything in a document that breaks the rule, in its literals.
pub fn problems(schema: &Schema, document: &ExecutableDocument) -> Vec<Problem> {
    let has_any = schema.types.values().any(|ty| matches!(ty, ExtendedType::InputObject(input) if input.directives.has("oneOf")));
    if !has_any {
        return Vec::new();
    }
    let mut checking = Checking { schema, document, problems: Vec::new() };
    for operation in document.operations.iter() {
        for variable in &operation.variables {
            if let Some(value) = &variable.default_value {
                checking.value(&variable.ty, value);
            }
        }
        checking.set(&operation.selection_set);
    }
    for fragment in document.fragments.values() {
        checking.set(&fragment.selection_set);
    }
    checking.problems
}

struct Checking<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    problems: Vec<Problem>,
}

impl Checking<'_> {
    /// Checks the arguments of a selection set. The parser bounds how deep those are.
    fn set(&mut self, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    let typed = |argument: &Node<Argument>| Some(field.definition.argument_by_name(&argument.name)?.ty.clone());
                    for (ty, argument) in field.arguments.iter().filter_map(|argument| Some((typed(argument)?, argument))) {
                        self.value(&ty, &argument.value);
                    }
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn value(&mut self, ty: &Type, value: &Node<Value>) {
        match &**value {
            Value::List(items) => items.iter().for_each(|item| self.value(ty.item_type(), item)),
            Value::Object(fields) => {
                let Some(ExtendedType::InputObject(input)) = self.schema.types.get(ty.inner_named_type()) else { return };
                if input.directives.has("oneOf") && !self.is_one(fields) {
                    self.refuse(value, &input.name);
                }
                for (name, value) in fields {
                    if let Some(field) = input.fields.get(name) {
                        self.value(&field.ty, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether exactly one field is given, by something that cannot be null.
    fn is_one(&self, fields: &[(Name, Node<Value>)]) -> bool {
        let [(_, value)] = fields else { return false };
        match &**value {
            Value::Null => false,
            Value::Variable(name) => {
                let variables = self.document.operations.iter().flat_map(|operation| &operation.variables);
                variables.filter(|variable| variable.name == *name).all(|variable| variable.ty.is_non_null())
            }
            _ => true,
        }
    }

    fn refuse(&mut self, value: &Node<Value>, name: &Name) {
        let place = value.line_column_range(&self.document.sources);
        let location = |range: std::ops::Range<apollo_compiler::parser::LineColumn>| Location {
            line: range.start.line,
            column: range.start.column,
        };
        let message = format!("Exactly one field of {name} must be given, and it must not be null.");
        self.problems.push(Problem { message, locations: place.map(location).into_iter().collect(), path: Vec::new() });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    const SCHEMA: &str = "directive @oneOf on INPUT_OBJECT type Query { find(by: By, all: [By!], in: Outer): Query }
        input By @oneOf { id: ID name: String at: Outer } input Outer { by: By, n: Int = 1 }";

    #[test]
    fn exactly_one_field_that_is_not_null() {
        let schema = Schema::parse_and_validate(SCHEMA, "schema").unwrap();
        let count = |text: &str| {
            let document = ExecutableDocument::parse_and_validate(&schema, text, "operation").unwrap();
            problems(&schema, &document).len()
        };
        for good in [
            "{ find(by: {id: 1}) { __typename } }",
            "{ find(by: null, all: [{id: 1}, {name: \"x\"}], in: {by: {at: {n: 2}}}) { __typename } }",
            "query($id: ID!) { find(by: {id: $id}) { __typename } }",
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
}
