//! Fields that nobody can be asked for: no subgraph that has them can be reached from where they are selected.
//!
//! Composition proves that there are none, but a ready supergraph may come from elsewhere. What no visit of a draft gives is such a
//! field; the shape says so, and clients get an error in its place. Relied on by `rows` and `json`; relies on `fetches`.

use super::assemble::Ready;
use super::fetches::{Draft, SlotDraft};
use super::options::Options;
use super::shape::{TypeSet, Unreachable};
use crate::ids::TypeId;

/// For each layout, what its objects can be and what is given of them.
pub(super) struct Given {
    layouts: Vec<Layout>,
}

struct Layout {
    /// Types that its objects can have, in the subgraphs that they come from.
    live: TypeSet,
    /// By slot, the types for which some fetch gives it.
    slots: Vec<TypeSet>,
}

impl Given {
    /// What the fetches of a draft give.
    pub fn new(options: Options<'_>, draft: &Draft) -> Self {
        let mut live: Vec<Vec<TypeId>> = vec![Vec::new(); draft.layouts.len()];
        let mut slots: Vec<Vec<Vec<TypeId>>> = draft.layouts.iter().map(|layout| vec![Vec::new(); layout.slots.len()]).collect();
        for visit in &draft.visits {
            let (Some(live), Some(slots)) = (live.get_mut(visit.layout), slots.get_mut(visit.layout)) else { continue };
            let subgraph = draft.fetches.get(visit.fetch).map(|fetch| fetch.subgraph);
            if let (Some(ty), Some(subgraph)) = (visit.ty, subgraph) {
                live.extend(options.possible(ty, subgraph).iter());
            }
            for ((slot, _), pick) in &visit.picks {
                if let Some(types) = slots.get_mut(*slot) {
                    types.extend(&pick.types);
                }
            }
        }
        let layout = |(live, slots): (Vec<TypeId>, Vec<Vec<TypeId>>)| Layout {
            live: TypeSet::new(live),
            slots: slots.into_iter().map(TypeSet::new).collect(),
        };
        Self { layouts: live.into_iter().zip(slots).map(layout).collect() }
    }

    /// What of a client's field nobody can be asked for.
    pub fn lacks(&self, ready: &Ready<'_, '_>, (layout, slot): (usize, usize), draft: &SlotDraft) -> Option<Unreachable> {
        let above = ready.draft.layouts.get(layout)?;
        let field = ready.selections.field(above.set?, draft.client?)?;
        if !field.is_fetched() {
            return None;
        }
        let known = self.layouts.get(layout)?;
        let given = known.slots.get(slot)?;
        let types: Vec<TypeId> = draft.types.iter().filter(|id| !given.contains(*id)).collect();
        let supergraph = ready.options.supergraph;
        let is_live = |id: &&TypeId| above.parent.is_none() || known.live.contains(**id);
        let live = types.iter().find(is_live);
        let of = *live.or(types.first())?;
        let coordinate = format!("{}.{}", supergraph.get_type(of).name, field.name).into();
        Some(Unreachable { is_certain: live.is_some(), types: TypeSet::new(types), coordinate })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use crate::compose::{Source, compose};
    use crate::model::Supergraph;
    use crate::plan::operation::Operation;
    use crate::plan::{PlanOptions, Tables, print};
    use apollo_compiler::ExecutableDocument;

    const A: &str = r#"
        type Query { t: T n: [N] w: W @shareable }
        type T @key(fields: "id") { id: ID! name: String other: T }
        interface N { id: ID! }
        type A implements N @key(fields: "id") { id: ID! }
        type B implements N @key(fields: "id") { id: ID! }
        type W @shareable { one: Int }"#;
    const B: &str = r#"
        type Query { w: W @shareable }
        type T @key(fields: "id") { id: ID! price: Int stock: Stock }
        type Stock { count: Int }
        type A @key(fields: "id") { id: ID! f: Int }
        type B @key(fields: "id") { id: ID! f: Int }
        type W @shareable { one: Int two: Int }"#;

    /// The printed plan's lines about what nobody can be asked for, when these types cannot be entered in `b`.
    fn unreachable(closed: &[&str], operation: &str) -> Vec<String> {
        let link = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])"#;
        let source = |name: &str, sdl: &str| Source { name: name.into(), url: String::new(), sdl: format!("{link} {sdl}") };
        let sources = [source("a", A), source("b", B)];
        // Composition would refuse what is left after this.
        let mut text = compose(&sources).unwrap().supergraph;
        for name in closed {
            let start = text.find(&format!("type {name}")).unwrap();
            let (before, after) = text.split_at(start);
            let after = match *name {
                "Query" => after.replacen("w: W", "w: W @join__field(graph: A)", 1),
                _ => after.replacen("(graph: B, key: \"id\")", "(graph: B, key: \"id\", resolvable: false)", 1),
            };
            text = format!("{before}{after}");
        }
        let supergraph = Supergraph::read(&text).unwrap();
        let document = ExecutableDocument::parse_and_validate(&supergraph.client, operation, "operation").unwrap();
        let operation = Operation::new(&supergraph, &document, None).unwrap();
        let printed = print(&supergraph, &Tables::new(&supergraph), &operation, &PlanOptions::default()).unwrap();
        printed.text.lines().filter_map(|line| line.trim().strip_prefix("Unreachable")).map(str::to_owned).collect()
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn what_composition_lets_through_is_reachable() {
        assert_eq!(
            unreachable(&[], "{ t { name price stock { count } } n { id ... on A { f } ... on B { f } } w { one two } }"),
            none()
        );
    }

    #[test]
    fn fields_behind_a_key_that_nobody_resolves_are_told_with_their_path() {
        let told = unreachable(&["T"], "{ t { name cost: price other { price } stock { count } } }");
        let wanted = [
            r#"(path: "t.cost", field: "T.price")"#,
            r#"(path: "t.stock", field: "T.stock")"#,
            r#"(path: "t.other.price", field: "T.price")"#,
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn only_the_types_without_a_way_are_told() {
        let told = unreachable(&["A"], "{ n { id ... on A { f } ... on B { f } } }");
        assert_eq!(told, [r#"(path: "n.@.f", field: "A.f")"#]);
        assert_eq!(unreachable(&["A"], "{ n { ... on B { f } } }"), none());
    }

    #[test]
    fn a_value_type_is_completed_by_nobody_when_its_other_root_is_gone() {
        assert_eq!(unreachable(&["Query"], "{ w { one two } }"), [r#"(path: "w.two", field: "W.two")"#]);
    }
}
