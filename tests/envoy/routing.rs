//! Hosts, the order of routes, and headers (RT-06, RT-07, RT-08): which upstream each request reaches.

use super::{Gateway, Line, both, named, process::Config, upstreams};
use crate::support::Scripted;

/// Sends each request of a table to each gateway.
async fn check(gateways: &[Gateway], table: &[Line<&'static str>]) {
    for gateway in gateways {
        let mut wrong = Vec::new();
        for line in table {
            let (status, body) = gateway.ask(line.0).await;
            let got = if status == 200 { body } else { status.to_string() };
            let wanted = gateway.wanted(line);
            if got != wanted {
                wrong.push(format!("{:?}: {got} instead of {wanted}", line.0));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", gateway.name(), wrong.join("\n"));
    }
}

fn clusters<'a>(all: &'a [(&'static str, Scripted)]) -> Vec<(&'a str, Vec<std::net::SocketAddr>, &'a str)> {
    all.iter().map(|(name, upstream)| (*name, vec![upstream.address()], "")).collect()
}

#[tokio::test]
async fn rt06_hosts_are_matched_by_name_suffix_and_any() {
    let all = named(["exact", "suffix", "longer", "open"]).await;
    let routes = "routes:\n\
        \x20 - { name: open, match: { path: /open }, upstream: open }\n\
        \x20 - { name: suffix, match: { host: \"*.company.com\" }, upstream: suffix }\n\
        \x20 - { name: longer, match: { host: \"*.eu.company.com\" }, upstream: longer }\n\
        \x20 - { name: exact, match: { host: api.company.com, path: /v1 }, upstream: exact }\n";
    let virtual_hosts = r#"
- { name: open, domains: ["*"], routes: [{ match: { path_separated_prefix: /open }, route: { cluster: open } }] }
- { name: suffix, domains: ["*.company.com"], routes: [{ match: { prefix: / }, route: { cluster: suffix } }] }
- { name: longer, domains: ["*.eu.company.com"], routes: [{ match: { prefix: / }, route: { cluster: longer } }] }
- { name: exact, domains: ["api.company.com"], routes: [{ match: { path_separated_prefix: /v1 }, route: { cluster: exact } }] }
"#;
    let gateways = both(&format!("{routes}{}", upstreams(&all)), &Config { virtual_hosts, clusters: &clusters(&all) }).await;
    check(
        &gateways,
        &[
            ("GET /v1 HTTP/1.1\nhost: api.company.com", "exact", None),
            ("GET /v1/x HTTP/1.1\nhost: API.Company.COM", "exact", None),
            ("GET /v1 HTTP/1.1\nhost: api.company.com:8080", "exact", None),
            ("GET /v1 HTTP/1.1\nhost: www.company.com", "suffix", None),
            ("GET / HTTP/1.1\nhost: a.b.company.com:443", "suffix", None),
            ("GET / HTTP/1.1\nhost: x.eu.company.com", "longer", None),
            ("GET / HTTP/1.1\nhost: eu.company.com", "suffix", None),
            ("GET /open HTTP/1.1\nhost: company.com", "open", None),
            ("GET /open HTTP/1.1\nhost: notcompany.com", "open", None),
            ("GET /open HTTP/1.1\nhost: 192.0.2.1:80", "open", None),
            ("GET /open HTTP/1.1\nhost: [2001:db8::1]:80", "open", None),
            ("GET / HTTP/1.1\nhost: other.org", "404", None),
            ("GET http://api.company.com/v1 HTTP/1.1\nhost: other.org", "exact", None),
            ("GET /v1 HTTP/1.1\nhost: api.company.com.", "exact", Some(("404", "A host may end with a dot"))),
            ("GET /open HTTP/1.1\nhost: api.company.com", "suffix", Some(("404", "Routes of a wider host are the next choice"))),
            ("GET /v1 HTTP/1.1\nhost: a b", "400", None),
            ("GET /v1 HTTP/1.1\nhost: user@api.company.com", "400", Some(("suffix", "A host that is none is refused"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn rt06_a_host_that_nobody_serves_is_misdirected() {
    let all = named(["exact"]).await;
    let routes = "routes: [{ name: exact, match: { host: api.company.com }, upstream: exact }]\n";
    let virtual_hosts =
        r#"- { name: exact, domains: ["api.company.com"], routes: [{ match: { prefix: / }, route: { cluster: exact } }] }"#;
    let gateways = both(&format!("{routes}{}", upstreams(&all)), &Config { virtual_hosts, clusters: &clusters(&all) }).await;
    check(
        &gateways,
        &[
            ("GET / HTTP/1.1\nhost: api.company.com", "exact", None),
            ("GET / HTTP/1.1\nhost: other.org", "421", Some(("404", "A host that nobody serves is misdirected"))),
        ],
    )
    .await;
}

const ROUTES: [(&str, &str); 6] = [
    ("all", "path: /"),
    ("api", "path: /api/v1"),
    ("users", "path: /api/v1/users"),
    ("me", "path: \"=/api/v1/users/me\""),
    ("images", "path: \"~/img/.*[.]png\""),
    ("posts", "path: /api/v1/posts, methods: [POST]"),
];

/// The same in Envoy's words, the most specific one first, as its users have to write them.
const ENVOY_ROUTES: [&str; 6] = [
    "{ match: { path: /api/v1/users/me }, route: { cluster: me } }",
    "{ match: { path_separated_prefix: /api/v1/users }, route: { cluster: users } }",
    "{ match: { path_separated_prefix: /api/v1/posts, headers: [{ name: ':method', string_match: { exact: POST } }] }, route: { cluster: posts } }",
    "{ match: { path_separated_prefix: /api/v1 }, route: { cluster: api } }",
    "{ match: { safe_regex: { regex: '/img/.*[.]png' } }, route: { cluster: images } }",
    "{ match: { prefix: / }, route: { cluster: all } }",
];

const PATHS: &[Line<&str>] = &[
    ("GET / HTTP/1.1\nhost: a", "all", None),
    ("GET /api HTTP/1.1\nhost: a", "all", None),
    ("GET /api/v1 HTTP/1.1\nhost: a", "api", None),
    ("GET /api/v1/ HTTP/1.1\nhost: a", "api", None),
    ("GET /api/v12 HTTP/1.1\nhost: a", "all", None),
    ("GET /api/v1/users HTTP/1.1\nhost: a", "users", None),
    ("GET /api/v1/users/7?x=/api/v2 HTTP/1.1\nhost: a", "users", None),
    ("GET /api/v1/usersX HTTP/1.1\nhost: a", "api", None),
    ("GET /API/v1/users HTTP/1.1\nhost: a", "all", None),
    ("GET /api/v1/users/me HTTP/1.1\nhost: a", "me", None),
    ("GET /api/v1/users/me?x HTTP/1.1\nhost: a", "me", None),
    ("GET /api/v1/users/me/x HTTP/1.1\nhost: a", "users", None),
    ("GET /img/a/b.png?v=1 HTTP/1.1\nhost: a", "images", None),
    ("GET /img/a.png.exe HTTP/1.1\nhost: a", "all", None),
    ("POST /api/v1/posts HTTP/1.1\nhost: a\ncontent-length: 0", "posts", None),
    ("GET /api/v1/posts HTTP/1.1\nhost: a", "api", None),
    ("GET //api///v1/users HTTP/1.1\nhost: a", "users", None),
    ("GET /api/v1/%75sers HTTP/1.1\nhost: a", "users", None),
    ("GET /api/v1/users%2f7 HTTP/1.1\nhost: a", "400", None),
    ("GET /api/v1/users%5c7 HTTP/1.1\nhost: a", "400", None),
    ("GET /api/v1/x/../users HTTP/1.1\nhost: a", "400", Some(("users", "Paths with dot segments are refused"))),
    ("GET /api/v1/users/%2e%2e/x HTTP/1.1\nhost: a", "400", Some(("api", "Paths with dot segments are refused"))),
    ("GET /api/v1/users;v=1 HTTP/1.1\nhost: a", "users", Some(("api", "Parameters of path segments do not count"))),
];

#[tokio::test]
async fn rt07_the_most_specific_route_wins_in_whatever_order() {
    let all = named(["all", "api", "users", "me", "images", "posts"]).await;
    for is_reversed in [false, true] {
        let mut routes = ROUTES.map(|(name, rule)| format!("  - {{ name: {name}, match: {{ {rule} }}, upstream: {name} }}\n"));
        if is_reversed {
            routes.reverse();
        }
        let envoy = ENVOY_ROUTES.map(|route| format!("  - {route}\n")).concat();
        let virtual_hosts = format!("- name: all\n  domains: ['*']\n  routes:\n{envoy}");
        let config = Config { virtual_hosts: &virtual_hosts, clusters: &clusters(&all) };
        let gateways = both(&format!("routes:\n{}{}", routes.concat(), upstreams(&all)), &config).await;
        check(&gateways, PATHS).await;
    }
}

/// Envoy takes the first route that matches, so that a wide one before a narrow one hides it.
#[tokio::test]
async fn rt07_order_matters_to_envoy_alone() {
    const TITLE: &str = "The order of routes does not matter";
    let all = named(["all", "users"]).await;
    let routes = "routes:\n  - { name: all, upstream: all }\n  - { name: users, match: { path: /users }, upstream: users }\n";
    let virtual_hosts = r#"
- { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: all } }, { match: { prefix: /users }, route: { cluster: users } }] }
"#;
    let gateways = both(&format!("{routes}{}", upstreams(&all)), &Config { virtual_hosts, clusters: &clusters(&all) }).await;
    check(
        &gateways,
        &[("GET / HTTP/1.1\nhost: a", "all", None), ("GET /users HTTP/1.1\nhost: a", "users", Some(("all", TITLE)))],
    )
    .await;
}

#[tokio::test]
async fn rt07_a_path_that_is_there_for_another_method_says_so() {
    let all = named(["users"]).await;
    let routes = "routes: [{ name: users, match: { path: /users, methods: [GET, PUT] }, upstream: users }]\n";
    let virtual_hosts = r#"
- { name: all, domains: ["*"], routes: [{ match: { prefix: /users, headers: [{ name: ":method", string_match: { safe_regex: { regex: "GET|PUT" } } }] }, route: { cluster: users } }] }
"#;
    let gateways = both(&format!("{routes}{}", upstreams(&all)), &Config { virtual_hosts, clusters: &clusters(&all) }).await;
    const TITLE: &str = "A method that a path does not have is a 405";
    check(
        &gateways,
        &[
            ("GET /users HTTP/1.1\nhost: a", "users", None),
            ("DELETE /users HTTP/1.1\nhost: a", "405", Some(("404", TITLE))),
            ("GET /other HTTP/1.1\nhost: a", "404", None),
        ],
    )
    .await;
}

#[tokio::test]
async fn rt08_a_header_leads_elsewhere() {
    let all = named(["v1", "v2", "beta"]).await;
    let routes = "routes:\n\
        \x20 - { name: old, match: { path: /checkout }, upstream: v1 }\n\
        \x20 - { name: new, match: { path: /checkout, headers: { X-Feature-Flag: new-checkout } }, upstream: v2 }\n\
        \x20 - { name: beta, match: { path: /checkout, headers: { X-Feature-Flag: \"~beta-[0-9]+\" } }, upstream: beta }\n";
    let virtual_hosts = r#"
- name: all
  domains: ["*"]
  routes:
  - { match: { prefix: /checkout, headers: [{ name: X-Feature-Flag, string_match: { exact: new-checkout } }] }, route: { cluster: v2 } }
  - { match: { prefix: /checkout, headers: [{ name: X-Feature-Flag, string_match: { safe_regex: { regex: "beta-[0-9]+" } } }] }, route: { cluster: beta } }
  - { match: { prefix: /checkout }, route: { cluster: v1 } }
"#;
    let gateways = both(&format!("{routes}{}", upstreams(&all)), &Config { virtual_hosts, clusters: &clusters(&all) }).await;
    check(
        &gateways,
        &[
            ("GET /checkout HTTP/1.1\nhost: a", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: new-checkout", "v2", None),
            ("GET /checkout HTTP/1.1\nhost: a\nx-feature-flag:   new-checkout  ", "v2", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: New-Checkout", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: new-checkouts", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag:", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: other, new-checkout", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: beta-12", "beta", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: not-beta-12", "v1", None),
            ("GET /checkout HTTP/1.1\nhost: a\nX-Feature-Flag: other\nX-Feature-Flag: new-checkout", "v2", None),
        ],
    )
    .await;
}
