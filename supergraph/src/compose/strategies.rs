//! How the arguments of a directive that cannot be repeated are merged when subgraphs apply it with different ones.
//!
//! Pure functions on values. Relied on by `specs`, which says which argument has which strategy, and by `directives`.

use super::values::{same, string, text};
use apollo_compiler::Node;
use apollo_compiler::ast::{IntValue, Value};
use std::collections::BTreeSet;

/// A way to merge the values of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The largest number; `null` and absent values do not count.
    Max,
    /// Every item once; `null` and absent values do not count.
    Union,
    /// Whether all say true; `null` and absent values do not count.
    And,
    /// Every subgraph's requirement at once, in disjunctive normal form.
    Conjunction,
}

impl Strategy {
    /// Merges the values (absent ones left out) of an argument.
    pub(crate) fn merge(self, values: &[&Node<Value>]) -> Option<Node<Value>> {
        let present: Vec<&Node<Value>> = values.iter().copied().filter(|value| !value.is_null()).collect();
        if present.is_empty() {
            return None;
        }
        Some(match self {
            Self::Max => max(&present),
            Self::Union => union(&present),
            Self::And => Node::new(Value::Boolean(present.iter().all(|value| value.to_bool() != Some(false)))),
            Self::Conjunction => to_value(&conjunction(present.iter().map(|value| to_sets(value)).collect())),
        })
    }

    /// How a hint names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Max => "the largest",
            Self::Union => "all items of all",
            Self::And => "true if all are",
            Self::Conjunction => "all requirements together",
        }
    }
}

fn max(values: &[&Node<Value>]) -> Node<Value> {
    let largest = values.iter().filter_map(|value| value.to_f64().map(|number| (number, *value)));
    let largest = largest.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, value)| value.clone());
    largest.unwrap_or_else(|| Node::new(Value::Int(IntValue::from(0))))
}

fn union(values: &[&Node<Value>]) -> Node<Value> {
    let mut items: Vec<Node<Value>> = Vec::new();
    for value in values {
        let list = value.as_list().unwrap_or(std::slice::from_ref(*value));
        let new: Vec<Node<Value>> = list.iter().filter(|item| !items.iter().any(|other| same(other, item))).cloned().collect();
        items.extend(new);
    }
    Node::new(Value::List(items))
}

/// One way to meet a requirement: all of these.
type Conditions = BTreeSet<String>;
/// A requirement in disjunctive normal form: any of these ways.
pub(crate) type Requirement = Vec<Conditions>;

/// Ways beyond which a conjunction is cut off: the rest is refused access (fewer ways, never more).
const MAX_WAYS: usize = 1024;

/// Reads `[["a", "b"], ["c"]]`: (a and b) or c. No way at all means no requirement.
pub(crate) fn to_sets(value: &Value) -> Requirement {
    let as_list = |value: &Value| value.as_list().map(<[Node<Value>]>::to_vec).unwrap_or_else(|| vec![Node::new(value.clone())]);
    let ways: Requirement =
        as_list(value).iter().map(|way| as_list(way).iter().filter_map(|one| text(one).map(str::to_owned)).collect()).collect();
    if ways.is_empty() { vec![Conditions::new()] } else { ways }
}

fn to_value(requirement: &Requirement) -> Node<Value> {
    let way = |conditions: &Conditions| Node::new(Value::List(conditions.iter().map(string).collect()));
    Node::new(Value::List(requirement.iter().map(way).collect()))
}

/// All requirements at once. Cost: the product of their sizes, each product reduced before the next (a way that contains
/// another is redundant) and cut at [`MAX_WAYS`].
///
/// `(a or b) and (a or c)` becomes `a or (b and c)`.
pub(crate) fn conjunction(mut requirements: Vec<Requirement>) -> Requirement {
    for requirement in &mut requirements {
        requirement.sort_by_cached_key(sort_key);
    }
    let mut distinct: Vec<Requirement> = Vec::new();
    for requirement in requirements {
        if !distinct.contains(&requirement) {
            distinct.push(requirement);
        }
    }
    let mut distinct = distinct.into_iter();
    let Some(first) = distinct.next() else { return Requirement::new() };
    distinct.fold(first, |left, right| {
        let product = left.iter().flat_map(|a| right.iter().map(move |b| a.union(b).cloned().collect()));
        reduce(product.collect())
    })
}

/// The order of ways that tools expect: that of their JSON texts.
fn sort_key(way: &Conditions) -> String {
    let conditions: Vec<String> = way.iter().map(|condition| format!("{condition:?}")).collect();
    format!("[{}]", conditions.join(","))
}

/// Drops every way that another one is part of.
fn reduce(mut ways: Requirement) -> Requirement {
    ways.sort_by_key(Conditions::len);
    let mut kept = Requirement::new();
    for way in ways {
        if kept.len() < MAX_WAYS && !kept.iter().any(|other| other.is_subset(&way)) {
            kept.push(way);
        }
    }
    kept
}

/// Whether meeting `first` always means meeting `second`.
pub(crate) fn implies(first: &Requirement, second: &Requirement) -> bool {
    first.iter().all(|way| second.iter().any(|other| other.is_subset(way)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(ways: &[&[&str]]) -> Requirement {
        ways.iter().map(|way| way.iter().map(|one| (*one).to_owned()).collect()).collect()
    }

    #[test]
    fn a_conjunction_absorbs_redundant_ways() {
        let merged = conjunction(vec![requirement(&[&["a"], &["b"]]), requirement(&[&["a"], &["c"]])]);
        assert_eq!(merged, requirement(&[&["a"], &["b", "c"]]));
    }

    #[test]
    fn no_way_means_no_requirement() {
        let none = to_sets(&Value::List(Vec::new()));
        assert_eq!(conjunction(vec![none.clone(), requirement(&[&["a"]])]), requirement(&[&["a"]]));
        assert!(implies(&requirement(&[&["a"]]), &none));
        assert!(!implies(&none, &requirement(&[&["a"]])));
    }

    #[test]
    fn the_largest_number_wins_and_null_does_not_count() {
        let (one, two, null) = (Node::new(Value::Int(1.into())), Node::new(Value::Int(2.into())), Node::new(Value::Null));
        assert_eq!(Strategy::Max.merge(&[&one, &two, &null]), Some(two));
        assert_eq!(Strategy::Max.merge(&[&null]), None);
    }
}
