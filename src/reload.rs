//! Reload: watches the configuration and the subgraphs' schemas, and puts a new snapshot in place when both are good.
//!
//! Relies on `config` and `snapshot`; `app` starts it; `admin` shows its [`Status`].

pub mod sources;
mod status;

pub use status::{Failure, Origin, Served, SharedStatus, Status};
