//! Verbatim: subgraph answers that are what the client gets, so that they are neither decoded nor written.
//!
//! Where one fetch answers a whole operation and its document has the client's fields in the client's order, a right answer of the
//! subgraph is a right answer for the client. Only a `__typename` that the plan knows is not in it, and is put in. Whether a plan is
//! such a one is settled when it is made; whether an answer is right is checked on its text: the keys in order, nothing else, nulls
//! only where they may be, leaves that would be written as they stand. Everything else goes the way of all answers. Relies on `scan`
//! and `leaf`; relied on by `prepared` and `run`.
//!
//! Input: a body in UTF-8. Output: what is passed on, if it can be; the body itself where nothing is put in. Cost: one pass, and memory
//! for the depth of the operation. Example: for `{ me { id } }`, `{"data":{"me":{"id":"1"}}}` is passed on, and
//! `{"data":{"me":{"id":1}}}` is not, since an id is a string.

use bytes::Bytes;
use supergraph::{
    ids::{Id, LayoutId, ReadId, TypeId},
    plan::{
        Plan, Target,
        shape::{LeafKind, OutputField, OutputValue, ReadField, ReadValue, Shape, Wrap},
    },
};

use super::{
    leaf,
    scan::{Malformed, Scanner},
    types::TypeNames,
};

/// What an answer must look like.
#[derive(Debug)]
pub struct Verbatim {
    /// The fields of each selection set; the root's are the last.
    sets: Vec<Vec<Field>>,
}

#[derive(Debug)]
struct Field {
    key: Box<str>,
    wrap: Wrap,
    value: Expected,
}

/// What stands inside a field's lists.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The name of this type.
    Typename(TypeId),
    /// Nothing: there the name of this type is put in.
    Missing(TypeId),
    Leaf(LeafKind),
    /// An object with the fields of this set.
    Object(usize),
}

/// The text is not what the client gets.
#[derive(Clone, Copy, Debug)]
struct Differs;

impl From<Malformed> for Differs {
    fn from(_: Malformed) -> Self {
        Self
    }
}

impl Verbatim {
    /// What the answer of a plan's only fetch must look like; `None` when it is never the client's.
    pub fn of(plan: &Plan) -> Option<Self> {
        let mut fetches = plan.fetches.iter();
        let (Some((_, fetch)), None, None) = (fetches.next(), fetches.next(), &plan.introspection) else { return None };
        let Target::Root { layout, read } = fetch.target else { return None };
        if fetch.condition.is_some() || layout != LayoutId::new(0) {
            return None;
        }
        let mut sets = Vec::new();
        set(&plan.shape, layout, read, &mut sets)?;
        Some(Self { sets })
    }

    /// What the client gets of this answer, in at most `limit` bytes; `None` where that must be found out otherwise.
    pub fn pass(&self, text: &Bytes, (shape, types): (&Shape, &TypeNames), limit: usize) -> Option<Bytes> {
        let (scan, open, out) = (Scanner::new(text), Vec::new(), Vec::new());
        let mut reading = Reading { scan, sets: &self.sets, open, shape, types, out, copied: 0, limit };
        reading.answer().ok()?;
        if reading.copied == 0 {
            return Some(text.clone()).filter(|text| text.len() <= limit);
        }
        reading.copy_to(text.len()).ok()?;
        Some(reading.out.into())
    }
}

/// Adds a selection set after those below it; `None` when its answer cannot be the client's. Plans are as deep as the operation.
fn set(shape: &Shape, layout: LayoutId, read: ReadId, sets: &mut Vec<Vec<Field>>) -> Option<usize> {
    let (layout, read) = (shape.layouts.get(layout)?, shape.reads.get(read)?);
    let object_type = layout.object_type.filter(|_| layout.orders.is_empty())?;
    let mut taken = read.fields.iter();
    let mut fields = Vec::with_capacity(layout.fields.len());
    let is_told = |at: usize, field: &OutputField| at == 0 && read.typename.as_ref() == Some(&field.key);
    for (at, shown) in layout.fields.iter().enumerate() {
        let value = match &shown.value {
            OutputValue::Typename if is_told(at, shown) => Expected::Typename(object_type),
            OutputValue::Typename => Expected::Missing(object_type),
            OutputValue::Leaf(kind) => taken
                .next()
                .filter(|taken| is_same(shown, taken) && taken.value == ReadValue::Leaf)
                .map(|_| Expected::Leaf(*kind))?,
            OutputValue::Object(layout) => match taken.next().filter(|taken| is_same(shown, taken))?.value {
                ReadValue::Object(read) => Expected::Object(set(shape, *layout, read, sets)?),
                ReadValue::Leaf => return None,
            },
            OutputValue::Denied(_) => return None,
        };
        fields.push(plain(shown, value)?);
    }
    let is_in_text = |field: &Field| !matches!(field.value, Expected::Missing(_));
    let is_told = fields.first().is_some_and(|field| matches!(field.value, Expected::Typename(_)));
    if taken.next().is_some() || read.typename.is_some() != is_told || !fields.iter().any(is_in_text) {
        return None;
    }
    sets.push(fields);
    Some(sets.len() - 1)
}

