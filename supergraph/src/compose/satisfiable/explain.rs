//! The words: a shortest client operation that fails, and for each subgraph why it cannot go on and what would help.
//!
//! Relied on by `explore`.

use super::explore::Explorer;
use super::nodes::{Node, Nodes};
use super::runtime_types::PerSubgraph;
use super::states::{Failure, Step, Why};
use super::witness;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::ids::{FieldId, SubgraphId, SubgraphSet, TypeId};
use crate::model::field_set::FieldSet;
use crate::model::{FieldAt, Supergraph};
use std::collections::{BTreeMap, BTreeSet};

/// One error for each step that fails, the first one met for each reason.
pub(super) fn errors(explorer: &mut Explorer<'_>, failures: &[Failure]) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let mut errors = Vec::new();
    for failure in failures {
        let error = match &failure.why {
            Why::Unreachable => unreachable(explorer, failure),
            Why::RuntimeTypes(types) => disjoint_runtime_types(explorer, failure, types),
        };
        let subject = match failure.step {
            Step::Field(field) => coordinate(explorer.graph, field),
            Step::Cast(ty) => explorer.graph.get_type(ty).name.to_string(),
            Step::Root(_) => String::new(),
        };
        let reasons = error.message.split_once("because:").map(|(_, reasons)| reasons.to_owned());
        if told.insert((error.code, subject, reasons)) {
            errors.push(error);
        }
    }
    errors
}

/// Not everything could be checked.
pub(super) fn over_budget(budget: usize) -> Diagnostic {
    Diagnostic {
        code: "MAX_VALIDATION_SUBGRAPH_PATHS_EXCEEDED",
        level: Level::Error,
        message: format!(
            "Whether every client operation can be answered could not be decided within {budget} steps. Reduce the number of subgraphs \
             that share the same fields without a common key."
        ),
        places: Vec::new(),
    }
}

/// A shared mutation field whose result no single subgraph can complete.
pub(super) fn shared_mutation(
    explorer: &Explorer<'_>,
    field: FieldId,
    by_subgraph: &[(SubgraphId, Vec<Diagnostic>)],
) -> Diagnostic {
    let graph = explorer.graph;
    let name = coordinate(graph, field);
    let mut message = format!(
        "The mutation \"{name}\" must not be sent to more than one subgraph, so one of those that share it must be able to complete its \
         result; none is. Resolve the problems of at least one of them."
    );
    for (subgraph, errors) in by_subgraph {
        message.push_str(&format!("\nWhen \"{name}\" is sent to subgraph \"{}\":", graph.subgraph(*subgraph).name));
        for line in errors.iter().flat_map(|error| error.message.lines()) {
            message.push_str("\n  ");
            message.push_str(line);
        }
    }
    let places = places(explorer, Step::Field(field), by_subgraph.iter().map(|(subgraph, _)| *subgraph));
    Diagnostic { code: "SATISFIABILITY_ERROR", level: Level::Error, message, places }
}

/// Where the subject of a step stands in these subgraphs.
fn places(explorer: &Explorer<'_>, step: Step, subgraphs: impl Iterator<Item = SubgraphId>) -> Vec<Place> {
    let graph = explorer.graph;
    let (ty, field) = match step {
        Step::Field(field) => (graph.field(field).parent, Some(graph.field(field).name.as_str())),
        Step::Cast(ty) => (ty, None),
        Step::Root(_) => return Vec::new(),
    };
    let name = &graph.get_type(ty).name;
    subgraphs.map(|subgraph| (explorer.locate)(&graph.subgraph(subgraph).name, name, field)).collect()
}

fn place_of(explorer: &Explorer<'_>, node: Node) -> Place {
    let graph = explorer.graph;
    (explorer.locate)(&graph.subgraph(node.subgraph).name, &graph.get_type(node.ty).name, None)
}

fn coordinate(graph: &Supergraph, field: FieldId) -> String {
    let field = graph.field(field);
    format!("{}.{}", graph.get_type(field.parent).name, field.name)
}

