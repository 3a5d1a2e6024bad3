//! Resolving field sets, once every type and field is known.
//!
//! Relied on by the stages of `read`, which leave field sets here as text.

use super::super::field_set::{self, FieldSet, Lookup, Problem};
use super::super::{ContextArgument, Key};
use super::Reader;
use super::types::at_mut;
use crate::ids::{FieldId, SubgraphId, TypeId};
use apollo_compiler::ast;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Field sets that wait for being resolved.
#[derive(Default)]
pub(super) struct Pending {
    pub keys: Vec<PendingKey>,
    pub sets: Vec<PendingSet>,
    pub contexts: Vec<PendingContext>,
}

/// `@join__type(key:)`
pub(super) struct PendingKey {
    pub of: TypeId,
    pub subgraph: SubgraphId,
    pub text: Box<str>,
    pub resolvable: bool,
}

/// `@join__field(requires:)` or `(provides:)`
pub(super) struct PendingSet {
    pub of: FieldId,
    pub subgraph: SubgraphId,
    pub text: Box<str>,
    pub used_as: Use,
}

/// What a field's field set is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Requires,
    Provides,
}

/// `@join__field(contextArguments:)`
pub(super) struct PendingContext {
    pub of: FieldId,
    pub subgraph: SubgraphId,
    pub argument: ContextArgument,
    pub text: Box<str>,
}

/// Parsed texts, so that a key that many subgraphs share is parsed once.
type Parsed = FxHashMap<Box<str>, Result<Arc<Vec<ast::Selection>>, Problem>>;

impl Reader {
    /// Resolves every pending field set.
    pub(super) fn resolve_field_sets(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let mut parsed = Parsed::default();
        for key in pending.keys {
            let Some(fields) = self.field_set(&key.text, key.of, key.subgraph, &mut parsed) else { continue };
            if let Some(read) = self.types.get_mut(key.of) {
                at_mut(&mut read.at, key.subgraph).keys.push(Key { fields, resolvable: key.resolvable });
            }
        }
        for set in pending.sets {
            let Some(field) = self.fields.get(set.of) else { continue };
            let below = field.at(set.subgraph).map_or(field.ty.named, |at| at.ty.named);
            let parent = if set.used_as == Use::Requires { field.parent } else { below };
            let fields = self.field_set(&set.text, parent, set.subgraph, &mut parsed);
            let Some(at) = self.fields.get_mut(set.of).and_then(|field| field.at_mut(set.subgraph)) else { continue };
            match set.used_as {
                Use::Requires => at.requires = fields,
                Use::Provides => at.provides = fields,
            }
        }
        for mut context in pending.contexts {
            for setter in self.contexts.get(&context.argument.context).cloned().unwrap_or_default() {
                let fields = self.field_set(&context.text, setter, context.subgraph, &mut parsed);
                context.argument.selections.extend(fields.map(|fields| (setter, fields)));
            }
            if let Some(at) = self.fields.get_mut(context.of).and_then(|field| field.at_mut(context.subgraph)) {
                at.context_arguments.push(context.argument);
            }
        }
    }

    fn field_set(&mut self, text: &str, parent: TypeId, subgraph: SubgraphId, parsed: &mut Parsed) -> Option<Arc<FieldSet>> {
        if !parsed.contains_key(text) {
            parsed.insert(text.into(), field_set::parse(text).map(Arc::new));
        }
        let resolved = match parsed.get(text)? {
            Ok(selections) => field_set::resolve(selections, parent, &InSubgraph { reader: self, subgraph }),
            Err(problem) => Err(problem.clone()),
        };
        match resolved {
            Ok(fields) => Some(Arc::new(fields)),
            Err(problem) => {
                let message = self.problem(text, parent, subgraph, &problem);
                self.error(message);
                None
            }
        }
    }

    fn problem(&self, text: &str, parent: TypeId, subgraph: SubgraphId, problem: &Problem) -> String {
        let subgraph = self.subgraphs.get(subgraph).map_or("", |subgraph| &subgraph.name);
        let why = match problem {
            Problem::Syntax => "it does not parse".to_owned(),
            Problem::UnknownField(name) => format!("there is no field `{name}` where it selects one"),
            Problem::UnknownType(name) => format!("there is no type `{name}`"),
            Problem::Unsupported => "it uses a named fragment".to_owned(),
        };
        format!(
            "The field set \"{text}\" of subgraph \"{subgraph}\" does not fit the type `{}`: {why}.",
            self.type_at(parent).name
        )
    }
}

/// The supergraph as one subgraph sees it.
struct InSubgraph<'a> {
    reader: &'a Reader,
    subgraph: SubgraphId,
}

impl Lookup for InSubgraph<'_> {
    fn field(&self, parent: TypeId, name: &str) -> Option<(FieldId, TypeId)> {
        let id = self.reader.type_at(parent).fields.get(name).copied()?;
        let field = self.reader.fields.get(id)?;
        Some((id, field.at(self.subgraph).map_or(field.ty.named, |at| at.ty.named)))
    }

    fn type_named(&self, name: &str) -> Option<TypeId> {
        self.reader.type_ids.get(name).copied()
    }
}
