//! Answer: a subgraph's response body, `{"data":…,"errors":…}`, decoded into the objects that its fetch fills.
//!
//! Relies on `decode` and `merge`; relied on by `fetch`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Response-Format>

use std::borrow::Cow;

use supergraph::{
    ids::ReadId,
    plan::{EntityBatch, shape::Shape},
};

use super::{
    decode::{Decoder, Input},
    merge::{Blame, fail, share},
    represent::{Member, Representations},
    scan::Malformed,
    store::{ObjectId, Store},
};

/// What a body had besides the values that were decoded.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The text of `errors`, if any.
    pub errors: Option<&'a [u8]>,
    /// What `data` was.
    pub data: Data,
}

/// What `data` was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Not there.
    Missing,
    /// `null`.
    Null,
    /// Decoded.
    Taken,
}

/// What a fetch fills.
#[derive(Debug)]
pub enum Targets<'a> {
    /// These objects, all with `data` itself.
    Root(ReadId, Vec<ObjectId>),
    /// The objects of each `_entities` field.
    Entities(Vec<Part<'a>>),
}

/// One `_entities` field of a request.
#[derive(Debug)]
pub struct Part<'a> {
    /// What the plan says of it.
    pub batch: &'a EntityBatch,
    /// Its number, where the request has a field for each value of a context.
    pub number: Option<usize>,
    /// Its objects.
    pub all: Representations,
}

impl<'a> Part<'a> {
    /// Its response key.
    pub fn key(&self) -> Cow<'a, str> {
        self.name(&self.batch.key)
    }

    /// A name of the batch as it stands in this field.
    pub fn name(&self, name: &'a str) -> Cow<'a, str> {
        self.number.map_or(Cow::Borrowed(name), |number| format!("{name}_{number}").into())
    }
}

impl<'a> Targets<'a> {
    /// Every object with the read that fills it.
    pub fn iter(&self) -> impl Iterator<Item = (ReadId, ObjectId)> + '_ {
        let (root, parts) = match self {
            Self::Root(read, objects) => (Some((read, objects)), &[][..]),
            Self::Entities(parts) => (None, parts.as_slice()),
        };
        let root = root.into_iter().flat_map(|(read, objects)| objects.iter().map(|object| (*read, *object)));
        root.chain(parts.iter().flat_map(|part| part.all.members.iter().filter_map(|member| filled(part.batch, *member))))
    }

    /// The objects that item `index` of the `_entities` field `key` belongs to.
    pub fn members(&self, key: &str, index: u64) -> impl Iterator<Item = (ReadId, ObjectId)> + '_ {
        let parts = match self {
            Self::Root(..) => &[][..],
            Self::Entities(parts) => parts.as_slice(),
        };
        let part = parts.iter().find(|part| part.key() == key);
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        part.into_iter().flat_map(move |part| part.all.members_of(number).iter().filter_map(|member| filled(part.batch, *member)))
    }
}

/// A member's object and the read that fills it.
pub fn filled(batch: &EntityBatch, member: Member) -> Option<(ReadId, ObjectId)> {
    batch.at.get(member.position as usize).map(|position| (position.read, member.object))
}

/// Decodes a body into the objects of `targets`.
///
/// # Errors
/// The body is not a GraphQL response: not JSON, keys that come twice, or not one entity for each representation. Some values may
/// have been decoded before that was seen.
pub fn decode<'a>(input: Input<'a>, store: &mut Store, targets: &Targets<'_>) -> Result<Envelope<'a>, Malformed> {
    let mut envelope = Envelope { errors: None, data: Data::Missing };
    let mut decoder = Decoder::new(input, store);
    decoder.scan().expect(b'{')?;
    let mut is_open = !decoder.scan().take(b'}');
    while is_open {
        match decoder.scan().key()? {
            b"data" if envelope.data != Data::Missing => return Err(Malformed),
            b"data" => envelope.data = decode_data(&mut decoder, input, targets)?,
            b"errors" if envelope.errors.is_some() => return Err(Malformed),
            b"errors" => {
                let start = decoder.scan().position();
                let first = decoder.scan().value()?;
                let end = decoder.scan().position();
                envelope.errors = (first != b'n').then(|| decoder.scan().slice(start, end));
            }
            _ => {
                decoder.scan().value()?;
            }
        }
        is_open = decoder.scan().more(b'}')?;
    }
    decoder.scan().end()?;
    Ok(envelope)
}