fn unreachable(explorer: &mut Explorer<'_>, failure: &Failure) -> Diagnostic {
    let operation = witness::operation(explorer, failure.state, failure.step);
    let mut reasons: BTreeMap<SubgraphId, Vec<String>> = BTreeMap::new();
    let nodes: Vec<Node> =
        explorer.states.get(failure.state).map_or_else(Vec::new, |state| state.at.iter().map(|at| at.node).collect());
    for &node in &nodes {
        let told = reasons.entry(node.subgraph).or_default();
        for reason in why_stuck(explorer, failure, node) {
            if !told.contains(&reason) {
                told.push(reason);
            }
        }
    }
    let graph = explorer.graph;
    let mut message = format!("The subgraphs cannot answer this client operation:\n{operation}\nbecause:");
    for (subgraph, told) in &reasons {
        let name = &graph.subgraph(*subgraph).name;
        match told.as_slice() {
            [only] => message.push_str(&format!("\n- from subgraph \"{name}\": {only}.")),
            several => {
                message.push_str(&format!("\n- from subgraph \"{name}\":"));
                several.iter().for_each(|reason| message.push_str(&format!("\n  - {reason}.")));
            }
        }
    }
    if let Some(advice) = advice(graph, failure.step, reasons.keys().next().copied()) {
        message.push('\n');
        message.push_str(&advice);
    }
    // First where the client is stuck, then where the field is.
    let mut subgraphs: Vec<SubgraphId> = reasons.keys().copied().collect();
    if let Step::Field(field) = failure.step {
        subgraphs.extend(graph.field(field).resolvers.iter().filter(|owner| !reasons.contains_key(owner)));
    }
    let places = match failure.step {
        // The type that the object may be is not known there; the one as which it is held is.
        Step::Cast(_) => nodes.iter().map(|node| place_of(explorer, *node)).collect(),
        step => places(explorer, step, subgraphs.into_iter()),
    };
    Diagnostic { code: "SATISFIABILITY_ERROR", level: Level::Error, message, places }
}

/// What would make the step possible.
fn advice(graph: &Supergraph, step: Step, from: Option<SubgraphId>) -> Option<String> {
    let (Step::Field(field), Some(from)) = (step, from) else { return None };
    let name = coordinate(graph, field);
    let definition = graph.field(field);
    let parent = &graph.get_type(definition.parent).name;
    let here = &graph.subgraph(from).name;
    let own = definition.at(from).filter(|_| definition.resolvers.contains(from));
    if own.is_some_and(|at| at.requires.is_some()) {
        return Some(format!(
            "To fix it, let the subgraphs that have the required fields be entered with a resolvable @key that \"{here}\" can provide, and \
             give type \"{parent}\" a @key in \"{here}\" that is not @external."
        ));
    }
    if own.is_some_and(|at| !at.context_arguments.is_empty()) {
        return Some(format!("To fix it, set the context on every type from which \"{name}\" can be reached, with @context."));
    }
    let share = format!("resolve \"{name}\" in \"{here}\" too (with @shareable in both)");
    let owner = definition.resolvers.iter().find(|id| *id != from).map(|id| &graph.subgraph(id).name);
    Some(match owner {
        Some(owner) => format!(
            "To fix it, give type \"{parent}\" in subgraph \"{owner}\" a resolvable @key whose fields \"{here}\" can provide, or {share}."
        ),
        None => format!("To fix it, {share}."),
    })
}

/// Why no way leads from a node over the failing step.
fn why_stuck(explorer: &mut Explorer<'_>, failure: &Failure, node: Node) -> Vec<String> {
    match failure.step {
        Step::Field(field) => {
            let mut reasons = vec![why_not_here(explorer, failure, node, field)];
            reasons.extend(why_not_elsewhere(explorer, failure, node, field));
            reasons
        }
        Step::Cast(object) => {
            let graph = explorer.graph;
            let (ty, object) = (&graph.get_type(node.ty).name, &graph.get_type(object).name);
            if explorer.reach.nodes.is_interface_object(node) {
                vec![format!(
                    "\"{ty}\" is an @interfaceObject there, and no subgraph that knows its implementations, such as \"{object}\", can be \
                     reached with a @key of interface \"{ty}\" to ask for __typename"
                )]
            } else {
                vec![format!("it does not know \"{object}\" as a possible type of \"{ty}\"")]
            }
        }
        Step::Root(_) => Vec::new(),
    }
}

