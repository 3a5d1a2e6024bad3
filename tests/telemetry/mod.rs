//! What is seen from outside: metrics and traces of a known load.

mod metrics;
mod traces;
