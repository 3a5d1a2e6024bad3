//! A plan in Apollo's JSON form (with Hive's `BatchFetch` where a request has several `_entities` positions), for tools.
//!
//! The JSON names keys of one merged answer where the plan has slots; both describe the same data. Relied on by `print` and the
//! command line; relies on `assemble`.

use super::arrivals::ArrivalDraft;
use super::assemble::{Assembled, Explained, ExplainedBatch, Ready, covers};
use super::defer::{self, Placed};
use super::document::Rename;
use super::options::Naming;
use super::request::REPRESENTATIONS;
use super::shape::{Layout, OutputField, PathElement, Shape, Unreachable};
use super::{Condition, Fetch, OperationKind, RepresentationField, RepresentationValue};
use crate::ids::{Id, TypeId};
use serde_json::{Value, json};

/// The whole plan: stages in sequence, what is in one stage in parallel.
pub(super) fn plan(ready: &Ready<'_, '_>, assembled: &Assembled) -> Value {
    let mut placed = Vec::new();
    for (((_, fetch), explained), group) in assembled.plan.fetches.iter().zip(&assembled.explained).zip(ready.groups) {
        let draft = group.first().and_then(|index| ready.draft.fetches.get(*index));
        let stage = draft.map_or(0, |draft| draft.stage);
        let condition = fetch.condition.and_then(|id| assembled.plan.conditions.get(id));
        let node = conditional(node(ready, fetch, explained), condition);
        let part = draft.map_or(0, |draft| draft.part);
        placed.push(Placed { stage, part, after: fetch.after.iter().map(|id| id.index()).collect(), node });
    }
    let node = match ready.operation.kind {
        _ if !ready.parts.is_empty() => defer::node(ready, placed),
        kind => in_stages(kind, placed),
    };
    let mut plan = json!({ "kind": "QueryPlan" });
    if let (Some(node), Some(plan)) = (node, plan.as_object_mut()) {
        plan.insert("node".to_owned(), node);
    }
    if let Some(plan) = plan.as_object_mut() {
        insert(plan, "unreachable", unreachable(&assembled.plan.shape));
    }
    plan
}

/// Stages in sequence, what is in one stage in parallel.
fn in_stages(kind: OperationKind, placed: Vec<Placed>) -> Option<Value> {
    let mut stages: Vec<(u16, Vec<Value>)> = Vec::new();
    for Placed { stage, node, .. } in placed {
        match stages.last_mut() {
            Some((last, nodes)) if *last == stage => nodes.push(node),
            _ => stages.push((stage, vec![node])),
        }
    }
    let mut nodes: Vec<Value> = stages.into_iter().filter_map(|(_, nodes)| several("Parallel", nodes)).collect();
    match kind {
        // Nothing else can be in the first stage: a subscription has one root field, and everything else waits for its events.
        OperationKind::Subscription if !nodes.is_empty() => {
            let primary = nodes.remove(0);
            let mut node = json!({ "kind": "Subscription", "primary": primary });
            if let (Some(rest), Some(node)) = (several("Sequence", nodes), node.as_object_mut()) {
                node.insert("rest".to_owned(), rest);
            }
            Some(node)
        }
        _ => several("Sequence", nodes),
    }
}

/// Fields that are answered with an error, since nobody can be asked for them.
fn unreachable(shape: &Shape) -> Vec<Value> {
    let step = |step: &PathElement| match step {
        PathElement::Field(key) => key.to_string(),
        PathElement::Items => "@".to_owned(),
    };
    let field = |(layout, field, what): (&Layout, &OutputField, &Unreachable)| {
        let path: Vec<String> = layout.path.iter().map(step).chain([field.key.to_string()]).collect();
        json!({ "path": path, "field": what.coordinate })
    };
    shape.unreachable().map(field).collect()
}

pub(super) fn several(kind: &str, mut nodes: Vec<Value>) -> Option<Value> {
    if nodes.len() > 1 { Some(json!({ "kind": kind, "nodes": nodes })) } else { nodes.pop() }
}

/// A node under a condition without alternatives; with alternatives the fields' own conditions suffice.
fn conditional(node: Value, condition: Option<&Condition>) -> Value {
    let Some([tests]) = condition.map(|condition| condition.any.as_slice()) else { return node };
    tests.iter().rev().fold(node, |node, test| {
        let clause = if test.is { "ifClause" } else { "elseClause" };
        json!({ "kind": "Condition", "condition": test.variable, clause: node })
    })
}

