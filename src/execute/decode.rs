//! Decode: a subgraph's JSON straight into the store's rows, directed by the plan's reads.
//!
//! Answers come in the order of the fetch's document, so each key is compared with the expected next field first. Scalars are
//! scanned, not parsed. Relies on `scan` and `store`; relied on by `fetch`.
//!
//! Input: a body, the objects to fill and a read. Output: values in their rows. Cost: one pass over the body (a second look at an
//! object whose `__typename` does not come first). Example: `{"id":"1","reviews":[{"id":"7"}]}` decoded into the row of a user
//! sets slot `id` to the bytes `"1"` and slot `reviews` to a list of one new object, which later fetches find by its layout.

use supergraph::{
    ids::{ReadId, TypeId},
    plan::shape::{Read, ReadField, ReadValue, Shape, TypeSet},
};

use super::{
    prepared::Prepared,
    scan::{Malformed, Scanner},
    short::Expected,
    store::{BodyId, FailureId, Object, ObjectId, Raw, Store, Value},
    types::{TypeName, TypeNames},
};

/// Decodes one body into the store.
pub struct Decoder<'a, 's> {
    scan: Scanner<'a>,
    store: &'s mut Store,
    plan: &'a Prepared,
    shape: &'a Shape,
    types: &'a TypeNames,
    body: BodyId,
    /// What values of a wrong kind become.
    mismatch: FailureId,
    /// Items of the lists that are open, innermost last.
    stack: Vec<Value>,
    /// The type name met last: most objects of a list have one type.
    latest: (&'a [u8], TypeName),
}

/// What a body is decoded with.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The text, which is UTF-8.
    pub text: &'a [u8],
    /// The same text as the store knows it.
    pub body: BodyId,
    /// The plan.
    pub plan: &'a Prepared,
    /// The supergraph's types.
    pub types: &'a TypeNames,
    /// What values of a wrong kind become.
    pub mismatch: FailureId,
}

/// Whether a field or position with this type condition applies to an object of this concrete type.
#[inline]
pub fn applies(types: Option<&TypeSet>, concrete: Option<TypeId>) -> bool {
    match types {
        None => true,
        Some(types) => concrete.is_some_and(|id| types.contains(id)),
    }
}

impl<'a, 's> Decoder<'a, 's> {
    /// A decoder at the start of a body.
    pub fn new(input: Input<'a>, store: &'s mut Store) -> Self {
        Self {
            scan: Scanner::new(input.text),
            store,
            plan: input.plan,
            shape: &input.plan.plan.shape,
            types: input.types,
            body: input.body,
            mismatch: input.mismatch,
            stack: Vec::new(),
            latest: (b"", TypeName::Unknown),
        }
    }

    /// The cursor, for what stands around the objects.
    pub fn scan(&mut self) -> &mut Scanner<'a> {
        &mut self.scan
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store {
        self.store
    }

    /// Decodes the object that comes next into the row of `object`. False when its `__typename` contradicts what is known: then
    /// nothing of it was taken, unless a name that was not asked for came late; what came before it must be taken back.
    ///
    /// # Errors
    /// The text is not JSON, or a key comes twice.
    pub fn object(&mut self, read: ReadId, object: ObjectId) -> Result<bool, Malformed> {
        let shape = self.shape;
        let expected = self.plan.expected_of(read);
        let Some(read) = shape.reads.get(read) else { return Err(Malformed) };
        self.scan.peek();
        let start = self.scan.position();
        self.scan.expect(b'{')?;
        let mut fields = Fields { read, expected, next: 0, skipped: Vec::new(), typenames: 0, is_typename: false };
        let mut is_open = !self.scan.take(b'}');
        let name = match &read.typename {
            Some(key) if is_open && self.scan.take_key(key) => {
                fields.typenames = 1;
                let name = self.typename()?;
                is_open = self.scan.more(b'}')?;
                Some(name)
            }
            Some(key) if is_open => self.find_typename(key)?,
            _ => None,
        };
        if !self.settle_type(read, object, name) {
            self.scan.seek(start);
            self.scan.value()?;
            return Ok(false);
        }
        let row = self.store.object(object);
        while is_open {
            match fields.take(&mut self.scan, row.concrete)? {
                Some(field) if field.types.is_some() && row.concrete.is_none() => self.each(read, &field.key, &row)?,
                Some(field) => self.field(field, &row)?,
                None if std::mem::take(&mut fields.is_typename) => {
                    let name = self.typename()?;
                    if self.is_contradicted(read, &row, name) {
                        self.scan.seek(start);
                        self.scan.value()?;
                        return Ok(false);
                    }
                }
                None => self.scan.value().map(drop)?,
            }
            is_open = self.scan.more(b'}')?;
        }
        Ok(true)
    }