/// Why the subgraph of a node does not resolve the field itself.
fn why_not_here(explorer: &mut Explorer<'_>, failure: &Failure, node: Node, field: FieldId) -> String {
    let graph = explorer.graph;
    let name = coordinate(graph, field);
    let own = explorer.reach.nodes.own_field(node, field);
    let Some(at) = own.and_then(|own| graph.field(own).at(node.subgraph)) else {
        return format!("it has no field \"{name}\"");
    };
    if at.overridden {
        return format!("its field \"{name}\" is overridden by {}", overriding(graph, field, node.subgraph));
    }
    if at.external {
        return format!("it declares \"{name}\" only as @external");
    }
    if let Some((label, decision)) = at.label.filter(|decision| !failure.labels.contains(decision)) {
        let label = graph.labels.get(label).map_or("", |label| label);
        let (on, off) = if decision { ("on", "off") } else { ("off", "on") };
        return format!("it resolves \"{name}\" only while the override label \"{label}\" is {on}, but not while it is {off}");
    }
    why_condition_fails(explorer, node, &name, at)
}

/// Why a field that is there cannot be taken.
fn why_condition_fails(explorer: &mut Explorer<'_>, node: Node, name: &str, at: &FieldAt) -> String {
    let graph = explorer.graph;
    let ty = &graph.get_type(node.ty).name;
    if let Some(requires) = at.requires.as_deref() {
        if explorer.reach.nodes.has_local_key(node) {
            return format!(
                "\"{name}\" has @requires(fields: \"{}\"), which cannot be fetched from there",
                text(graph, requires)
            );
        }
        return format!(
            "\"{name}\" has @requires, but \"{ty}\" has no @key there with which to come back once the required fields are fetched"
        );
    }
    if !at.context_arguments.is_empty() {
        return format!(
            "no context that the arguments of \"{name}\" need is set on this path, or its selection cannot be fetched"
        );
    }
    format!("\"{name}\" cannot be taken there")
}

/// Why the other subgraphs that resolve the field cannot be entered from a node.
fn why_not_elsewhere(explorer: &mut Explorer<'_>, failure: &Failure, node: Node, field: FieldId) -> Vec<String> {
    let graph = explorer.graph;
    let object = graph.field(field).parent;
    let closure = explorer.reach.closure(node);
    let mut reasons = Vec::new();
    for (ty, held) in holders(graph, field) {
        let there = closure.iter().filter(|reached| reached.ty == ty);
        let opened = there.fold(SubgraphSet::new(), |so_far, reached| so_far.union(&reached.subgraphs));
        for subgraph in held.iter().filter(|subgraph| *subgraph != node.subgraph) {
            let name = &graph.subgraph(subgraph).name;
            let reason = if opened.contains(subgraph) {
                let there = Nodes::plain(subgraph, ty);
                format!("it can move to subgraph \"{name}\", but {}", why_not_here(explorer, failure, there, field))
            } else {
                why_closed(graph, object, ty, subgraph)
            };
            reasons.push(reason);
        }
    }
    reasons
}

/// The subgraphs that resolve a field, by the type as which they hold its objects: itself, or an interface object.
fn holders(graph: &Supergraph, field: FieldId) -> Vec<(TypeId, SubgraphSet)> {
    let definition = graph.field(field);
    let mut holders = vec![(definition.parent, definition.resolvers.clone())];
    for interface in &graph.get_type(definition.parent).interfaces {
        let Some(inherited) = graph.field_of(*interface, &definition.name) else { continue };
        let held = graph.field(inherited).resolvers.intersection(&graph.get_type(*interface).interface_object_in);
        holders.push((*interface, held));
    }
    holders
}

