//! Which contexts (`@context`) a path has set, and where.
//!
//! Relied on by `explore`.

use super::nodes::Node;
use crate::ids::TypeId;
use crate::model::Supergraph;
use rustc_hash::FxHashMap;

/// An interned list of the contexts that a path has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ContextId(u32);

impl ContextId {
    /// No context is set.
    pub(super) const NONE: Self = Self(0);
}

/// A context that was set last by an object of this type, held at this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setting {
    context: Box<str>,
    pub object: TypeId,
    pub node: Node,
}

/// The interned lists, and the contexts that each object type sets.
pub(super) struct Contexts {
    set_by: FxHashMap<TypeId, Vec<Box<str>>>,
    lists: Vec<Vec<Setting>>,
    ids: FxHashMap<Vec<Setting>, ContextId>,
}

impl Contexts {
    pub(super) fn new(graph: &Supergraph) -> Self {
        let mut set_by: FxHashMap<TypeId, Vec<Box<str>>> = FxHashMap::default();
        for (name, setters) in &graph.contexts {
            for object in setters.iter().flat_map(|setter| graph.get_type(*setter).possible.iter()) {
                let names = set_by.entry(object).or_default();
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        set_by.values_mut().for_each(|names| names.sort_unstable());
        Self { set_by, lists: vec![Vec::new()], ids: FxHashMap::default() }
    }

    /// The contexts after a field of an `object` held at `node` is taken.
    pub(super) fn after(&mut self, before: ContextId, object: TypeId, node: Node) -> ContextId {
        let Some(names) = self.set_by.get(&object) else { return before };
        let mut list = self.lists.get(before.0 as usize).cloned().unwrap_or_default();
        for name in names {
            list.retain(|setting| setting.context != *name);
            list.push(Setting { context: name.clone(), object, node });
        }
        list.sort_unstable_by(|a, b| a.context.cmp(&b.context));
        if let Some(known) = self.ids.get(&list) {
            return *known;
        }
        let id = ContextId(u32::try_from(self.lists.len()).unwrap_or(0));
        self.lists.push(list.clone());
        self.ids.insert(list, id);
        id
    }

    /// Where a context was set last.
    pub(super) fn find(&self, id: ContextId, context: &str) -> Option<&Setting> {
        self.lists.get(id.0 as usize)?.iter().find(|setting| *setting.context == *context)
    }
}