    /// Whether a type name that nobody asked for contradicts what is known. A subgraph may have names of its own for the root types.
    #[cold]
    fn is_contradicted(&mut self, read: &Read, row: &Object, name: &'a [u8]) -> bool {
        let Some(known) = row.concrete.or(read.object_type) else { return false };
        match self.type_named(name) {
            TypeName::Object(said) => said != known,
            TypeName::Abstract => false,
            TypeName::Unknown => !self.types.is_root(known),
        }
    }

    /// Decodes the value of a field that comes next.
    fn field(&mut self, field: &'a ReadField, row: &Object) -> Result<(), Malformed> {
        let place = self.store.slot(row, field.slot);
        let old = self.store.get(place);
        let new = self.value(field, 0, old)?;
        self.store.set(place, new);
        Ok(())
    }

    /// Decodes the value that comes next for every field of this key: a later fetch tells the object's type, and with it which of
    /// them counts.
    fn each(&mut self, read: &'a Read, key: &str, row: &Object) -> Result<(), Malformed> {
        let start = self.scan.position();
        for field in read.fields.iter().filter(|field| *field.key == *key) {
            self.scan.seek(start);
            self.field(field, row)?;
        }
        Ok(())
    }

    /// Decodes the value that comes next, under `level` lists, where `old` stands; returns what stands there now.
    fn value(&mut self, field: &'a ReadField, level: u8, old: Value) -> Result<Value, Malformed> {
        if level < field.lists {
            return self.list(field, level, old);
        }
        match field.value {
            ReadValue::Leaf => {
                self.scan.peek();
                let start = self.scan.position();
                let first = self.scan.value()?;
                let new = match first {
                    b'n' => Value::Null,
                    _ => Value::Raw(Raw::new(self.body, start, self.scan.position())),
                };
                Ok(newer(old, new))
            }
            ReadValue::Object(read) => match self.scan.peek() {
                b'{' => self.child(read, old),
                _ => self.other(old),
            },
        }
    }

    /// Decodes an object into the one that is there, or into a new one.
    fn child(&mut self, read: ReadId, old: Value) -> Result<Value, Malformed> {
        if let Value::Object(id) = old {
            self.object(read, id)?;
            return Ok(old);
        }
        let Some(layout) = self.shape.reads.get(read).map(|read| read.layout) else { return Err(Malformed) };
        let id = self.store.add_object(self.shape, layout);
        if self.object(read, id)? {
            return Ok(Value::Object(id));
        }
        self.store.withdraw(id);
        Ok(Value::Failed(self.mismatch))
    }

    fn list(&mut self, field: &'a ReadField, level: u8, old: Value) -> Result<Value, Malformed> {
        if self.scan.peek() != b'[' {
            return self.other(old);
        }
        self.scan.expect(b'[')?;
        let mut is_open = !self.scan.take(b']');
        if let Value::List(id) = old {
            let mut places = self.store.items(id);
            while is_open {
                match places.next() {
                    Some(place) => {
                        let item = self.store.get(place);
                        let item = self.value(field, level + 1, item)?;
                        self.store.set(place, item);
                    }
                    None => {
                        self.scan.value()?;
                    }
                }
                is_open = self.scan.more(b']')?;
            }
            return Ok(old);
        }
        let base = self.stack.len();
        while is_open {
            let item = self.value(field, level + 1, Value::Absent)?;
            self.stack.push(item);
            is_open = self.scan.more(b']')?;
        }
        Ok(Value::List(self.store.add_list(self.stack.drain(base..))))
    }

    /// Takes `null`, or a value of a wrong kind, where an object or a list was expected.
    fn other(&mut self, old: Value) -> Result<Value, Malformed> {
        let new = match self.scan.value()? {
            b'n' => Value::Null,
            _ => Value::Failed(self.mismatch),
        };
        Ok(newer(old, new))
    }

