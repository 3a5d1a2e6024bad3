//! Tests of the configuration as a whole: what is refused, where, and with which words; and what is taken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

use super::*;
use crate::{
    pipeline::{auth::config::Require, rate_limit::config::RateLimitKey},
    units::{Percent, Size},
    upstream::headers::HeaderRule,
};

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let variable = |name: &str| match name {
        "SECRET" => Some("s3cret".to_owned()),
        "DEPTH" => Some("7".to_owned()),
        "YES" => Some("true".to_owned()),
        _ => None,
    };
    Config::parse(text, Path::new("/etc/router"), &variable)
}

/// The problems of a text, as a user sees them.
fn refused(text: &str) -> Vec<String> {
    Refused::new(Path::new("router.yaml"), parse(text).unwrap_err()).lines()
}

/// Each text has exactly one problem, which is told with its place and what to do.
fn each_is_told(rows: &[(&str, &str)]) {
    for (text, wanted) in rows {
        let lines = refused(text);
        let wanted = format!("router.yaml:{wanted}");
        assert!(lines.len() == 1 && lines[0].starts_with(&wanted), "{text}\nwanted {wanted}\nfound  {}", lines.join("\n       "));
    }
}

#[test]
fn every_mistake_in_listeners_is_told() {
    each_is_told(&[
        ("listeners: [{name: a, listen: '127.0.0.1:1', tsl: {}}]\n", "1:46: listeners[0].tsl: unknown key; did you mean `tls`?"),
        (
            "listeners: [{name: default, listen: '127.0.0.1:1'}]\n",
            "1:20: listeners[0].name: `default` is the listener at `supergraph.listen`",
        ),
        (
            "listeners: [{name: a, listen: '127.0.0.1:4000'}]\n",
            "1:31: listeners[0].listen: `supergraph.listen` has the same address",
        ),
        (
            "supergraph: {listeners: [insid]}\nlisteners: [{name: inside, listen: '127.0.0.1:1'}]\n",
            "1:26: supergraph.listeners[0]: there is no `insid`; did you mean `inside`?",
        ),
        (
            "listeners: [{name: a, listen: '127.0.0.1:1', limits: {max_depth: 3}}]\n",
            "1:46: listeners[0].limits: a listener has `http_max_request_bytes` and `http_max_header_bytes`; the others are the same at all",
        ),
    ]);
}

#[test]
fn every_value_of_a_wrong_form_is_told() {
    each_is_told(&[
        ("limits:\n  max_dept: 3\n", "2:3: limits.max_dept: unknown key; did you mean `max_depth`?"),
        ("csrf: {zzzzzzzzz: 1}\n", "1:8: csrf.zzzzzzzzz: unknown key; known are `enabled`, `required_headers`"),
        ("limits:\n  max_depth: deep\n", "2:14: limits.max_depth: a whole number, not negative, is expected here, not `deep`"),
        ("limits:\n  max_depth: -1\n", "2:14: limits.max_depth: a whole number, not negative, is expected here, not `-1`"),
        ("limits:\n  warn_only: yes\n", "2:14: limits.warn_only: true or false is expected here, not `yes`"),
        ("limits: 5\n", "1:9: limits: a mapping is expected here, not `5`"),
        ("limits: [1]\n", "1:9: limits: a mapping is expected here, not a list"),
        ("routes: {}\n", "1:9: routes: a list is expected here, not a mapping"),
        (
            "traffic_shaping:\n  all:\n    timeout: 10\n",
            "3:14: traffic_shaping.all.timeout: `10` is not a duration: write a whole number and a unit, as in 250ms, 10s, 5m, 1h or 1d",
        ),
        (
            "limits: {http_max_request_bytes: 2mb}\n",
            "1:34: limits.http_max_request_bytes: `2mb` is not a size: write a whole number and a unit, as in 512B, 64KiB, 2MB or 1GiB",
        ),
        ("supergraph: {listen: 4000}\n", "1:22: supergraph.listen: invalid socket address syntax"),
        (
            "trusted_proxies:\n- 10.0.0.0/99\n",
            "2:3: trusted_proxies[0]: `10.0.0.0/99` is not a network: write an address or a range, as in 10.0.0.0/8 or ::1",
        ),
    ]);
}

