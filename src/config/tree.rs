//! Tree: the YAML of `router.yaml` with the place of every key and value, before it gets types.
//!
//! Relies on serde-saphyr for YAML itself: anchors, merge keys, duplicate keys, limits against expansion bombs.
//! Relied on by `expand`, `overlay`, `decode` and `check`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::problem::{Mark, Problem};

/// Deepest nesting of a configuration. It also bounds every recursion over a tree.
const MAX_DEPTH: usize = 40;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it starts.
    pub at: Mark,
    /// For texts with expansions: what the file says. The value may then stand for any scalar type, and is never shown.
    pub written: Option<String>,
    /// Whether something invalid was taken out, so that whatever it now lacks is no problem of its own.
    pub is_pruned: bool,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its text.
    Number(Number, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<Entry>),
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole one, not negative.
    Whole(u64),
    /// A whole one, negative.
    Negative(i64),
    /// Another one.
    Float(f64),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Mark,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Reads YAML. An empty document is an empty mapping.
    ///
    /// # Errors
    /// The first place where the text is not acceptable YAML.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        };
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(raw) => Ok(Self::from_raw(raw, text)),
            Err(error) => {
                let place = error.location().map(|place| mark(place.line(), place.column()));
                let message = error.without_snippet().to_string();
                // Behind these the library gives advice to those who call it.
                let told = [" at line ", ", set ", "; use "]
                    .into_iter()
                    .fold(&*message, |told, end| told.split(end).next().unwrap_or(told));
                let message = told.to_owned();
                Err(Problem { at: place, path: String::new(), message })
            }
        }
    }

    /// Recursion is bounded by the depth that the parser allows.
    fn from_raw(raw: Spanned<Raw>, text: &str) -> Self {
        let at = mark(raw.referenced.line(), raw.referenced.column());
        let span = raw.defined.span();
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(is) => Value::Bool(is),
            Raw::Number(number) => Value::Number(number, slice(text, span).unwrap_or_default().trim().to_owned()),
            Raw::Text(content) => Value::Text(content),
            Raw::List(items) => Value::List(items.into_iter().map(|item| Self::from_raw(item, text)).collect()),
            Raw::Map(entries) => Value::Map(entries.into_iter().map(|(key, value)| Entry::from_raw(key, value, text)).collect()),
        };
        Self { value, at, written: None, is_pruned: false }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.get_entry(key).map(|entry| &mut entry.value)
    }

    /// The entry of a key, to change it.
    pub fn get_entry(&mut self, key: &str) -> Option<&mut Entry> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// All values at the end of `pattern`, whose steps are keys, or `*` for every key and every item; with the path of each.
    pub fn find(&mut self, pattern: &str) -> Vec<(String, &mut Self)> {
        let mut found = vec![(String::new(), self)];
        for step in pattern.split('.') {
            found = found.into_iter().flat_map(|(path, node)| node.step(&path, step)).collect();
        }
        found
    }

    fn step(&mut self, path: &str, step: &str) -> Vec<(String, &mut Self)> {
        let dot = if path.is_empty() { "" } else { "." };
        match &mut self.value {
            Value::Map(entries) => entries
                .iter_mut()
                .filter(|entry| step == "*" || entry.key == step)
                .map(|entry| (format!("{path}{dot}{}", entry.key), &mut entry.value))
                .collect(),
            Value::List(items) if step == "*" => {
                items.iter_mut().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The place of a path such as `routes[0].upstream`, or of the nearest thing around it.
    pub fn place(&self, path: &str) -> Mark {
        let (mut node, mut at) = (self, self.at);
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
                Some(index) => node.items().get(index).map(|item| (item, item.at)),
                None => node.entries().iter().find(|entry| entry.key == step).map(|entry| (&entry.value, entry.at)),
            };
            let Some((next, place)) = next else { break };
            (node, at) = (next, place);
        }
        if matches!(node.value, Value::Map(_)) { at } else { node.at }
    }
}

impl Entry {
    fn from_raw(key: Spanned<String>, value: Spanned<Raw>, text: &str) -> Self {
        let at = mark(key.referenced.line(), key.referenced.column());
        Self { key: key.value, at, value: Node::from_raw(value, text) }
    }
}

/// The bytes of `text` that a span covers.
fn slice(text: &str, span: serde_saphyr::Span) -> Option<&str> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    text.get(start..start.checked_add(usize::try_from(span.byte_len()?).ok()?)?)
}

fn mark(line: u64, column: u64) -> Mark {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
    Mark { line: number(line), column: number(column) }
}

/// What serde-saphyr reads into.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Raw;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(is))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::Whole(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(u64::try_from(number).map_or(Number::Negative(number), Number::Whole)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place_and_numbers_their_text() {
        let tree = Node::parse("a:\n  b: [1, 2.0, \"3\"]\n  c: ~\nd: {e: true}\n").unwrap();
        assert_eq!(tree.place("a.b[1]"), Mark { line: 2, column: 10 });
        assert_eq!(tree.place("a.nothing"), Mark { line: 1, column: 1 });
        let items = tree.get("a").unwrap().get("b").unwrap().items();
        assert_eq!(items[1].value, Value::Number(Number::Float(2.0), "2.0".into()));
        assert_eq!(items[2].value, Value::Text("3".into()));
        assert_eq!(tree.get("d").unwrap().get("e").unwrap().value, Value::Bool(true));
    }

    #[test]
    fn broken_yaml_is_one_problem_with_its_place() {
        for (text, line) in [("a: [1\nb: 2\n", 2), ("a: 1\na: 2\n", 2), ("a: b: c\n", 1), ("a: &x [*x]\n", 1)] {
            let problem = Node::parse(text).unwrap_err();
            assert_eq!(problem.at.map(|at| at.line), Some(line), "{text:?}: {problem}");
        }
        assert!(Node::parse(&"[".repeat(200)).is_err());
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert_eq!(Node::parse("# only a comment\n").unwrap().value, Value::Null);
    }
}
