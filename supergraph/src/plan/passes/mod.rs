//! Rewrites of a draft, one per file; `plan()` knows their order.

pub(super) mod batch;
pub(super) mod conditions;
pub(super) mod mutations;
