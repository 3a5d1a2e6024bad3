//! The text of a request around what it selects: kind, name and variables.
//!
//! Relied on by `assemble`.

use super::operation::Operation;
use super::{Fetch, OperationKind, Target};
use apollo_compiler::Name;
use rustc_hash::FxHashSet;

/// The variable for representations of a request with one list of them.
pub(super) const REPRESENTATIONS: &str = "representations";

/// The variables for this many lists of representations: no variable of the client that the request uses is called so.
pub(super) fn representations<'v>(used: impl Iterator<Item = &'v Name>, count: usize) -> Vec<String> {
    let used: FxHashSet<&str> = used.map(Name::as_str).collect();
    let mut prefix = REPRESENTATIONS.to_owned();
    loop {
        let names: Vec<String> =
            if count == 1 { vec![prefix.clone()] } else { (0..count).map(|number| format!("{prefix}_{number}")).collect() };
        if !names.iter().any(|name| used.contains(name.as_str())) {
            return names;
        }
        prefix.push('_');
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn representations_have_names_that_no_variable_in_use_has() {
        let names = |used: &[&str], count| {
            let used: Vec<Name> = used.iter().map(|name| Name::new_unchecked(name)).collect();
            representations(used.iter(), count)
        };
        assert_eq!(names(&["a", "representations_0", "representation"], 1), ["representations"]);
        assert_eq!(names(&["representations"], 1), ["representations_"]);
        assert_eq!(names(&["representations", "representations_"], 1), ["representations__"]);
        assert_eq!(names(&["representations", "representations_2"], 2), ["representations_0", "representations_1"]);
        assert_eq!(names(&["representations_1"], 2), ["representations__0", "representations__1"]);
    }
}
