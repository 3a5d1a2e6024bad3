//! What the example upstreams answer with, public so that a test can compute the answer it expects from the same rows.
//!
//! Relies on nothing; every upstream of this package relies on it.

use std::borrow::Cow;

use serde::Serialize;

/// A row of the accounts subgraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Key.
    pub id: &'static str,
    /// Full name.
    pub name: &'static str,
    /// Sign-in name; the reviews subgraph provides it too.
    pub username: &'static str,
    /// Year, month and day as one number.
    pub birthday: i32,
}

/// A row of the products subgraph and, for `in_stock`, of the inventory subgraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Key.
    pub upc: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// In whole units of the shop's currency.
    pub price: i32,
    /// In grams.
    pub weight: i32,
    /// Whether it can be sent today.
    pub in_stock: bool,
}

/// A row of the reviews subgraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Key.
    pub id: Cow<'static, str>,
    /// The author's user id.
    pub author_id: Cow<'static, str>,
    /// The product.
    pub upc: Cow<'static, str>,
    /// 150 to 850 characters in the rows here.
    pub body: Cow<'static, str>,
}

/// A row of the REST upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Key, counted from 1.
    pub id: u32,
    /// Who ordered.
    pub user_id: Cow<'static, str>,
    /// What.
    pub upc: Cow<'static, str>,
    /// How many.
    pub quantity: u32,
    /// `quantity` times the product's price.
    pub total: u64,
}

/// The six users.
pub const USERS: &[User] = &[
    User { id: "1", name: "Ada Lovelace", username: "ada", birthday: 18151210 },
    User { id: "2", name: "Alan Turing", username: "alan", birthday: 19120623 },
    User { id: "3", name: "Grace Hopper", username: "grace", birthday: 19061209 },
    User { id: "4", name: "Edsger Dijkstra", username: "edsger", birthday: 19300511 },
    User { id: "5", name: "Barbara Liskov", username: "barbara", birthday: 19391107 },
    User { id: "6", name: "Hedy Lamarr", username: "hedy", birthday: 19141109 },
];

/// The nine products, in the order of `topProducts`.
pub const PRODUCTS: &[Product] = &[
    Product { upc: "1", name: "Oak table", price: 899, weight: 34000, in_stock: true },
    Product { upc: "2", name: "Linen sofa", price: 1299, weight: 61000, in_stock: false },
    Product { upc: "3", name: "Reading chair", price: 249, weight: 9500, in_stock: true },
    Product { upc: "4", name: "Desk lamp", price: 45, weight: 1200, in_stock: true },
    Product { upc: "5", name: "Wall clock", price: 39, weight: 800, in_stock: false },
    Product { upc: "6", name: "Bookshelf", price: 310, weight: 22000, in_stock: true },
    Product { upc: "7", name: "Wool rug", price: 420, weight: 12500, in_stock: true },
    Product { upc: "8", name: "Teapot", price: 28, weight: 950, in_stock: true },
    Product { upc: "9", name: "Piano bench", price: 175, weight: 7300, in_stock: false },
];

