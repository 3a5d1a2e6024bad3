//! Access: what the schema asks of those who use its fields and types (`@authenticated`, `@requiresScopes`, `@policy`).
//!
//! Every field has one requirement at most, which is computed when a supergraph is read, so that an operation only looks its
//! fields up. Relied on by `plan::operation`, which notes what an operation needs, and by the gateway, which decides.
//! Spec: <https://specs.apollo.dev/authenticated/v0.1/>, <https://specs.apollo.dev/requiresScopes/v0.1/>,
//! <https://specs.apollo.dev/policy/v0.1/>

use super::{Field, Supergraph, Type, TypeKind};
use crate::ids::{FieldId, Id, IdVec, RequirementId, SubgraphId, TypeId};
use apollo_compiler::ast::{Directive, DirectiveList, Value};
use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

/// Names of which some list must be held whole: an OR of ANDs.
pub type AnyOf = Vec<Vec<Box<str>>>;

/// What is asked; all of it must be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The one who asks must be known.
    pub is_authenticated: bool,
    /// Scopes that must be granted, for each of these.
    pub scopes: Vec<AnyOf>,
    /// Policies that must hold, for each of these.
    pub policies: Vec<AnyOf>,
}

/// The requirements of one supergraph.
#[derive(Clone, Debug, Default)]
pub struct Access {
    requirements: IdVec<RequirementId, Requirement>,
    fields: FxHashMap<FieldId, RequirementId>,
    types: FxHashMap<TypeId, RequirementId>,
}

