//! The text of a request around what it selects: kind, name and variables.
//!
//! Relied on by `assemble`.

use super::operation::Operation;
use super::{Fetch, OperationKind, Target};
use apollo_compiler::Name;
use rustc_hash::FxHashSet;

/// What the variables for representations begin with: no variable of the operation does.
pub(super) fn representations(operation: &Operation) -> String {
    let mut name = String::from("representations");
    while operation.variables.iter().any(|variable| variable.name.starts_with(&name)) {
        name.push('_');
    }
    name
}

/// The operation's variables that are used, in its order.
pub(super) fn used_variables(operation: &Operation, used: &[Name]) -> Vec<Box<str>> {
    let used: FxHashSet<&str> = used.iter().map(Name::as_str).collect();
    let declared = operation.variables.iter().map(|variable| &variable.name);
    declared.filter(|name| used.contains(&***name)).cloned().collect()
}

/// The text of a request that selects this.
pub(super) fn document(operation: &Operation, fetch: &Fetch, selection: &str) -> String {
    let mut declared: Vec<String> = Vec::new();
    if let Target::Entities(batches) = &fetch.target {
        declared.extend(batches.iter().map(|batch| format!("${}: [_Any!]!", batch.variable)));
        for context in batches.iter().flat_map(|batch| &batch.contexts) {
            let variable = format!("${}: {}", context.name, context.ty);
            if !declared.contains(&variable) {
                declared.push(variable);
            }
        }
    }
    declared.extend(client_variables(operation, fetch));
    let beginning = beginning(fetch);
    match (declared.is_empty(), fetch.kind, fetch.operation_name.is_none()) {
        (true, OperationKind::Query, true) => selection.to_owned(),
        (true, ..) => format!("{beginning} {selection}"),
        _ => format!("{beginning}({}) {selection}", declared.join(", ")),
    }
}

/// The text of a request up to its internal variables.
pub(super) fn opening(operation: &Operation, fetch: &Fetch) -> String {
    let variables = client_variables(operation, fetch).map(|variable| format!("{variable}, "));
    format!("{}({}", beginning(fetch), variables.collect::<String>())
}

/// Kind and name of a request.
fn beginning(fetch: &Fetch) -> String {
    let keyword = match fetch.kind {
        OperationKind::Query => "query",
        OperationKind::Mutation => "mutation",
        OperationKind::Subscription => "subscription",
    };
    let name = fetch.operation_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{keyword}{name}")
}

/// The client's variables that a request uses, as they are declared.
fn client_variables(operation: &Operation, fetch: &Fetch) -> impl Iterator<Item = String> {
    let used: FxHashSet<&str> = fetch.variables.iter().map(|name| &**name).collect();
    operation.variables.iter().filter(move |variable| used.contains(&*variable.name)).map(|variable| {
        let default = variable.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        format!("${}: {}{default}", variable.name, variable.ty)
    })
}
