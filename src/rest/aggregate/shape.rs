//! Shapes: which fields of a part's answer are taken, and under which names.
//!
//! Relied on by `rest::aggregate`. Of a list, every item is shaped.

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// The keys that lead to a field.
type Path = Box<[Box<str>]>;

/// What becomes of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    target: Path,
    allow: Vec<Path>,
    deny: Vec<Path>,
    mapping: Vec<(Path, Box<str>)>,
}

impl Shape {
    /// Takes what `target` names, of that the fields of `allow` (all when empty) without those of `deny`, with new names.
    pub fn new(target: Option<&str>, (allow, deny): (&[String], &[String]), mapping: &IndexMap<String, String>) -> Self {
        let path = |text: &str| -> Path { text.split('.').filter(|key| !key.is_empty()).map(Into::into).collect() };
        Self {
            target: target.map(path).unwrap_or_default(),
            allow: allow.iter().map(|it| path(it)).collect(),
            deny: deny.iter().map(|it| path(it)).collect(),
            mapping: mapping.iter().map(|(from, to)| (path(from), to.as_str().into())).collect(),
        }
    }

    /// The part of an answer that is wanted; null where it has no such field.
    pub fn apply(&self, mut value: Value) -> Value {
        for key in &self.target {
            value = value.get_mut(&**key).map(Value::take).unwrap_or_default();
        }
        match value {
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.apply_to_one(item)).collect()),
            single => self.apply_to_one(single),
        }
    }

    fn apply_to_one(&self, mut value: Value) -> Value {
        if !self.allow.is_empty() && value.is_object() {
            let mut taken = Value::Object(Map::new());
            for path in &self.allow {
                if let Some(found) = path.iter().try_fold(&mut value, |value, key| value.get_mut(&**key)) {
                    put(&mut taken, path, found.take());
                }
            }
            value = taken;
        }
        for path in &self.deny {
            remove(&mut value, path);
        }
        // All are taken before any is put, so that two may swap their names.
        let moved: Vec<_> =
            self.mapping.iter().filter_map(|(path, name)| Some((path, name, remove(&mut value, path)?))).collect();
        for (path, name, found) in moved {
            let parent = path.split_last().map(|(_, parent)| parent).unwrap_or_default();
            let place = parent.iter().try_fold(&mut value, |value, key| value.get_mut(&**key));
            if let Some(Value::Object(fields)) = place {
                fields.insert(name.to_string(), found);
            }
        }
        value
    }
}

fn remove(value: &mut Value, path: &[Box<str>]) -> Option<Value> {
    let (last, parent) = path.split_last()?;
    parent.iter().try_fold(value, |value, key| value.get_mut(&**key))?.as_object_mut()?.remove(&**last)
}

/// Puts a field where its path says, with the objects that lead there.
fn put(value: &mut Value, path: &[Box<str>], found: Value) {
    let Some((last, parent)) = path.split_last() else { return };
    let mut place = value;
    for key in parent {
        let Value::Object(fields) = place else { return };
        place = fields.entry(key.to_string()).or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(fields) = place {
        fields.insert(last.to_string(), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shaped(value: Value, target: Option<&str>, (allow, deny): (&[&str], &[&str]), mapping: &[(&str, &str)]) -> Value {
        let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let mapping = mapping.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Shape::new(target, (&own(allow), &own(deny)), &mapping).apply(value)
    }

    #[test]
    fn fields_are_targeted_picked_left_out_and_renamed() {
        let user = || json!({ "data": { "id": 1, "name": "Ada", "address": { "city": "London", "zip": "x" }, "secret": "s" } });
        let cases = [
            (None, (&[][..], &[][..]), &[][..], user()),
            (Some("data.address"), (&[], &[]), &[], json!({ "city": "London", "zip": "x" })),
            (Some("data"), (&["id", "address.city"], &[]), &[], json!({ "id": 1, "address": { "city": "London" } })),
            (
                Some("data"),
                (&[], &["secret", "address.zip"]),
                &[],
                json!({ "id": 1, "name": "Ada", "address": { "city": "London" } }),
            ),
            (Some("data"), (&["id", "name"], &[]), &[("id", "name"), ("name", "id")], json!({ "name": 1, "id": "Ada" })),
            (
                Some("data"),
                (&["address"], &[]),
                &[("address.city", "town")],
                json!({ "address": { "town": "London", "zip": "x" } }),
            ),
            (Some("nothing.there"), (&["id"], &[]), &[], Value::Null),
        ];
        for (target, lists, mapping, wanted) in cases {
            assert_eq!(shaped(user(), target, lists, mapping), wanted, "{target:?} {lists:?}");
        }
        let list = json!([{ "id": 1, "x": 2 }, { "id": 2 }, "text"]);
        assert_eq!(shaped(list, None, (&["id"], &[]), &[("id", "key")]), json!([{ "key": 1 }, { "key": 2 }, "text"]));
    }
}
