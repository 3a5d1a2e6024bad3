//! Warm-up: the most used operations of the endpoint that is served now, planned by the next one before it takes over.
//!
//! Relies on `operation` and `plans`; relied on by `graphql`, for `reload`. Plans of requests that are denied something, or have labels of
//! progressive overrides, are made when they are asked for.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use super::{Endpoint, Engine};

/// Operations that are prepared at one time.
const AT_ONCE: usize = 2;

/// What a new endpoint waits for its plans at most, however many there are to be made.
const MOST: Duration = Duration::from_secs(10);

/// An operation of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Used {
    /// How often it was asked for.
    times: u64,
    document: Arc<str>,
    name: Option<Arc<str>>,
}

impl Endpoint {
    /// Prepares the operations that `before` was asked for most, `most` of them. What cannot be prepared any more is left out: whoever
    /// asks for it is told.
    pub async fn warm_up(&self, before: &Self, most: usize) {
        let (Some(engine), Some(before)) = (&self.engine, &before.engine) else { return };
        let used = before.most_used(most);
        let (all, started) = (used.len(), std::time::Instant::now());
        let work = stream::iter(used).for_each_concurrent(AT_ONCE, async |used| engine.prepare(&used).await);
        let in_time = tokio::time::timeout(MOST, work).await.is_ok();
        if all > 0 {
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(operations = all, took_ms, in_time, "the most used operations are planned");
        }
    }
}

impl Engine {
    /// The operations that were asked for most, the most used one first.
    fn most_used(&self, most: usize) -> Vec<Used> {
        let mut all = Vec::new();
        for (text, document) in &self.documents {
            for operation in document.operations() {
                let times = operation.uses.load(Ordering::Relaxed);
                all.push(Used { times, document: text.as_ref().clone(), name: operation.name.clone() });
            }
        }
        all.retain(|used| used.times > 0);
        all.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.document.cmp(&b.document)));
        all.truncate(most);
        all
    }

    /// Parses and plans an operation. It starts with half of its uses, so that the next change of schema finds what is used now.
    async fn prepare(&self, used: &Used) {
        let parsed = self.documents.try_get_with(used.document.clone(), self.parse(used.document.clone())).await;
        let Ok(document) = parsed else { return };
        let Ok(operation) = document.operation(used.name.as_deref()) else { return };
        operation.uses.store(used.times.div_ceil(2), Ordering::Relaxed);
        if let (Err(error), _) = self.plans.get(operation, Vec::new(), "").await {
            tracing::debug!(%error, "a used operation cannot be planned any more");
        }
    }
}
