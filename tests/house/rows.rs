//! The rows of the feature map that the REST gateway and its upstreams answer for, and the tests that show each.
//!
//! A test is named as `cargo test` names it: its modules below `tests/` (`rest::split::weights_are_kept_exactly`), or below
//! `src/` when it starts with `src::`. Every one of them talks over real sockets, but those of `src::` that say what time does.

use std::path::Path;

/// (row, what it asks for, its tests).
const ROWS: &[(&str, &str, &[&str])] = &[
    ("RT-01", "paths by prefix, at segment boundaries", &["pipeline::route::a_prefix_ends_where_a_segment_ends"]),
    (
        "RT-02",
        "templates, exact, regex, headers",
        &["pipeline::route::templates_exact_paths_expressions_and_headers_lead_where_they_say"],
    ),
    ("RT-03", "query parameters", &["pipeline::route::query_parameters_are_compared_decoded_and_one_of_several_is_enough"]),
    (
        "RT-04",
        "methods, 404 and 405",
        &["pipeline::route::methods_that_a_path_does_not_have_are_named", "pipeline::route::what_no_route_takes_is_told_apart"],
    ),
    ("RT-05", "stripped or kept, byte for byte", &["pipeline::route::what_is_not_stripped_stays_byte_for_byte"]),
    (
        "RT-06",
        "hosts",
        &[
            "envoy::routing::rt06_hosts_are_matched_by_name_suffix_and_any",
            "envoy::routing::rt06_a_host_that_nobody_serves_is_misdirected",
        ],
    ),
    (
        "RT-07",
        "the order of routes",
        &[
            "envoy::routing::rt07_the_most_specific_route_wins_in_whatever_order",
            "cli::explain_says_which_route_a_request_takes_and_why",
        ],
    ),
    ("RT-08", "a header leads elsewhere", &["envoy::routing::rt08_a_header_leads_elsewhere"]),
    (
        "RT-09",
        "host and path, alternatives",
        &[
            "pipeline::route::host_and_path_must_both_fit_and_alternatives_are_further_routes",
            "pipeline::route::or_and_not_make_any_combination",
        ],
    ),
    ("RT-11", "stripped prefixes are told", &["pipeline::route::what_is_not_stripped_stays_byte_for_byte"]),
    (
        "RT-12",
        "several listeners, http to https",
        &[
            "server::listeners::each_listener_has_its_tls_its_redirect_and_its_introductions",
            "server::listeners::listeners_come_move_and_go_and_nobody_is_cut_off",
            "server::tls::plain_requests_are_sent_to_https",
        ],
    ),
    (
        "RT-14",
        "one service, several routes",
        &["pipeline::route::one_service_may_have_several_routes_and_each_request_is_recorded_once"],
    ),
    (
        "RT-15",
        "each request is recorded once",
        &["pipeline::route::one_service_may_have_several_routes_and_each_request_is_recorded_once"],
    ),
    ("RT-16", "one order of stages", &["pipeline::each_step_comes_before_the_next_on_both_kinds_of_route"]),
    (
        "RT-17",
        "the order cannot be broken",
        &[
            "pipeline::each_step_comes_before_the_next_on_both_kinds_of_route",
            "cli::a_mistake_in_the_configuration_is_located_and_the_nearest_name_suggested",
        ],
    ),
    (
        "RT-18",
        "unused policies cost nothing",
        &[
            "src::snapshot::policy::a_route_has_the_steps_that_it_uses_and_no_others",
            "pipeline::route::a_route_can_override_any_policy",
        ],
    ),
    ("RT-19", "several quotas on one route", &["pipeline::route::the_most_specific_quota_counts_and_all_of_its_rules_do"]),
    ("RT-20", "upstreams move unnoticed", &["reload::reloads_under_load_fail_no_request"]),
    (
        "RT-22",
        "endpoints at run time",
        &["reload::reloads_under_load_fail_no_request", "upstream::discovery::flapping_records_fail_no_request"],
    ),
    (
        "RT-23",
        "requests are rewritten",
        &[
            "rest::rewrite::prefixes_are_stripped_and_paths_rewritten",
            "rest::rewrite::methods_and_bodies_are_rewritten",
            "upstream::headers::requests_are_propagated_inserted_removed_and_renamed",
        ],
    ),
    ("RT-24", "stages and overrides", &["pipeline::route::a_stage_is_a_prefix_with_a_catch_all_and_what_overrides_it"]),
    (
        "RT-26",
        "versions by content of requests",
        &[
            "envoy::routing::rt08_a_header_leads_elsewhere",
            "rest::split::versions_are_told_apart_by_path_header_media_type_and_query",
        ],
    ),
    (
        "RT-27",
        "public and private in one process",
        &[
            "server::listeners::public_and_private_have_routes_policies_and_numbers_of_their_own",
            "server::listeners::the_graph_may_be_had_at_some_listeners_only",
        ],
    ),
    (
        "PR-01",
        "WebSocket",
        &[
            "rest::tunnel::a_websocket_passes_once_its_request_may_and_ends_with_either_side",
            "rest::tunnel::a_websocket_over_http2_reaches_an_http1_upstream",
            "rest::tunnel::an_upstream_that_prefers_http2_is_asked_for_a_websocket_over_http1",
            "src::rest::tunnel::a_silent_tunnel_is_closed_and_a_talking_one_is_not",
        ],
    ),
    (
        "PR-03",
        "gRPC",
        &[
            "grpc::messages_stream_both_ways_and_trailers_arrive",
            "grpc::the_shorter_of_two_deadlines_is_passed_on_and_ends_the_call",
            "grpc::an_answer_that_has_begun_ends_at_the_deadline_with_its_status",
        ],
    ),
    ("LB-01", "several endpoints with weights", &["upstream::balance::turns_are_exact_and_weighted"]),
    (
        "LB-02",
        "round robin",
        &["upstream::balance::turns_are_exact_and_weighted", "src::upstream::balance::the_round_is_smooth_and_exact"],
    ),
    ("LB-03", "least request", &["upstream::balance::a_slow_endpoint_gets_less_where_load_decides"]),
    (
        "LB-04",
        "by header, cookie and address",
        &[
            "upstream::balance::a_key_stays_where_it_is_and_only_those_of_an_endpoint_that_leaves_move",
            "upstream::balance::a_client_stays_by_its_address",
        ],
    ),
    ("LB-05", "addresses by DNS", &["upstream::discovery::addresses_follow_dns_and_the_last_ones_stay_when_it_fails"]),
    (
        "LB-06",
        "health checks",
        &[
            "envoy::resilience::lb06_endpoints_leave_after_failed_checks_and_return_after_good_ones",
            "upstream::service::checks_ask_as_configured_and_do_not_wait_for_calls",
        ],
    ),
    ("LB-07", "health checks", &["envoy::resilience::lb06_endpoints_leave_after_failed_checks_and_return_after_good_ones"]),
    (
        "LB-08",
        "weights and mirrors",
        &[
            "rest::mirror::copies_are_whole_and_answers_to_them_are_dropped",
            "rest::mirror::a_mirror_that_hangs_or_is_gone_is_not_felt",
            "rest::split::weights_are_kept_exactly",
        ],
    ),
    ("LB-09", "SRV records", &["upstream::discovery::services_have_ports_weights_and_priorities"]),
    (
        "LB-11",
        "endpoints leave and return",
        &["upstream::balance::an_endpoint_leaves_and_returns_by_its_health_while_others_serve"],
    ),
    (
        "LB-12",
        "bad instances are left out",
        &[
            "envoy::resilience::rs04_five_failures_in_a_row_eject_an_endpoint",
            "upstream::balance::below_the_panic_threshold_all_are_called",
            "upstream::balance::an_endpoint_that_is_back_gets_its_share_little_by_little",
            "upstream::balance::an_endpoint_leaves_and_returns_by_its_health_while_others_serve",
        ],
    ),
    (
        "LB-14",
        "PROXY protocol, affinity",
        &["server::proxy_protocol::upstreams_learn_whom_a_connection_is_for", "upstream::balance::a_client_stays_by_its_address"],
    ),
    ("OF-02", "TLS in front", &["src::pipeline::tests::tls_is_spoken_to_clients_with_the_certificate_that_they_ask_for"]),
    (
        "OF-07",
        "pools",
        &[
            "upstream::service::connections_are_shared_and_end_when_they_are_idle_or_old",
            "src::pipeline::tests::a_kept_connection_that_was_closed_meanwhile_costs_the_client_nothing",
        ],
    ),
    (
        "OF-13",
        "certificates of clients",
        &[
            "server::tls::clients_prove_who_they_are_and_upstreams_learn_it",
            "server::tls::a_certificate_of_another_authority_is_refused",
            "src::pipeline::tests::upstreams_are_called_over_tls_and_must_be_who_they_claim",
        ],
    ),
    (
        "RS-01",
        "the breaker's states",
        &[
            "upstream::service::a_breaker_goes_round_and_lets_one_probe_through",
            "src::upstream::breaker::only_the_probe_says_whether_things_are_better",
        ],
    ),
    (
        "RS-02",
        "limits",
        &[
            "envoy::resilience::rs02_what_is_over_a_limit_is_refused_at_once",
            "envoy::resilience::rs02_rs06_retries_under_way_are_limited",
            "upstream::service::what_is_one_too_many_is_refused_at_once_and_says_so",
        ],
    ),
    ("RS-03", "what is left of limits", &["upstream::service::what_is_one_too_many_is_refused_at_once_and_says_so"]),
    (
        "RS-04",
        "ejection by failures in a row",
        &[
            "envoy::resilience::rs04_five_failures_in_a_row_eject_an_endpoint",
            "envoy::resilience::rs04_no_more_than_its_share_is_ejected",
            "envoy::resilience::rs04_each_ejection_in_a_row_is_longer",
        ],
    ),
    (
        "RS-05",
        "ejection by rate of success",
        &[
            "envoy::resilience::rs05_an_endpoint_that_succeeds_less_often_than_the_others_is_ejected",
            "src::upstream::health::an_endpoint_whose_rate_is_far_below_the_others_is_ejected_after_an_interval",
        ],
    ),
    (
        "RS-06",
        "retries",
        &[
            "envoy::resilience::rs06_retries_go_as_far_as_they_are_configured",
            "envoy::resilience::rs06_the_time_of_a_route_bounds_all_of_its_tries",
            "upstream::service::a_retry_prefers_another_endpoint_and_each_try_has_its_time",
            "upstream::service::what_was_never_sent_goes_to_another_endpoint_whatever_its_method",
            "upstream::pool::a_storm_of_retries_stays_within_its_budget",
        ],
    ),
    (
        "RS-07",
        "retries and versions",
        &["rest::split::a_retry_stays_with_its_version", "rest::split::a_retry_goes_to_the_other_version_where_it_may"],
    ),
    ("RS-08", "deadlines", &["upstream::pool::a_hang_is_a_504_at_its_deadline", "upstream::pool::each_service_has_its_time"]),
    (
        "RS-09",
        "bulkheads",
        &[
            "upstream::pool::what_hangs_slows_nobody_else_and_is_capped",
            "upstream::pool::no_fault_of_an_upstream_is_felt_by_those_of_another",
        ],
    ),
    (
        "RS-10",
        "restarts lose nothing",
        &["server::drain::under_load_a_request_is_answered_or_never_accepted", "server::drain::no_request_in_flight_is_lost"],
    ),
    (
        "RS-11",
        "retries are limited",
        &["envoy::resilience::rs02_rs06_retries_under_way_are_limited", "upstream::pool::each_service_has_its_time"],
    ),
    (
        "RS-12",
        "breakers by errors and by time",
        &[
            "src::upstream::breaker::each_threshold_opens_it_by_what_it_is_about",
            "upstream::service::slow_answers_open_a_breaker_that_is_about_time",
        ],
    ),
    ("RS-13", "times by default and of their own", &["upstream::pool::each_service_has_its_time"]),
    (
        "RS-15",
        "seen while things go wrong",
        &[
            "upstream::service::a_breaker_goes_round_and_lets_one_probe_through",
            "telemetry::metrics::counts_are_exact_after_a_known_load",
        ],
    ),
    (
        "RS-17",
        "readiness and drain",
        &[
            "reload::with_every_subgraph_dead_it_stays_ready_and_names_them",
            "server::drain::under_load_a_request_is_answered_or_never_accepted",
        ],
    ),
    ("CV-01", "shares", &["rest::split::weights_are_kept_exactly", "src::rest::split::shares_are_exact_and_evenly_spread"]),
    ("CV-02", "shares", &["rest::split::weights_are_kept_exactly"]),
    (
        "CV-03",
        "by header",
        &["envoy::routing::rt08_a_header_leads_elsewhere", "rest::split::a_sticky_caller_stays_and_a_rule_comes_first"],
    ),
    (
        "CV-04",
        "canaries",
        &[
            "src::rest::split::a_canary_grows_by_a_tenth_every_six_minutes",
            "src::rest::split::a_caller_stays_with_its_version_while_the_share_grows",
            "src::rest::split::those_whom_a_canary_leaves_keep_their_shares",
            "rest::split::a_canary_whose_time_is_over_has_everybody_and_one_to_come_nobody",
        ],
    ),
    ("CV-05", "shares", &["rest::split::weights_are_kept_exactly"]),
    ("CV-06", "versions by path", &["rest::split::versions_are_told_apart_by_path_header_media_type_and_query"]),
    (
        "CV-07",
        "versions by media type",
        &[
            "rest::split::versions_are_told_apart_by_path_header_media_type_and_query",
            "src::pipeline::route::accept::the_most_wanted_version_is_taken_and_only_when_it_is_named",
        ],
    ),
    ("CV-08", "versions by query", &["rest::split::versions_are_told_apart_by_path_header_media_type_and_query"]),
    ("CV-09", "the whole example", &["pipeline::route::kongs_example_of_versions_runs"]),
    ("CV-10", "deprecation", &["rest::split::a_deprecated_route_says_so_on_every_answer"]),
    ("AG-01", "side by side", &["rest::aggregate::parts_are_asked_side_by_side_and_only_what_is_listed_goes_on"]),
    (
        "AG-02",
        "picked and renamed",
        &[
            "rest::aggregate::parts_are_asked_side_by_side_and_only_what_is_listed_goes_on",
            "src::rest::aggregate::shape::fields_are_targeted_picked_left_out_and_renamed",
        ],
    ),
    (
        "AG-03",
        "partial failures",
        &[
            "rest::aggregate::a_part_that_fails_does_what_the_policy_says",
            "rest::aggregate::a_part_that_hangs_is_a_part_that_fails",
            "rest::aggregate::a_failure_ends_the_other_parts_where_all_are_needed",
        ],
    ),
    (
        "AG-04",
        "values of earlier answers",
        &[
            "rest::aggregate::a_later_part_uses_an_earlier_ones_values_and_they_stay_values",
            "rest::aggregate::a_value_with_line_ends_never_gets_into_a_header",
        ],
    ),
];

