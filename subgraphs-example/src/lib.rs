//! Four example subgraphs and a REST upstream in one process: the demo's, the tests' and the benchmarks' other side.
//!
//! Relies on async-graphql for the subgraphs and axum for HTTP; nothing of the router. The router's `demo` command, the
//! black-box tests and the binary of this package rely on it.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use subgraphs_example::{Addresses, Example, Upstream};
//!
//! let mut example = Example::start(Addresses::any_port()).await?;
//! println!("{}", example.url(Upstream::Accounts));
//! example.stop(Upstream::Reviews);          // its port refuses connections from here on
//! example.restart(Upstream::Reviews).await?; // the same port answers again
//! # Ok(()) }
//! ```

pub mod data;

mod accounts;
mod inventory;
mod orders;
mod products;
mod reviews;
mod serve;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use orders::OrderBook;
pub use reviews::ReviewLog;
use serve::Server;

/// One of the services that this package runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Subgraph: users.
    Accounts,
    /// Subgraph: the catalogue.
    Products,
    /// Subgraph: stock and shipping, computed from the catalogue's fields.
    Inventory,
    /// Subgraph: reviews, with a mutation and a subscription.
    Reviews,
    /// Plain REST: orders, and endpoints that are slow, fail or echo.
    Orders,
}

impl Upstream {
    /// All of them, in the order of their demo ports.
    pub const ALL: [Upstream; 5] =
        [Upstream::Accounts, Upstream::Products, Upstream::Inventory, Upstream::Reviews, Upstream::Orders];

    /// The subgraphs among them.
    pub const SUBGRAPHS: [Upstream; 4] = [Upstream::Accounts, Upstream::Products, Upstream::Inventory, Upstream::Reviews];

    /// The name that `router.yaml` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Upstream::Accounts => "accounts",
            Upstream::Products => "products",
            Upstream::Inventory => "inventory",
            Upstream::Reviews => "reviews",
            Upstream::Orders => "orders",
        }
    }

    fn demo_port(self) -> u16 {
        match self {
            Upstream::Accounts => 4001,
            Upstream::Products => 4002,
            Upstream::Inventory => 4003,
            Upstream::Reviews => 4004,
            Upstream::Orders => 4010,
        }
    }
}

/// Where each upstream listens; port 0 lets the system choose.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Address of the accounts subgraph.
    pub accounts: SocketAddr,
    /// Address of the products subgraph.
    pub products: SocketAddr,
    /// Address of the inventory subgraph.
    pub inventory: SocketAddr,
    /// Address of the reviews subgraph.
    pub reviews: SocketAddr,
    /// Address of the REST upstream.
    pub orders: SocketAddr,
}

impl Addresses {
    /// The demo's ports on loopback: 4001 to 4004 and 4010.
    pub fn demo() -> Self {
        Self::on_loopback(Upstream::demo_port)
    }

    /// Free ports on loopback, chosen by the system.
    pub fn any_port() -> Self {
        Self::on_loopback(|_| 0)
    }

    fn on_loopback(port: impl Fn(Upstream) -> u16) -> Self {
        let at = |upstream| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port(upstream));
        Self {
            accounts: at(Upstream::Accounts),
            products: at(Upstream::Products),
            inventory: at(Upstream::Inventory),
            reviews: at(Upstream::Reviews),
            orders: at(Upstream::Orders),
        }
    }
}

/// All upstreams, running. Dropping it ends them and every connection to them.
pub struct Example {
    accounts: Server,
    products: Server,
    inventory: Server,
    reviews: Server,
    orders: Server,
    review_log: ReviewLog,
    order_book: OrderBook,
}

impl Example {
    /// Starts every upstream; when this returns all of them accept connections.
    pub async fn start(addresses: Addresses) -> io::Result<Self> {
        let review_log = ReviewLog::new();
        let order_book = OrderBook::new();
        Ok(Self {
            accounts: Server::start(addresses.accounts, accounts::router()).await?,
            products: Server::start(addresses.products, products::router()).await?,
            inventory: Server::start(addresses.inventory, inventory::router()).await?,
            reviews: Server::start(addresses.reviews, reviews::router(review_log.clone())).await?,
            orders: Server::start(addresses.orders, orders::router(order_book.clone())).await?,
            review_log,
            order_book,
        })
    }

    /// The address that the upstream is (or, while stopped, was and will be) bound to.
    pub fn address(&self, upstream: Upstream) -> SocketAddr {
        self.server(upstream).address()
    }

    /// A subgraph's GraphQL endpoint, or the REST upstream's base URL.
    pub fn url(&self, upstream: Upstream) -> String {
        let path = if upstream == Upstream::Orders { "" } else { "/graphql" };
        format!("http://{}{path}", self.address(upstream))
    }

    /// Stops one upstream as a crash would: its port refuses and its open connections end, answered or not.
    pub fn stop(&mut self, upstream: Upstream) {
        self.server_mut(upstream).stop();
    }

    /// Starts a stopped upstream again on the address it had; one that runs is left alone. What was added stays.
    pub async fn restart(&mut self, upstream: Upstream) -> io::Result<()> {
        self.server_mut(upstream).restart().await
    }

    /// The reviews of this instance, those added by the mutation included.
    pub fn reviews(&self) -> &ReviewLog {
        &self.review_log
    }

    /// The orders of this instance, those created included.
    pub fn orders(&self) -> &OrderBook {
        &self.order_book
    }

    fn server(&self, upstream: Upstream) -> &Server {
        match upstream {
            Upstream::Accounts => &self.accounts,
            Upstream::Products => &self.products,
            Upstream::Inventory => &self.inventory,
            Upstream::Reviews => &self.reviews,
            Upstream::Orders => &self.orders,
        }
    }

    fn server_mut(&mut self, upstream: Upstream) -> &mut Server {
        match upstream {
            Upstream::Accounts => &mut self.accounts,
            Upstream::Products => &mut self.products,
            Upstream::Inventory => &mut self.inventory,
            Upstream::Reviews => &mut self.reviews,
            Upstream::Orders => &mut self.orders,
        }
    }
}
