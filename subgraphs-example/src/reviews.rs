//! The reviews subgraph: who said what about which product, and a place to say more.
//!
//! Relies on `data` and `serve`; `Example` starts it and hands out its log.

use std::sync::{Arc, PoisonError, RwLock};

use async_graphql::{Context, ID, Object, Schema, Subscription};
use axum::Router;
use futures_util::{Stream, stream};
use tokio::sync::broadcast;

use crate::data;
use crate::serve::graphql_router;

pub(crate) fn router(log: ReviewLog) -> Router {
    let schema = Schema::build(Query, Mutation, Subscription);
    graphql_router(schema.data(log).enable_federation().enable_subscription_in_federation().finish())
}

/// The reviews of one instance: those of `data` at first, then what clients add.
#[derive(Clone)]
pub struct ReviewLog {
    reviews: Arc<RwLock<Vec<Arc<data::Review>>>>,
    added: broadcast::Sender<Arc<data::Review>>,
}

impl ReviewLog {
    pub(crate) fn new() -> Self {
        let reviews = data::REVIEWS.iter().cloned().map(Arc::new).collect();
        // A subscriber that falls 64 reviews behind misses the oldest of them.
        Self { reviews: Arc::new(RwLock::new(reviews)), added: broadcast::Sender::new(64) }
    }

    /// All reviews as they are now, oldest first.
    pub fn all(&self) -> Vec<Arc<data::Review>> {
        self.select(|_| true)
    }

    /// Forgets what was added.
    pub fn restore(&self) {
        *self.reviews.write().unwrap_or_else(PoisonError::into_inner) = data::REVIEWS.iter().cloned().map(Arc::new).collect();
    }

    fn select(&self, is_wanted: impl Fn(&data::Review) -> bool) -> Vec<Arc<data::Review>> {
        let reviews = self.reviews.read().unwrap_or_else(PoisonError::into_inner);
        reviews.iter().filter(|review| is_wanted(review)).cloned().collect()
    }

    fn add(&self, author_id: &str, upc: &str, body: String) -> Arc<data::Review> {
        let mut reviews = self.reviews.write().unwrap_or_else(PoisonError::into_inner);
        let review = Arc::new(data::Review {
            id: (reviews.len() + 1).to_string().into(),
            author_id: author_id.to_owned().into(),
            upc: upc.to_owned().into(),
            body: body.into(),
        });
        reviews.push(review.clone());
        drop(reviews);
        // Fails only when nobody subscribes, which is no failure here.
        let _ = self.added.send(review.clone());
        review
    }

    fn subscribe(&self) -> impl Stream<Item = Arc<data::Review>> + Send + use<> {
        stream::unfold(self.added.subscribe(), |mut added| async move {
            loop {
                match added.recv().await {
                    Ok(review) => return Some((review, added)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }
}

struct Query;

#[Object]
impl Query {
    async fn review(&self, context: &Context<'_>, id: ID) -> async_graphql::Result<Option<Review>> {
        find_review(context, &id)
    }

    #[graphql(entity)]
    async fn find_review_by_id(&self, context: &Context<'_>, id: ID) -> async_graphql::Result<Option<Review>> {
        find_review(context, &id)
    }

    #[graphql(entity)]
    async fn find_user_by_id(&self, id: ID) -> User {
        User(id.0)
    }

    #[graphql(entity)]
    async fn find_product_by_upc(&self, upc: String) -> Product {
        Product(upc)
    }
}

struct Mutation;

#[Object]
impl Mutation {
    /// Adds a review of a product that exists by a user who exists.
    async fn add_review(
        &self,
        context: &Context<'_>,
        upc: String,
        author_id: ID,
        body: String,
    ) -> Option<async_graphql::Result<Review>> {
        Some(add_review(context, &upc, &author_id, body))
    }
}

struct Subscription;

#[Subscription]
impl Subscription {
    /// Every review from now on.
    async fn review_added(&self, context: &Context<'_>) -> async_graphql::Result<impl Stream<Item = Option<Review>> + use<>> {
        let added = context.data::<ReviewLog>()?.subscribe();
        Ok(futures_util::StreamExt::map(added, |review| Some(Review(review))))
    }
}

struct Review(Arc<data::Review>);

#[Object]
impl Review {
    async fn id(&self) -> ID {
        ID::from(self.0.id.as_ref())
    }

    async fn body(&self) -> Option<&str> {
        Some(&self.0.body)
    }

    #[graphql(provides = "username")]
    async fn author(&self) -> Option<User> {
        Some(User(self.0.author_id.to_string()))
    }

    async fn product(&self) -> Option<Product> {
        Some(Product(self.0.upc.to_string()))
    }
}

struct User(String);

#[Object]
impl User {
    async fn id(&self) -> ID {
        ID::from(&self.0)
    }

    #[graphql(external)]
    async fn username(&self) -> Option<&str> {
        data::user(&self.0).map(|user| user.username)
    }

    async fn reviews(&self, context: &Context<'_>) -> async_graphql::Result<Option<Vec<Option<Review>>>> {
        select_reviews(context, |review| review.author_id == self.0)
    }
}

struct Product(String);

#[Object]
impl Product {
    async fn upc(&self) -> &str {
        &self.0
    }

    async fn reviews(&self, context: &Context<'_>) -> async_graphql::Result<Option<Vec<Option<Review>>>> {
        select_reviews(context, |review| review.upc == self.0)
    }
}

fn find_review(context: &Context<'_>, id: &str) -> async_graphql::Result<Option<Review>> {
    Ok(context.data::<ReviewLog>()?.select(|review| review.id == id).pop().map(Review))
}

fn select_reviews(
    context: &Context<'_>,
    is_wanted: impl Fn(&data::Review) -> bool,
) -> async_graphql::Result<Option<Vec<Option<Review>>>> {
    let reviews = context.data::<ReviewLog>()?.select(is_wanted);
    Ok(Some(reviews.into_iter().map(Review).map(Some).collect()))
}

fn add_review(context: &Context<'_>, upc: &str, author_id: &str, body: String) -> async_graphql::Result<Review> {
    if data::product(upc).is_none() {
        return Err(format!("There is no product {upc:?}.").into());
    }
    if data::user(author_id).is_none() {
        return Err(format!("There is no user {author_id:?}.").into());
    }
    Ok(Review(context.data::<ReviewLog>()?.add(author_id, upc, body)))
}
