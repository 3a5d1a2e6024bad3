//! Whole subgraph answers through a whole execution: each fetch gets the next piece of the input, pieces being separated by the
//! byte 1.
#![no_main]

mod answers;

use answers::{WORLD, check, compare, run};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let pieces: Vec<&[u8]> = bytes.split(|byte| *byte == 1).collect();
    let text = run(&WORLD, |fetch| Bytes::copy_from_slice(pieces.get(fetch).copied().unwrap_or(b"{\"data\":null}")));
    check(&WORLD, &text);
    compare(pieces.first().copied().unwrap_or_default());
});