/// A field that is written for every object.
fn plain(field: &OutputField, value: Expected) -> Option<Field> {
    let is_plain = field.types.is_none() && field.condition.is_none() && field.unreachable.is_none();
    is_plain.then(|| Field { key: field.key.clone(), wrap: field.wrap, value })
}

fn is_same(shown: &OutputField, taken: &ReadField) -> bool {
    shown.key == taken.key && shown.slot == taken.slot && taken.types.is_none() && shown.wrap.lists == taken.lists
}

/// A text that is being compared.
struct Reading<'a> {
    scan: Scanner<'a>,
    sets: &'a [Vec<Field>],
    /// The objects and lists that are open, innermost last.
    open: Vec<Open<'a>>,
    shape: &'a Shape,
    types: &'a TypeNames,
    /// What is passed on, once something was put in.
    out: Vec<u8>,
    /// Bytes of the text that are in `out`.
    copied: usize,
    limit: usize,
}

enum Open<'a> {
    /// With the number of its next field, and whether any stood in the text.
    Object {
        fields: &'a [Field],
        next: usize,
        is_begun: bool,
    },
    List {
        field: &'a Field,
        level: u8,
        is_begun: bool,
    },
}

impl<'a> Reading<'a> {
    fn answer(&mut self) -> Result<(), Differs> {
        self.scan.expect(b'{')?;
        self.key("data")?;
        self.object(self.sets.len().wrapping_sub(1))?;
        while !self.open.is_empty() {
            self.next()?;
        }
        self.scan.expect(b'}')?;
        Ok(self.scan.end()?)
    }

    fn key(&mut self, key: &str) -> Result<(), Differs> {
        if self.scan.take_key(key) { Ok(()) } else { Err(Differs) }
    }

    /// Takes what comes next in the innermost object or list.
    #[inline]
    fn next(&mut self) -> Result<(), Differs> {
        match self.open.last_mut() {
            None => Ok(()),
            Some(Open::Object { fields, next, is_begun }) => {
                let Some(field) = fields.get(*next) else {
                    self.open.pop();
                    return Ok(self.scan.expect(b'}')?);
                };
                *next += 1;
                if let Expected::Missing(id) = field.value {
                    let is_begun = *is_begun;
                    return self.put_in(&field.key, id, is_begun);
                }
                if std::mem::replace(is_begun, true) {
                    self.scan.expect(b',')?;
                }
                self.key(&field.key)?;
                self.value(field, 0)
            }
            Some(Open::List { field, level, is_begun }) => {
                let (field, level) = (*field, *level);
                if std::mem::replace(is_begun, true) && !self.scan.more(b']')? {
                    self.open.pop();
                    return Ok(());
                }
                self.value(field, level + 1)
            }
        }
    }

    /// Takes a value under `level` lists of its field, or its start.
    #[inline]
    fn value(&mut self, field: &'a Field, level: u8) -> Result<(), Differs> {
        if self.scan.peek() == b'n' {
            self.scan.value()?;
            return if field.wrap.non_null >> level & 1 == 0 { Ok(()) } else { Err(Differs) };
        }
        if level < field.wrap.lists {
            self.scan.expect(b'[')?;
            if !self.scan.take(b']') {
                self.open.push(Open::List { field, level, is_begun: false });
            }
            return Ok(());
        }
        let kind = match field.value {
            Expected::Object(set) => return self.object(set),
            Expected::Typename(_) | Expected::Missing(_) => LeafKind::String,
            Expected::Leaf(kind) => kind,
        };
        let start = self.scan.position();
        self.scan.value()?;
        let text = self.scan.slice(start, self.scan.position());
        let is_expected = match field.value {
            Expected::Typename(id) => text.get(1..text.len() - 1) == Some(self.types.name(id).as_bytes()),
            _ => true,
        };
        if is_expected && leaf::is_final(self.shape, kind, text) { Ok(()) } else { Err(Differs) }
    }

    fn object(&mut self, set: usize) -> Result<(), Differs> {
        self.scan.expect(b'{')?;
        let fields = self.sets.get(set).ok_or(Differs)?;
        self.open.push(Open::Object { fields, next: 0, is_begun: false });
        Ok(())
    }

    /// Puts a type's name in, where the cursor is: after a field of the text, or before the first.
    fn put_in(&mut self, key: &str, id: TypeId, is_begun: bool) -> Result<(), Differs> {
        self.copy_to(self.scan.position())?;
        let (before, after): (&[u8], &[u8]) = if is_begun { (b",\"", b"\"") } else { (b"\"", b"\",") };
        for part in [before, key.as_bytes(), b"\":\"", self.types.name(id).as_bytes(), after] {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    /// Copies the text up to a position.
    fn copy_to(&mut self, end: usize) -> Result<(), Differs> {
        if self.copied == 0 {
            // Growing a large buffer would take half as much again while it is copied.
            self.out.reserve_exact(self.scan.len() + self.scan.len() / 4);
        }
        self.out.extend_from_slice(self.scan.slice(self.copied, end));
        self.copied = end;
        if self.out.len() > self.limit { Err(Differs) } else { Ok(()) }
    }
}
