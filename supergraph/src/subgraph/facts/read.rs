//! Reading the facts: first what directives say, field by field, then what follows from it.
//!
//! Relies on `field_set` for parsing. `facts` relies on it.

use super::{
    ContextArgument, DirectiveNames, Facts, FieldFacts, FieldSetUse, Key, Override, TypeFacts, fields_of, string_argument,
    visit_fields,
};
use crate::document::Fault;
use crate::subgraph::FederationDirective as Directives;
use crate::subgraph::context;
use crate::subgraph::field_set::{FieldSet, FieldSets};
use apollo_compiler::schema::{Component, ComponentOrigin, Directive, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Schema};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Reads the facts of a schema.
pub(super) fn read(schema: &Schema, names: &DirectiveNames, is_federation_2: bool) -> Facts {
    let facts = Facts { implementations: implementations(schema), ..Facts::default() };
    let mut reader = Reader { schema, names, sets: FieldSets::default(), facts };
    for (name, definition) in &schema.types {
        reader.read_type(name, definition);
    }
    reader.derive(is_federation_2);
    reader.facts
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

struct Reader<'a> {
    schema: &'a Schema,
    names: &'a DirectiveNames,
    sets: FieldSets,
    facts: Facts,
}

/// A field set and the type it is read on, kept until the fields that it selects are marked. Equal ones are kept once.
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
        (distinct(keys), distinct(requires), distinct(provides))
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
            for implementation in facts.implementations.get(parent).cloned().into_iter().flatten() {
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

/// Field sets are shared by text, so the same set on the same type is the same pointer.
fn distinct(targets: Vec<Target>) -> Vec<Target> {
    let mut seen: FxHashSet<(Name, *const FieldSet)> = FxHashSet::default();
    targets.into_iter().filter(|target| seen.insert((target.parent.clone(), Arc::as_ptr(&target.fields)))).collect()
}

fn has_field(schema: &Schema, parent: &str, field: &str) -> bool {
    schema.types.get(parent).and_then(fields_of).is_some_and(|fields| fields.contains_key(field))
}
