//! INVALID_GRAPHQL after the merge: what each subgraph fulfils by itself, the merged schema must fulfil as well: implementations
//! fit their interfaces, mandatory inputs are not deprecated, defaults fit their types.
//!
//! Spec: <https://spec.graphql.org/draft/#sec-Type-System>

use crate::compose::merged::{Kind, Merged, MergedArgument, MergedField, MergedType};
use crate::compose::places::Places;
use crate::compose::subtypes::is_subtype;
use crate::diagnostics::{Diagnostic, Level};
use crate::hierarchy::Hierarchy;
use crate::subgraph::Subgraph;
use apollo_compiler::ast::{Directive, Type, Value};
use apollo_compiler::{Name, Node};

/// Checks the merged schema.
pub(super) fn check(subgraphs: &[Subgraph], merged: &Merged) -> Vec<Diagnostic> {
    let number = |interface: &Name| merged.types.get_index_of(interface);
    let declared = merged.types.iter().map(|(name, ty)| (name, ty.interfaces.iter().map(number).collect()));
    let mut rule = Rule { merged, places: Places(subgraphs), hierarchy: Hierarchy::new(declared), errors: Vec::new() };
    for (name, ty) in &merged.types {
        rule.check_type(name, ty);
    }
    rule.errors
}

struct Rule<'a> {
    merged: &'a Merged,
    places: Places<'a>,
    hierarchy: Hierarchy<&'a Name>,
    errors: Vec<Diagnostic>,
}

impl<'a> Rule<'a> {
    /// `coordinate` is the element at fault: a type, or a field of it with or without an argument.
    fn error(&mut self, message: String, coordinate: &str) {
        let mut parts = coordinate.split(['.', '(']);
        let (ty, field) = (parts.next().unwrap_or_default(), parts.next());
        let mut places = self.places.everywhere(ty, field);
        if places.is_empty() {
            places = self.places.everywhere(ty, None);
        }
        let message = format!("{message} The definitions are valid one by one, but not together.");
        self.errors.push(Diagnostic { code: "INVALID_GRAPHQL", level: Level::Error, message, places });
    }

    fn check_type(&mut self, name: &'a Name, ty: &'a MergedType) {
        match ty.kind {
            Kind::Object | Kind::Interface => {
                for (field, definition) in &ty.fields {
                    for (argument, definition) in &definition.arguments {
                        let coordinate = format!("{name}.{field}({argument}:)");
                        self.check_input(&coordinate, (&definition.ty, definition.default.as_ref()), &definition.applied);
                    }
                }
                for interface in &ty.interfaces {
                    self.check_implementation(name, ty, interface);
                }
            }
            Kind::Input => {
                for (field, definition) in &ty.fields {
                    let coordinate = format!("{name}.{field}");
                    self.check_input(&coordinate, (&definition.ty, definition.default.as_ref()), &definition.applied);
                }
            }
            Kind::Scalar | Kind::Union | Kind::Enum => {}
        }
    }

    fn check_input(&mut self, coordinate: &str, (ty, default): (&Type, Option<&Node<Value>>), applied: &[Node<Directive>]) {
        let is_required = ty.is_non_null() && default.is_none();
        if is_required && applied.iter().any(|directive| directive.name == "deprecated") {
            self.error(format!("\"{coordinate}\" is mandatory, so it cannot be deprecated."), coordinate);
        }
        if let Some(default) = default
            && !self.fits(default, ty)
        {
            self.error(format!("The default {default} of \"{coordinate}\" does not fit the merged type \"{ty}\"."), coordinate);
        }
    }

    /// Whether a value that was valid in its subgraph still is: enum values and input fields may have been left out. Recursion is
    /// bounded by the depth that the parser allows.
    fn fits(&self, value: &Value, ty: &Type) -> bool {
        match (value, ty) {
            (Value::Null, _) => !ty.is_non_null(),
            (Value::List(items), Type::List(item) | Type::NonNullList(item)) => items.iter().all(|value| self.fits(value, item)),
            (_, Type::List(item) | Type::NonNullList(item)) => self.fits(value, item),
            (_, Type::Named(name) | Type::NonNullNamed(name)) => self.fits_named(value, name),
        }
    }

    fn fits_named(&self, value: &Value, name: &Name) -> bool {
        let Some(ty) = self.merged.types.get(name) else { return true };
        match (ty.kind, value) {
            (Kind::Enum, Value::Enum(value)) => ty.values.contains_key(value),
            (Kind::Enum, Value::String(value)) => ty.values.contains_key(value.as_str()),
            (Kind::Input, Value::Object(fields)) => {
                let known =
                    fields.iter().all(|(name, value)| ty.fields.get(name).is_some_and(|field| self.fits(value, &field.ty)));
                let is_missing = |(name, field): (&Name, &MergedField)| {
                    field.ty.is_non_null() && field.default.is_none() && !fields.iter().any(|(given, _)| given == name)
                };
                known && !ty.fields.iter().any(is_missing)
            }
            _ => true,
        }
    }

    fn check_implementation(&mut self, name: &'a Name, ty: &MergedType, interface: &'a Name) {
        let merged = self.merged;
        let Some(definition) = merged.types.get(interface) else { return };
        let is_complete = self.hierarchy.has_all_of(&name, &interface);
        for inherited in definition.interfaces.iter().filter(|_| !is_complete) {
            if !ty.interfaces.contains(inherited) {
                self.error(format!("\"{name}\" implements \"{interface}\", so it must implement \"{inherited}\" too."), name);
            }
        }
        for (field_name, expected) in &definition.fields {
            let Some(field) = ty.fields.get(field_name) else { continue };
            if !is_subtype(&merged.types, &expected.ty, &field.ty) {
                let message = format!(
                    "\"{name}.{field_name}\" has the type \"{}\", but its interface \"{interface}\" expects \"{}\".",
                    field.ty, expected.ty
                );
                self.error(message, &format!("{name}.{field_name}"));
            }
            self.check_arguments(&format!("{name}.{field_name}"), interface, (field, expected));
        }
    }

    fn check_arguments(&mut self, coordinate: &str, interface: &Name, (field, expected): (&MergedField, &MergedField)) {
        for (argument, expected) in &expected.arguments {
            match field.arguments.get(argument) {
                None => self.error(
                    format!("\"{coordinate}\" lacks the argument \"{argument}\" that its interface \"{interface}\" has."),
                    coordinate,
                ),
                Some(own) if own.ty != expected.ty => {
                    let message = format!(
                        "\"{coordinate}({argument}:)\" has the type \"{}\", but its interface \"{interface}\" expects \"{}\".",
                        own.ty, expected.ty
                    );
                    self.error(message, coordinate);
                }
                Some(_) => {}
            }
        }
        let is_mandatory = |argument: &MergedArgument| argument.ty.is_non_null() && argument.default.is_none();
        let unexpected =
            field.arguments.iter().filter(|(argument, own)| is_mandatory(own) && !expected.arguments.contains_key(*argument));
        for (argument, _) in unexpected {
            self.error(
                format!("\"{coordinate}({argument}:)\" is mandatory, but its interface \"{interface}\" does not have it."),
                coordinate,
            );
        }
    }
}
