//! The type definitions of a supergraph SDL, with extensions folded in.
//!
//! Relied on by `read` and by composition's rules on `@inaccessible`.

use super::features::Features;
use super::{NameMap, TypeKind};
use apollo_compiler::ast::{Definition, DirectiveList, Document, EnumValueDefinition, FieldDefinition, InputValueDefinition};
use apollo_compiler::{Name, Node};

/// One type, as the SDL declares it.
pub(crate) struct Declared {
    pub kind: TypeKind,
    pub directives: DirectiveList,
    pub interfaces: Vec<Name>,
    pub fields: Vec<Node<FieldDefinition>>,
    pub inputs: Vec<Node<InputValueDefinition>>,
    pub values: Vec<Node<EnumValueDefinition>>,
    pub members: Vec<Name>,
}

/// Names of the scalars that every schema has.
const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

/// Every type that does not come with a linked feature, in the order of the SDL; missing built-in scalars at the end.
pub(crate) fn declared(document: &Document, features: &Features) -> NameMap<Declared> {
    let mut types = NameMap::<Declared>::default();
    for definition in &document.definitions {
        let Some((name, mut part)) = part(definition) else { continue };
        if features.owns_type(name) {
            continue;
        }
        if let Some(known) = types.get_mut(name) {
            known.directives.0.append(&mut part.directives.0);
            known.interfaces.append(&mut part.interfaces);
            known.fields.append(&mut part.fields);
            known.inputs.append(&mut part.inputs);
            known.values.append(&mut part.values);
            known.members.append(&mut part.members);
        } else {
            types.insert(name.clone(), part);
        }
    }
    for name in BUILT_IN {
        types
            .entry(Name::new_static_unchecked(name))
            .or_insert_with(|| Declared::new(TypeKind::Scalar, &DirectiveList::default()));
    }
    types
}

impl Declared {
    fn new(kind: TypeKind, directives: &DirectiveList) -> Self {
        Self {
            kind,
            directives: directives.clone(),
            interfaces: Vec::new(),
            fields: Vec::new(),
            inputs: Vec::new(),
            values: Vec::new(),
            members: Vec::new(),
        }
    }

    fn with_fields(kind: TypeKind, directives: &DirectiveList, interfaces: &[Name], fields: &[Node<FieldDefinition>]) -> Self {
        Self { interfaces: interfaces.to_vec(), fields: fields.to_vec(), ..Self::new(kind, directives) }
    }
}

/// What one definition or extension declares.
fn part(definition: &Definition) -> Option<(&Name, Declared)> {
    let fields = Declared::with_fields;
    let new = Declared::new;
    Some(match definition {
        Definition::ObjectTypeDefinition(d) => {
            (&d.name, fields(TypeKind::Object, &d.directives, &d.implements_interfaces, &d.fields))
        }
        Definition::ObjectTypeExtension(d) => {
            (&d.name, fields(TypeKind::Object, &d.directives, &d.implements_interfaces, &d.fields))
        }
        Definition::InterfaceTypeDefinition(d) => {
            (&d.name, fields(TypeKind::Interface, &d.directives, &d.implements_interfaces, &d.fields))
        }
        Definition::InterfaceTypeExtension(d) => {
            (&d.name, fields(TypeKind::Interface, &d.directives, &d.implements_interfaces, &d.fields))
        }
        Definition::UnionTypeDefinition(d) => {
            (&d.name, Declared { members: d.members.clone(), ..new(TypeKind::Union, &d.directives) })
        }
        Definition::UnionTypeExtension(d) => {
            (&d.name, Declared { members: d.members.clone(), ..new(TypeKind::Union, &d.directives) })
        }
        Definition::EnumTypeDefinition(d) => {
            (&d.name, Declared { values: d.values.clone(), ..new(TypeKind::Enum, &d.directives) })
        }
        Definition::EnumTypeExtension(d) => {
            (&d.name, Declared { values: d.values.clone(), ..new(TypeKind::Enum, &d.directives) })
        }
        Definition::InputObjectTypeDefinition(d) => {
            (&d.name, Declared { inputs: d.fields.clone(), ..new(TypeKind::Input, &d.directives) })
        }
        Definition::InputObjectTypeExtension(d) => {
            (&d.name, Declared { inputs: d.fields.clone(), ..new(TypeKind::Input, &d.directives) })
        }
        Definition::ScalarTypeDefinition(d) => (&d.name, new(TypeKind::Scalar, &d.directives)),
        Definition::ScalarTypeExtension(d) => (&d.name, new(TypeKind::Scalar, &d.directives)),
        _ => return None,
    })
}
