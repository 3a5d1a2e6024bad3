//! A plan's parts in Apollo's JSON form: `Defer` nodes with a `primary` and `deferred` ones, each of which may be one again.
//!
//! Relied on by `plan::json`.

use super::{PRIMARY, Part, uses};
use crate::plan::assemble::Ready;
use crate::plan::json::several;
use crate::plan::operation::DeferUse;
use crate::plan::rows;
use crate::plan::selections::SetId;
use crate::plan::shape::PathElement;
use crate::plan::{PlanError, Printed, print};
use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A request as it is printed.
pub(in crate::plan) struct Placed {
    /// Its stage.
    pub stage: u16,
    /// Its part.
    pub part: usize,
    /// Requests that it waits for, by their places in the plan.
    pub after: Vec<usize>,
    /// Itself.
    pub node: Value,
}

/// Stages in sequence, what is in one stage in parallel, and parts in the parts that they are in.
pub(in crate::plan) fn node(ready: &Ready<'_, '_>, mut placed: Vec<Placed>) -> Option<Value> {
    let part_of: Vec<usize> = placed.iter().map(|placed| placed.part).collect();
    let depends = |placed: &Placed| -> Vec<usize> {
        placed.after.iter().copied().filter(|number| part_of.get(*number) != Some(&placed.part)).collect()
    };
    let needed: BTreeSet<usize> = placed.iter().flat_map(depends).collect();
    for (number, placed) in placed.iter_mut().enumerate().filter(|(number, _)| needed.contains(number)) {
        tag(&mut placed.node, number);
    }
    let parts: Vec<Vec<&Placed>> =
        (0..ready.parts.list.len()).map(|part| placed.iter().filter(|placed| placed.part == part).collect()).collect();
    // Parts come after those that they are in, so that each finds its own complete.
    let mut deferred: Vec<Vec<Value>> = vec![Vec::new(); parts.len()];
    for (number, own) in parts.iter().enumerate().rev() {
        let inner = deferred.get_mut(number).map(std::mem::take).unwrap_or_default();
        let Some(part) = ready.parts.list.get(number) else { continue };
        let text = subselection(ready, part.set, number);
        let node = stages(own);
        let mut entry = json!({});
        add(&mut entry, "subselection", text.map(Value::from));
        let node = match inner.is_empty() {
            true => node,
            false => {
                add(&mut entry, "node", node);
                Some(json!({ "kind": "Defer", "primary": entry, "deferred": inner.into_iter().rev().collect::<Vec<_>>() }))
            }
        };
        if number == PRIMARY {
            return node;
        }
        let waits: BTreeSet<usize> = own.iter().flat_map(|placed| depends(placed)).collect();
        let entry = deferred_entry(ready, (number, part), waits, node);
        if let Some(above) = deferred.get_mut(part.above) {
            above.push(entry);
        }
    }
    None
}

/// Variables for which both values are planned; whatever else decides is printed with the parts.
const MOST_VARIABLES: usize = 4;

/// The plans for all values of these variables: where the two of a variable differ they are the clauses of a condition.
/// `plan` plans for the variables that are false.
pub(in crate::plan) fn print_each(
    variables: &[&str],
    undeferred: &FxHashSet<Box<str>>,
    plan: &mut impl FnMut(FxHashSet<Box<str>>) -> Result<Printed, PlanError>,
) -> Result<Printed, PlanError> {
    let Some((first, rest)) = variables.get(..variables.len().min(MOST_VARIABLES)).and_then(<[_]>::split_first) else {
        return plan(undeferred.clone());
    };
    let with = print_each(rest, undeferred, plan)?;
    let mut without = undeferred.clone();
    without.insert((*first).into());
    let without = print_each(rest, &without, plan)?;
    if with.json == without.json {
        return Ok(with);
    }
    let mut node = json!({ "kind": "Condition", "condition": first });
    for (clause, printed) in [("ifClause", &with), ("elseClause", &without)] {
        add(&mut node, clause, printed.json.get("node").cloned());
    }
    let mut json = with.json;
    add(&mut json, "node", Some(node));
    Ok(Printed { text: print::text(&json), json })
}

