//! What a subgraph says about its types and fields in federation's terms: keys, external, shareable, requires, provides, override,
//! and what follows from them (which external fields are provided, which fields are used by a field set or an interface).
//!
//! Relies on the schema and on the names of the federation directives in it. Relied on by the rules, by the Federation 1 upgrade and
//! by composition. Linear in the schema plus the size of all field sets (times implementations, for selections on interfaces).

use super::context;
use super::directives::FederationDirective as Directives;
use super::field_set::{FieldSet, FieldSets, Selection};
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
        let mut reader = Reader { schema, names, sets: FieldSets::default(), facts: Self::default() };
        reader.facts.implementations = implementations(schema);
        for (name, definition) in &schema.types {
            reader.read_type(name, definition);
        }
        reader.derive(is_federation_2);
        reader.facts
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

fn implementations(schema: &Schema) -> FxHashMap<Name, Vec<Name>> {
    let mut implementations: FxHashMap<Name, Vec<Name>> = FxHashMap::default();
    for (name, definition) in &schema.types {
        if let ExtendedType::Object(object) = definition {
            for interface in &object.implements_interfaces {
                implementations.entry(interface.name.clone()).or_default().push(name.clone());
            }
        }
    }
    implementations
}

/// A string argument of a directive application.
#[must_use]
pub fn string_argument<'a>(directive: &'a Directive, name: &str) -> Option<&'a str> {
    directive.specified_argument_by_name(name).and_then(|value| value.as_str())
}

struct Reader<'a> {
    schema: &'a Schema,
    names: &'a DirectiveNames,
    sets: FieldSets,
    facts: Facts,
}

/// A field set and the type it is read on, kept until the fields that it selects are marked.
struct Target {
    parent: Name,
    fields: Arc<FieldSet>,
}

