//! Decoding: a tree to typed configuration, with every problem's place, and as many problems at once as can be told apart.
//!
//! Unknown keys are reported and skipped. A value that does not fit is reported and taken out, and decoding starts again, so
//! that one run tells of all of them. Relies on `tree`; relied on by `config`.

use std::cell::RefCell;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Visitor, value::StrDeserializer};

use super::{
    problem::{Mark, Problem, hint},
    tree::{Entry, Node, Number, Value},
};

/// Most values that are reported as wrong in one go.
const MOST_FAULTS: usize = 20;

/// Decodes `tree`.
///
/// # Errors
/// Every problem found; never empty.
pub fn decode<T: DeserializeOwned>(mut tree: Node) -> Result<T, Vec<Problem>> {
    let mut problems = Vec::new();
    for _ in 0..MOST_FAULTS {
        let unknown = RefCell::default();
        let decoded = T::deserialize(Cursor { node: &tree, trail: None, unknown: &unknown });
        // Seen again in every round; whoever shows the problems shows each once.
        problems.extend(unknown.into_inner());
        match decoded {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => return Err(problems),
            Err(fault) => {
                if !tree_at(&mut tree, &fault.path).is_some_and(|node| node.is_pruned) {
                    problems.push(Problem { at: fault.at, path: shown(&fault.path), message: fault.message });
                }
                if !prune(&mut tree, &fault.path) {
                    return Err(problems);
                }
            }
        }
    }
    Err(problems)
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root to a node, each step knowing the one before.
#[derive(Clone, Copy)]
struct Trail<'a> {
    before: Option<&'a Trail<'a>>,
    step: StepRef<'a>,
}

#[derive(Clone, Copy)]
enum StepRef<'a> {
    Key(&'a str),
    Index(usize),
}

fn path_of(mut trail: Option<&Trail<'_>>) -> Vec<Step> {
    let mut path = Vec::new();
    while let Some(Trail { before, step }) = trail {
        path.push(match step {
            StepRef::Key(key) => Step::Key((*key).to_owned()),
            StepRef::Index(index) => Step::Index(*index),
        });
        trail = *before;
    }
    path.reverse();
    path
}

/// `routes[0].match`
fn shown(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => out.push_str(&format!(".{key}")),
            Step::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
    out
}

fn tree_at<'a>(tree: &'a mut Node, path: &[Step]) -> Option<&'a mut Node> {
    path.iter().try_fold(tree, |node, step| match step {
        Step::Key(key) => node.get_mut(key),
        Step::Index(index) => match &mut node.value {
            Value::List(items) => items.get_mut(*index),
            _ => None,
        },
    })
}

/// Takes the node at `path` out and marks what it was in; false at the root.
fn prune(tree: &mut Node, path: &[Step]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let Some(node) = tree_at(tree, above) else { return false };
    node.is_pruned = true;
    match (last, &mut node.value) {
        (Step::Key(key), Value::Map(entries)) => entries.retain(|entry| entry.key != *key),
        (Step::Index(index), Value::List(items)) if *index < items.len() => drop(items.remove(*index)),
        _ => return false,
    }
    true
}

/// Why decoding stopped; located by the innermost node that it passes.
#[derive(Debug)]
struct Fault {
    message: String,
    at: Option<Mark>,
    path: Vec<Step>,
}

impl Fault {
    fn locate(mut self, cursor: Cursor<'_>) -> Self {
        if self.at.is_none() {
            self.at = Some(cursor.place());
            self.path = path_of(cursor.trail);
            if let (Some(written), Value::Text(text)) = (&cursor.node.written, &cursor.node.value) {
                // What a variable holds may be a secret.
                let hidden = if text.is_empty() { self.message } else { self.message.replace(text.as_str(), written) };
                self.message = hidden.replace(&text.escape_debug().to_string(), written);
            }
        }
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), at: None, path: Vec::new() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("{} is expected here, not {}", plain(expected), kind(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("{} is expected here, not {}", plain(expected), kind(found)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("`{field}` is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("`{variant}` is not a choice{}", hint(variant, expected.iter().copied())))
    }
}

/// What serde calls types, in the words of YAML.
fn plain(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "a whole number, not negative,".into(),
        "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "string" | "path string" => "text".into(),
        "a sequence" => "a list".into(),
        "a map" => "a mapping".into(),
        "socket address" => "an address with port, as in 127.0.0.1:4000,".into(),
        _ if text.starts_with("struct ") => "a mapping".into(),
        _ => text,
    }
}

fn kind(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Str(text) => format!("`{text}`"),
        de::Unexpected::Bool(is) => format!("`{is}`"),
        de::Unexpected::Unsigned(number) => format!("`{number}`"),
        de::Unexpected::Signed(number) => format!("`{number}`"),
        de::Unexpected::Float(number) => format!("`{number}`"),
        de::Unexpected::Seq => "a list".into(),
        de::Unexpected::Map => "a mapping".into(),
        de::Unexpected::Unit => "nothing".into(),
        other => other.to_string(),
    }
}

/// A place in the tree that is being decoded.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    node: &'a Node,
    trail: Option<&'a Trail<'a>>,
    unknown: &'a RefCell<Vec<Problem>>,
}

impl<'a> Cursor<'a> {
    fn place(&self) -> Mark {
        self.node.at
    }

