//! Contexts: the values that arguments of a fetch take from objects above those that it represents (`@fromContext`).
//!
//! Input: the plan's levels, from the topmost layout that may set the context down to the represented objects. Output: for each of
//! these its value, as JSON. Cost: one pass over the objects of the levels. No object knows its parent; the levels lead down.
//! ```text
//! levels: customers (set the context: `locale`) > orders > items;  customer 1 "en" has items 1 and 2, customer 2 "fr" has item 3
//!   => item 1 "en", item 2 "en", item 3 "fr"
//! ```
//! Relies on `store` and the plan; relied on by `represent`.

use rustc_hash::FxHashMap;
use supergraph::plan::{ContextLevel, ContextValue, RepresentationField, RepresentationValue};

use super::{
    decode::applies,
    represent::Missing,
    store::{ObjectId, Store, Value},
};

/// The values of one context for the objects of one layout.
#[derive(Debug, Default)]
pub struct Values {
    texts: Vec<Result<Vec<u8>, Missing>>,
    /// Which text is whose.
    of: FxHashMap<ObjectId, usize>,
}

impl Values {
    /// Finds the values.
    pub fn find(store: &Store, value: &ContextValue) -> Self {
        let mut values = Self::default();
        let Some(first) = value.levels.first() else { return values };
        let mut here: Vec<(ObjectId, Option<usize>)> = store.objects_of(first.layout).map(|id| (id, None)).collect();
        for level in &value.levels {
            for (object, text) in &mut here {
                *text = values.set_at(store, level, *object).or(*text);
            }
            let Some(slot) = level.below else { continue };
            here = here
                .into_iter()
                .flat_map(|(id, text)| {
                    let children = children(store, store.get(store.slot(&store.object(id), slot)));
                    children.into_iter().map(move |child| (child, text))
                })
                .collect();
        }
        values.of = here.into_iter().filter_map(|(object, text)| Some((object, text?))).collect();
        values
    }

    /// The value that an object sets the context to, if its type sets it.
    fn set_at(&mut self, store: &Store, level: &ContextLevel, id: ObjectId) -> Option<usize> {
        if !applies(Some(&level.setters), store.object(id).concrete) {
            return None;
        }
        let mut text = Vec::new();
        let read = read(store, &level.fields, id, &mut text);
        self.texts.push(read.map(|()| text));
        Some(self.texts.len() - 1)
    }

    /// The value for an object.
    ///
    /// # Errors
    /// Nothing above it sets the context, or the value could not be fetched.
    pub fn get(&self, object: ObjectId) -> Result<&[u8], Missing> {
        let text = self.of.get(&object).and_then(|index| self.texts.get(*index)).ok_or(Missing::Absent)?;
        text.as_deref().map_err(|missing| *missing)
    }
}

/// The objects of a value, in its lists.
fn children(store: &Store, value: Value) -> Vec<ObjectId> {
    let (mut found, mut open) = (Vec::new(), vec![value]);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(id) => found.push(id),
            Value::List(list) => open.extend(store.items(list).map(|item| store.get(item))),
            _ => {}
        }
    }
    found
}

/// Writes what stands at the end of the first field that applies to an object.
fn read(store: &Store, fields: &[RepresentationField], id: ObjectId, out: &mut Vec<u8>) -> Result<(), Missing> {
    let object = store.object(id);
    let applying = |field: &&RepresentationField| {
        field.value != RepresentationValue::Typename && applies(field.types.as_ref(), object.concrete)
    };
    match fields.iter().find(applying) {
        Some(field) => read_value(store, field, store.get(store.slot(&object, field.slot)), out),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

fn read_value(store: &Store, field: &RepresentationField, value: Value, out: &mut Vec<u8>) -> Result<(), Missing> {
    match (value, &field.value) {
        (Value::Null, _) => out.extend_from_slice(b"null"),
        (Value::Raw(raw), _) => out.extend_from_slice(store.text(raw)),
        (Value::List(list), _) => {
            out.push(b'[');
            for (index, item) in store.items(list).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                read_value(store, field, store.get(item), out)?;
            }
            out.push(b']');
        }
        (Value::Object(child), RepresentationValue::Object(fields)) => read(store, fields, child, out)?,
        (Value::Failed(failure), _) => return Err(Missing::Failed(failure)),
        (Value::Absent | Value::Object(_), _) => return Err(Missing::Absent),
    }
    Ok(())
}
