//! The check of an answer that may be passed on, taken up again whenever more of the answer has arrived.
//!
//! Relied on by `fetch`, which reads answers with it, and by `run`. Relies on `body` for how bodies arrive.
//!
//! Input: a text of which more and more is there. Output: whether all of it is what the client gets, type names put in. Cost: one pass,
//! and memory for the depth of the operation and the names put in. A step of it is a key with a value's start or its whole; one whose end
//! is not there yet is done again later. Example: of `{ me { id } }`, `{"data":{"me":{"id":"1` is checked up to the inner brace. When
//! `"}}}` follows, the rest is checked, and the text is passed on; `{"data":{"me":{"id":1}}}` is not, since an id is a string.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Extensions;
use supergraph::plan::shape::LeafKind;

use super::{Expected, Field, Verbatim};
use crate::{
    body::Reader,
    execute::{
        leaf,
        prepared::Prepared,
        scan::{Malformed, Scanner},
        types::TypeNames,
    },
};

/// What was found out about an answer while it arrived.
#[derive(Clone, Debug)]
pub struct Checked {
    /// For which plan.
    pub plan: Arc<Prepared>,
    /// Whether it is what the client gets.
    pub is_passed: bool,
}

/// The check of one answer.
pub struct Check {
    plan: Arc<Prepared>,
    types: Arc<TypeNames>,
    /// Size up to which names are put in.
    limit: usize,
    progress: Progress,
    /// What is passed on, where names are put in.
    out: Vec<u8>,
    /// The names in it: where, and how long.
    put_in: Vec<(u32, u32)>,
    /// Bytes of the text that are in `out`.
    copied: usize,
    /// From how many bytes on the text is looked at again.
    again_from: usize,
    /// What came of it, at the end.
    outcome: Option<bool>,
}

#[derive(Default)]
struct Progress {
    /// Bytes of the text that are UTF-8.
    valid: usize,
    /// Bytes of it that are checked.
    at: usize,
    /// Whether its data have begun.
    is_begun: bool,
    /// The objects and lists that are open, innermost last.
    open: Vec<Open>,
}

/// An object or list that is open, and whether anything of it stood in the text.
#[derive(Clone, Copy)]
enum Open {
    /// With the number of its next field.
    Object { set: u32, next: u32, is_begun: bool },
    /// Of a field, under so many others.
    List { set: u32, field: u32, level: u8, is_begun: bool },
}

/// The text is not what the client gets, or not yet.
#[derive(Clone, Copy, Debug)]
struct Differs;

impl From<Malformed> for Differs {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// What a step does.
enum Step {
    /// The innermost object or list goes on like this.
    Next(Open),
    /// In it another one begins.
    Begin(Open, Open),
    /// It ends.
    End,
    /// A name is put in, and it goes on like this.
    PutIn(Open),
}

impl Check {
    /// The check of an answer to this plan's only fetch, in which names are put in up to a size.
    pub fn new(plan: Arc<Prepared>, types: Arc<TypeNames>, limit: usize) -> Self {
        let progress = Progress::default();
        Self { plan, types, limit, progress, out: Vec::new(), put_in: Vec::new(), copied: 0, again_from: 0, outcome: None }
    }

    /// What the client gets of an answer that is all there; `None` where that must be found out otherwise.
    pub fn whole(mut self, text: &Bytes) -> Option<Bytes> {
        if text.len() > self.limit || !self.advance(text, true) {
            return None;
        }
        if self.put_in.is_empty() {
            return Some(text.clone());
        }
        self.copy(text, text.len());
        (self.out.len() <= self.limit).then(|| self.out.into())
    }

