//! Supergate.