#[test]
fn every_mistake_in_policies_is_told() {
    each_is_told(&[
        (
            "headers: {all: {request: [{propagte: {named: x}}]}}\n",
            "1:27: headers.all.request[0]: `propagte` is not a choice; did you mean `propagate`?",
        ),
        ("headers: {all: {request: [{insert: {name: x}}]}}\n", "1:36: headers.all.request[0].insert: `value` is missing"),
        ("headers: {all: {request: [insert]}}\n", "1:27: headers.all.request[0]: `insert` needs a mapping: `{ insert: … }`"),
        (
            "headers: {all: {request: [{propagate: {matching: '('}}]}}\n",
            "1:50: headers.all.request[0].propagate.matching: not a regular expression",
        ),
        (
            "ratelimit: {rules: [{name: a, key: [ip], rate: 1/s}]}\n",
            "1:37: ratelimit.rules[0].key[0]: `ip` is not a key: write client_ip, route, header:NAME or claim:NAME",
        ),
        (
            "ratelimit: {rules: [{name: a, key: [route], rate: 1}]}\n",
            "1:51: ratelimit.rules[0].rate: `1` is not a rate: write how many in how long, as in 100/1m or 10/s",
        ),
        (
            "authentication: {require: maybe}\n",
            "1:27: authentication.require: true, false, any or all is expected here, not `maybe`",
        ),
        ("authentication: {require: true}\n", "1:27: authentication.require: no way to authenticate is configured"),
        (
            "authentication: {jwt: {jwks: [{file: k}], sources: [{header: a, cookie: b}]}}\n",
            "1:53: authentication.jwt.sources[0]: a token source is exactly one of",
        ),
        ("authentication: {jwt: {jwks: [{}]}}\n", "1:31: authentication.jwt.jwks[0]: a key set has one of `url` and `file`"),
        ("cors: {origins: ['*'], allow_credentials: true}\n", "1:18: cors.origins[0]: `*` cannot be combined"),
        ("cors: {origins: ['https://a/']}\n", "1:18: cors.origins[0]: `https://a/` is not an origin"),
        (
            "ratelimit: {rules: [{name: a, key: [], rate: 1/s}]}\n",
            "1:36: ratelimit.rules[0].key: at least one of client_ip, route, header:NAME and claim:NAME; `ratelimit.global` counts",
        ),
        (
            "ratelimit: {rules: [{name: für, key: [route], rate: 1/s}]}\n",
            "1:28: ratelimit.rules[0].name: clients are told it in `RateLimit`: printable ASCII is needed",
        ),
        (
            "ratelimit: {global: {capacity: 1, interval: 1m}, rules: [{name: global, key: [route], rate: 1/s}]}\n",
            "1:65: ratelimit.rules[0].name: another rule is called `global` already",
        ),
        (
            "headers: {all: {request: [{insert: {name: Content-Length, value: '5'}}]}}\n",
            "1:43: headers.all.request[0].insert.name: `content-length` belongs to the connection",
        ),
        (
            "headers: {all: {request: [{propagate: {named: content-length}}]}}\n",
            "1:47: headers.all.request[0].propagate.named: `content-length` belongs to the connection",
        ),
        (
            "headers: {all: {response: [{rename: {from: X, to: Transfer-Encoding}}]}}\n",
            "1:51: headers.all.response[0].rename.to: `transfer-encoding` belongs to the connection",
        ),
    ]);
}

