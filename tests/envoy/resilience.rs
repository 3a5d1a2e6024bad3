//! Health checks, limits, ejections and retries (LB-06, RS-02, RS-04, RS-05, RS-06): what clients and upstreams see of them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::{Envoy, Gateway, Line, process::Config, tell_once};
use crate::support::{Recorded, Router, Scripted, Step, answer};

/// The same settings in the words of both: of the upstream, and of the route.
struct Settings {
    ours: (&'static str, &'static str),
    envoy: (&'static str, &'static str),
}

/// Runs one thing before each gateway, with upstreams of its own.
async fn each(settings: &Settings, make: impl AsyncFn() -> Vec<Scripted>, run: impl AsyncFn(&Gateway, &[Scripted])) {
    let endpoints = make().await;
    let (upstream, route) = settings.ours;
    let urls: Vec<String> = endpoints.iter().map(|endpoint| format!("{{ url: \"{}\" }}", endpoint.url())).collect();
    let config = format!(
        "routes: [{{ name: all, upstream: one {route} }}]\nupstreams: {{ one: {{ endpoints: [{}] {upstream} }} }}\n",
        urls.join(", ")
    );
    let router = Router::start(&config).await;
    run(&Gateway::Supergate(Box::new(router)), &endpoints).await;

    let endpoints = make().await;
    let (cluster, route) = settings.envoy;
    let virtual_hosts =
        format!("- {{ name: all, domains: ['*'], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: one {route} }} }}] }}");
    let addresses: Vec<SocketAddr> = endpoints.iter().map(Scripted::address).collect();
    let config = Config { virtual_hosts: &virtual_hosts, clusters: &[("one", addresses, cluster)] };
    match Envoy::start(&config).await {
        Some(envoy) => run(&Gateway::Envoy(Box::new(envoy)), &endpoints).await,
        None => tell_once(),
    }
}

const GET: &str = "GET / HTTP/1.1\nhost: a";

/// What an upstream does with one try.
#[derive(Clone, Copy, Debug)]
enum Try {
    Status(u16),
    Hang,
    Reset,
}

impl Try {
    fn steps(self) -> Vec<Step> {
        match self {
            Self::Status(status) => answer(status, "", ""),
            Self::Hang => vec![Step::Wait(Duration::from_secs(9))],
            Self::Reset => vec![Step::Reset],
        }
    }
}

/// An upstream that does these, one after another, and the last one from then on.
async fn in_turn(tries: &'static [Try]) -> Scripted {
    let count = AtomicUsize::new(0);
    Scripted::start(move |_| tries[count.fetch_add(1, Ordering::Relaxed).min(tries.len() - 1)].steps()).await
}