fn node(ready: &Ready<'_, '_>, fetch: &Fetch, explained: &Explained) -> Value {
    let mut node = json!({
        "kind": "Fetch",
        "serviceName": ready.options.supergraph.subgraph(fetch.subgraph).name,
        "variableUsages": fetch.variables,
        "operation": fetch.document,
        "operationKind": match fetch.kind {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        },
        "operationName": fetch.operation_name,
    });
    let Some(object) = node.as_object_mut() else { return node };
    match explained {
        Explained::Root { layout, fetch, renames } => {
            insert(object, "outputRewrites", output_rewrites(renames));
            flatten(path(ready, *layout, *fetch), node)
        }
        Explained::Entities(batches) => match batches.as_slice() {
            [ExplainedBatch { layouts, arrivals, contexts, renames }] if layouts.len() == 1 && has_usual_name(fetch) => {
                let (layout, fetch) = layouts.first().copied().unwrap_or((0, 0));
                object.insert("requires".to_owned(), requires(ready, layout, arrivals));
                insert(object, "inputRewrites", input_rewrites(ready, layout, arrivals));
                insert(object, "outputRewrites", output_rewrites(renames));
                insert(object, "contextRewrites", ready.context_rewrites(layout, contexts.iter()));
                flatten(path(ready, layout, fetch), node)
            }
            _ => {
                let aliases: Vec<Value> = fetch_batches(ready, fetch, batches);
                object.insert("kind".to_owned(), json!("BatchFetch"));
                object.insert("entityBatch".to_owned(), json!({ "aliases": aliases }));
                node
            }
        },
    }
}

/// Whether representations go by the name that readers of plans take for granted.
fn has_usual_name(fetch: &Fetch) -> bool {
    let super::Target::Entities(targets) = &fetch.target else { return false };
    targets.iter().all(|target| *target.variable == *REPRESENTATIONS)
}

fn fetch_batches(ready: &Ready<'_, '_>, fetch: &Fetch, batches: &[ExplainedBatch]) -> Vec<Value> {
    let super::Target::Entities(targets) = &fetch.target else { return Vec::new() };
    let pairs = batches.iter().zip(targets);
    pairs
        .map(|(batch, target)| {
            let layout = batch.layouts.first().map_or(0, |(layout, _)| *layout);
            let paths: Vec<Vec<String>> = batch.layouts.iter().map(|(layout, fetch)| path(ready, *layout, *fetch)).collect();
            let mut alias = json!({
                "alias": target.key,
                "representationsVariableName": target.variable,
                "paths": paths,
                "requires": requires(ready, layout, &batch.arrivals),
                "inputRewrites": input_rewrites(ready, layout, &batch.arrivals),
                "outputRewrites": output_rewrites(&batch.renames),
            });
            if let Some(alias) = alias.as_object_mut() {
                insert(alias, "contextRewrites", ready.context_rewrites(layout, batch.contexts.iter()));
            }
            alias
        })
        .collect()
}

fn insert(object: &mut serde_json::Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.insert(key.to_owned(), Value::Array(list));
    }
}

fn flatten(path: Vec<String>, node: Value) -> Value {
    if path.is_empty() { node } else { json!({ "kind": "Flatten", "path": path, "node": node }) }
}

/// The path of a layout, with conditions where a field on the way is only for some types and these are known before the fetch. Where
/// they are not, everything that stands there is asked for.
fn path(ready: &Ready<'_, '_>, layout: usize, fetch: usize) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut next = ready.draft.layouts.get(layout).and_then(|layout| layout.parent);
    let mut filter: Option<String> = None;
    while let Some((above, slot)) = next {
        let Some(layout) = ready.draft.layouts.get(above) else { break };
        let Some(slot) = layout.slots.get(slot) else { break };
        let mut steps = vec![slot.key.clone()];
        steps.extend(std::iter::repeat_n("@".to_owned(), usize::from(slot.wrap.lists)));
        if let (Some(filter), Some(last)) = (filter.take(), steps.last_mut()) {
            last.push_str(&filter);
        }
        if slot.types != layout.types && ready.told.is_known(ready.draft, above, fetch) {
            let names: Vec<&str> = slot.types.iter().map(|id| name(ready, id)).collect();
            filter = Some(format!("|[{}]", names.join(",")));
        }
        path.extend(steps.into_iter().rev());
        next = layout.parent;
    }
    path.reverse();
    path
}