    /// Goes on as far as what is there lets it; whether the text, if it is all there, is what the client gets.
    fn advance(&mut self, text: &[u8], is_whole: bool) -> bool {
        let plan = self.plan.clone();
        let Some(verbatim) = &plan.verbatim else { return false };
        match std::str::from_utf8(text.get(self.progress.valid..).unwrap_or_default()) {
            Ok(_) => self.progress.valid = text.len(),
            Err(error) if error.error_len().is_none() && !is_whole => self.progress.valid += error.valid_up_to(),
            Err(_) => return false,
        }
        let scan = Scanner::new(text.get(..self.progress.valid).unwrap_or_default());
        let mut reading = Reading { scan, verbatim, plan: &plan, types: &self.types.clone() };
        if !self.progress.is_begun {
            let Ok(root) = reading.begin() else { return false };
            self.progress = Progress { is_begun: true, at: reading.scan.position(), open: vec![root], ..self.progress };
        }
        reading.scan.seek(self.progress.at);
        while let Some(top) = self.progress.open.last_mut() {
            reading.leaves(top);
            self.progress.at = reading.scan.position();
            let step = reading.step(*top);
            let at = reading.scan.position();
            // A number that ends with what is there may go on.
            let (Ok(step), true) = (step, is_whole || at < text.len()) else { return false };
            match step {
                Step::Next(next) => *top = next,
                Step::Begin(next, inner) => {
                    *top = next;
                    self.progress.open.push(inner);
                }
                Step::End => drop(self.progress.open.pop()),
                Step::PutIn(next) => {
                    let Open::Object { set, next: following, is_begun } = next else { return false };
                    *top = next;
                    let Some(field) = verbatim.field(set, following - 1) else { return false };
                    self.put_in(text, field, is_begun);
                    if self.out.len() > self.limit {
                        return false;
                    }
                }
            }
            self.progress.at = at;
        }
        is_whole && reading.end().is_ok()
    }

    /// Puts a type's name in after what is checked: after a field of the text, or before the first.
    fn put_in(&mut self, text: &[u8], field: &Field, is_begun: bool) {
        let Expected::Missing(id) = field.value else { return };
        if self.out.capacity() == 0 {
            self.out.reserve_exact(text.len() + text.len() / 4);
        }
        self.copy(text, self.progress.at);
        let start = self.out.len();
        let (before, after): (&[u8], &[u8]) = if is_begun { (b",\"", b"\"") } else { (b"\"", b"\",") };
        for part in [before, field.name.as_bytes(), b"\":\"", self.types.name(id).as_bytes(), after] {
            self.out.extend_from_slice(part);
        }
        // Past the limit, which is less than what 32 bits count, nothing is put in.
        self.put_in.push((start as u32, (self.out.len() - start) as u32));
    }