fn decode_data(decoder: &mut Decoder<'_, '_>, input: Input<'_>, targets: &Targets<'_>) -> Result<Data, Malformed> {
    match decoder.scan().peek() {
        b'{' => {}
        b'n' => {
            decoder.scan().value()?;
            return Ok(Data::Null);
        }
        _ => return Err(Malformed),
    }
    match targets {
        Targets::Root(read, objects) => {
            let Some((first, rest)) = objects.split_first() else {
                decoder.scan().value()?;
                return Ok(Data::Taken);
            };
            if !decoder.object(*read, *first)? {
                return Err(Malformed);
            }
            for object in rest {
                share(decoder.store(), &input.plan.plan.shape, *read, *first, *object);
            }
        }
        Targets::Entities(parts) => return decode_parts(decoder, input, parts),
    }
    Ok(Data::Taken)
}

/// Decodes the lists of entities. `_entities` cannot be null: where one that was asked for is, or is not there, so is the data.
fn decode_parts(decoder: &mut Decoder<'_, '_>, input: Input<'_>, parts: &[Part<'_>]) -> Result<Data, Malformed> {
    let mut outcomes = vec![Data::Missing; parts.len()];
    decoder.scan().expect(b'{')?;
    let mut is_open = !decoder.scan().take(b'}');
    while is_open {
        let key = decoder.scan().key()?;
        let found = parts.iter().zip(&mut outcomes).find(|(part, _)| part.key().as_bytes() == key);
        match found {
            Some((part, outcome)) if *outcome == Data::Missing => {
                *outcome = decode_entities(decoder, input, part)?;
            }
            Some(_) => return Err(Malformed),
            None => {
                decoder.scan().value()?;
            }
        }
        is_open = decoder.scan().more(b'}')?;
    }
    let is_complete = parts.iter().zip(&outcomes).all(|(part, outcome)| part.all.count == 0 || *outcome == Data::Taken);
    Ok(if is_complete { Data::Taken } else { Data::Null })
}

/// Decodes the list of entities: item *i* into every object of representation *i*.
fn decode_entities(
    decoder: &mut Decoder<'_, '_>,
    input: Input<'_>,
    Part { batch, all, .. }: &Part<'_>,
) -> Result<Data, Malformed> {
    if decoder.scan().peek() == b'n' {
        return decoder.scan().value().map(|_| Data::Null);
    }
    decoder.scan().expect(b'[')?;
    let mut is_open = !decoder.scan().take(b']');
    let mut index = 0;
    while is_open {
        decode_entity(decoder, input, batch, all.members_of(index))?;
        index += 1;
        is_open = decoder.scan().more(b']')?;
    }
    // With one too many or too few nobody knows which item belongs to whom.
    if index == all.count { Ok(Data::Taken) } else { Err(Malformed) }
}

fn decode_entity(
    decoder: &mut Decoder<'_, '_>,
    input: Input<'_>,
    batch: &EntityBatch,
    members: &[Member],
) -> Result<(), Malformed> {
    let first_byte = decoder.scan().peek();
    if first_byte == b'n' || members.is_empty() {
        return decoder.scan().value().map(drop);
    }
    let start = decoder.scan().position();
    let before = decoder.store().checkpoint();
    for of_position in members.chunk_by(|one, other| one.position == other.position) {
        let mut objects = of_position.iter().filter_map(|member| filled(batch, *member));
        let Some((read, first)) = objects.next() else { return Err(Malformed) };
        decoder.scan().seek(start);
        let is_fitting = match first_byte {
            b'{' => decoder.object(read, first)?,
            _ => decoder.scan().value().map(|_| false)?,
        };
        let since = (first_byte == b'{').then_some((input.body, before));
        let blame = Blame { failure: input.mismatch, since };
        if !is_fitting {
            fail(decoder.store(), &input.plan.plan.shape, read, first, blame);
        }
        for (read, object) in objects {
            spread(decoder.store(), &input.plan.plan.shape, (read, first, object), is_fitting.then_some(()).ok_or(blame));
        }
    }
    Ok(())
}

/// Gives another object of the same representation what the first one got.
fn spread(store: &mut Store, shape: &Shape, (read, first, object): (ReadId, ObjectId, ObjectId), outcome: Result<(), Blame>) {
    match outcome {
        Ok(()) => share(store, shape, read, first, object),
        Err(blame) => fail(store, shape, read, object, blame),
    }
}