/// The eleven reviews. User 6 and product 9 have none.
pub const REVIEWS: &[Review] = &[
    review(
        "1",
        "1",
        "1",
        "The table arrived in one piece and took two of us twenty minutes to set up. The grain is lively without being \
        busy, the edges are rounded just enough, and after four months of breakfasts, homework and one dropped pan there is a single \
        faint mark that oil made disappear.",
    ),
    review(
        "2",
        "1",
        "2",
        "A sofa for tall people at last. The seat is deep, the back supports the shoulders, and the linen breathes in \
        summer. It is heavy, so measure the staircase first: ours needed the legs taken off and a good deal of patience.",
    ),
    review(
        "3",
        "2",
        "3",
        "I bought this chair for one corner and one purpose, and it serves both. The arms are at the right height for a \
        book, the cushion keeps its shape, and the wood does not creak. My only wish is for a second position of the back, because \
        after the third chapter one likes to lean further. Assembly was four bolts and no swearing, the key was in the box, and the \
        instructions showed the parts at their true size, which every maker should copy.",
    ),
    review(
        "4",
        "2",
        "1",
        "Solid, plain, and honest about what it is. The top is made of broad boards with the joints you can see, and it \
        stands level on a floor that is not. It would get full marks if the leaf were stored under the top and not in the cellar.",
    ),
    review(
        "5",
        "3",
        "4",
        "Bright where I work and dark where others sleep. The arm stays where it is put, even fully stretched, the switch \
        can be found without looking, and the light does not flicker on camera. The cable could be half a metre longer. I have run \
        it ten hours a day for most of a year now and the shade is barely warm in the evening. When the spring squeaked after the \
        first weeks, the shop sent a new one within three days and asked for nothing back; it took a screwdriver and two minutes to \
        change. Since then I have bought two more, one for the workshop, where it survives dust and clumsy elbows, and one for my \
        niece, who takes apart everything she owns and has so far found no reason to take apart this. A lamp that one forgets about \
        is a good lamp.",
    ),
    review(
        "6",
        "3",
        "6",
        "Five shelves, each carrying a row of bound journals without a bend. The back panel is real wood and keeps the \
        thing square. Fix it to the wall, as the leaflet says; the fittings are included and they are decent ones.",
    ),
    review(
        "7",
        "4",
        "5",
        "A clock should be exact and silent. This one is silent. It gains about a minute a month, which I consider a \
        specification problem and not a defect, since nowhere does the seller promise otherwise. The dial is easy to read from across \
        the room.",
    ),
    review(
        "8",
        "4",
        "3",
        "Comfortable, and simple enough that one can see why it is comfortable. I sat in it to try it and finished a paper \
        there. The fabric attracts cat hair, which I mention for completeness.",
    ),
    review(
        "9",
        "5",
        "7",
        "The rug is dense and soft, and the colours match the photographs in daylight as well as in the evening. It shed a \
        little for two weeks and then stopped. A chair leg leaves no lasting dent. We spilled tea on it during the first dinner, \
        blotted it with cold water as the label advises, and a day later nobody could say where it had been. The underside grips the \
        floor without a mat.",
    ),
    review(
        "10",
        "5",
        "8",
        "Pours without dripping, which three more expensive pots in this house do not manage. The lid stays on at any angle \
        and the handle never gets hot. It holds four cups if everybody is modest.",
    ),
    review(
        "11",
        "1",
        "4",
        "Ordered for the drawing desk. It lights a large sheet evenly and its colour is close to daylight, so that ink looks \
        the same by night as by day. The base is heavy enough not to tip over and small enough to share the desk with plans, pens \
        and a cup of something.",
    ),
];

const fn review(id: &'static str, author_id: &'static str, upc: &'static str, body: &'static str) -> Review {
    Review { id: Cow::Borrowed(id), author_id: Cow::Borrowed(author_id), upc: Cow::Borrowed(upc), body: Cow::Borrowed(body) }
}

/// The user with that id.
pub fn user(id: &str) -> Option<&'static User> {
    USERS.iter().find(|user| user.id == id)
}

/// The product with that code.
pub fn product(upc: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.upc == upc)
}

/// What the inventory subgraph makes of a price and a weight: free from 1000 on, else 4 and one more per started kilogram.
pub fn shipping_estimate(price: i32, weight: i32) -> i32 {
    if price >= 1000 { 0 } else { 4 + (weight.max(0) / 1000) + i32::from(weight.max(0) % 1000 > 0) }
}

/// The 25 orders that the REST upstream starts with.
pub fn orders() -> Vec<Order> {
    let rows = (1..=25u32).map(|id| {
        let user = USERS.get(id as usize % USERS.len())?;
        let product = PRODUCTS.get(id as usize * 2 % PRODUCTS.len())?;
        order(id, user.id, product.upc, id % 4 + 1)
    });
    rows.flatten().collect()
}

/// An order of a product that exists by a user who exists.
pub(crate) fn order(id: u32, user_id: &str, upc: &str, quantity: u32) -> Option<Order> {
    let (user, product) = (user(user_id)?, product(upc)?);
    let total = u64::from(quantity) * u64::from(product.price.unsigned_abs());
    Some(Order { id, user_id: Cow::Borrowed(user.id), upc: Cow::Borrowed(product.upc), quantity, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_promised_rows() {
        assert_eq!((USERS.len(), PRODUCTS.len(), REVIEWS.len(), orders().len()), (6, 9, 11, 25));
        for review in REVIEWS {
            let length = review.body.chars().count();
            assert!((150..=850).contains(&length), "review {} has {length} characters", review.id);
            assert!(user(&review.author_id).is_some() && product(&review.upc).is_some());
        }
    }

    #[test]
    fn shipping_depends_on_price_and_weight() {
        assert_eq!(shipping_estimate(1000, 50_000), 0);
        assert_eq!(shipping_estimate(999, 1000), 5);
        assert_eq!(shipping_estimate(999, 1001), 6);
        assert_eq!(shipping_estimate(1, 0), 4);
    }
}
