//! MISSING_TRANSITIVE_AUTH_REQUIREMENTS: a field that reads guarded data through `@requires` or `@fromContext` must be guarded at
//! least as well, or a query for it goes around the guard.

use crate::compose::merge::Outcome;
use crate::compose::merged::{JoinField, Map, Merged};
use crate::compose::strategies::{self, Requirement};
use crate::compose::values;
use crate::diagnostics::Diagnostic;
use crate::subgraph::{FieldSet, Selection, Subgraph};
use apollo_compiler::ast::Directive;
use apollo_compiler::{Name, Node};

/// Checks every field that requires others or is filled by a context.
pub(super) fn check(subgraphs: &[Subgraph], outcome: &Outcome) -> Vec<Diagnostic> {
    let names = outcome.features.access();
    let mut errors = Vec::new();
    if names.is_empty() {
        return errors;
    }
    let rule = Rule { merged: &outcome.merged, names, contexts: contexts(&outcome.merged) };
    for (parent, ty) in &outcome.merged.types {
        for (name, field) in &ty.fields {
            for join in field.joins.iter().filter(|join| join.requires.is_some() || !join.context_arguments.is_empty()) {
                let own = rule.guard(&ty.applied).and(&rule.guard(&field.applied));
                if let Err(fault) = rule.check_join(parent, join, &own) {
                    let message = format!(
                        "Field \"{parent}.{name}\" {fault} Apply at least the same @authenticated, @requiresScopes and @policy to it."
                    );
                    let subgraph = join.graph.and_then(|graph| subgraphs.get(graph));
                    let location = subgraph.and_then(|subgraph| location(subgraph, parent, name));
                    errors.extend(
                        subgraph.map(|subgraph| subgraph.error("MISSING_TRANSITIVE_AUTH_REQUIREMENTS", &message, location)),
                    );
                }
            }
        }
    }
    errors
}

fn location(subgraph: &Subgraph, parent: &Name, field: &Name) -> Option<apollo_compiler::parser::SourceSpan> {
    let fields = subgraph.schema.types.get(parent).and_then(crate::subgraph::facts::fields_of)?;
    fields.get(field)?.location()
}

/// The types that set each context.
fn contexts(merged: &Merged) -> Map<String, Vec<Name>> {
    let mut contexts: Map<String, Vec<Name>> = Map::default();
    for (name, ty) in &merged.types {
        for directive in
            ty.applied.iter().filter(|directive| directive.name == "context" || directive.name.ends_with("__context"))
        {
            if let Some(context) = values::written(directive, "name").and_then(|value| values::text(value)) {
                contexts.entry(context.to_owned()).or_default().push(name.clone());
            }
        }
    }
    contexts
}

/// What guards an element.
#[derive(Default)]
struct Guard {
    is_authenticated: bool,
    scopes: Option<Requirement>,
    policies: Option<Requirement>,
}

impl Guard {
    fn and(self, other: &Self) -> Self {
        let both = |a: Option<Requirement>, b: &Option<Requirement>| match (a, b) {
            (Some(a), Some(b)) => Some(strategies::conjunction(vec![a, b.clone()])),
            (a, b) => a.or_else(|| b.clone()),
        };
        Self {
            is_authenticated: self.is_authenticated || other.is_authenticated,
            scopes: both(self.scopes, &other.scopes),
            policies: both(self.policies, &other.policies),
        }
    }

    /// Whether whoever passes this guard passes the other.
    fn covers(&self, other: &Self) -> bool {
        let none = vec![Default::default()];
        let implies = |a: &Option<Requirement>, b: &Option<Requirement>| {
            strategies::implies(a.as_ref().unwrap_or(&none), b.as_ref().unwrap_or(&none))
        };
        (self.is_authenticated || !other.is_authenticated)
            && implies(&self.scopes, &other.scopes)
            && implies(&self.policies, &other.policies)
    }
}

struct Rule<'a> {
    merged: &'a Merged,
    names: Vec<(&'static str, Name)>,
    contexts: Map<String, Vec<Name>>,
}

impl Rule<'_> {
    fn guard(&self, applied: &[Node<Directive>]) -> Guard {
        let mut guard = Guard::default();
        for directive in applied {
            let Some((specified, _)) = self.names.iter().find(|(_, name)| *name == directive.name) else { continue };
            let requirement = |argument| values::written(directive, argument).map(|value| strategies::to_sets(value));
            match *specified {
                "authenticated" => guard.is_authenticated = true,
                "requiresScopes" => guard.scopes = requirement("scopes"),
                _ => guard.policies = requirement("policies"),
            }
        }
        guard
    }

    fn guard_of_type(&self, name: &Name) -> Guard {
        self.merged.types.get(name).map(|ty| self.guard(&ty.applied)).unwrap_or_default()
    }

    fn check_join(&self, parent: &Name, join: &JoinField, own: &Guard) -> Result<(), String> {
        if let Some(set) = join.requires.as_deref().and_then(|text| FieldSet::parse(text).ok()) {
            self.check_selections(parent, &set.selections, own)?;
        }
        for argument in &join.context_arguments {
            let Ok(set) = FieldSet::parse(&argument.selection) else { continue };
            for setter in self.contexts.get(&argument.context).into_iter().flatten() {
                if !own.covers(&self.guard_of_type(setter)) {
                    return Err(format!("reads a context of \"{setter}\", which is guarded more strictly."));
                }
                self.check_selections(setter, &set.selections, own)?;
            }
        }
        Ok(())
    }

    /// Recursion is bounded by the depth that the parser allows.
    fn check_selections(&self, parent: &Name, selections: &[Selection], own: &Guard) -> Result<(), String> {
        for selection in selections {
            match selection {
                Selection::Field { name, selections, .. } => {
                    let Some(field) = self.merged.types.get(parent).and_then(|ty| ty.fields.get(name)) else { continue };
                    let ty = field.ty.inner_named_type();
                    if !own.covers(&self.guard(&field.applied)) || !own.covers(&self.guard_of_type(ty)) {
                        return Err(format!("reads \"{parent}.{name}\", which is guarded more strictly."));
                    }
                    self.check_selections(ty, selections, own)?;
                }
                Selection::Fragment { on, selections } => {
                    let ty = on.as_ref().unwrap_or(parent);
                    if on.is_some() && !own.covers(&self.guard_of_type(ty)) {
                        return Err(format!("reads data of \"{ty}\", which is guarded more strictly."));
                    }
                    self.check_selections(ty, selections, own)?;
                }
            }
        }
        Ok(())
    }
}
