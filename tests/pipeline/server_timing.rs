//! Clients that ask are told how long their answer took.

use std::time::Duration;

use crate::support::{header, on_both, on_both_after};

#[tokio::test]
async fn who_asks_is_told() {
    on_both_after(Duration::from_millis(30), "", async |side| {
        assert_eq!(header(&side.send().await, "server-timing"), "");
        let response = side.request().header("x-server-timing", "1").send().await.unwrap();
        let told = header(&response, "server-timing").to_owned();
        let time = |name: &str| -> f64 {
            let entry = told.split(", ").find_map(|entry| entry.strip_prefix(&format!("{name};dur=")));
            entry.unwrap_or_else(|| panic!("no {name} in {told:?}")).parse().unwrap()
        };
        assert!(time("total") >= time("upstream") && time("upstream") >= 29.0, "{told}");
    })
    .await;
}

#[tokio::test]
async fn the_configuration_decides_who_is_told() {
    let config = |who: &str| {
        let prometheus = "exporters: { metrics: { prometheus: { listen: \"${env.METRICS}\" } } }";
        format!("telemetry: {{ server_timing: {who}, {prometheus} }}\n")
    };
    on_both(&config("always"), async |side| {
        assert!(header(&side.send().await, "server-timing").starts_with("total;dur="));
    })
    .await;
    on_both(&config("never"), async |side| {
        let response = side.request().header("x-server-timing", "1").send().await.unwrap();
        assert_eq!(header(&response, "server-timing"), "");
    })
    .await;
}