impl Requirement {
    /// Asks for what the other asks for too.
    fn add(&mut self, other: &Self) {
        self.is_authenticated |= other.is_authenticated;
        for (all, more) in [(&mut self.scopes, &other.scopes), (&mut self.policies, &other.policies)] {
            let new: Vec<_> = more.iter().filter(|any| !all.contains(any)).cloned().collect();
            all.extend(new);
            all.sort_unstable();
        }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Access {
    /// What the field asks of those who select it on its parent: what the field, its parent and its type ask, and through an
    /// interface what the field asks on every object that may stand there.
    pub fn of_field(&self, field: FieldId) -> Option<RequirementId> {
        self.fields.get(&field).copied()
    }

    /// What a type asks of those who use it.
    pub fn of_type(&self, id: TypeId) -> Option<RequirementId> {
        self.types.get(&id).copied()
    }

    /// A requirement of this supergraph.
    pub fn get(&self, id: RequirementId) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// Whether anything asks for anything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Computes the requirements of a supergraph that is read otherwise.
    ///
    /// # Errors
    /// Directives that cannot be understood: what they guard must not be served.
    pub(super) fn read(supergraph: &Supergraph) -> Result<Self, Vec<String>> {
        let own = Own::read(supergraph)?;
        let mut access = Self::default();
        if own.types.is_empty() && own.fields.is_empty() {
            return Ok(access);
        }
        let mut known = IndexSet::default();
        for (id, _) in supergraph.types.iter() {
            if let Some(requirement) = own.types.get(&id) {
                let requirement = intern(&mut known, requirement.clone());
                access.types.insert(id, requirement);
            }
        }
        for (id, field) in supergraph.fields.iter() {
            let requirement = own.all_of(supergraph, id, field);
            if !requirement.is_empty() {
                let requirement = intern(&mut known, requirement);
                access.fields.insert(id, requirement);
            }
        }
        for requirement in known {
            access.requirements.push(requirement);
        }
        Ok(access)
    }
}

fn intern(known: &mut IndexSet<Requirement, FxBuildHasher>, requirement: Requirement) -> RequirementId {
    RequirementId::new(known.insert_full(requirement).0)
}

/// What types and fields themselves ask.
struct Own {
    types: FxHashMap<TypeId, Requirement>,
    fields: FxHashMap<FieldId, Requirement>,
}

impl Own {
    fn read(supergraph: &Supergraph) -> Result<Self, Vec<String>> {
        let names = Names::of(supergraph);
        let (mut own, mut errors) = (Self { types: FxHashMap::default(), fields: FxHashMap::default() }, Vec::new());
        for (id, ty) in supergraph.types.iter() {
            match names.requirement(&ty.directives) {
                Ok(requirement) if requirement.is_empty() => {}
                Ok(requirement) => drop(own.types.insert(id, requirement)),
                Err(problem) => errors.push(format!("On type `{}`: {problem}", ty.name)),
            }
        }
        for (id, field) in supergraph.fields.iter() {
            match names.requirement(&field.directives) {
                Ok(requirement) if requirement.is_empty() => {}
                Ok(requirement) => drop(own.fields.insert(id, requirement)),
                Err(problem) => {
                    let parent = &supergraph.get_type(field.parent).name;
                    errors.push(format!("On field `{parent}.{}`: {problem}", field.name));
                }
            }
        }
        if errors.is_empty() { Ok(own) } else { Err(errors) }
    }

    /// Everything that a selection of the field needs.
    fn all_of(&self, supergraph: &Supergraph, id: FieldId, field: &Field) -> Requirement {
        let mut all = self.alone(supergraph, id, field);
        let parent = supergraph.get_type(field.parent);
        if parent.kind != TypeKind::Interface {
            return all;
        }
        for object in parent.possible.iter().filter(|object| !supergraph.get_type(*object).inaccessible) {
            self.add_type(object, &mut all);
            if let Some(id) = supergraph.field_of(object, &field.name) {
                all.add(&self.alone(supergraph, id, supergraph.field(id)));
            }
        }
        all
    }

    /// What a field asks on its own parent.
    fn alone(&self, supergraph: &Supergraph, id: FieldId, field: &Field) -> Requirement {
        let mut all = self.fields.get(&id).cloned().unwrap_or_default();
        self.add_type(field.parent, &mut all);
        self.add_type(field.ty.named, &mut all);
        if all.is_empty() {
            self.add_interface_objects(supergraph, field, &mut all);
        }
        all
    }

    /// A field that no subgraph has on the object itself comes from an interface object, and so does its guard where composition
    /// has not written it down.
    fn add_interface_objects(&self, supergraph: &Supergraph, field: &Field, all: &mut Requirement) {
        let parent = supergraph.get_type(field.parent);
        let is_own = |subgraph: SubgraphId| field.resolvers.contains(subgraph) && field.at(subgraph).is_some();
        if parent.kind != TypeKind::Object || parent.subgraphs.iter().any(is_own) {
            return;
        }
        for interface in &parent.interfaces {
            let ty: &Type = supergraph.get_type(*interface);
            let Some(id) = supergraph.field_of(*interface, &field.name) else { continue };
            let gives = |subgraph: SubgraphId| supergraph.field(id).resolvers.contains(subgraph);
            if ty.interface_object_in.iter().any(gives)
                && let Some(requirement) = self.fields.get(&id)
            {
                all.add(requirement);
            }
        }
    }

    fn add_type(&self, id: TypeId, all: &mut Requirement) {
        if let Some(requirement) = self.types.get(&id) {
            all.add(requirement);
        }
    }
}

/// What this supergraph calls the directives.
struct Names {
    authenticated: String,
    requires_scopes: String,
    policy: String,
}

impl Names {
    fn of(supergraph: &Supergraph) -> Self {
        let name = |name: &str| supergraph.features.directive(name, name);
        Self { authenticated: name("authenticated"), requires_scopes: name("requiresScopes"), policy: name("policy") }
    }

    /// What applied directives ask together.
    fn requirement(&self, directives: &DirectiveList) -> Result<Requirement, String> {
        let mut all = Requirement::default();
        for directive in directives.iter() {
            let mut one = Requirement::default();
            if directive.name == self.authenticated.as_str() {
                one.is_authenticated = true;
            } else if directive.name == self.requires_scopes.as_str() {
                one.scopes.push(any_of(directive, "scopes")?);
            } else if directive.name == self.policy.as_str() {
                one.policies.push(any_of(directive, "policies")?);
            }
            all.add(&one);
        }
        Ok(all)
    }
}

/// A list of lists of names, where a value may stand for a list of one.
fn any_of(directive: &Directive, argument: &str) -> Result<AnyOf, String> {
    let malformed = || format!("@{} needs `{argument}`, a list of lists of names.", directive.name);
    let value = directive.specified_argument_by_name(argument).ok_or_else(malformed)?;
    let name = |value: &Value| -> Result<Box<str>, String> { value.as_str().map(Into::into).ok_or_else(malformed) };
    let all_of = |value: &Value| -> Result<Vec<Box<str>>, String> {
        let Value::List(names) = value else { return Ok(vec![name(value)?]) };
        let mut names = names.iter().map(|value| name(value)).collect::<Result<Vec<_>, _>>()?;
        names.sort_unstable();
        names.dedup();
        Ok(names)
    };
    let mut any = match &**value {
        Value::List(lists) => lists.iter().map(|value| all_of(value)).collect::<Result<Vec<_>, _>>()?,
        value => vec![all_of(value)?],
    };
    any.sort_unstable();
    any.dedup();
    Ok(any)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]
    use super::*;

    /// A supergraph as another program composed it: nothing flows from objects to interfaces.
    const SDL: &str = r#"
        schema
          @link(url: "https://specs.apollo.dev/link/v1.0")
          @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
          @link(url: "https://specs.apollo.dev/authenticated/v0.1", import: [{ name: "@authenticated", as: "@known" }], for: SECURITY)
          @link(url: "https://specs.apollo.dev/requiresScopes/v0.1", as: "needs", for: SECURITY)
          @link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY)
        { query: Query }
        enum join__Graph { A @join__graph(name: "a", url: "") B @join__graph(name: "b", url: "") }
        type Query @join__type(graph: A) @join__type(graph: B) { node: Node open: Int kind: Kind user: Known }
        interface Node @join__type(graph: A, key: "id") @join__type(graph: B, key: "id", isInterfaceObject: true) {
          id: ID! name: String @join__field(graph: A) more: Int @join__field(graph: B) @known
        }
        type Free implements Node @join__implements(graph: A, interface: "Node") @join__type(graph: A, key: "id") {
          id: ID! name: String more: Int @join__field
        }
        type Known implements Node @join__implements(graph: A, interface: "Node") @join__type(graph: A, key: "id") @known {
          id: ID! name: String @needs(scopes: [["b", "a", "b"], "c"]) more: Int @join__field
        }
        enum Kind @join__type(graph: A) @policy(policies: ["p"]) @needs(scopes: []) { X @join__enumValue(graph: A) }
    "#;

