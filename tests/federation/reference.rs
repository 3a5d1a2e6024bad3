//! The reference operation: users and top products, each with reviews, their authors, and those authors' reviews. The answer is
//! computed here from the example's data by the field's definitions alone, as one program would that held all data.

use serde_json::{Map, Value, json};
use subgraphs_example::{Addresses, Example, data};

use crate::support::Router;

const OPERATION: &str = "
    fragment User on User { id username name }
    fragment Review on Review { id body }
    fragment Product on Product { inStock name price shippingEstimate upc weight }
    query Reference {
        users {
            ...User
            reviews {
                ...Review
                product {
                    ...Product
                    reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } }
                }
            }
        }
        topProducts {
            ...Product
            reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } }
        }
    }";

fn user(user: &data::User) -> Map<String, Value> {
    object(json!({ "id": user.id, "username": user.username, "name": user.name }))
}

fn review(review: &data::Review) -> Map<String, Value> {
    object(json!({ "id": review.id, "body": review.body }))
}

fn product(product: &data::Product) -> Map<String, Value> {
    object(json!({
        "inStock": product.in_stock,
        "name": product.name,
        "price": product.price,
        "shippingEstimate": data::shipping_estimate(product.price, product.weight),
        "upc": product.upc,
        "weight": product.weight,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with(mut object: Map<String, Value>, name: &str, value: Value) -> Value {
    object.insert(name.to_owned(), value);
    Value::Object(object)
}

/// `reviews { ...Review product { ...Product } }` of a user.
fn reviews_by(author: &data::User) -> Value {
    let own = data::REVIEWS.iter().filter(|it| it.author_id == author.id);
    own.map(|it| with(review(it), "product", Value::Object(product(data::product(&it.upc).unwrap())))).collect()
}

/// `reviews { ...Review author { ...User reviews { ... } } }` of a product.
fn reviews_of(reviewed: &data::Product) -> Value {
    let own = data::REVIEWS.iter().filter(|it| it.upc == reviewed.upc);
    let authored = own.map(|it| (it, data::user(&it.author_id).unwrap()));
    authored.map(|(it, author)| with(review(it), "author", with(user(author), "reviews", reviews_by(author)))).collect()
}

fn product_with_reviews(it: &data::Product) -> Value {
    with(product(it), "reviews", reviews_of(it))
}

/// The answer of one program that holds all data.
pub fn expected() -> Value {
    let reviewed = |author: &data::User| -> Value {
        let own = data::REVIEWS.iter().filter(|it| it.author_id == author.id);
        own.map(|it| with(review(it), "product", product_with_reviews(data::product(&it.upc).unwrap()))).collect()
    };
    let users: Value = data::USERS.iter().map(|it| with(user(it), "reviews", reviewed(it))).collect();
    let top: Value = data::PRODUCTS.iter().take(5).map(product_with_reviews).collect();
    json!({ "data": { "users": users, "topProducts": top } })
}

#[tokio::test]
async fn equals_the_answer_of_a_monolith() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let wanted = expected();
    // Once planned, once from the plan cache; then over the same connection many times at once.
    for _ in 0..2 {
        assert_eq!(router.graphql(OPERATION).await, wanted);
    }
    let many = futures_util::future::join_all((0..50).map(|_| router.graphql(OPERATION))).await;
    assert!(many.iter().all(|answer| *answer == wanted));
}

#[tokio::test]
async fn is_answered_in_the_order_of_its_fields() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let response = router.operation("{ users { name id } me { username id } }", json!({})).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.starts_with(r#"{"data":{"users":[{"name":"Ada Lovelace","id":"1"},"#), "{text}");
    assert!(text.ends_with(r#""me":{"username":"ada","id":"1"}}}"#), "{text}");
}