#[test]
fn every_mistake_in_subgraphs_and_routes_is_told() {
    let subgraph = "subgraphs: {a: {url: 'http://a/'}}\n";
    let route = "upstreams: {u: {endpoints: [{url: 'http://u'}]}}\n";
    each_is_told(&[
        ("subgraphs:\n  a: {}\n", "2:3: subgraphs.a: a subgraph needs `url`, or `upstream` with `path`"),
        (
            "subgraphs: {a: {url: 'a:1'}}\n",
            "1:22: subgraphs.a.url: an address starts with `http://` or `https://` and names a host",
        ),
        ("subgraphs: {a: {upstream: b}}\n", "1:27: subgraphs.a.upstream: there is no `b`"),
        (
            &format!("{subgraph}traffic_shaping: {{subgraphs: {{b: {{timeout: 1s}}}}}}\n"),
            "2:31: traffic_shaping.subgraphs.b: there is no `b`; known are `a`",
        ),
        (&format!("{route}routes: [{{name: r}}]\n"), "2:10: routes[0]: a route needs `upstream`, `split` or `aggregate`"),
        (&format!("{route}routes: [{{name: r, upstream: v}}]\n"), "2:30: routes[0].upstream: there is no `v`; known are `u`"),
        (&format!("{route}routes: [{{upstream: u}}]\n"), "2:10: routes[0]: `name` is missing"),
        (
            &format!("{route}routes:\n- {{name: r, upstream: u}}\n- {{name: r, upstream: u}}\n"),
            "4:10: routes[1].name: another route is called `r` already",
        ),
        (
            &format!("{route}routes: [{{name: r, upstream: u, match: {{methods: [get]}}}}]\n"),
            "2:51: routes[0].match.methods[0]: `get` is not a method",
        ),
        (
            &format!("{route}routes: [{{name: r, upstream: u, strip_path: true, strip_prefix: /x}}]\n"),
            "2:10: routes[0]: a route has one of",
        ),
    ]);
}

#[test]
fn every_mistake_in_matches_and_what_becomes_of_them_is_told() {
    let rows = [
        ("match: {host: 'a.example:80'}", "host: `a.example:80` is no host: write a name without a port"),
        ("match: {path: api}", "path: the path `api` does not begin with a slash"),
        ("match: {path: /a/../b}", "path: the path `/a/../b` matches nothing: the path has a dot segment"),
        ("match: {path: '/a;b'}", "path: the path `/a;b` matches nothing: parameters"),
        ("match: {path: '/u/{id'}", "path: `{id` has no closing brace"),
        ("match: {path: '~/u/('}", "path: `/u/(` is not a regular expression"),
        ("match: {headers: {X-A: '~('}}", "headers.X-A: `(` is not a regular expression"),
        ("match: {query: {a: '!~('}}", "query.a: `(` is not a regular expression"),
        ("match: {accept: '*/*'}", "accept: `*/*` is not one media type"),
        ("or: [{host: 'b:1'}]", "host: `b:1` is no host"),
        ("rewrite: {path: '/v2?u={id}'}", "path: `/v2?u={id}` is no path"),
        ("rewrite: {path: '/v2/{id}'}", "path: `/` names no `id`"),
        ("strip_prefix: api", "strip_prefix: a path starts with `/`"),
        ("deprecation: {since: 2026-01-01, link: 'a b'}", "link: `a b` is not a link"),
    ];
    for (own, wanted) in rows {
        let text =
            format!("upstreams: {{u: {{endpoints: [{{url: 'http://u'}}]}}}}\nroutes:\n- name: r\n  upstream: u\n  {own}\n");
        let lines = refused(&text);
        assert!(lines.len() == 1 && lines[0].starts_with("router.yaml:5:") && lines[0].contains(wanted), "{own}: {lines:#?}");
    }
    let text = "upstreams: {u: {endpoints: [{url: 'http://u'}]}}\nroutes:\n- name: r\n  split: [{upstream: u, weight: 1}]\n  sticky: {on: user}\n";
    assert!(
        refused(text)[0].starts_with("router.yaml:5:16: routes[0].sticky.on: `user` is nothing to hash"),
        "{:?}",
        refused(text)
    );
    for (own, wanted) in [
        ("endpoints: [{url: 'http://ann:secret@u'}]", "endpoints[0].url: credentials are sent by a header rule"),
        ("endpoints: [{url: 'http://u/a?b'}]", "endpoints[0].url: an endpoint has no query"),
        ("endpoints: [{url: 'http://u'}], connect_timeout: 0s", "u.connect_timeout: nothing can be done in no time"),
        ("endpoints: [{url: 'http://u'}], health_check: {interval: 0s}", "u.health_check.interval: nothing can be done in no"),
        ("endpoints: [{url: 'http://u'}], health_check: {healthy_threshold: 0}", "u.health_check.healthy_threshold: at least 1"),
        ("endpoints: [{url: 'http://u'}], health_check: {path: health}", "u.health_check.path: a path starts with `/`"),
        ("dns: {host: u, type: SRV, port: 80}", "u.dns.port: SRV records have ports of their own"),
        ("endpoints: [{url: 'http://u'}], balance: {hash: {on: 'header:'}}", "balance.hash.on: `` is not the name of a header"),
    ] {
        let lines = refused(&format!("upstreams: {{u: {{{own}}}}}\n"));
        assert!(lines.len() == 1 && lines[0].contains(wanted) && !lines[0].contains("secret"), "{own}: {lines:?}");
    }
}

