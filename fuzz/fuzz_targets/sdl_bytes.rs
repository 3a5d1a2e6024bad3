//! Any bytes as the SDL of up to four subgraphs, and as a supergraph from elsewhere.
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;
use supergraph::compose::Source;
use supergraph::model::Supergraph;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let source = |(index, sdl): (usize, &str)| Source { name: format!("s{index}"), url: String::new(), sdl: sdl.to_owned() };
    check::check(text.split('\u{1}').take(4).enumerate().map(source).collect());
    let _ = Supergraph::read(&text);
});
