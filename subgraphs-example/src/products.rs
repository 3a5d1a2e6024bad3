//! The products subgraph: the catalogue.
//!
//! Relies on `data` and `serve`; `Example` starts it.

use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema};
use axum::Router;

use crate::data;
use crate::serve::graphql_router;

pub(crate) fn router() -> Router {
    graphql_router(Schema::build(Query, EmptyMutation, EmptySubscription).enable_federation().finish())
}

struct Query;

#[Object]
impl Query {
    /// The first products of the catalogue.
    async fn top_products(&self, #[graphql(default = 5)] first: Option<i32>) -> Option<Vec<Option<Product>>> {
        let count = usize::try_from(first.unwrap_or(5)).unwrap_or(0);
        Some(data::PRODUCTS.iter().take(count).map(Product).map(Some).collect())
    }

    #[graphql(entity)]
    async fn find_product_by_upc(&self, upc: String) -> Option<Product> {
        data::product(&upc).map(Product)
    }
}

struct Product(&'static data::Product);

#[Object]
impl Product {
    async fn upc(&self) -> &str {
        self.0.upc
    }

    async fn name(&self) -> Option<&str> {
        Some(self.0.name)
    }

    /// In whole units of the shop's currency.
    async fn price(&self) -> Option<i32> {
        Some(self.0.price)
    }

    /// In grams.
    async fn weight(&self) -> Option<i32> {
        Some(self.0.weight)
    }
}
