//! What the benchmarks of the executor share: a request without its network, and how a round is timed.
//!
//! Relied on by `decode` and `execute`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apollo_compiler::response::JsonMap;
use supergate::{
    exchange::{Exchange, Peer},
    execute::{Request, errors::Service, prepared::Prepared, types::TypeNames},
};
use supergraph::ids::{IdVec, SubgraphId};

/// Everything of a request but its plan.
pub struct Asked {
    exchange: Exchange,
    services: IdVec<SubgraphId, Service>,
    types: Arc<TypeNames>,
    variables: JsonMap,
}

impl Asked {
    /// A request to these subgraphs, without variables.
    pub fn new<'a>(subgraphs: impl IntoIterator<Item = &'a str>, types: TypeNames) -> Self {
        let (head, ()) = http::Request::new(()).into_parts();
        let exchange = Exchange::new(Peer { address: ([127, 0, 0, 1], 1).into(), is_tls: false }, head, Duration::from_secs(1));
        let mut services = IdVec::default();
        for name in subgraphs {
            services.push(Service::new(name.into(), true));
        }
        Self { exchange, services, types: Arc::new(types), variables: JsonMap::new() }
    }

    /// The same for a plan.
    pub fn request<'a>(&'a self, plan: &'a Arc<Prepared>) -> Request<'a> {
        let Self { exchange, services, types, variables } = self;
        Request { exchange, plan, services, types, variables, seeds: &[], limit: 1 << 30 }
    }
}

/// The best time of many rounds.
pub fn best(mut work: impl FnMut()) -> Duration {
    let round = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..10).for_each(|_| work());
        started.elapsed() / 10
    };
    (0..200).map(|_| round(&mut work)).min().unwrap_or_default()
}
