//! What a field set may select: the checks that `@key`, `@requires` and `@provides` share.
//!
//! Relies on the facts about fields. Relied on by the rules of those directives.

use super::facts::fields_of;
use super::field_set::{FieldSet, Selection};
use super::graphql::values;
use super::{FederationDirective, Subgraph};
use crate::diagnostics::Diagnostic;
use crate::document::Fault;
use apollo_compiler::ast::Argument;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, Directive, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Node};
use std::sync::Arc;

/// What one of the directives allows in its field set, and its codes.
pub struct Policy {
    /// The directive.
    pub directive: FederationDirective,
    /// Whether fields with arguments may be selected.
    pub allows_arguments: bool,
    /// Whether the selected leaves must be external.
    pub wants_external: bool,
    /// Whether fields of interface and union types may be selected.
    pub allows_abstract: bool,
    /// The set does not parse, or selects what does not exist.
    pub invalid: &'static str,
    /// The argument is no string.
    pub not_a_string: &'static str,
    /// A field with arguments is selected.
    pub has_arguments: &'static str,
    /// A directive is applied inside.
    pub has_directive: &'static str,
    /// A leaf is not external.
    pub missing_external: &'static str,
}

/// What `@key` allows; the rule of keys and that of interface keys read it.
pub const KEY: Policy = Policy {
    directive: FederationDirective::Key,
    allows_arguments: false,
    wants_external: false,
    allows_abstract: false,
    invalid: "KEY_INVALID_FIELDS",
    not_a_string: "KEY_INVALID_FIELDS_TYPE",
    has_arguments: "KEY_FIELDS_HAS_ARGS",
    has_directive: "KEY_DIRECTIVE_IN_FIELDS_ARG",
    missing_external: "",
};

/// A finding: code, message, and a second place besides the directive.
pub struct Finding {
    /// The code.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// The field at fault, where there is one.
    pub field: Option<SourceSpan>,
}

/// Checks what `set` selects on the type `parent`.
#[must_use]
pub fn check(subgraph: &Subgraph, parent: &Name, set: &FieldSet, policy: &Policy) -> Vec<Finding> {
    let mut checker = Checker { subgraph, policy, is_lenient: false, findings: Vec::new() };
    if let Err(finding) = checker.exists(parent, &set.selections, set) {
        return vec![finding];
    }
    for directive in &set.directives {
        let name = policy.directive.name();
        let message = format!("the directive \"@{directive}\" cannot be applied inside the fields of @{name}; remove it");
        checker.findings.push(Finding { code: policy.has_directive, message, field: None });
    }
    checker.select(parent, &set.selections, false);
    checker.findings
}

/// Checks the field set of one application on `owner`, read on a type, and reports what is found.
pub fn report(
    subgraph: &Subgraph,
    policy: &Policy,
    (owner, parent): (&str, &Name),
    (fields, directive): (&Result<Arc<FieldSet>, Fault>, &Node<Directive>),
    errors: &mut Vec<Diagnostic>,
) {
    let name = policy.directive.name();
    let is_string = directive.specified_argument_by_name("fields").is_some_and(|value| value.as_str().is_some());
    if !is_string {
        let message = format!("On {owner}, the argument \"fields\" of @{name} must be a string, such as \"id name\".");
        errors.push(subgraph.error(policy.not_a_string, &message, directive.location()));
        return;
    }
    let findings = match fields {
        Ok(set) => check(subgraph, parent, set, policy),
        Err(fault) => {
            vec![Finding { code: policy.invalid, message: format!("the fields do not parse: {}", fault.message), field: None }]
        }
    };
    for finding in findings {
        let message = format!("On {owner}, for {directive}: {}.", finding.message);
        let mut error = subgraph.error(finding.code, &message, directive.location());
        error.places.extend(finding.field.map(|field| subgraph.place(Some(field))));
        errors.push(error);
    }
}

