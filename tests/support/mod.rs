//! What the black-box tests share: the router as a process, scripted upstreams, tokens, a receiver of spans, a browser.

mod both;
mod browser;
mod otlp;
mod router;
mod scripted;
mod token;
mod virtual_subgraph;

pub use both::{Kind, header, on_both, on_both_after, on_both_with};
pub use browser::Browser;
pub use otlp::Collector;
pub use router::{Router, free_ports};
pub use scripted::{Recorded, Scripted, Step, answer};
pub use token::{forged, jwt_config, jwt_config_with, now, token};
pub use virtual_subgraph::VirtualSubgraph;
