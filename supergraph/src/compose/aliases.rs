//! Namespaces of the specifications that a supergraph links: the specification's own name, unless something else has it.
//!
//! Relied on by `features`. Spec: <https://specs.apollo.dev/link/v1.0#Name-Conventions>

use rustc_hash::{FxHashMap, FxHashSet};

/// A specification that the supergraph will link.
pub(crate) struct Candidate {
    /// Its identity.
    pub identity: String,
    /// Its name.
    pub name: String,
    /// Its imported directives: (name in the specification, name in the supergraph), without `@`.
    pub imports: Vec<(String, String)>,
}

/// Decides the namespace of every linked specification.
pub(crate) struct Aliases {
    /// Namespaces that would change the meaning of an import, by identity: for the specification itself, and for all others.
    conflicts: FxHashMap<String, (FxHashSet<String>, FxHashSet<String>)>,
    /// The specification of each namespace in use.
    taken: FxHashMap<String, String>,
    /// The specification of each imported name, and the name in it.
    imported: FxHashMap<String, (String, String)>,
    /// Every name that exists anywhere; a generated namespace is a prefix of none of them.
    names: FxHashSet<String>,
    generated: usize,
}

impl Aliases {
    /// Prepares the decision: `names` are the elements of all subgraphs.
    pub(crate) fn new(candidates: &[Candidate], names: impl IntoIterator<Item = String>) -> Self {
        let mut aliases = Self {
            conflicts: FxHashMap::default(),
            taken: FxHashMap::default(),
            imported: FxHashMap::default(),
            names: names.into_iter().collect(),
            generated: 0,
        };
        aliases.taken.extend(["link", "join"].map(|name| (name.to_owned(), format!("https://specs.apollo.dev/{name}"))));
        aliases.names.extend(["link".to_owned(), "join".to_owned()]);
        for candidate in candidates {
            aliases.names.insert(candidate.name.clone());
            let mut own = FxHashSet::default();
            let mut other = FxHashSet::default();
            for (in_spec, in_schema) in &candidate.imports {
                aliases.names.insert(in_schema.clone());
                if let Some((namespace, element)) = in_schema.split_once("__") {
                    if element != in_spec {
                        own.insert(namespace.to_owned());
                    }
                    other.insert(namespace.to_owned());
                }
                if *in_spec != candidate.name {
                    own.insert(in_schema.clone());
                }
                other.insert(in_schema.clone());
            }
            aliases.conflicts.insert(candidate.identity.clone(), (own, other));
        }
        aliases
    }

    /// The namespace for a specification, or `None` where its own name will do.
    pub(crate) fn choose(&mut self, identity: &str, name: &str) -> Option<String> {
        if self.is_valid(identity, name) {
            self.taken.insert(name.to_owned(), identity.to_owned());
            return None;
        }
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        let alias = format!("{}{}{letters}", self.free_prefix(), self.generated);
        self.generated += 1;
        self.taken.insert(alias.clone(), identity.to_owned());
        Some(alias)
    }

    /// Takes note of an import, or says why the name would be ambiguous in the supergraph.
    ///
    /// # Errors
    /// What the name would be confused with.
    pub(crate) fn import(&mut self, identity: &str, namespace: &str, (in_spec, here): (&str, &str)) -> Result<(), String> {
        if let Some((prefix, element)) = here.split_once("__") {
            let owner = self.taken.get(prefix).filter(|_| prefix != namespace || element != in_spec);
            if let Some(owner) = owner {
                return Err(format!("\"@{here}\" reads as the element \"{element}\" of {owner}"));
            }
        }
        if let Some(owner) = self.taken.get(here).filter(|owner| owner.as_str() != identity) {
            return Err(format!("\"@{here}\" is the namespace of {owner}"));
        }
        let known = self.imported.entry(here.to_owned()).or_insert_with(|| (identity.to_owned(), in_spec.to_owned()));
        if known.0 != identity || known.1 != in_spec {
            return Err(format!("\"@{here}\" is already \"@{}\" of {}", known.1, known.0));
        }
        Ok(())
    }

    fn is_valid(&self, identity: &str, name: &str) -> bool {
        let is_name = apollo_compiler::Name::is_valid_syntax(name) && !name.contains("__") && !name.ends_with('_');
        let is_free = self.conflicts.iter().all(|(other, (own, others))| {
            let conflicting = if other == identity { own } else { others };
            !conflicting.contains(name)
        });
        is_name && is_free && !self.taken.contains_key(name)
    }

    /// The shortest text that no name starts with, in the order `_`, letters, then digits. Cost: at most one step for each
    /// prefix of each name.
    fn free_prefix(&self) -> String {
        const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const FIRST: &str = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let ends = |name: &str| name.char_indices().map(|(at, character)| at + character.len_utf8()).collect::<Vec<_>>();
        let prefixes: FxHashSet<&str> =
            self.names.iter().flat_map(|name| ends(name).into_iter().filter_map(|end| name.get(..end))).collect();
        let mut queue = std::collections::VecDeque::from([String::new()]);
        while let Some(prefix) = queue.pop_front() {
            let following = if prefix.is_empty() { FIRST.to_owned() } else { format!("{LETTERS}0123456789") };
            for character in following.chars() {
                let longer = format!("{prefix}{character}");
                if !prefixes.contains(longer.as_str()) {
                    return longer;
                }
                queue.push_back(longer);
            }
        }
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_another_specification_imports_is_renamed() {
        let candidates = [
            Candidate { identity: "a/tag".into(), name: "tag".into(), imports: vec![("tag".into(), "tag".into())] },
            Candidate { identity: "b/tag".into(), name: "tag".into(), imports: vec![("tag".into(), "mine".into())] },
        ];
        let mut aliases = Aliases::new(&candidates, ["Query".to_owned()]);
        assert_eq!(aliases.choose("a/tag", "tag"), None);
        assert_eq!(aliases.choose("b/tag", "tag"), Some("_0tag".to_owned()));
    }
}