#[test]
fn every_other_mistake_is_told() {
    each_is_told(&[
        ("health_check: {listen: 127.0.0.1:4000}\n", "1:24: health_check.listen: `supergraph.listen` has the same address"),
        ("supergraph: {path: graphql}\n", "1:20: supergraph.path: a path starts with `/`"),
        ("supergraph: {path: '${env.NOBODY}'}\n", "1:20: supergraph.path: the environment variable `NOBODY` is not set"),
        ("telemetry: {access_log: {fields: [a b]}}\n", "1:35: telemetry.access_log.fields[0]: `a b` is not the name of a header"),
        ("telemetry: {logging: {level: 'loud=very'}}\n", "1:30: telemetry.logging.level: neither a level nor a filter"),
        ("cache: {enabled: true}\n", "1:18: cache.enabled: not supported by this version, except as `false`"),
        ("a: 1\n---\nb: 2\n", "3:1: multiple YAML documents detected"),
        ("limits: {max_depth: 1\ncors: x\n", "2:"),
        ("supergraf:\n  path: /\n", "1:1: supergraf: unknown key; did you mean `supergraph`?"),
    ]);
}

#[test]
fn a_key_that_is_given_twice_is_told_without_advice_for_programmers() {
    let lines = refused("limits:\n  max_depth: 1\n  max_depth: 2\n");
    assert_eq!(lines, ["router.yaml:3:3: duplicate mapping key: max_depth"]);
}

#[test]
fn one_run_tells_of_several_mistakes_in_the_order_of_the_file() {
    let lines = refused(
        "limits:\n  max_dept: 1\n  max_height: tall\ncors: {origins: 5}\nroutes:\n  - {name: r, upstream: u, timeout: soon}\n  - {nam: q}\n",
    );
    let places: Vec<_> = lines.iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    let wanted = [
        "router.yaml:2:3: limits.max_dept",
        "router.yaml:3:15: limits.max_height",
        "router.yaml:4:17: cors.origins",
        "router.yaml:6:37: routes[0].timeout",
        "router.yaml:7:5: routes[1]",
        "router.yaml:7:6: routes[1].nam",
    ];
    assert_eq!(places, wanted, "{lines:#?}");
}

