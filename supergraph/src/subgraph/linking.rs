//! Reading the `@link`s of a schema: URLs, imports, and the conflicts between the names that they bring in.
//!
//! Relies on `link` (the data) and `specs` (what may be imported). `read` relies on it. Spec: <https://specs.apollo.dev/link/v1.0>

use super::link::{self, Import, Link, Links, Purpose, Version};
use super::specs;
use super::suggest;
use apollo_compiler::Name;
use apollo_compiler::ast::Value;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, Directive, DirectiveList};
use rustc_hash::FxHashMap;

/// One thing wrong with the links of a schema.
pub struct LinkFault {
    /// Its code.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// The application at fault.
    pub location: Option<SourceSpan>,
}

/// The links of a schema and what is wrong with them.
pub struct Linked {
    /// The links without fault.
    pub links: Links,
    /// What is wrong.
    pub faults: Vec<LinkFault>,
    /// Whether the schema links the link specification itself. Where it does not, the first fault hides every other error of the
    /// subgraph, because the links are then read all at once.
    pub is_explicit: bool,
}

const USAGE: &str = "INVALID_LINK_DIRECTIVE_USAGE";
const IDENTIFIER: &str = "INVALID_LINK_IDENTIFIER";

/// Reads the links among the directives of the schema definition.
#[must_use]
pub fn read(directives: &DirectiveList) -> Linked {
    let bootstrap = directives.iter().position(is_link_of_link);
    let mut reader = Reader::default();
    let name = match bootstrap.and_then(|position| directives.0.get(position)) {
        Some(directive) => {
            let name = directive.name.clone();
            reader.read(directive);
            if reader.table.links.is_empty() {
                return reader.finish(true);
            }
            name
        }
        None => {
            if !directives.iter().any(|directive| directive.name == "link" && links_federation(directive)) {
                return reader.finish(false);
            }
            reader.table.add(implied_link());
            Name::new_static("link").unwrap_or_else(|_| Name::new_unchecked("link"))
        }
    };
    for (position, directive) in directives.iter().enumerate() {
        if directive.name != name || bootstrap == Some(position) {
            continue;
        }
        reader.read(directive);
        if bootstrap.is_none() && !reader.faults.is_empty() {
            return reader.finish(false);
        }
    }
    reader.finish(bootstrap.is_some())
}

/// The link to link itself that a schema without one is given.
#[must_use]
pub fn implied_link() -> Link {
    Link {
        identity: link::LINK.to_owned(),
        name: "link".to_owned(),
        version: Version::new(1, 0),
        name_in_schema: "link".to_owned(),
        imports: Vec::new(),
        purpose: None,
        directive: None,
    }
}

fn string<'a>(directive: &'a Directive, argument: &str) -> Option<&'a str> {
    directive.specified_argument_by_name(argument).and_then(|value| value.as_str())
}

fn url_of(directive: &Directive) -> Option<&str> {
    string(directive, "url").or_else(|| string(directive, "feature"))
}

fn links_federation(directive: &Component<Directive>) -> bool {
    url_of(directive).is_some_and(|url| url.starts_with(link::FEDERATION))
}

/// Whether the application links link (or its ancestor core) itself, under the name that it is applied with.
fn is_link_of_link(directive: &Component<Directive>) -> bool {
    let Some(Ok((identity, name, _))) = url_of(directive).map(parse_url) else { return false };
    [link::LINK, link::CORE].contains(&identity.as_str()) && directive.name == string(directive, "as").unwrap_or(&name)
}

/// Splits a specification's URL into identity, name and version.
///
/// # Errors
/// What it lacks.
fn parse_url(url: &str) -> Result<(String, String, Version), String> {
    // As the URL standard has it: white space around a URL, and line breaks in it, do not count.
    let url = url.trim_matches(|character: char| character <= ' ').replace(['\t', '\n', '\r'], "");
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").ok_or("it is not a URL such as \"https://specs.apollo.dev/federation/v2.9\"")?;
    let (authority, path) = rest.split_once('/').ok_or("it has no path")?;
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (path, version) = path.rsplit_once('/').unwrap_or(("", path));
    if version.is_empty() {
        return Err("it must end with a version such as \"v2.9\"".to_owned());
    }
    let version =
        parse_version(version).ok_or_else(|| format!("it must end with a version such as \"v2.9\", not \"{version}\""))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err("it has no name before the version".to_owned());
    }
    let identity = format!("{}://{}/{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    Ok((identity, name.to_owned(), version))
}

fn parse_version(text: &str) -> Option<Version> {
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    let (major, minor) = text.strip_prefix('v')?.split_once('.')?;
    Some(Version::new(number(major)?, number(minor)?))
}

#[derive(Default)]
struct Reader {
    table: super::link_names::LinkNames,
    faults: Vec<LinkFault>,
}

impl Reader {
    fn finish(self, is_explicit: bool) -> Linked {
        Linked { links: Links::new(self.table.links), faults: self.faults, is_explicit }
    }