/// A deferred part: what it waits for, where it stands, and how it is had.
fn deferred_entry(ready: &Ready<'_, '_>, (number, part): (usize, &Part), waits: BTreeSet<usize>, node: Option<Value>) -> Value {
    let waits: Vec<Value> = waits.into_iter().map(|number| json!({ "id": number.to_string() })).collect();
    let mut entry = json!({ "depends": waits, "queryPath": path(ready, part.set) });
    let used: Vec<&DeferUse> =
        uses(ready.selections, part.guard).into_iter().filter_map(|number| ready.operation.defers.get(number)).collect();
    add(&mut entry, "label", used.iter().find_map(|one| one.label.as_deref()).map(Value::from));
    // It is deferred unless one of the fragments that it is in is not.
    let conditions: Option<Vec<&str>> = used.iter().map(|one| one.condition.as_deref()).collect();
    add(&mut entry, "if", conditions.filter(|all| !all.is_empty()).map(Value::from));
    if !node.as_ref().is_some_and(|node| node["kind"] == "Defer") {
        add(&mut entry, "subselection", subselection(ready, part.set, number).map(Value::from));
    }
    add(&mut entry, "node", node);
    entry
}

fn add(entry: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(entry), Some(value)) = (entry.as_object_mut(), value) {
        entry.insert(key.to_owned(), value);
    }
}

/// Gives a request an id that parts can depend on.
fn tag(node: &mut Value, number: usize) {
    let mut at = node;
    for key in ["node", "ifClause", "elseClause"].iter().cycle().take(600) {
        if at["kind"].as_str().is_some_and(|kind| kind.ends_with("Fetch")) {
            break;
        }
        if at.get(key).is_some() {
            at = &mut at[*key];
        }
    }
    add(at, "id", Some(number.to_string().into()));
}

fn stages(own: &[&Placed]) -> Option<Value> {
    let mut list: Vec<(u16, Vec<Value>)> = Vec::new();
    for placed in own {
        match list.last_mut() {
            Some((last, nodes)) if *last == placed.stage => nodes.push(placed.node.clone()),
            _ => list.push((placed.stage, vec![placed.node.clone()])),
        }
    }
    several("Sequence", list.into_iter().filter_map(|(_, nodes)| several("Parallel", nodes)).collect())
}

/// Response keys down to a selection set.
fn path(ready: &Ready<'_, '_>, set: SetId) -> Vec<String> {
    let layout = ready.draft.layouts.iter().position(|layout| layout.set == Some(set)).unwrap_or(0);
    let key = |element: PathElement| match element {
        PathElement::Field(key) => Some(key.into()),
        PathElement::Items => None,
    };
    rows::path(ready, layout).into_iter().filter_map(key).collect()
}

/// What of a selection set belongs to a part, as text; `None` if nothing does.
fn subselection(ready: &Ready<'_, '_>, set: SetId, part: usize) -> Option<String> {
    let selection = ready.selections.set(set);
    let mut text = String::from("{");
    for (_, field) in selection.fields.iter().enumerate().filter(|(index, _)| ready.parts.of(set, *index) == part) {
        let Some(call) = ready.selections.call(field.signature) else { continue };
        let alias = if field.key == field.name { String::new() } else { format!("{}: ", field.key) };
        let below =
            field.below.and_then(|below| subselection(ready, below, part)).map(|below| format!(" {below}")).unwrap_or_default();
        let line = format!("{alias}{}{}{below}", call.name, call.arguments);
        // Writing to a string cannot fail.
        if field.types == selection.types {
            let _ = write!(text, " {line}");
            continue;
        }
        for id in ready.selections.types(field.types).iter() {
            let _ = write!(text, " ... on {} {{ {line} }}", ready.options.supergraph.get_type(id).name);
        }
    }
    (text.len() > 1).then(|| text + " }")
}
