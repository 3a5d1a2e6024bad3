//! Which types of a subgraph are defined and which are only extended, and where the extensions stand.

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document};
use rustc_hash::FxHashMap;

/// How one type is declared.
#[derive(Clone, Copy, Debug, Default)]
struct Declared {
    is_defined: bool,
    is_extended: bool,
}

/// How the types of a subgraph are declared.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    types: FxHashMap<Name, Declared>,
}

impl Declarations {
    /// Reads them from a document.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let mut declarations = Self::default();
        for definition in &document.definitions {
            let is_extension = match definition {
                Definition::ScalarTypeExtension(_)
                | Definition::ObjectTypeExtension(_)
                | Definition::InterfaceTypeExtension(_)
                | Definition::UnionTypeExtension(_)
                | Definition::EnumTypeExtension(_)
                | Definition::InputObjectTypeExtension(_) => true,
                Definition::ScalarTypeDefinition(_)
                | Definition::ObjectTypeDefinition(_)
                | Definition::InterfaceTypeDefinition(_)
                | Definition::UnionTypeDefinition(_)
                | Definition::EnumTypeDefinition(_)
                | Definition::InputObjectTypeDefinition(_) => false,
                _ => continue,
            };
            let Some(name) = definition.name() else { continue };
            let declared = declarations.types.entry(name.clone()).or_default();
            declared.is_extended |= is_extension;
            declared.is_defined |= !is_extension;
        }
        declarations
    }

    /// Whether there is a definition.
    #[must_use]
    pub fn is_defined(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|declared| declared.is_defined)
    }

    /// Whether there is an extension.
    #[must_use]
    pub fn is_extended(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|declared| declared.is_extended)
    }

    /// From now on the type is defined and not extended.
    pub fn set_defined(&mut self, name: &Name) {
        self.types.insert(name.clone(), Declared { is_defined: true, is_extended: false });
    }

    /// Moves what is known about a type to its new name.
    pub fn rename(&mut self, old: &Name, new: &Name) {
        if let Some(declared) = self.types.remove(old) {
            self.types.insert(new.clone(), declared);
        }
    }
}