#[test]
fn a_mistake_at_the_top_is_told_once_even_when_routes_inherit_it() {
    let text = "limits: {max_depth: x}\nupstreams: {u: {endpoints: [{url: 'http://u'}]}}\nroutes: [{name: r, upstream: u, limits: {max_height: 2}}]\n";
    let lines = refused(text);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn what_a_variable_holds_is_never_shown() {
    let lines = refused("traffic_shaping: {all: {timeout: '${env.SECRET}'}}\nlimits: {max_depth: '${env.SECRET}'}\n");
    assert!(lines.iter().all(|line| line.contains("${env.SECRET}") && !line.contains("s3cret")), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn expanded_values_take_the_type_that_is_wanted() {
    let config = parse("limits: {max_depth: '${env.DEPTH}', warn_only: \"${env.YES}\", max_aliases: '${env.NO:-3}'}\nsupergraph: {path: '/${env.DEPTH}'}\n").unwrap();
    assert_eq!((config.limits.max_depth, config.limits.warn_only, config.limits.max_aliases), (7, true, 3));
    assert_eq!(config.supergraph.path, "/7");
}

#[test]
fn an_empty_file_and_empty_blocks_have_safe_defaults() {
    for text in ["", "# nothing\n", "limits:\nroutes:\nsubgraphs:\n"] {
        let config = parse(text).unwrap();
        let mut wanted = Config::default();
        wanted.supergraph.last_good.clone_from(&config.supergraph.last_good);
        assert_eq!(config, wanted);
        assert!(!config.supergraph.introspection && !config.explorer.enabled && !config.include_subgraph_errors.all);
        assert!(config.csrf.enabled && config.cors.is_none() && config.admin.is_none());
        assert_eq!(config.supergraph.listen.ip(), std::net::Ipv4Addr::LOCALHOST);
    }
}

#[test]
fn a_block_of_apollo_router_works_as_it_stands() {
    let config = parse(
        r#"
supergraph:
  listen: 0.0.0.0:4000
headers:
  all:
    request:
      - propagate:
          named: Authorization
      - propagate:
          named: "x-request-id"
traffic_shaping:
  all:
    timeout: 30s
  subgraphs:
    products:
      timeout: 10s
limits:
  max_depth: 15
  max_height: 200
  max_aliases: 30
  max_root_fields: 20
telemetry:
  exporters:
    metrics:
      prometheus:
        enabled: true
        listen: 0.0.0.0:9090
        path: /metrics
    tracing:
      otlp:
        enabled: true
        endpoint: http://otel-collector:4317
cors:
  origins:
    - https://app.company.com
  methods:
    - GET
    - POST
  allow_headers:
    - Authorization
    - Content-Type
ratelimit:
  global:
    capacity: 1000
    interval: 1m
"#,
    )
    .unwrap();
    assert_eq!(config.supergraph.listen.to_string(), "0.0.0.0:4000");
    assert_eq!(config.shaping("products").timeout, Span::seconds(10));
    assert_eq!(config.shaping("others").timeout, Span::seconds(30));
    assert!(config.telemetry.exporters.tracing.otlp.enabled);
    assert_eq!(config.ratelimit.unwrap().global.unwrap().capacity, 1000);
    assert!(
        matches!(&config.headers.all.request[0], HeaderRule::Propagate(rule) if rule.named.as_deref() == Some("Authorization"))
    );
}

#[test]
fn a_route_overrides_field_by_field() {
    let config = parse(
        "authentication: {jwt: {jwks: [{file: keys.json}]}}\nlimits: {max_depth: 3, http_max_request_bytes: 1KiB}\nratelimit: {rules: [{name: a, key: ['header:X-A', client_ip], rate: 5/1m}]}\nupstreams: {u: {endpoints: [{url: 'http://u'}], circuit_breaker: {error_threshold: 50%}}}\nroutes:\n- {name: open, upstream: u, authentication: {require: false}, rate_limit: {headers: false}}\n- {name: small, upstream: u, limits: {http_max_request_bytes: 1B}}\n",
    )
    .unwrap();
    let [open, small] = config.routes.as_slice() else { unreachable!() };
    let open_auth = open.authentication.as_ref().unwrap();
    assert_eq!(open_auth.require, Require::Nothing);
    assert_eq!(open_auth.jwt.as_ref().unwrap().jwks[0].file.as_deref(), Some(Path::new("/etc/router/keys.json")));
    let quota = open.ratelimit.as_ref().unwrap();
    assert!(!quota.headers);
    assert_eq!(quota.rules[0].key, [RateLimitKey::Header("x-a".parse().unwrap()), RateLimitKey::ClientIp]);
    assert_eq!(config.authentication.as_ref().unwrap().require, Require::Any);
    let limits = small.limits.as_ref().unwrap();
    assert_eq!((limits.max_depth, limits.http_max_request_bytes), (3, Size(1)));
    assert!(small.authentication.is_none() && open.limits.is_none());
    assert_eq!(config.upstreams["u"].circuit_breaker.error_threshold, Some(Percent(50)));
}

#[test]
fn the_documented_example_is_right() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/router.yaml")).unwrap();
    let config = parse(&text).map_err(|problems| Refused::new(Path::new("router.yaml"), problems).to_string()).unwrap();
    assert_eq!((config.subgraphs.len(), config.routes.len()), (4, 2));
}

#[test]
fn anchors_and_merges_work() {
    let config = parse(
        "upstreams:\n  a: &base {endpoints: [{url: 'http://a'}], connect_timeout: 1s}\n  b: {<<: *base, balance: least_request}\n",
    )
    .unwrap();
    assert_eq!(config.upstreams["b"].connect_timeout, Span::seconds(1));
}