    /// Takes a `__typename`'s value; empty when it is no string.
    fn typename(&mut self) -> Result<&'a [u8], Malformed> {
        self.scan.peek();
        let start = self.scan.position();
        let first = self.scan.value()?;
        let end = self.scan.position();
        Ok(if first == b'"' { self.scan.slice(start + 1, end - 1) } else { b"" })
    }

    /// Looks for the `__typename` of the object whose first key comes next; the cursor stays.
    fn find_typename(&mut self, key: &str) -> Result<Option<&'a [u8]>, Malformed> {
        let start = self.scan.position();
        let mut found = None;
        loop {
            if self.scan.take_key(key) {
                found = Some(self.typename()?);
                break;
            }
            self.scan.key()?;
            self.scan.value()?;
            if !self.scan.more(b'}')? {
                break;
            }
        }
        self.scan.seek(start);
        Ok(found)
    }

    /// Settles the concrete type of an object; false when what the subgraph says contradicts what is known.
    fn settle_type(&mut self, read: &Read, object: ObjectId, name: Option<&'a [u8]>) -> bool {
        let known = self.store.object(object).concrete;
        let said = match name {
            Some(name) => match self.type_named(name) {
                TypeName::Object(id) => Some(id),
                TypeName::Abstract => known,
                TypeName::Unknown => return false,
            },
            None => read.object_type.or(known),
        };
        let is_contradiction = |other: Option<TypeId>| said.zip(other).is_some_and(|(said, other)| said != other);
        if is_contradiction(known) || is_contradiction(read.object_type) {
            return false;
        }
        if let (None, Some(said)) = (known, said) {
            self.store.set_concrete(object, said);
        }
        true
    }

    fn type_named(&mut self, name: &'a [u8]) -> TypeName {
        if self.latest.0 != name || name.is_empty() {
            self.latest = (name, self.types.find(name));
        }
        self.latest.1
    }
}

/// What stays where `old` stands and `new` arrives: the first value, unless there was none.
fn newer(old: Value, new: Value) -> Value {
    match old {
        Value::Absent | Value::Failed(_) => new,
        Value::Null if !matches!(new, Value::Failed(_)) => new,
        _ => old,
    }
}

/// The fields of an object that is being decoded: which is expected next, and which were passed over.
struct Fields<'a> {
    read: &'a Read,
    /// Their keys.
    expected: &'a [Expected],
    next: usize,
    /// Fields before `next` that have not come, in case they come later. Empty while the answer is in order.
    skipped: Vec<usize>,
    typenames: usize,
    /// The key that was just passed over is a `__typename` that was not asked for.
    is_typename: bool,
}

impl<'a> Fields<'a> {
    /// Takes the next key; `None` when nothing is read from it.
    #[inline]
    fn take(&mut self, scan: &mut Scanner<'a>, concrete: Option<TypeId>) -> Result<Option<&'a ReadField>, Malformed> {
        while let Some(field) = self.read.fields.get(self.next) {
            if may_apply(field, concrete) {
                let is_next = self.expected.get(self.next).is_some_and(|key| scan.take_expected(key));
                if is_next || scan.take_key(&field.key) {
                    self.next += 1;
                    self.pass_over(field, concrete);
                    return Ok(Some(field));
                }
                break;
            }
            self.next += 1;
        }
        self.search(scan.key()?, concrete)
    }

    /// Without a concrete type, fields of one key are taken together; the others of the key do not come again.
    #[inline]
    fn pass_over(&mut self, taken: &ReadField, concrete: Option<TypeId>) {
        if concrete.is_none() && taken.types.is_some() {
            while self.read.fields.get(self.next).is_some_and(|field| field.key == taken.key) {
                self.next += 1;
            }
        }
    }

    /// The field of a key that was not the expected one.
    #[cold]
    fn search(&mut self, key: &[u8], concrete: Option<TypeId>) -> Result<Option<&'a ReadField>, Malformed> {
        let unescaped = unescape(key)?;
        let key = unescaped.as_deref().unwrap_or(key);
        if self.read.typename.as_ref().is_some_and(|typename| typename.as_bytes() == key) {
            self.typenames += 1;
            return if self.typenames > 1 { Err(Malformed) } else { Ok(None) };
        }
        let is_it = |field: &ReadField| field.key.as_bytes() == key && may_apply(field, concrete);
        let Some(index) = self.read.fields.iter().position(is_it) else {
            self.is_typename = key == b"__typename";
            return Ok(None);
        };
        if index >= self.next {
            self.skipped.extend(self.next..index);
            self.next = index + 1;
            if let Some(field) = self.read.fields.get(index) {
                self.pass_over(field, concrete);
            }
        } else {
            // A key that is neither ahead nor passed over has come before.
            let passed = self.skipped.iter().position(|&skipped| skipped == index).ok_or(Malformed)?;
            self.skipped.swap_remove(passed);
        }
        Ok(self.read.fields.get(index))
    }
}

/// Whether a field may count for an object of this concrete type; any may while the type is not known.
#[inline]
fn may_apply(field: &ReadField, concrete: Option<TypeId>) -> bool {
    concrete.is_none() || applies(field.types.as_ref(), concrete)
}

/// The key without escapes, when it has any.
fn unescape(key: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    if !key.contains(&b'\\') {
        return Ok(None);
    }
    let quoted = [b"\"", key, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map(|key| Some(key.into_bytes())).map_err(|_| Malformed)
}
