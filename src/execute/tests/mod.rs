//! Tests of the executor with plans made by hand and subgraphs that answer from a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may stop at the first surprise")]

mod contexts;
mod entities;
mod projection;
mod support;
mod verbatim;
mod wrong_answers;
