//! What a subgraph says about its types and fields in federation's terms: keys, external, shareable, requires, provides, override,
//! and what follows from them (which external fields are provided, which fields are used by a field set or an interface).
//!
//! Relies on the schema and on the names of the federation directives in it. Relied on by the rules, by the Federation 1 upgrade and
//! by composition. Linear in the schema plus the size of all field sets (times implementations, for selections on interfaces).

mod read;

use super::directives::FederationDirective as Directives;
use super::field_set::{FieldSet, Selection};
use crate::document::Fault;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, ComponentOrigin, Directive, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The names that federation directives have in one schema; a directive that the schema does not define has none.
#[derive(Clone, Debug, Default)]
pub struct DirectiveNames {
    names: [Option<Name>; Directives::ALL.len()],
}

impl DirectiveNames {
    /// The name in the schema.
    #[must_use]
    pub fn get(&self, directive: Directives) -> Option<&Name> {
        self.names.get(directive as usize).and_then(Option::as_ref)
    }

    /// Sets the name in the schema.
    pub fn set(&mut self, directive: Directives, name: Name) {
        if let Some(slot) = self.names.get_mut(directive as usize) {
            *slot = Some(name);
        }
    }
}

/// One `@key` of a type.
#[derive(Clone, Debug)]
pub struct Key {
    /// What it selects; a syntax error has been reported by the key rule.
    pub fields: Result<Arc<FieldSet>, Fault>,
    /// The `fields` argument as written, where it is a string.
    pub text: String,
    /// `resolvable:`, true when absent.
    pub is_resolvable: bool,
    /// Written on an extension of the type, or the type has `@extends`: `join__type(extension: true)`.
    pub is_extension: bool,
    /// Where the application stands.
    pub location: Option<SourceSpan>,
    /// The application.
    pub directive: Node<Directive>,
}

/// A `@requires` or `@provides` of a field.
#[derive(Clone, Debug)]
pub struct FieldSetUse {
    /// What it selects; a syntax error has been reported by its rule.
    pub fields: Result<Arc<FieldSet>, Fault>,
    /// The `fields` argument as written, where it is a string.
    pub text: String,
    /// The application.
    pub directive: Node<Directive>,
}

/// The `@override` of a field.
#[derive(Clone, Debug)]
pub struct Override {
    /// The subgraph whose definition is replaced.
    pub from: String,
    /// `label:`
    pub label: Option<String>,
    /// The application.
    pub directive: Node<Directive>,
}

/// An argument that `@fromContext` fills.
#[derive(Clone, Debug)]
pub struct ContextArgument {
    /// The argument.
    pub name: Name,
    /// Name of the context without `$`, where the value is well formed.
    pub context: Option<String>,
    /// The selection behind the context's name.
    pub selection: String,
    /// The application.
    pub directive: Node<Directive>,
}

/// What a subgraph says about one field of an object or interface type.
#[derive(Clone, Debug, Default)]
pub struct FieldFacts {
    /// `@external` on the field itself.
    pub is_marked_external: bool,
    /// Truly external: marked itself or (Federation 2) through its type, and not fake external.
    pub is_external: bool,
    /// Marked external, but a key field of an extension, which the subgraph resolves nevertheless.
    pub is_fake_external: bool,
    /// Selected by a `@provides` of this subgraph.
    pub is_provided: bool,
    /// May be resolved by several subgraphs: `@shareable` on it or its declaration, a key field, or external and provided.
    pub is_shareable: bool,
    /// Selected by a key, requires, provides or context of this subgraph, or required by an interface.
    pub is_used: bool,
    /// `@requires`
    pub requires: Option<FieldSetUse>,
    /// `@provides`
    pub provides: Option<FieldSetUse>,
    /// `@override`
    pub overrides: Option<Override>,
    /// Arguments that `@fromContext` fills.
    pub context_arguments: Vec<ContextArgument>,
}

/// What a subgraph says about one object or interface type.
#[derive(Clone, Debug, Default)]
pub struct TypeFacts {
    /// Its keys, in source order.
    pub keys: Vec<Key>,
    /// `@interfaceObject`
    pub is_interface_object: bool,
    /// `@external` on the type.
    pub is_marked_external: bool,
    /// `@extends`
    pub has_extends: bool,
    /// Declarations (the definition, or one of the extensions) that carry `@shareable`.
    pub shareable_declarations: Vec<ComponentOrigin>,
    /// Names of the contexts it sets.
    pub contexts: Vec<String>,
    /// Facts about its fields; a field about which nothing is known has none.
    pub fields: FxHashMap<Name, FieldFacts>,
}

/// Facts about every object and interface type of a schema.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    types: FxHashMap<Name, TypeFacts>,
    implementations: FxHashMap<Name, Vec<Name>>,
}

static NO_TYPE_FACTS: std::sync::LazyLock<TypeFacts> = std::sync::LazyLock::new(TypeFacts::default);
static NO_FIELD_FACTS: std::sync::LazyLock<FieldFacts> = std::sync::LazyLock::new(FieldFacts::default);

impl Facts {
    /// Reads the facts of a schema.
    #[must_use]
    pub fn of(schema: &Schema, names: &DirectiveNames, is_federation_2: bool) -> Self {
        read::read(schema, names, is_federation_2)
    }