/// The first thing that keeps the set from being read at all: syntax, or something that does not exist. Aliases, missing arguments
/// and missing selections do not.
#[must_use]
pub fn unreadable(subgraph: &Subgraph, parent: &Name, set: &FieldSet) -> Option<String> {
    let policy = Policy { allows_abstract: true, ..KEY };
    let checker = Checker { subgraph, policy: &policy, is_lenient: true, findings: Vec::new() };
    checker.exists(parent, &set.selections, set).err().map(|finding| finding.message)
}

struct Checker<'a> {
    subgraph: &'a Subgraph,
    policy: &'a Policy,
    /// Whether only that counts which keeps the set from being read.
    is_lenient: bool,
    findings: Vec<Finding>,
}

impl<'a> Checker<'a> {
    fn invalid(&self, message: String) -> Finding {
        Finding { code: self.policy.invalid, message, field: None }
    }

    /// Whether everything that is selected exists; the first thing that does not is returned.
    fn exists(&self, parent: &Name, selections: &[Selection], set: &FieldSet) -> Result<(), Finding> {
        self.all_exist(parent, selections)?;
        if let Some(directive) =
            set.directives.iter().find(|name| !self.subgraph.schema.directive_definitions.contains_key(*name))
        {
            return Err(self.invalid(format!("the directive \"@{directive}\" is not defined")));
        }
        match &set.alias {
            Some(alias) if !self.is_lenient => {
                Err(self.invalid(format!("the alias \"{alias}\" is not allowed; select the field by its name")))
            }
            _ => Ok(()),
        }
    }

    fn all_exist(&self, parent: &Name, selections: &[Selection]) -> Result<(), Finding> {
        selections.iter().try_for_each(|selection| match selection {
            Selection::Fragment { on, selections } => self.fragment_exists(on.as_ref().unwrap_or(parent), selections),
            Selection::Field { name, selections, .. } if name == "__typename" => match selections.as_slice() {
                [] => Ok(()),
                _ => Err(self.invalid("\"__typename\" has no fields".to_owned())),
            },
            Selection::Field { name, arguments, selections } => match self.field(parent, name) {
                Some(field) => self.field_exists(parent, field, (arguments, selections)),
                None => {
                    let advice = "if another subgraph resolves it, add it to this subgraph with @external";
                    Err(self.invalid(format!("the type \"{parent}\" has no field \"{name}\" in this subgraph; {advice}")))
                }
            },
        })
    }

    fn fragment_exists(&self, on: &Name, selections: &[Selection]) -> Result<(), Finding> {
        if !self.subgraph.schema.types.get(on).is_some_and(is_composite) {
            let message = format!("the type \"{on}\" of a fragment is no object, interface or union type of this subgraph");
            return Err(self.invalid(message));
        }
        self.all_exist(on, selections)
    }

    fn field_exists(
        &self,
        parent: &Name,
        field: &Component<FieldDefinition>,
        selected: (&[Node<Argument>], &[Selection]),
    ) -> Result<(), Finding> {
        let (name, ty) = (&field.name, field.ty.inner_named_type());
        let (arguments, selections) = selected;
        let definition = self.subgraph.schema.types.get(ty);
        if !self.policy.allows_abstract && matches!(definition, Some(ExtendedType::Interface(_) | ExtendedType::Union(_))) {
            let message = format!(
                "the field \"{parent}.{name}\" has an interface or union type, which a key cannot select; select other fields"
            );
            return Err(Finding { code: "KEY_FIELDS_SELECT_INVALID_TYPE", message, field: field.location() });
        }
        match (definition.is_some_and(is_composite), selections.is_empty()) {
            (true, true) if self.is_lenient => {}
            (true, true) => {
                return Err(self.invalid(format!(
                    "the field \"{parent}.{name}\" has the type \"{ty}\"; say which of its fields, as in \"{name} {{ ... }}\""
                )));
            }
            (false, false) => {
                return Err(self.invalid(format!("the field \"{parent}.{name}\" has the type \"{ty}\", which has no fields")));
            }
            (true, false) => self.all_exist(ty, selections)?,
            (false, true) => {}
        }
        self.arguments_fit(parent, field, arguments)
    }