impl Reader<'_> {
    fn is(&self, directive: &Directive, which: Directives) -> bool {
        self.names.get(which) == Some(&directive.name)
    }

    fn parse(&mut self, directive: &Directive) -> (String, Result<Arc<FieldSet>, Fault>) {
        match string_argument(directive, "fields") {
            Some(text) => (text.to_owned(), self.sets.parse(text)),
            None => (String::new(), Err(Fault { message: "the argument \"fields\" must be a string".to_owned(), at: None })),
        }
    }

    fn read_type(&mut self, name: &Name, definition: &ExtendedType) {
        let Some(fields) = fields_of(definition) else {
            if let ExtendedType::Union(union) = definition {
                let contexts = self.contexts(&union.directives.0);
                if !contexts.is_empty() {
                    self.facts.types.entry(name.clone()).or_default().contexts = contexts;
                }
            }
            return;
        };
        let directives = definition.directives();
        let mut facts = TypeFacts { contexts: self.contexts(&directives.0), ..TypeFacts::default() };
        facts.has_extends = directives.iter().any(|directive| self.is(directive, Directives::Extends));
        for directive in directives.iter() {
            if self.is(directive, Directives::Key) {
                let key = self.key(directive, facts.has_extends);
                facts.keys.push(key);
            } else if self.is(directive, Directives::InterfaceObject) {
                facts.is_interface_object = matches!(definition, ExtendedType::Object(_));
            } else if self.is(directive, Directives::External) {
                facts.is_marked_external = true;
            } else if self.is(directive, Directives::Shareable) {
                facts.shareable_declarations.push(directive.origin.clone());
            }
        }
        for (field, definition) in fields {
            if let Some(read) = self.field(definition) {
                facts.fields.insert(field.clone(), read);
            }
        }
        self.facts.types.insert(name.clone(), facts);
    }

    fn contexts(&self, directives: &[Component<Directive>]) -> Vec<String> {
        let contexts = directives.iter().filter(|directive| self.is(directive, Directives::Context));
        contexts.filter_map(|directive| string_argument(directive, "name")).map(str::to_owned).collect()
    }

    fn key(&mut self, directive: &Component<Directive>, has_extends: bool) -> Key {
        let (text, fields) = self.parse(directive);
        let resolvable = directive.specified_argument_by_name("resolvable").and_then(|value| value.to_bool());
        Key {
            fields,
            text,
            is_resolvable: resolvable.unwrap_or(true),
            is_extension: has_extends || directive.origin != ComponentOrigin::Definition,
            location: directive.location(),
            directive: directive.node.clone(),
        }
    }

    fn field(&mut self, definition: &Component<FieldDefinition>) -> Option<FieldFacts> {
        let mut facts = FieldFacts::default();
        let mut is_known = false;
        for directive in definition.directives.iter() {
            is_known = true;
            if self.is(directive, Directives::External) {
                facts.is_marked_external = true;
            } else if self.is(directive, Directives::Requires) && facts.requires.is_none() {
                let (text, fields) = self.parse(directive);
                facts.requires = Some(FieldSetUse { fields, text, directive: directive.clone() });
            } else if self.is(directive, Directives::Provides) && facts.provides.is_none() {
                let (text, fields) = self.parse(directive);
                facts.provides = Some(FieldSetUse { fields, text, directive: directive.clone() });
            } else if self.is(directive, Directives::Shareable) {
                facts.is_shareable = true;
            } else if self.is(directive, Directives::Override) {
                let from = string_argument(directive, "from").unwrap_or_default().to_owned();
                let label = string_argument(directive, "label").map(str::to_owned);
                facts.overrides = Some(Override { from, label, directive: directive.clone() });
            }
        }
        if self.names.get(Directives::FromContext).is_some() {
            facts.context_arguments = self.context_arguments(definition);
            is_known |= !facts.context_arguments.is_empty();
        }
        is_known.then_some(facts)
    }

    fn context_arguments(&self, definition: &FieldDefinition) -> Vec<ContextArgument> {
        let mut found = Vec::new();
        for argument in &definition.arguments {
            let Some(directive) = argument.directives.iter().find(|directive| self.is(directive, Directives::FromContext)) else {
                continue;
            };
            let (context, selection) = context::split(string_argument(directive, "field").unwrap_or_default());
            found.push(ContextArgument { name: argument.name.clone(), context, selection, directive: directive.clone() });
        }
        found
    }

    /// Marks what follows from the declarations.
    fn derive(&mut self, is_federation_2: bool) {
        self.mark_fake_external();
        self.mark_external(is_federation_2);
        let (keys, requires, provides) = self.targets();
        for target in &provides {
            self.mark(target, |facts| facts.is_provided = true);
            self.mark(target, |facts| facts.is_shareable |= facts.is_external);
        }
        for target in &keys {
            self.mark(target, |facts| facts.is_shareable = true);
        }
        for target in keys.iter().chain(&requires).chain(&provides) {
            self.mark(target, |facts| facts.is_used = true);
        }
        for target in self.context_targets() {
            self.mark(&target, |facts| facts.is_used = true);
        }
        self.mark_shareable_declarations();
        self.mark_used_by_interfaces();
    }

    fn mark_fake_external(&mut self) {
        let mut fake = Vec::new();
        for (name, facts) in &self.facts.types {
            for key in facts.keys.iter().filter(|key| key.is_extension) {
                let Ok(set) = &key.fields else { continue };
                visit_fields(self.schema, name, &set.selections, &mut |parent, field| {
                    fake.push((parent.clone(), field.name.clone()))
                });
            }
        }
        for (parent, field) in fake {
            let facts = self.facts.field_mut(&parent, &field);
            facts.is_fake_external = facts.is_marked_external;
        }
    }

    fn mark_external(&mut self, is_federation_2: bool) {
        for (name, definition) in &self.schema.types {
            let Some(fields) = fields_of(definition) else { continue };
            let on_type =
                is_federation_2 && matches!(definition, ExtendedType::Object(_)) && self.facts.of_type(name).is_marked_external;
            for field in fields.keys() {
                if on_type || self.facts.of_field(name, field).is_marked_external {
                    let facts = self.facts.field_mut(name, field);
                    facts.is_external = !facts.is_fake_external;
                }
            }
        }
    }

    /// The field sets of keys, requires and provides with the types they are read on.
    fn targets(&self) -> (Vec<Target>, Vec<Target>, Vec<Target>) {
        let (mut keys, mut requires, mut provides) = (Vec::new(), Vec::new(), Vec::new());
        for (name, facts) in &self.facts.types {
            for set in facts.keys.iter().filter_map(|key| key.fields.as_ref().ok()) {
                keys.push(Target { parent: name.clone(), fields: set.clone() });
            }
            for (field, facts) in &facts.fields {
                if let Some(Ok(set)) = facts.requires.as_ref().map(|used| &used.fields) {
                    requires.push(Target { parent: name.clone(), fields: set.clone() });
                }
                let Some(Ok(set)) = facts.provides.as_ref().map(|used| &used.fields) else { continue };
                let definition = self.schema.types.get(name).and_then(fields_of).and_then(|fields| fields.get(field));
                if let Some(definition) = definition {
                    provides.push(Target { parent: definition.ty.inner_named_type().clone(), fields: set.clone() });
                }
            }
        }
        (keys, requires, provides)
    }

    fn context_targets(&mut self) -> Vec<Target> {
        let mut setters: FxHashMap<String, Vec<Name>> = FxHashMap::default();
        let mut uses = Vec::new();
        for (name, facts) in &self.facts.types {
            for context in &facts.contexts {
                setters.entry(context.clone()).or_default().push(name.clone());
            }
            for argument in facts.fields.values().flat_map(|facts| &facts.context_arguments) {
                uses.extend(argument.context.clone().map(|context| (context, argument.selection.clone())));
            }
        }
        let mut targets = Vec::new();
        for (context, selection) in uses {
            let Ok(fields) = self.sets.parse(&selection) else { continue };
            for parent in setters.get(&context).into_iter().flatten() {
                targets.push(Target { parent: parent.clone(), fields: fields.clone() });
            }
        }
        targets
    }

    /// Applies `change` to every field that the target selects, and to the implementations of selected interface fields.
    fn mark(&mut self, target: &Target, change: impl Fn(&mut FieldFacts)) {
        let (schema, facts) = (self.schema, &mut self.facts);
        visit_fields(schema, &target.parent, &target.fields.selections, &mut |parent, field| {
            change(facts.field_mut(parent, &field.name));
            for implementation in facts.implementations.get(parent).cloned().unwrap_or_default() {
                if has_field(schema, &implementation, &field.name) {
                    change(facts.field_mut(&implementation, &field.name));
                }
            }
        });
    }

    fn mark_shareable_declarations(&mut self) {
        for (name, definition) in &self.schema.types {
            let ExtendedType::Object(object) = definition else { continue };
            let declarations = self.facts.of_type(name).shareable_declarations.clone();
            if declarations.is_empty() {
                continue;
            }
            for field in object.fields.values().filter(|field| declarations.contains(&field.origin)) {
                self.facts.field_mut(name, &field.name).is_shareable = true;
            }
        }
    }

    fn mark_used_by_interfaces(&mut self) {
        for (name, definition) in &self.schema.types {
            let ExtendedType::Interface(interface) = definition else { continue };
            for implementation in self.facts.implementations(name).to_vec() {
                for field in interface.fields.keys().filter(|field| has_field(self.schema, &implementation, field)) {
                    self.facts.field_mut(&implementation, field).is_used = true;
                }
            }
        }
    }
}

fn has_field(schema: &Schema, parent: &str, field: &str) -> bool {
    schema.types.get(parent).and_then(fields_of).is_some_and(|fields| fields.contains_key(field))
}
