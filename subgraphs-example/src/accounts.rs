//! The accounts subgraph: users.
//!
//! Relies on `data` and `serve`; `Example` starts it.

use async_graphql::{EmptyMutation, EmptySubscription, ID, Object, Schema};
use axum::Router;

use crate::data;
use crate::serve::graphql_router;

pub(crate) fn router() -> Router {
    graphql_router(Schema::build(Query, EmptyMutation, EmptySubscription).enable_federation().finish())
}

struct Query;

#[Object]
impl Query {
    /// The user that the example is signed in as: the first one.
    async fn me(&self) -> Option<User> {
        data::USERS.first().map(User)
    }

    async fn user(&self, id: ID) -> Option<User> {
        data::user(&id).map(User)
    }

    async fn users(&self) -> Option<Vec<Option<User>>> {
        Some(data::USERS.iter().map(User).map(Some).collect())
    }

    #[graphql(entity)]
    async fn find_user_by_id(&self, id: ID) -> Option<User> {
        data::user(&id).map(User)
    }
}

struct User(&'static data::User);

#[Object]
impl User {
    async fn id(&self) -> ID {
        ID::from(self.0.id)
    }

    async fn name(&self) -> Option<&str> {
        Some(self.0.name)
    }

    /// Shareable: the reviews subgraph provides it with a review's author.
    #[graphql(shareable)]
    async fn username(&self) -> Option<&str> {
        Some(self.0.username)
    }

    /// Year, month and day as one number: 18151210 is the tenth of December 1815.
    async fn birthday(&self) -> Option<i32> {
        Some(self.0.birthday)
    }
}