/// Rows that have no test yet, with what is missing.
const MISSING: &[(&str, &str)] = &[];

/// Every row that is asked for.
const NAMED: &[(&str, &[u32])] = &[
    ("RT", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 26, 27]),
    ("LB", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14]),
    ("RS", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17]),
    ("CV", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("AG", &[1, 2, 3, 4]),
    ("OF", &[2, 7, 13]),
    ("PR", &[1, 3]),
];

/// Whether there is a test function of this name in the file of its module.
fn exists(test: &str) -> bool {
    let (folder, path) = test.strip_prefix("src::").map_or(("tests", test), |path| ("src", path));
    let Some((module, name)) = path.rsplit_once("::") else { return false };
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(module.replace("::", "/"));
    let files = [base.with_extension("rs"), base.join("mod.rs")];
    let text: String = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    text.contains(&format!("fn {name}("))
}

#[test]
fn every_row_of_the_gateway_has_its_tests() {
    let mut wrong = Vec::new();
    for (group, numbers) in NAMED {
        for number in *numbers {
            let row = format!("{group}-{number:02}");
            if !ROWS.iter().any(|(known, ..)| *known == row) && !MISSING.iter().any(|(known, _)| *known == row) {
                wrong.push(format!("{row} has no test"));
            }
        }
    }
    for (row, _, tests) in ROWS {
        wrong.extend(tests.iter().filter(|test| !exists(test)).map(|test| format!("{row}: there is no test `{test}`")));
        if tests.is_empty() {
            wrong.push(format!("{row} names no test"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