#[tokio::test]
async fn rs06_retries_go_as_far_as_they_are_configured() {
    use Try::{Hang, Reset, Status};
    const METHODS: &str = "What is not idempotent is not sent twice";
    let settings = Settings {
        ours: (", retry: { on: [5xx, connect-failure], attempts: 3, per_try_timeout: 300ms }", ", timeout: 3s"),
        envoy: ("", ", timeout: 3s, retry_policy: { retry_on: '5xx,connect-failure', num_retries: 3, per_try_timeout: 0.3s }"),
    };
    const PUT: &str = "PUT / HTTP/1.1\nhost: a\ncontent-length: 0";
    const POST: &str = "POST / HTTP/1.1\nhost: a\ncontent-length: 0";
    let table: &[Line<(&str, &'static [Try])>] = &[
        ((GET, &[Status(200)]), "200 after 1", None),
        ((GET, &[Status(503), Status(200)]), "200 after 2", None),
        ((GET, &[Status(500), Status(502), Status(504), Status(200)]), "200 after 4", None),
        ((GET, &[Status(503)]), "503 after 4", None),
        ((GET, &[Status(404)]), "404 after 1", None),
        ((GET, &[Status(429)]), "429 after 1", None),
        ((GET, &[Reset, Status(200)]), "200 after 2", None),
        ((GET, &[Hang, Status(200)]), "200 after 2", None),
        ((GET, &[Hang]), "504 after 4", None),
        ((PUT, &[Status(503), Status(200)]), "200 after 2", None),
        ((POST, &[Status(503), Status(200)]), "503 after 1", Some(("200 after 2", METHODS))),
        ((POST, &[Status(400)]), "400 after 1", None),
    ];
    for line in table {
        let ((head, tries), ..) = *line;
        each(
            &settings,
            async || vec![in_turn(tries).await],
            async |gateway, endpoints| {
                let (status, _) = gateway.ask(head).await;
                let got = format!("{status} after {}", endpoints[0].requests().len());
                assert_eq!(got, gateway.wanted(line), "{}: {head:?} {tries:?}", gateway.name());
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rs06_the_time_of_a_route_bounds_all_of_its_tries() {
    let settings = Settings {
        ours: (", retry: { on: [5xx], attempts: 3, per_try_timeout: 400ms }", ", timeout: 600ms"),
        envoy: ("", ", timeout: 0.6s, retry_policy: { retry_on: '5xx', num_retries: 3, per_try_timeout: 0.4s }"),
    };
    each(
        &settings,
        async || vec![in_turn(&[Try::Hang]).await],
        async |gateway, endpoints| {
            let started = Instant::now();
            assert_eq!(gateway.ask(GET).await.0, 504, "{}", gateway.name());
            let off = started.elapsed().abs_diff(Duration::from_millis(600));
            assert!(off < Duration::from_millis(200), "{}: {off:?} off its deadline", gateway.name());
            assert_eq!(endpoints[0].requests().len(), 2, "{}", gateway.name());
        },
    )
    .await;
}

/// All first tries fail, and all retries hang: as many as may be under way are sent.
#[tokio::test]
async fn rs02_rs06_retries_under_way_are_limited() {
    let limited = Settings {
        ours: (", retry: { on: [5xx], attempts: 3 }, circuit_breaker: { max_retries: 2 }", ", timeout: 2s"),
        envoy: (
            ", circuit_breakers: { thresholds: [{ max_retries: 2 }] }",
            ", timeout: 2s, retry_policy: { retry_on: '5xx', num_retries: 3 }",
        ),
    };
    let budget = Settings {
        ours: (", retry: { on: [5xx], attempts: 3, budget: 20% }", ", timeout: 2s"),
        envoy: (
            ", circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 } }] }",
            ", timeout: 2s, retry_policy: { retry_on: '5xx', num_retries: 3 }",
        ),
    };
    for (settings, most) in [(&limited, 2), (&budget, 6)] {
        let make = async || {
            let count = AtomicUsize::new(0);
            let storm = Scripted::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
                ..30 => [vec![Step::Wait(Duration::from_millis(400))], answer(503, "", "")].concat(),
                _ => vec![Step::Wait(Duration::from_secs(9))],
            });
            vec![storm.await]
        };
        each(settings, make, async |gateway, endpoints| {
            let statuses = join_all((0..30).map(|_| gateway.ask(GET))).await;
            assert!(statuses.iter().all(|(status, _)| matches!(status, 503 | 504)), "{}: {statuses:?}", gateway.name());
            let retries = endpoints[0].requests().len() - 30;
            assert!((1..=most).contains(&retries), "{}: {retries} retries instead of {most} at most", gateway.name());
        })
        .await;
    }
}

#[tokio::test]
async fn rs02_what_is_over_a_limit_is_refused_at_once() {
    let requests = Settings {
        ours: (", circuit_breaker: { max_requests: 4 }", ""),
        envoy: (", circuit_breakers: { thresholds: [{ max_requests: 4 }] }", ""),
    };
    let connections = Settings {
        ours: (", circuit_breaker: { max_connections: 2, max_pending_requests: 3 }", ""),
        envoy: (", circuit_breakers: { thresholds: [{ max_connections: 2, max_pending_requests: 3 }] }", ""),
    };
    for (settings, answered) in [(&requests, 4), (&connections, 5)] {
        let slow =
            async || vec![Scripted::start(|_| [vec![Step::Wait(Duration::from_secs(3))], answer(200, "", "")].concat()).await];
        each(settings, slow, async |gateway, endpoints| {
            let first = join_all((0..2).map(|_| gateway.answer(GET)));
            let others = async {
                while endpoints[0].requests().len() < 2 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let started = Instant::now();
                let ask = async || (gateway.answer(GET).await, started.elapsed());
                join_all((0..8).map(|_| ask())).await
            };
            let (first, others) = futures_util::future::join(first, others).await;
            assert!(first.iter().all(|(status, ..)| *status == 200), "{}", gateway.name());
            let refused: Vec<_> = others.iter().filter(|((status, ..), _)| *status == 503).collect();
            assert_eq!(refused.len(), 10 - answered, "{}: of 10", gateway.name());
            for ((_, head, _), took) in refused {
                assert!(head.contains("-overloaded: true"), "{}: {head}", gateway.name());
                assert!(*took < Duration::from_secs(2), "{}: refused after {took:?}", gateway.name());
            }
        })
        .await;
    }
}

const OUTLIERS: Settings = Settings {
    ours: (
        ", outlier_detection: { consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s, max_ejection_percent: 50 }, retry: { attempts: 0 }",
        "",
    ),
    envoy: (
        ", common_lb_config: { healthy_panic_threshold: { value: 0 } }, outlier_detection: { consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s, \
         max_ejection_percent: 50, enforcing_success_rate: 0 }",
        "",
    ),
};

#[tokio::test]
async fn rs04_five_failures_in_a_row_eject_an_endpoint() {
    use Try::{Reset, Status};
    const BAD: Try = Status(500);
    let table: &[Line<&'static [Try]>] = &[
        (&[Status(200)], "0 failed", None),
        (&[BAD], "5 failed", None),
        (&[BAD, BAD, BAD, BAD, Status(200), BAD], "9 failed", None),
        (&[Status(502), Status(503), Status(504)], "5 failed", None),
        (&[Reset], "5 failed", None),
        (&[Status(404)], "0 failed", None),
        (&[BAD, BAD, BAD, BAD, Status(404), BAD], "9 failed", None),
    ];
    for line in table {
        let make = async || vec![in_turn(&[Status(200)]).await, in_turn(line.0).await];
        each(&OUTLIERS, make, async |gateway, _| {
            let mut failed = 0;
            for _ in 0..40 {
                failed += usize::from(gateway.ask(GET).await.0 >= 500);
            }
            assert_eq!(format!("{failed} failed"), gateway.wanted(line), "{}: {:?}", gateway.name(), line.0);
        })
        .await;
    }
}

#[tokio::test]
async fn rs04_no_more_than_its_share_is_ejected() {
    let bad = async || in_turn(&[Try::Status(500)]).await;
    let make = async || vec![bad().await, bad().await, bad().await];
    each(&OUTLIERS, make, async |gateway, endpoints| {
        let ask = async || {
            for _ in 0..40 {
                assert_eq!(gateway.ask(GET).await.0, 500, "{}", gateway.name());
            }
        };
        ask().await;
        endpoints.iter().for_each(|endpoint| drop(endpoint.take()));
        ask().await;
        let used = endpoints.iter().filter(|endpoint| !endpoint.requests().is_empty()).count();
        assert_eq!(used, 2, "{}: one of three is less than half, two are more", gateway.name());
    })
    .await;
}

#[tokio::test]
async fn rs04_each_ejection_in_a_row_is_longer() {
    let settings = Settings {
        ours: (
            ", outlier_detection: { consecutive_5xx: 5, interval: 1s, base_ejection_time: 1s, max_ejection_percent: 50 }, retry: { attempts: 0 }",
            "",
        ),
        envoy: (
            ", outlier_detection: { consecutive_5xx: 5, interval: 1s, base_ejection_time: 1s, max_ejection_percent: 50, enforcing_success_rate: 0 }",
            "",
        ),
    };
    let times = Arc::new(Mutex::new(Vec::new()));
    let make = async || {
        let record = times.clone();
        let bad = Scripted::start(move |_| {
            record.lock().unwrap().push(Instant::now());
            answer(500, "", "")
        });
        vec![in_turn(&[Try::Status(200)]).await, bad.await]
    };
    each(&settings, make, async |gateway, _| {
        let gaps = || -> Vec<Duration> {
            let times = times.lock().unwrap();
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            gaps.filter(|gap| *gap > Duration::from_millis(500)).collect()
        };
        times.lock().unwrap().clear();
        let started = Instant::now();
        while gaps().len() < 2 {
            assert!(started.elapsed() < Duration::from_secs(15), "{}: {:?}", gateway.name(), gaps());
            gateway.ask(GET).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Envoy looks once an interval whether the time of an ejection is over.
        let slack = if matches!(gateway, Gateway::Envoy(_)) { 1_600 } else { 600 };
        for (gap, wanted) in gaps().into_iter().zip([1_000, 2_000]) {
            let is_right = (wanted - 250..wanted + slack).contains(&(gap.as_millis() as u64));
            assert!(is_right, "{}: {gap:?} instead of {wanted} ms", gateway.name());
        }
    })
    .await;
}

#[tokio::test]
async fn rs05_an_endpoint_that_succeeds_less_often_than_the_others_is_ejected() {
    let settings = |volume: bool| match volume {
        true => Settings {
            ours: (
                ", retry: { attempts: 0 }, outlier_detection: { consecutive_5xx: 1000, interval: 1s, success_rate_minimum_hosts: 3, success_rate_request_volume: 5, success_rate_stdev_factor: 1900 }",
                "",
            ),
            envoy: (
                ", outlier_detection: { consecutive_5xx: 1000, interval: 1s, max_ejection_percent: 50, success_rate_minimum_hosts: 3, success_rate_request_volume: 5, success_rate_stdev_factor: 1900 }",
                "",
            ),
        },
        false => Settings {
            ours: (
                ", retry: { attempts: 0 }, outlier_detection: { consecutive_5xx: 1000, interval: 1s, success_rate_minimum_hosts: 6, success_rate_request_volume: 5 }",
                "",
            ),
            envoy: (
                ", outlier_detection: { consecutive_5xx: 1000, interval: 1s, max_ejection_percent: 50, success_rate_minimum_hosts: 6, success_rate_request_volume: 5 }",
                "",
            ),
        },
    };
    for is_compared in [true, false] {
        let make = async || {
            let mut all = Vec::new();
            for _ in 0..4 {
                all.push(in_turn(&[Try::Status(200)]).await);
            }
            let count = AtomicUsize::new(0);
            let every_second = move |_: &Recorded| answer(200 + 300 * (count.fetch_add(1, Ordering::Relaxed) as u16 % 2), "", "");
            all.push(Scripted::start(every_second).await);
            all
        };
        each(&settings(is_compared), make, async |gateway, endpoints| {
            let started = Instant::now();
            let is_out = loop {
                endpoints[4].take();
                for _ in 0..5 {
                    join_all((0..10).map(|_| gateway.ask(GET))).await;
                }
                let is_out = endpoints[4].requests().is_empty();
                if is_out || started.elapsed() > Duration::from_secs(if is_compared { 20 } else { 4 }) {
                    break is_out;
                }
            };
            assert_eq!(is_out, is_compared, "{}: its rate is 0.5, the mean 0.9 and the deviation 0.2", gateway.name());
        })
        .await;
    }
}

/// How an endpoint answers its checks: well, with a status, or not at all.
async fn checked(state: Arc<Mutex<Try>>) -> Scripted {
    Scripted::start(move |request: &Recorded| match request.line().1 {
        "/health" => state.lock().unwrap().steps(),
        _ => answer(200, "", "checked"),
    })
    .await
}

#[tokio::test]
async fn lb06_endpoints_leave_after_failed_checks_and_return_after_good_ones() {
    const TITLE: &str = "A check that is answered badly counts like one that is not";
    let settings = Settings {
        ours: (
            ", retry: { attempts: 0 }, health_check: { path: /health, interval: 500ms, timeout: 250ms, unhealthy_threshold: 3, healthy_threshold: 2 }",
            "",
        ),
        envoy: (
            ", common_lb_config: { healthy_panic_threshold: { value: 0 } }, health_checks: [{ timeout: 0.25s, interval: 0.5s, unhealthy_threshold: 3, healthy_threshold: 2, \
             no_traffic_interval: 0.5s, http_health_check: { path: /health } }]",
            "",
        ),
    };
    let table: &[Line<Try>] = &[
        (Try::Hang, "out after 3, in after 2", None),
        (Try::Reset, "out after 3, in after 2", None),
        (Try::Status(500), "out after 3, in after 2", Some(("out after 1, in after 2", TITLE))),
        (Try::Status(404), "out after 3, in after 2", Some(("out after 1, in after 2", TITLE))),
    ];
    for line in table {
        let state = Arc::new(Mutex::new(Try::Status(200)));
        let make = async || vec![in_turn(&[Try::Status(200)]).await, checked(state.clone()).await];
        each(&settings, make, async |gateway, endpoints| {
            *state.lock().unwrap() = Try::Status(200);
            let endpoint = &endpoints[1];
            let is_check = |request: &Recorded| request.line().1 == "/health";
            let ask = async |count: usize| {
                for _ in 0..count {
                    gateway.ask(GET).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let started = Instant::now();
            while endpoint.requests().iter().filter(|request| !is_check(request)).count() < 5 {
                assert!(started.elapsed() < Duration::from_secs(10), "{}: it is never asked", gateway.name());
                ask(2).await;
            }
            endpoint.take();
            *state.lock().unwrap() = line.0;
            // Until so many checks were made that it must be out.
            while endpoint.requests().iter().filter(|request| is_check(request)).count() < 6 {
                ask(2).await;
            }
            let seen = endpoint.take();
            // After how many of the checks there were still calls; one may slip through while an answer is judged.
            let slip = usize::from(!matches!(line.0, Try::Hang));
            let gaps = seen.split(is_check).skip(1).filter(|calls| calls.len() > slip).count();
            // What hangs fails its check only when the time of that is over.
            let out = gaps + slip;
            *state.lock().unwrap() = Try::Status(200);
            endpoint.take();
            let started = Instant::now();
            while !endpoint.requests().iter().any(|request| !is_check(request)) {
                assert!(started.elapsed() < Duration::from_secs(10), "{}: it does not return", gateway.name());
                ask(2).await;
            }
            let back = endpoint.take().iter().take_while(|request| is_check(request)).count();
            let got = format!("out after {out}, in after {back}");
            assert_eq!(got, gateway.wanted(line), "{}: {:?}", gateway.name(), line.0);
        })
        .await;
    }
}
