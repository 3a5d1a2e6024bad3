//! Any bytes as the first subgraph's answer, the others being right: what is no JSON gives no data, whatever it is; and what is passed
//! on is what would be written.
#![no_main]

mod answers;

use answers::{WORLD, check, compare, run};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|bytes: &[u8]| {
    let text = run(&WORLD, |fetch| {
        if fetch == 0 { Bytes::copy_from_slice(bytes) } else { Bytes::from_static(b"{\"data\":{\"_entities\":[]}}") }
    });
    compare(bytes);
    let answer = check(&WORLD, &text);
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        assert!(answer["data"].is_null() && answer["errors"].is_array(), "{text}");
    }
});