/// Why a subgraph cannot be entered.
fn why_closed(graph: &Supergraph, object: TypeId, ty: TypeId, subgraph: SubgraphId) -> String {
    let name = &graph.subgraph(subgraph).name;
    let (object, held) = (&graph.get_type(object).name, &graph.get_type(ty).name);
    let at = graph.get_type(ty).at(subgraph);
    let keys: Vec<_> = at.map(|at| at.keys.iter().collect()).unwrap_or_default();
    let usable: Vec<String> =
        keys.iter().filter(|key| key.resolvable).map(|key| format!("\"{}\"", text(graph, &key.fields))).collect();
    let kind = if ty == graph.type_named(object).unwrap_or(ty) { "type" } else { "interface object" };
    if keys.is_empty() {
        return format!(
            "it cannot move to subgraph \"{name}\", which has the field, because {kind} \"{held}\" has no @key there"
        );
    }
    if usable.is_empty() {
        return format!(
            "it cannot move to subgraph \"{name}\", which has the field, because every @key of {kind} \"{held}\" there is declared with \
             resolvable: false"
        );
    }
    let (keys, verb) = (usable.join(" or "), if usable.len() == 1 { "the key" } else { "no key of" });
    if usable.len() == 1 {
        format!(
            "it cannot move to subgraph \"{name}\", which has the field, because the @key {keys} of {kind} \"{held}\" cannot be fetched from here"
        )
    } else {
        format!(
            "it cannot move to subgraph \"{name}\", which has the field, because {verb} {keys} of {kind} \"{held}\" can be fetched from here"
        )
    }
}

fn overriding(graph: &Supergraph, field: FieldId, overridden: SubgraphId) -> String {
    let name = &graph.subgraph(overridden).name;
    let by = graph.field(field).subgraph_views().find(|(_, at)| at.override_from.as_deref() == Some(&**name));
    by.map_or_else(|| "another subgraph".to_owned(), |(id, _)| format!("subgraph \"{}\"", graph.subgraph(id).name))
}

/// A field set as text.
fn text(graph: &Supergraph, set: &FieldSet) -> String {
    crate::model::field_set::print(graph, set)
}

fn disjoint_runtime_types(explorer: &Explorer<'_>, failure: &Failure, types: &PerSubgraph) -> Diagnostic {
    let graph = explorer.graph;
    let Step::Field(field) = failure.step else { return over_budget(0) };
    let operation = witness::operation(explorer, failure.state, failure.step);
    let name = coordinate(graph, field);
    let mut message = format!(
        "The subgraphs that share the field \"{name}\" have no possible object type in common, so they cannot give the same answer to \
         this client operation:\n{operation}\nPossible types are:"
    );
    for (subgraph, possible) in types {
        message.push_str(&format!(
            "\n- in subgraph \"{}\": {}.",
            graph.subgraph(*subgraph).name,
            type_names(graph, possible.iter())
        ));
    }
    message.push_str("\nDeclare at least one common object type in each of them, or resolve the field in one subgraph only.");
    let places = places(explorer, Step::Field(field), types.keys().copied());
    Diagnostic { code: "SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES", level: Level::Error, message, places }
}

/// A shared field whose subgraphs know different object types.
pub(super) fn runtime_types_hint(explorer: &Explorer<'_>, state: usize, field: FieldId, types: &PerSubgraph) -> Diagnostic {
    let graph = explorer.graph;
    let operation = witness::operation(explorer, state, Step::Field(field));
    let in_all = |id: &TypeId| types.values().all(|possible| possible.contains(*id));
    let name = coordinate(graph, field);
    let mut message = format!(
        "The subgraphs that share the field \"{name}\" know different object types for it, but must give the same answer to this client \
         operation:\n{operation}"
    );
    for (subgraph, possible) in types {
        let extra: Vec<TypeId> = possible.iter().filter(|id| !in_all(id)).collect();
        if !extra.is_empty() {
            let subgraph = &graph.subgraph(*subgraph).name;
            message.push_str(&format!(
                "\n- subgraph \"{subgraph}\" must never return {} there",
                type_names(graph, extra.into_iter())
            ));
        }
    }
    let places = places(explorer, Step::Field(field), types.keys().copied());
    Diagnostic { code: "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN", level: Level::Warn, message, places }
}

fn type_names(graph: &Supergraph, types: impl Iterator<Item = TypeId>) -> String {
    let names: Vec<String> = types.map(|id| format!("\"{}\"", graph.get_type(id).name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