    fn arguments_fit(&self, parent: &Name, field: &FieldDefinition, arguments: &[Node<Argument>]) -> Result<(), Finding> {
        let coordinate = format!("{parent}.{}", field.name);
        for argument in arguments {
            let Some(expected) = field.argument_by_name(&argument.name) else {
                return Err(self.invalid(format!("the field \"{coordinate}\" has no argument \"{}\"", argument.name)));
            };
            if !values::fits(&self.subgraph.schema, &argument.value, &expected.ty) {
                let message = format!(
                    "{} is no value for the argument \"{}\" of \"{coordinate}\", which has the type \"{}\"",
                    argument.value.serialize().no_indent(),
                    argument.name,
                    expected.ty
                );
                return Err(self.invalid(message));
            }
        }
        let from_context = self.subgraph.directive(FederationDirective::FromContext);
        let missing = field.arguments.iter().find(|expected| {
            let is_contextual = from_context.is_some_and(|name| expected.directives.has(name));
            expected.is_required() && !is_contextual && !arguments.iter().any(|given| given.name == expected.name)
        });
        match missing {
            Some(missing) if !self.is_lenient => {
                Err(self.invalid(format!("the field \"{coordinate}\" needs a value for its argument \"{}\"", missing.name)))
            }
            _ => Ok(()),
        }
    }

    fn field(&self, parent: &Name, name: &Name) -> Option<&'a Component<FieldDefinition>> {
        self.subgraph.schema.types.get(parent).and_then(fields_of)?.get(name)
    }

    /// Checks arguments and externality of the selected fields, which all exist.
    fn select(&mut self, parent: &Name, selections: &[Selection], is_below_external: bool) {
        for selection in selections {
            match selection {
                Selection::Fragment { on, selections } => {
                    self.select(on.as_ref().unwrap_or(parent), selections, is_below_external)
                }
                Selection::Field { name, selections, .. } => self.select_field(parent, name, selections, is_below_external),
            }
        }
    }

    fn select_field(&mut self, parent: &Name, name: &Name, selections: &[Selection], is_below_external: bool) {
        let facts = self.subgraph.field_facts(parent, name);
        let field = self.field(parent, name);
        let location = field.and_then(|field| field.location());
        let directive = self.policy.directive.name();
        if !self.policy.allows_arguments && field.is_some_and(|field| !field.arguments.is_empty()) {
            let message = format!("the field \"{parent}.{name}\" has arguments, so the fields of @{directive} cannot select it");
            self.findings.push(Finding { code: self.policy.has_arguments, message, field: location });
        }
        if selections.is_empty() {
            if self.policy.wants_external && !facts.is_external && !is_below_external {
                let reason = if facts.is_fake_external {
                    "a key field of a type extension counts as resolved here, although it is marked @external"
                } else {
                    "it is not marked @external"
                };
                let message = format!(
                    "the field \"{parent}.{name}\" is resolved by this subgraph itself ({reason}), so it makes no sense here; remove it, or mark it @external if other subgraphs resolve it"
                );
                self.findings.push(Finding { code: self.policy.missing_external, message, field: location });
            }
            return;
        }
        let Some(field) = field else { return };
        let is_external = facts.is_external || self.is_external_in_implementation(parent, name);
        self.select(field.ty.inner_named_type(), selections, is_below_external || is_external);
    }

    fn is_external_in_implementation(&self, parent: &Name, field: &Name) -> bool {
        self.subgraph.implementations(parent).iter().any(|implementation| self.subgraph.is_external(implementation, field))
    }
}

fn is_composite(definition: &ExtendedType) -> bool {
    matches!(definition, ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
}