    fn fault(&mut self, code: &'static str, message: String, directive: &Component<Directive>) {
        self.faults.push(LinkFault { code, message, location: directive.location() });
    }

    fn read(&mut self, directive: &Component<Directive>) {
        let url = url_of(directive).unwrap_or_default();
        let (identity, name, version) = match parse_url(url) {
            Ok(parsed) => parsed,
            Err(reason) => {
                return self.fault(IDENTIFIER, format!("The URL \"{url}\" does not name a specification: {reason}."), directive);
            }
        };
        let Some(imports) = self.imports(directive, &identity, version) else { return };
        let link = Link {
            name_in_schema: string(directive, "as").unwrap_or(&name).to_owned(),
            identity,
            name,
            version,
            imports,
            purpose: match directive.specified_argument_by_name("for").and_then(|value| value.as_enum()).map(Name::as_str) {
                Some("SECURITY") => Some(Purpose::Security),
                Some("EXECUTION") => Some(Purpose::Execution),
                _ => None,
            },
            directive: Some(directive.node.clone()),
        };
        if let Err(message) = self.table.check(&link) {
            return self.fault(USAGE, message, directive);
        }
        if [link::LINK, link::CORE].contains(&link.identity.as_str()) && !specs::is_known(&link.identity, version) {
            let message = format!("The version {version} of \"{}\" is unknown. Use \"{}/v1.0\".", link.identity, link::LINK);
            return self.fault("UNKNOWN_LINK_VERSION", message, directive);
        }
        self.table.add(link);
    }

    /// The imports, or `None` after reporting what is wrong with them.
    fn imports(&mut self, directive: &Component<Directive>, identity: &str, version: Version) -> Option<Vec<Import>> {
        let items = match directive.specified_argument_by_name("import").map(AsRef::as_ref) {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(Value::List(items)) => items,
            Some(other) => {
                let message =
                    format!("The argument \"import\" must be a list such as [\"@key\"], not {}.", other.serialize().no_indent());
                self.fault(USAGE, message, directive);
                return None;
            }
        };
        let known: Vec<String> = specs::elements(identity, version).map(specs::Element::import_name).collect();
        let before = self.faults.len();
        let mut imports = Vec::with_capacity(items.len());
        for item in items {
            let checked = read_import(item).and_then(|import| check_known(&import, &known).map(|()| import));
            match checked {
                Ok(import) => imports.push(import),
                Err(message) => self.fault(USAGE, message, directive),
            }
        }
        (self.faults.len() == before).then_some(imports)
    }
}

fn check_known(import: &Import, known: &[String]) -> Result<(), String> {
    if known.is_empty() || known.contains(&import.name) {
        return Ok(());
    }
    let hint = suggest::did_you_mean(&import.name, known.iter().map(String::as_str));
    Err(format!("The specification has no element \"{}\" in this version, so it cannot be imported.{hint}", import.name))
}

fn read_import(value: &Value) -> Result<Import, String> {
    let shown = value.serialize().no_indent().to_string();
    let fields = match value {
        Value::String(name) => return Ok(Import { name: name.clone(), alias: None }),
        Value::Object(fields) => fields,
        _ => return Err(format!("An import must be a string or {{ name: \"...\", as: \"...\" }}, not {shown}.")),
    };
    let mut found: FxHashMap<&str, &str> = FxHashMap::default();
    for (key, field) in fields {
        match (key.as_str(), field.as_str()) {
            ("name" | "as", Some(text)) if is_import_name(text) => found.insert(key.as_str(), text),
            ("name" | "as", _) => {
                return Err(format!(
                    "In the import {shown}, \"{key}\" must be a name in quotes, with \"@\" in front for a directive."
                ));
            }
            _ => return Err(format!("In the import {shown}, \"{key}\" is unknown; only \"name\" and \"as\" are allowed.")),
        };
    }
    let Some(name) = found.get("name") else { return Err(format!("The import {shown} lacks \"name\".")) };
    let alias = found.get("as").map(|alias| (*alias).to_owned());
    if alias.as_ref().is_some_and(|alias| alias.starts_with('@') != name.starts_with('@')) {
        return Err(format!(
            "In the import {shown}, either both names or none must start with \"@\": a directive stays a directive."
        ));
    }
    Ok(Import { name: (*name).to_owned(), alias })
}

fn is_import_name(text: &str) -> bool {
    Name::is_valid_syntax(text.strip_prefix('@').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;

    #[test]
    fn a_url_is_identity_name_and_version() {
        let (identity, name, version) = parse_url("https://user@Specs.apollo.dev/a/federation/v2.10?x#y").unwrap();
        assert_eq!((identity.as_str(), name.as_str()), ("https://specs.apollo.dev/a/federation", "federation"));
        assert_eq!(version, Version::new(2, 10));
        for bad in [
            "",
            "federation/v2.0",
            "https://specs.apollo.dev",
            "https://specs.apollo.dev/v2.0",
            "https://a/b/2.0",
            "https://a/b/v2",
            "https://a/b/v2.0/",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
