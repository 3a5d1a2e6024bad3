//! The names that links bring into one schema, and the conflicts between them: every name of the schema must have one meaning.
//!
//! Relies on `link`. `linking` relies on it. Spec: <https://specs.apollo.dev/link/v1.0>

use super::link::{FEDERATION, Link};
use rustc_hash::FxHashMap;

/// Links that do not conflict, and the names that they take.
#[derive(Default)]
pub struct LinkNames {
    /// The links, in order.
    pub links: Vec<Link>,
    namespaces: FxHashMap<String, usize>,
    /// Imported name in the schema (with `@` for directives): link, and name in its specification.
    imported: FxHashMap<String, (usize, String)>,
    /// Prefix of an imported name that looks namespaced (`a__b`): the imported name.
    prefixes: FxHashMap<String, String>,
}

/// `namespace__element`, split at the first double underscore.
fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once("__")
}

fn bare(name: &str) -> &str {
    name.strip_prefix('@').unwrap_or(name)
}

impl LinkNames {
    /// Adds a link that was checked.
    pub fn add(&mut self, link: Link) {
        let index = self.links.len();
        self.namespaces.insert(link.name_in_schema.clone(), index);
        for import in &link.imports {
            let name = import.name_in_schema();
            self.imported.insert(name.to_owned(), (index, import.name.clone()));
            if let Some((prefix, _)) = split(bare(name)).filter(|(prefix, _)| *prefix != link.name_in_schema) {
                self.prefixes.insert(prefix.to_owned(), name.to_owned());
            }
        }
        self.links.push(link);
    }

    /// Whether the link can be added.
    ///
    /// # Errors
    /// The conflict, and how to resolve it.
    pub fn check(&self, link: &Link) -> Result<(), String> {
        if self.links.iter().any(|other| other.identity == link.identity) {
            return Err(format!("\"{}\" is linked twice. Keep one @link and put all imports into it.", link.identity));
        }
        self.check_namespace(link)?;
        let mut seen: FxHashMap<&str, &str> = FxHashMap::default();
        let mut taken: FxHashMap<&str, &str> = FxHashMap::default();
        for import in &link.imports {
            let (element, name) = (import.name.as_str(), import.name_in_schema());
            self.check_import(link, element, name)?;
            if let Some(earlier) = seen.insert(element, name).filter(|earlier| *earlier != name) {
                return Err(format!(
                    "\"{element}\" is imported twice, as \"{earlier}\" and as \"{name}\". Keep one of the imports."
                ));
            }
            if let Some(earlier) = taken.insert(name, element).filter(|earlier| *earlier != element) {
                return Err(format!(
                    "The name \"{name}\" is imported for \"{earlier}\" and for \"{element}\". Rename one of them with \"as\"."
                ));
            }
        }
        Ok(())
    }

