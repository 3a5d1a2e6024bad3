//! Prepared: a plan with everything about its execution that can be computed before the first request.
//!
//! Relied on by `execute` and by the plan cache, which keeps it. Relies on `supergraph::plan`.

use std::sync::atomic::{AtomicUsize, Ordering};

use supergraph::{
    ids::{FetchId, Id, IdVec, LayoutId, ReadId},
    plan::Plan,
};

use super::{
    short::{Expected, Written},
    store::{Sizes, Store},
    verbatim::Verbatim,
};

/// Least capacity of a new buffer.
const MIN_CAPACITY: usize = 512;
/// Most bytes that are reserved ahead: one huge answer must not make all later ones expensive.
const MAX_CAPACITY: usize = 1 << 20;

/// A plan that is ready to be run.
#[derive(Debug)]
pub struct Prepared {
    /// The plan, without the texts that only its printing needs.
    pub plan: Plan,
    /// For each fetch, its request body up to the variables.
    heads: IdVec<FetchId, Box<[u8]>>,
    /// For each layout, the keys of its fields as they are written.
    keys: IdVec<LayoutId, Box<[Written]>>,
    /// For each read, the keys of its fields as they are expected.
    expected: IdVec<ReadId, Box<[Expected]>>,
    /// For each fetch, the fetches that wait for it.
    dependents: IdVec<FetchId, Vec<FetchId>>,
    /// What an answer must look like that is passed on as it came, where one can be.
    pub verbatim: Option<Verbatim>,
    /// Size of the latest answer.
    bytes: AtomicUsize,
    /// Size of its store.
    pub sizes: Sizes,
}

impl Prepared {
    /// Prepares a plan.
    pub fn new(plan: Plan) -> Self {
        let mut prepared = Self {
            heads: IdVec::default(),
            keys: IdVec::default(),
            expected: IdVec::default(),
            dependents: IdVec::default(),
            bytes: AtomicUsize::default(),
            sizes: Sizes::default(),
            verbatim: Verbatim::of(&plan),
            plan,
        };
        for (_, fetch) in prepared.plan.fetches.iter() {
            prepared.heads.push(head(&fetch.document, fetch.operation_name.as_deref()).into());
            prepared.dependents.push(Vec::new());
        }
        for (id, fetch) in prepared.plan.fetches.iter() {
            for before in &fetch.after {
                if let Some(dependents) = prepared.dependents.get_mut(*before) {
                    dependents.push(id);
                }
            }
        }
        for (_, layout) in prepared.plan.shape.layouts.iter() {
            prepared.keys.push(layout.fields.iter().map(|field| Written::new(&field.key)).collect());
        }
        for (_, read) in prepared.plan.shape.reads.iter() {
            prepared.expected.push(read.fields.iter().map(|field| Expected::new(&field.key)).collect());
        }
        prepared.plan.slim();
        prepared
    }

    /// The bytes that it holds while it is kept.
    pub fn bytes(&self) -> usize {
        let heads: usize = self.heads.iter().map(|(_, head)| size_of_val(head) + head.len()).sum();
        let dependents: usize = self.dependents.iter().map(|(_, list)| size_of_val(list) + size_of_val(&**list)).sum();
        let keys: usize = self.keys.iter().flat_map(|(_, keys)| keys).map(Written::bytes).sum();
        let expected: usize = self.expected.iter().map(|(_, keys)| size_of_val(&**keys)).sum();
        let verbatim = self.verbatim.as_ref().map_or(0, Verbatim::bytes);
        size_of::<Self>() + self.plan.bytes() + heads + dependents + keys + expected + verbatim
    }

    /// A fetch's request body up to the variables: an open object.
    pub fn head_of(&self, fetch: FetchId) -> &[u8] {
        self.heads.get(fetch).map_or(&[], |head| head)
    }

    /// The keys of a layout's fields, as they are written.
    pub fn keys_of(&self, layout: LayoutId) -> &[Written] {
        self.keys.get(layout).map_or(&[], |keys| keys)
    }

    /// The keys of a read's fields, as they are expected.
    pub fn expected_of(&self, read: ReadId) -> &[Expected] {
        self.expected.get(read).map_or(&[], |keys| keys)
    }

    /// The fetches that wait for this one.
    pub fn dependents_of(&self, fetch: FetchId) -> &[FetchId] {
        self.dependents.get(fetch).map_or(&[], Vec::as_slice)
    }

    /// How many fetches each fetch waits for.
    pub fn waiting(&self) -> Vec<usize> {
        let mut waiting = vec![0; self.plan.fetches.len()];
        for (_, dependents) in self.dependents.iter() {
            for dependent in dependents {
                if let Some(count) = waiting.get_mut(dependent.index()) {
                    *count += 1;
                }
            }
        }
        waiting
    }

    /// A good capacity for the answer: what the latest one took, and a little more.
    pub fn expected_bytes(&self) -> usize {
        let latest = self.bytes.load(Ordering::Relaxed);
        (latest + latest / 16).clamp(MIN_CAPACITY, MAX_CAPACITY)
    }

    /// Remembers how large an answer and its store were.
    pub fn learn(&self, bytes: usize, store: &Store) {
        self.bytes.store(bytes, Ordering::Relaxed);
        store.measure(&self.sizes);
    }
}

/// A request body up to the variables: an open object.
pub fn head(document: &str, operation_name: Option<&str>) -> Vec<u8> {
    let mut head = format!("{{\"query\":{}", serde_json::Value::from(document));
    if let Some(name) = operation_name {
        head.push_str(&format!(",\"operationName\":{}", serde_json::Value::from(name)));
    }
    head.into_bytes()
}