    fn asked(supergraph: &Supergraph, parent: &str, field: &str) -> Option<Requirement> {
        let parent = supergraph.type_named(parent).unwrap();
        let id = supergraph.access.of_field(supergraph.field_of(parent, field).unwrap())?;
        supergraph.access.get(id).cloned()
    }

    fn names(lists: &[&[&str]]) -> AnyOf {
        lists.iter().map(|all| all.iter().map(|name| (*name).into()).collect()).collect()
    }

    #[test]
    fn directives_are_known_by_their_links_and_lists_stand_for_or_and_and() {
        let supergraph = Supergraph::read(SDL).unwrap();
        assert_eq!(asked(&supergraph, "Query", "open"), None);
        let name = asked(&supergraph, "Known", "name").unwrap();
        assert_eq!((name.is_authenticated, name.scopes), (true, vec![names(&[&["a", "b"], &["c"]])]));
        let kind = asked(&supergraph, "Query", "kind").unwrap();
        assert_eq!((kind.policies, kind.scopes), (vec![names(&[&["p"]])], vec![names(&[])]));
        assert!(asked(&supergraph, "Query", "user").unwrap().is_authenticated);
    }

    #[test]
    fn an_interface_field_asks_what_its_objects_ask() {
        let supergraph = Supergraph::read(SDL).unwrap();
        assert_eq!(asked(&supergraph, "Query", "node"), None);
        assert_eq!(asked(&supergraph, "Free", "id"), None);
        assert!(asked(&supergraph, "Node", "id").unwrap().is_authenticated);
        assert_eq!(asked(&supergraph, "Node", "name"), asked(&supergraph, "Known", "name"));
        assert!(asked(&supergraph, "Free", "more").unwrap().is_authenticated, "it comes from the interface object");
    }

    #[test]
    fn what_is_not_understood_is_not_served() {
        for wrong in ["@needs", "@needs(scopes: [[1]])", "@needs(scopes: {})", "@needs(scope: [[\"a\"]])"] {
            let sdl = SDL.replace("@needs(scopes: [])", wrong);
            assert!(Supergraph::read(&sdl).unwrap_err()[0].message.contains("@needs"), "{wrong}");
        }
    }
}