    fn check_namespace(&self, link: &Link) -> Result<(), String> {
        let name = link.name_in_schema.as_str();
        let refuse = |reason: &str| {
            Err(format!("\"{}\" cannot be linked as \"{name}\": {reason}. Choose another name with \"as\".", link.identity))
        };
        let is_federation_alias = link.imports.is_empty()
            && ["tag", "inaccessible"].iter().any(|alias| {
                name == format!("federation__{alias}") && link.identity == format!("https://specs.apollo.dev/{alias}")
            });
        if name.contains("__") && !is_federation_alias {
            return refuse("the name contains \"__\", which separates a namespace from an element");
        }
        if name.ends_with('_') {
            return refuse("the name ends with \"_\"");
        }
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            return refuse("that is not a GraphQL name");
        }
        if let Some(import) = self.prefixes.get(name) {
            return Err(self.confusable(link, import));
        }
        let directive = format!("@{name}");
        if self.imported.contains_key(&directive) {
            return Err(self.confusable(link, &directive));
        }
        if let Some(other) = self.namespaces.get(name).and_then(|index| self.links.get(*index)) {
            return Err(advice_for_tag(&other.identity, &link.identity).unwrap_or_else(|| {
                format!(
                    "\"{}\" and \"{}\" are both linked as \"{name}\". Rename one of them with \"as\".",
                    other.identity, link.identity
                )
            }));
        }
        Ok(())
    }

    /// An import of an earlier link looks like an element of this one.
    fn confusable(&self, link: &Link, import: &str) -> String {
        let other = self.imported.get(import).and_then(|(index, _)| self.links.get(*index));
        let other = other.map_or("", |other| other.identity.as_str());
        advice_for_tag(other, &link.identity).unwrap_or_else(|| {
            format!(
                "\"{import}\", imported from \"{other}\", looks like an element of \"{}\". Rename one of them with \"as\".",
                link.identity
            )
        })
    }

    fn check_import(&self, link: &Link, element: &str, name: &str) -> Result<(), String> {
        let own = link.name_in_schema.as_str();
        let confusing = |other: &str| {
            format!(
                "\"{element}\" of \"{}\" cannot be imported as \"{name}\", which looks like {other}. Rename it with \"as\".",
                link.identity
            )
        };
        let foreign = |index: &usize| {
            let other = self.links.get(*index).map_or("", |other| other.identity.as_str());
            advice_for_tag(other, &link.identity).unwrap_or_else(|| confusing(&format!("an element of \"{other}\"")))
        };
        if let Some((prefix, rest)) = split(bare(name)) {
            if prefix == own && rest != bare(element) {
                return Err(confusing(&format!("the element \"{rest}\" of the same specification")));
            }
            if let Some(index) = self.namespaces.get(prefix).filter(|_| prefix != own) {
                return Err(foreign(index));
            }
        }
        if name.starts_with('@') {
            if bare(name) == own && bare(element) != link.name {
                return Err(confusing(&format!("the directive \"@{}\" of the same specification", link.name)));
            }
            if let Some(index) = self.namespaces.get(bare(name)).filter(|_| bare(name) != own) {
                return Err(foreign(index));
            }
        }
        match self.imported.get(name) {
            Some((index, _)) => {
                let other = self.links.get(*index).map_or("", |other| other.identity.as_str());
                Err(advice_for_tag(other, &link.identity).unwrap_or_else(|| {
                    format!(
                        "The name \"{name}\" is imported from \"{other}\" and from \"{}\". Rename one of them with \"as\".",
                        link.identity
                    )
                }))
            }
            None => Ok(()),
        }
    }
}

/// `@tag` and `@inaccessible` exist in federation and as specifications of their own; federation's are meant to be used.
fn advice_for_tag(one: &str, other: &str) -> Option<String> {
    let pair = [one, other];
    let name =
        ["tag", "inaccessible"].into_iter().find(|name| pair.contains(&format!("https://specs.apollo.dev/{name}").as_str()))?;
    pair.contains(&FEDERATION).then(|| {
        format!("Import \"@{name}\" from \"{FEDERATION}\" and remove the @link of \"https://specs.apollo.dev/{name}\": both mean the same.")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;
    use crate::subgraph::link::{Import, Version};

    fn link(identity: &str, alias: Option<&str>, imports: &[(&str, Option<&str>)]) -> Link {
        let name = identity.rsplit('/').next().unwrap().to_owned();
        let imports = imports.iter().map(|(name, alias)| Import { name: (*name).to_owned(), alias: alias.map(str::to_owned) });
        Link {
            identity: identity.to_owned(),
            name_in_schema: alias.unwrap_or(&name).to_owned(),
            name,
            version: Version::new(1, 0),
            imports: imports.collect(),
            purpose: None,
            directive: None,
        }
    }

    fn checks(links: Vec<Link>) -> bool {
        let mut names = LinkNames::default();
        links.into_iter().all(|link| names.check(&link).map(|()| names.add(link)).is_ok())
    }

    #[test]
    fn a_name_has_one_meaning() {
        assert!(checks(vec![link("https://a/foo", None, &[("@x", None)]), link("https://a/bar", None, &[("@y", None)])]));
        assert!(!checks(vec![link("https://a/foo", None, &[("@x", None)]), link("https://a/bar", None, &[("@x", None)])]));
        assert!(!checks(vec![link("https://a/foo", None, &[]), link("https://b/foo", None, &[])]));
        assert!(!checks(vec![link("https://a/foo", None, &[]), link("https://a/bar", None, &[("@x", Some("@foo__x"))])]));
        assert!(!checks(vec![link("https://a/bar", None, &[("@x", Some("@foo__x"))]), link("https://a/foo", None, &[])]));
        assert!(!checks(vec![link("https://a/foo", Some("a__b"), &[])]));
        assert!(!checks(vec![link("https://a/foo", None, &[("@x", Some("@foo"))])]));
        assert!(checks(vec![link("https://a/foo", None, &[("@foo", None)])]));
        assert!(!checks(vec![link("https://a/foo", None, &[("@x", None), ("@x", Some("@y"))])]));
    }
}
