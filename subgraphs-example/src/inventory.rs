//! The inventory subgraph: what is in stock, and shipping computed from the price and weight that another subgraph owns.
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
    /// `price` and `weight` come with the representation when a field that requires them is selected.
    #[graphql(entity)]
    async fn find_product_by_upc(&self, #[graphql(key)] upc: String, price: Option<i32>, weight: Option<i32>) -> Option<Product> {
        data::product(&upc).map(|product| Product { product, price, weight })
    }
}

struct Product {
    product: &'static data::Product,
    price: Option<i32>,
    weight: Option<i32>,
}

#[Object]
impl Product {
    async fn upc(&self) -> &str {
        self.product.upc
    }

    #[graphql(external)]
    async fn price(&self) -> Option<i32> {
        self.price
    }

    #[graphql(external)]
    async fn weight(&self) -> Option<i32> {
        self.weight
    }

    async fn in_stock(&self) -> Option<bool> {
        Some(self.product.in_stock)
    }

    /// Null when the representation carried no price or no weight: it is computed from nothing else.
    #[graphql(requires = "price weight")]
    async fn shipping_estimate(&self) -> Option<i32> {
        Some(data::shipping_estimate(self.price?, self.weight?))
    }
}