    /// Copies the text up to a position.
    fn copy(&mut self, text: &[u8], end: usize) {
        self.out.extend_from_slice(text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    /// Takes the names out again.
    fn take_out(&mut self) {
        let (mut kept, mut read) = (0, 0);
        for (start, length) in std::mem::take(&mut self.put_in) {
            let (start, end) = (start as usize, start as usize + length as usize);
            self.out.copy_within(read..start, kept);
            kept += start - read;
            read = end;
        }
        self.out.copy_within(read.., kept);
        self.out.truncate(kept + self.out.len() - read);
    }
}

impl Reader for Check {
    fn more(&mut self, text: &mut Vec<u8>) {
        if text.len() < self.again_from {
            return;
        }
        let is_completed = self.plan.verbatim.as_ref().is_some_and(|verbatim| verbatim.is_completed);
        if is_completed && self.out.capacity() == 0 {
            // There is room for all that was announced; growing a large buffer would take half as much again while it is copied.
            self.out.reserve_exact(text.capacity() + text.capacity() / 4);
        }
        self.advance(text, false);
        if is_completed {
            let at = self.progress.at;
            self.copy(text, at);
            text.drain(..at);
            self.progress.valid -= at;
            (self.progress.at, self.copied) = (0, 0);
        }
        // A value whose end is not there is looked at again when twice as much of it is.
        self.again_from = text.len() + (text.len() - self.progress.at);
    }

    fn end(&mut self, text: Vec<u8>) -> Bytes {
        let is_passed = self.advance(&text, true);
        if self.out.is_empty() {
            self.outcome = Some(is_passed && text.len() <= self.limit);
            return text.into();
        }
        if !is_passed {
            self.take_out();
        }
        self.copy(&text, text.len());
        self.outcome = Some(is_passed && self.out.len() <= self.limit);
        std::mem::take(&mut self.out).into()
    }

    fn tell(&self, extensions: &mut Extensions) {
        if let Some(is_passed) = self.outcome {
            extensions.insert(Checked { plan: self.plan.clone(), is_passed });
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Check").field("at", &self.progress.at).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// What is there of a text.
struct Reading<'a> {
    scan: Scanner<'a>,
    verbatim: &'a Verbatim,
    plan: &'a Prepared,
    types: &'a TypeNames,
}

impl Reading<'_> {
    /// Takes everything before the first field.
    fn begin(&mut self) -> Result<Open, Differs> {
        self.scan.expect(b'{')?;
        if !self.scan.take_key("data") {
            return Err(Differs);
        }
        self.scan.expect(b'{')?;
        let root = u32::try_from(self.verbatim.sets.len()).map_err(|_| Differs)?.wrapping_sub(1);
        Ok(Open::Object { set: root, next: 0, is_begun: false })
    }

    /// Takes everything after the last field.
    fn end(&mut self) -> Result<(), Differs> {
        self.scan.expect(b'}')?;
        Ok(self.scan.end()?)
    }

    /// Takes what comes next in the innermost object or list.
    #[inline]
    fn step(&mut self, top: Open) -> Result<Step, Differs> {
        match top {
            Open::Object { set, next, is_begun } => {
                let Some(field) = self.verbatim.field(set, next) else {
                    self.scan.expect(b'}')?;
                    return Ok(Step::End);
                };
                if let Expected::Missing(_) = field.value {
                    return Ok(Step::PutIn(Open::Object { set, next: next + 1, is_begun }));
                }
                self.key(field, is_begun)?;
                self.value((set, next), field, 0, Open::Object { set, next: next + 1, is_begun: true })
            }
            Open::List { set, field, level, is_begun } => {
                if is_begun && !self.scan.more(b']')? {
                    return Ok(Step::End);
                }
                let expected = self.verbatim.field(set, field).ok_or(Differs)?;
                self.value((set, field), expected, level + 1, Open::List { set, field, level, is_begun: true })
            }
        }
    }

    /// Takes the leaves that come next, as far as they stand there without spaces and none of them is null: as most do.
    fn leaves(&mut self, top: &mut Open) {
        match top {
            Open::Object { set, next, is_begun } => {
                let fields = self.verbatim.sets.get(*set as usize).map_or(&[][..], |fields| fields);
                for field in fields.get(*next as usize..).unwrap_or_default() {
                    let start = self.scan.position();
                    let is_next = (!*is_begun || self.scan.take_next(b',')) && self.scan.take_expected(&field.key);
                    if field.wrap.lists > 0 || !is_next || !self.leaf(field.value) {
                        return self.scan.seek(start);
                    }
                    *next += 1;
                    *is_begun = true;
                }
            }
            Open::List { set, field, level, is_begun } => {
                let Some(field) = self.verbatim.field(*set, *field).filter(|field| field.wrap.lists == *level + 1) else {
                    return;
                };
                loop {
                    let start = self.scan.position();
                    if *is_begun && !self.scan.take_next(b',') || !self.leaf(field.value) {
                        return self.scan.seek(start);
                    }
                    *is_begun = true;
                }
            }
        }
    }

    /// Takes a leaf that is written as it stands, and not the last of what is there.
    #[inline]
    fn leaf(&mut self, value: Expected) -> bool {
        let Expected::Leaf(kind) = value else { return false };
        let is_plain = match kind {
            LeafKind::String | LeafKind::Id => self.scan.take_next(b'"') && self.scan.rest_of_string().is_ok(),
            LeafKind::Int => (1..=9).contains(&self.scan.take_digits()),
            LeafKind::Float | LeafKind::Boolean | LeafKind::Enum(_) => {
                let start = self.scan.position();
                let is_value = self.scan.value().is_ok();
                is_value && leaf::is_final(&self.plan.plan.shape, kind, self.scan.slice(start, self.scan.position()))
            }
            LeafKind::Any => false,
        };
        is_plain && self.scan.position() < self.scan.len()
    }

    fn key(&mut self, field: &Field, is_begun: bool) -> Result<(), Differs> {
        if is_begun {
            self.scan.expect(b',')?;
        }
        if self.scan.take_expected(&field.key) || self.scan.take_key(&field.name) { Ok(()) } else { Err(Differs) }
    }

    /// Takes a value under `level` lists of its field, or its start; then it goes on like `next`.
    #[inline]
    fn value(&mut self, place: (u32, u32), field: &Field, level: u8, next: Open) -> Result<Step, Differs> {
        if self.scan.peek() == b'n' {
            self.scan.value()?;
            return if field.wrap.non_null >> level & 1 == 0 { Ok(Step::Next(next)) } else { Err(Differs) };
        }
        if level < field.wrap.lists {
            self.scan.expect(b'[')?;
            if self.scan.take(b']') {
                return Ok(Step::Next(next));
            }
            return Ok(Step::Begin(next, Open::List { set: place.0, field: place.1, level, is_begun: false }));
        }
        let kind = match field.value {
            Expected::Object(set) => {
                self.scan.expect(b'{')?;
                return Ok(Step::Begin(next, Open::Object { set, next: 0, is_begun: false }));
            }
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
        if is_expected && leaf::is_final(&self.plan.plan.shape, kind, text) { Ok(Step::Next(next)) } else { Err(Differs) }
    }
}