    /// The node's text when it may stand for another scalar type.
    fn loose(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if self.node.written.is_some() => Some(text.trim()),
            _ => None,
        }
    }

    fn list<'de, V: Visitor<'de>>(self, items: &'a [Node], visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Items { around: self, items: items.iter().enumerate() })
    }

    fn map<'de, V: Visitor<'de>>(self, entries: impl Iterator<Item = &'a Entry>, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries { around: self, entries, next: None })
    }

    /// The known entries in the order of `fields`; the others are reported.
    fn structure<'de, V: Visitor<'de>>(self, fields: &[&str], visitor: V) -> Result<V::Value, Fault> {
        let position = |entry: &Entry| fields.iter().position(|field| *field == entry.key);
        let mut known: Vec<_> = Vec::new();
        for entry in self.node.entries() {
            match position(entry) {
                Some(index) => known.push((index, entry)),
                None => self.report(entry, fields),
            }
        }
        known.sort_by_key(|(index, _)| *index);
        self.map(known.into_iter().map(|(_, entry)| entry), visitor)
    }

    fn report(&self, entry: &Entry, fields: &[&str]) {
        let path = path_of(Some(&Trail { before: self.trail, step: StepRef::Key(&entry.key) }));
        let message = format!("unknown key{}", hint(&entry.key, fields.iter().copied()));
        self.unknown.borrow_mut().push(Problem { at: Some(entry.at), path: shown(&path), message });
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(*is),
            Value::Number(Number::Whole(number), _) => visitor.visit_u64(*number),
            Value::Number(Number::Negative(number), _) => visitor.visit_i64(*number),
            Value::Number(Number::Float(number), _) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => self.list(items, visitor),
            Value::Map(entries) => self.map(entries.iter(), visitor),
        }
    }
}

macro_rules! loosely {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.loose().and_then(|text| text.parse::<$type>().ok()) {
                Some(value) => visitor.$visit(value),
                None => self.any(visitor),
            }
            .map_err(|fault| fault.locate(self))
        }
    )*};
}

impl<'de> Deserializer<'de> for Cursor<'_> {
    type Error = Fault;

    loosely! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i64 i64;
        deserialize_i16 visit_i64 i64;
        deserialize_i32 visit_i64 i64;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u64 u64;
        deserialize_u16 visit_u64 u64;
        deserialize_u32 visit_u64 u64;
        deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f64 f64;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor).map_err(|fault| fault.locate(self))
    }

    /// A number or `true` where text is wanted is taken as it is written.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Number(_, text) => visitor.visit_str(text),
            Value::Bool(is) => visitor.visit_str(if *is { "true" } else { "false" }),
            _ => self.any(visitor),
        }
        .map_err(|fault| fault.locate(self))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
            .map_err(|fault: Fault| fault.locate(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A key with nothing behind it, as when all below is commented out, is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.value == Value::Null { self.list(&[], visitor) } else { self.any(visitor) }
            .map_err(|fault| fault.locate(self))
    }

    /// A key with nothing behind it is an empty mapping.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let empty = std::iter::empty();
        if self.node.value == Value::Null { self.map(empty, visitor) } else { self.any(visitor) }
            .map_err(|fault| fault.locate(self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null | Value::Map(_) => self.structure(fields, visitor),
            Value::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)),
            _ => self.any(visitor),
        }
        .map_err(|fault| fault.locate(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let choice = match (&self.node.value, self.node.entries()) {
            (Value::Text(word), _) | (Value::Number(_, word), _) => Ok(Choice { around: self, word, entry: None }),
            (_, [entry]) => Ok(Choice { around: self, word: &entry.key, entry: Some(entry) }),
            _ => Err(de::Error::custom(format_args!("one of {} is expected here", variants.join(", ")))),
        };
        choice.and_then(|choice| visitor.visit_enum(choice)).map_err(|fault| fault.locate(self))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple tuple_struct }
}

struct Items<'a> {
    around: Cursor<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let trail = Trail { before: self.around.trail, step: StepRef::Index(index) };
        let cursor = Cursor { node, trail: Some(&trail), unknown: self.around.unknown };
        seed.deserialize(cursor).map(Some).map_err(|fault| fault.locate(cursor))
    }
}

struct Entries<'a, I> {
    around: Cursor<'a>,
    entries: I,
    next: Option<&'a Entry>,
}

impl<'a, 'de, I: Iterator<Item = &'a Entry>> de::MapAccess<'de> for Entries<'a, I> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.entries.next();
        self.next.map(|entry| seed.deserialize(StrDeserializer::new(&entry.key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some(entry) = self.next.take() else { return Err(de::Error::custom("a value was asked for before its key")) };
        let trail = Trail { before: self.around.trail, step: StepRef::Key(&entry.key) };
        let cursor = Cursor { node: &entry.value, trail: Some(&trail), unknown: self.around.unknown };
        seed.deserialize(cursor).map_err(|fault| fault.locate(cursor))
    }
}

/// A choice, written as a word or as a mapping of one key.
struct Choice<'a> {
    around: Cursor<'a>,
    word: &'a str,
    entry: Option<&'a Entry>,
}

impl<'a, 'de> de::EnumAccess<'de> for Choice<'a> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        Ok((seed.deserialize(StrDeserializer::new(self.word))?, self))
    }
}

impl Choice<'_> {
    fn content<T>(&self, decode: impl FnOnce(Cursor<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(entry) = self.entry else {
            return Err(de::Error::custom(format_args!("`{}` needs a mapping: `{{ {}: … }}`", self.word, self.word)));
        };
        let trail = Trail { before: self.around.trail, step: StepRef::Key(&entry.key) };
        decode(Cursor { node: &entry.value, trail: Some(&trail), unknown: self.around.unknown })
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.entry {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format_args!("`{}` stands alone, without a mapping", self.word))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.content(|cursor| seed.deserialize(cursor))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|cursor| cursor.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.content(|cursor| cursor.deserialize_struct("", fields, visitor))
    }
}
