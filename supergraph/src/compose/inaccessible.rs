//! What `@inaccessible` hides must leave a client schema that is complete and true to the supergraph.
//!
//! Input: the supergraph's document, with everything. Output: seven kinds of errors, all at once; without any, removing what is hidden
//! gives a valid schema. Cost: linear in the document. Example: `type T { a: Int @inaccessible }` is refused while `T` itself is visible.
//!
//! Relied on by `compose`; relies on the model's view of the document. Spec: <https://specs.apollo.dev/inaccessible/v0.2/>

mod defaults;
mod types;

use super::places::Places;
use crate::diagnostics::{Diagnostic, Level};
use crate::model::NameMap;
use crate::model::declared::{Declared, declared};
use crate::model::features::{DirectiveNames, Features};
use apollo_compiler::Name;
use apollo_compiler::ast::{
    Definition, DirectiveDefinition, DirectiveList, DirectiveLocation, Document, InputValueDefinition, OperationType,
};

/// Every error that the rules on `@inaccessible` find.
pub(super) fn check(supergraph: &Document, places: Places<'_>) -> Vec<Diagnostic> {
    let features = Features::of(supergraph);
    if features.apollo("inaccessible").is_none() {
        return Vec::new();
    }
    let names = DirectiveNames::of(&features);
    let mut check = Check { types: declared(supergraph, &features), names, errors: Vec::new() };
    for definition in &supergraph.definitions {
        check.disallowed(definition, &features);
    }
    for (name, ty) in &check.types {
        check.errors.extend(types::check(&check, name, ty));
    }
    check.errors.extend(defaults::check(&check, supergraph));
    check.root(supergraph);
    check.errors.into_iter().map(|finding| finding.located(places)).collect()
}

/// The document as the rules look at it.
struct Check {
    types: NameMap<Declared>,
    names: DirectiveNames,
    errors: Vec<Finding>,
}

/// An error about one element, e.g. `T.field(argument:)`.
struct Finding {
    code: &'static str,
    subject: String,
    message: String,
}

impl Finding {
    /// The error with every place where the subgraphs define its subject.
    fn located(self, places: Places<'_>) -> Diagnostic {
        let element = self.subject.split('(').next().unwrap_or_default();
        let places = match element.split_once('.') {
            Some((ty, field)) => places.everywhere(ty, Some(field)),
            None => places.everywhere(element, None),
        };
        Diagnostic { code: self.code, level: Level::Error, message: self.message, places }
    }
}

impl Check {
    fn hides(&self, directives: &DirectiveList) -> bool {
        self.names.hides(directives)
    }

    fn hides_type(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|ty| self.hides(&ty.directives))
    }

    /// Clients cannot do without the query root.
    fn root(&mut self, supergraph: &Document) {
        let roots =
            supergraph.definitions.iter().filter_map(Definition::as_schema_definition).flat_map(|schema| &schema.root_operations);
        let query = roots.filter(|root| root.0 == OperationType::Query).map(|root| root.1.clone()).next();
        let query = query.unwrap_or(Name::new_static_unchecked("Query"));
        if self.hides_type(&query) {
            self.errors.push(error(
                "QUERY_ROOT_TYPE_INACCESSIBLE",
                &query,
                format!("The query root \"{query}\" is @inaccessible, but clients need it. Hide its fields instead."),
            ));
        }
    }

    /// Elements of GraphQL itself and of linked specifications cannot be hidden, nor arguments of directives on type definitions.
    fn disallowed(&mut self, definition: &Definition, features: &Features) {
        let Some(name) = definition.name() else { return };
        if let Definition::DirectiveDefinition(directive) = definition {
            self.referencing_directive_arguments(directive);
            let is_built_in = matches!(name.as_str(), "skip" | "include" | "deprecated" | "specifiedBy" | "oneOf" | "defer");
            if is_built_in || features.owns_directive(name) || directive.locations.iter().any(|at| !is_executable(*at)) {
                self.disallowed_directive(directive);
            } else {
                self.required_directive_arguments(directive);
            }
        } else if (features.owns_type(name) || is_built_in(name)) && self.hides_any(definition) {
            self.errors.push(error(
                "DISALLOWED_INACCESSIBLE",
                name,
                format!("The type \"{name}\" is built in or comes with a linked specification, so that nothing of it can be @inaccessible."),
            ));
        }
    }

    fn disallowed_directive(&mut self, directive: &DirectiveDefinition) {
        if directive.arguments.iter().any(|argument| self.hides(&argument.directives)) {
            self.errors.push(error(
                "DISALLOWED_INACCESSIBLE",
                &format!("@{}", directive.name),
                format!(
                    "An argument of \"@{}\" is @inaccessible, but only arguments of directives that are for operations alone can be.",
                    directive.name
                ),
            ));
        }
    }

    fn required_directive_arguments(&mut self, directive: &DirectiveDefinition) {
        let hidden = directive.arguments.iter().filter(|argument| self.hides(&argument.directives) && is_required(argument));
        let errors: Vec<_> = hidden.map(|argument| required(&coordinate(directive, argument))).collect();
        self.errors.extend(errors);
    }

    /// A visible argument must not have a hidden type.
    fn referencing_directive_arguments(&mut self, directive: &DirectiveDefinition) {
        let visible = directive.arguments.iter().filter(|argument| !self.hides(&argument.directives));
        let errors: Vec<_> =
            visible.filter_map(|argument| types::referenced(self, &coordinate(directive, argument), &argument.ty)).collect();
        self.errors.extend(errors);
    }

    fn hides_any(&self, definition: &Definition) -> bool {
        let inputs =
            |inputs: &[apollo_compiler::Node<InputValueDefinition>]| inputs.iter().any(|input| self.hides(&input.directives));
        self.hides(definition.directives())
            || match definition {
                Definition::ObjectTypeDefinition(ty) => {
                    ty.fields.iter().any(|field| self.hides(&field.directives) || inputs(&field.arguments))
                }
                Definition::InputObjectTypeDefinition(ty) => inputs(&ty.fields),
                Definition::EnumTypeDefinition(ty) => ty.values.iter().any(|value| self.hides(&value.directives)),
                _ => false,
            }
    }
}

fn coordinate(directive: &DirectiveDefinition, argument: &InputValueDefinition) -> String {
    format!("@{}({}:)", directive.name, argument.name)
}

fn error(code: &'static str, subject: &str, message: String) -> Finding {
    Finding { code, subject: subject.to_owned(), message }
}

/// A hidden argument or input field that must be given.
fn required(coordinate: &str) -> Finding {
    error(
        "REQUIRED_INACCESSIBLE",
        coordinate,
        format!("\"{coordinate}\" is @inaccessible but must be given. Make it nullable, or give it a default."),
    )
}

fn is_required(input: &InputValueDefinition) -> bool {
    input.ty.is_non_null() && input.default_value.is_none()
}

fn is_built_in(name: &str) -> bool {
    matches!(name, "Int" | "Float" | "String" | "Boolean" | "ID") || name.starts_with("__")
}

fn is_executable(location: DirectiveLocation) -> bool {
    use DirectiveLocation as At;
    matches!(
        location,
        At::Query
            | At::Mutation
            | At::Subscription
            | At::Field
            | At::FragmentDefinition
            | At::FragmentSpread
            | At::InlineFragment
            | At::VariableDefinition
    )
}