fn name<'r>(ready: &'r Ready<'_, '_>, id: TypeId) -> &'r str {
    ready.options.supergraph.get_type(id).name.as_str()
}

/// What representations are made of.
pub(super) fn requires(ready: &Ready<'_, '_>, layout: usize, arrivals: &[(ArrivalDraft, Vec<RepresentationField>)]) -> Value {
    let mut list = Vec::new();
    for (arrival, fields) in arrivals {
        for (on, types) in conditions(ready, layout, arrival) {
            let mut selections = vec![json!({ "kind": "Field", "name": "__typename" })];
            selections.extend(selections_of(ready, layout, fields, types.as_slice()));
            list.push(json!({ "kind": "InlineFragment", "typeCondition": on, "selections": selections }));
        }
    }
    Value::Array(list)
}

/// Type conditions of an arrival, and the types that each stands for.
pub(super) fn conditions<'r>(ready: &'r Ready<'_, '_>, layout: usize, arrival: &ArrivalDraft) -> Vec<(&'r str, Vec<TypeId>)> {
    match arrival.naming {
        Naming::Interface(id) if covers(ready, layout, arrival) => vec![(name(ready, id), arrival.types.iter().collect())],
        _ => arrival.types.iter().map(|id| (name(ready, id), vec![id])).collect(),
    }
}

fn selections_of(ready: &Ready<'_, '_>, layout: usize, fields: &[RepresentationField], types: &[TypeId]) -> Vec<Value> {
    let mut list = Vec::new();
    let Some(draft) = ready.draft.layouts.get(layout) else { return list };
    for field in fields {
        if field.types.as_ref().is_some_and(|of| !types.iter().any(|id| of.contains(*id))) {
            continue;
        }
        let Some(slot) = draft.slots.get(field.slot.index()) else { continue };
        let mut node = match &field.value {
            RepresentationValue::Typename => json!({ "kind": "Field", "name": "__typename" }),
            RepresentationValue::Leaf => json!({ "kind": "Field", "name": slot.key }),
            RepresentationValue::Object(below) => {
                let child = slot.below.unwrap_or(0);
                json!({ "kind": "Field", "name": slot.key, "selections": nested(ready, child, below) })
            }
        };
        if field.value != RepresentationValue::Typename
            && slot.key != *field.key
            && let Some(node) = node.as_object_mut()
        {
            node.insert("alias".to_owned(), json!(field.key));
        }
        list.push(node);
    }
    list
}

/// Nested selections; what is only for some types stands in fragments.
fn nested(ready: &Ready<'_, '_>, layout: usize, fields: &[RepresentationField]) -> Vec<Value> {
    let (all, some): (Vec<_>, Vec<_>) = fields.iter().cloned().partition(|field| field.types.is_none());
    let mut list = selections_of(ready, layout, &all, &[]);
    for field in some {
        for id in field.types.iter().flat_map(super::shape::TypeSet::iter) {
            let selections = selections_of(ready, layout, std::slice::from_ref(&field), &[id]);
            list.push(json!({ "kind": "InlineFragment", "typeCondition": name(ready, id), "selections": selections }));
        }
    }
    list
}

/// Objects that a subgraph knows by an interface's name are sent under that name.
fn input_rewrites(ready: &Ready<'_, '_>, layout: usize, arrivals: &[(ArrivalDraft, Vec<RepresentationField>)]) -> Vec<Value> {
    let mut list = Vec::new();
    for (arrival, _) in arrivals {
        let Naming::Interface(id) = arrival.naming else { continue };
        for (on, _) in conditions(ready, layout, arrival) {
            let path = [format!("... on {on}"), "__typename".to_owned()];
            list.push(json!({ "kind": "ValueSetter", "path": path, "setValueTo": name(ready, id) }));
        }
    }
    list
}

fn output_rewrites(renames: &[Rename]) -> Vec<Value> {
    renames
        .iter()
        .map(|rename| match rename.is_value {
            true => json!({ "kind": "ValueSetter", "path": rename.path, "setValueTo": rename.to }),
            false => json!({ "kind": "KeyRenamer", "path": rename.path, "renameKeyTo": rename.to }),
        })
        .collect()
}