    /// Facts about a type (empty ones when nothing is known).
    #[must_use]
    pub fn of_type(&self, name: &str) -> &TypeFacts {
        self.types.get(name).unwrap_or(&NO_TYPE_FACTS)
    }

    /// Facts about a field (empty ones when nothing is known).
    #[must_use]
    pub fn of_field(&self, parent: &str, field: &str) -> &FieldFacts {
        self.of_type(parent).fields.get(field).unwrap_or(&NO_FIELD_FACTS)
    }

    /// Object types that implement the interface, in source order.
    #[must_use]
    pub fn implementations(&self, interface: &str) -> &[Name] {
        self.implementations.get(interface).map_or(&[], Vec::as_slice)
    }

    fn field_mut(&mut self, parent: &Name, field: &Name) -> &mut FieldFacts {
        let fields = &mut self.types.entry(parent.clone()).or_default().fields;
        fields.entry(field.clone()).or_default()
    }
}

/// The fields of an object or interface type.
#[must_use]
pub fn fields_of(definition: &ExtendedType) -> Option<&apollo_compiler::collections::IndexMap<Name, Component<FieldDefinition>>> {
    match definition {
        ExtendedType::Object(object) => Some(&object.fields),
        ExtendedType::Interface(interface) => Some(&interface.fields),
        _ => None,
    }
}

/// Calls `visit` with every field that `selections` selects below `parent`, depth first, and stops at the first one that does not
/// exist, as the reference does when it reads a field set that is not (yet) valid. Returns whether all fields exist.
pub fn visit_fields(
    schema: &Schema,
    parent: &Name,
    selections: &[Selection],
    visit: &mut dyn FnMut(&Name, &Component<FieldDefinition>),
) -> bool {
    selections.iter().all(|selection| match selection {
        Selection::Field { name, selections, .. } => {
            if name == "__typename" {
                return true;
            }
            let Some(field) = schema.types.get(parent).and_then(fields_of).and_then(|fields| fields.get(name)) else {
                return false;
            };
            visit(parent, field);
            selections.is_empty() || visit_fields(schema, field.ty.inner_named_type(), selections, visit)
        }
        Selection::Fragment { on, selections } => visit_fields(schema, on.as_ref().unwrap_or(parent), selections, visit),
    })
}

/// A string argument of a directive application.
#[must_use]
pub fn string_argument<'a>(directive: &'a Directive, name: &str) -> Option<&'a str> {
    directive.specified_argument_by_name(name).and_then(|value| value.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use crate::compose::Source;
    use crate::document::Locations;
    use crate::subgraph::{Subgraph, read_all};

    fn read(types: &str) -> Subgraph {
        let imports = r#"["@key", "@external", "@provides", "@requires", "@shareable", "@extends", "@context", "@fromContext"]"#;
        let link = format!("extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: {imports})");
        let source = Source { name: "s".to_owned(), url: String::new(), sdl: format!("{link}\n{types}") };
        read_all(&[source], Locations::Keep).unwrap().remove(0)
    }

    #[test]
    fn key_fields_of_extensions_are_not_external() {
        let subgraph = read("type Query { t: T } extend type T @key(fields: \"id\") { id: ID! @external other: Int }");
        assert!(!subgraph.is_external("T", "id"));
        assert!(subgraph.field_facts("T", "id").is_fake_external);
        assert!(subgraph.is_shareable("T", "id"));
        assert!(subgraph.keys("T")[0].is_extension);
        assert!(!subgraph.is_defined("T") && subgraph.is_extended("T"));
    }

    #[test]
    fn external_on_a_type_covers_its_fields_and_provided_ones_are_partly_resolved() {
        let subgraph = read(
            "type Query { t: T @provides(fields: \"a\") } type T @key(fields: \"id\") { id: ID! a: Int @external u: U @external }
             type U @external { b: Int } type V @key(fields: \"id\") { id: ID! u: U @external c: Int @requires(fields: \"u { b }\") }
             type W @key(fields: \"id\") { id: ID! t: T @provides(fields: \"u { b }\") }",
        );
        assert!(subgraph.is_partially_external("T", "a") && subgraph.is_shareable("T", "a"));
        assert!(subgraph.is_external("U", "b") && subgraph.is_partially_external("U", "b"));
        assert!(subgraph.is_fully_external("V", "u") && subgraph.is_used("V", "u"));
    }

    #[test]
    fn shareable_covers_the_fields_of_its_declaration() {
        let subgraph = read("type Query { t: T } type T @shareable { a: Int } extend type T { b: Int c: Int @shareable }");
        let shareable = ["a", "b", "c"].map(|field| subgraph.is_shareable("T", field));
        assert_eq!(shareable, [true, false, true]);
    }

    #[test]
    fn interfaces_and_contexts_use_fields() {
        let subgraph = read(
            "type Query { i: I } interface I { a: Int } type T implements I @context(name: \"c\") @key(fields: \"id\") { id: ID! a: Int b: Int p: P }
             type P @key(fields: \"id\") { id: ID! x(y: Int @fromContext(field: \"$c { b }\")): Int }",
        );
        assert!(subgraph.is_used("T", "a") && subgraph.is_used("T", "b") && !subgraph.is_used("T", "p"));
        let argument = &subgraph.field_facts("P", "x").context_arguments[0];
        assert_eq!((argument.context.as_deref(), argument.selection.trim()), (Some("c"), "{ b }"));
    }
}
