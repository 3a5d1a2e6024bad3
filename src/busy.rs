//! Busy threads: how much work that keeps a thread busy (parsing, planning, composing) is done at a time.
//!
//! More of it at once than there are processors is no faster, and every thread keeps memory of its own: with as many threads as
//! requests came, a router that plans all the time took a tenth more CPU and memory (`benches/numbers.md`). Relied on by `graphql`
//! and `cli::serve`.

use std::{num::NonZero, thread::available_parallelism};

/// The least, so that one long piece of work does not hold up all others.
const LEAST: usize = 2;
/// Threads beside those of parsing and planning: to compose, and to read and write files.
const OTHERS: usize = 2;

/// How many documents are parsed, and how many operations planned, at one time.
pub fn at_once() -> usize {
    available_parallelism().map_or(LEAST, NonZero::get).max(LEAST)
}

/// How many threads there are for all of it.
pub fn most_threads() -> usize {
    2 * at_once() + OTHERS
}
