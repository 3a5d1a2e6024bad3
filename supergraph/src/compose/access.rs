//! Access control across interfaces: what guards an implementation guards its interfaces too, and what guards a field of an
//! interface object guards the field in every implementation. Without that, a query through the other type goes around it.
//!
//! Relied on by `merge`, `fields` and `interfaces`, which add these applications to those of the element itself.

use super::directives::Applications;
use super::features::Features;
use super::merged::{Kind, Map, Merged, Set};
use super::sources;
use crate::subgraph::Subgraph;
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

/// Applications that flow to other elements.
#[derive(Default)]
pub(crate) struct Access<'a> {
    names: Vec<Name>,
    types: Map<Name, Applications<'a>>,
    fields: Map<Name, Map<Name, Applications<'a>>>,
}

/// Which interfaces an object has, and which objects an interface has, in the supergraph.
struct Hierarchy<'m> {
    merged: &'m Merged,
    implementations: Map<&'m Name, Vec<&'m Name>>,
}

impl<'m> Hierarchy<'m> {
    fn new(merged: &'m Merged) -> Self {
        let mut implementations: Map<&'m Name, Vec<&'m Name>> = Map::default();
        for (name, ty) in merged.types.iter().filter(|(_, ty)| ty.kind == Kind::Object) {
            for interface in &ty.interfaces {
                implementations.entry(interface).or_default().push(name);
            }
        }
        Self { merged, implementations }
    }

    fn interfaces(&self, object: &Name) -> impl Iterator<Item = &'m Name> {
        let ty = self.merged.types.get(object).filter(|ty| ty.kind == Kind::Object);
        ty.into_iter().flat_map(|ty| &ty.interfaces)
    }
}

impl<'a> Access<'a> {
    /// Collects what flows. Interfaces must be merged, fields need not be.
    pub(crate) fn read(subgraphs: &'a [Subgraph], features: &Features, merged: &Merged) -> Self {
        let names: Vec<Name> = features.access().into_iter().map(|(_, name)| name).collect();
        let mut access = Self { names, ..Self::default() };
        if access.names.is_empty() {
            return access;
        }
        let hierarchy = Hierarchy::new(merged);
        for (graph, subgraph) in subgraphs.iter().enumerate() {
            for (name, definition) in subgraph.types() {
                let ExtendedType::Object(object) = definition else { continue };
                for directive in sources::directives_of(definition).filter(|directive| access.names.contains(&directive.name)) {
                    for interface in hierarchy.interfaces(name) {
                        access.types.entry(interface.clone()).or_default().push((graph, directive));
                    }
                }
                for field in object.fields.values().filter(|field| !subgraph.is_external(name, &field.name)) {
                    for directive in field.directives.iter().filter(|directive| access.names.contains(&directive.name)) {
                        for target in targets(&hierarchy, subgraph, name) {
                            let fields = access.fields.entry(target.clone()).or_default();
                            fields.entry(field.name.clone()).or_default().push((graph, directive));
                        }
                    }
                }
            }
        }
        access
    }

    /// Adds what flows to an interface type.
    pub(crate) fn extend_type(&self, name: &Name, found: &mut Applications<'a>) {
        found.extend(self.types.get(name).into_iter().flatten().copied());
    }

    /// Adds what flows to a field.
    pub(crate) fn extend_field(&self, parent: &Name, field: &Name, found: &mut Applications<'a>) {
        if let Some(more) = self.fields.get(parent).and_then(|fields| fields.get(field)) {
            found.extend(more.iter().copied());
        }
    }

    /// Whether this is an access-control directive.
    pub(crate) fn is_access(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }
}

/// Where the access control of a field flows: up to the interfaces of its type, or, from an interface object, down to all
/// implementations and from there up to their other interfaces.
fn targets<'m>(hierarchy: &Hierarchy<'m>, subgraph: &Subgraph, parent: &Name) -> Vec<&'m Name> {
    if !subgraph.is_interface_object(parent) {
        return hierarchy.interfaces(parent).collect();
    }
    let implementations = hierarchy.implementations.get(parent).cloned().unwrap_or_default();
    let mut others: Set<&'m Name> = Set::default();
    for implementation in &implementations {
        others.extend(hierarchy.interfaces(implementation).filter(|interface| *interface != parent));
    }
    implementations.into_iter().chain(others).collect()
}
