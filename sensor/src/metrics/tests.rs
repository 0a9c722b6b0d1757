//! Tests of the metrics: both text formats by a strict reader, the contract's names, and the bound on series.
//! It must never depend on time or on the network beyond this machine.

use super::{check::parse, *};

fn exemplar(value: f64) -> Exemplar {
    Exemplar {
        community_id: "1:wCb3OG7yAFWelaUydu0D+125CLM=".into(),
        incident: "inc-7".into(),
        value,
        timestamp_seconds: 1.5e9,
    }
}

/// Every series that can exist at once, with as many interfaces and label values as there can be.
fn full() -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics
        .build_info
        .with_label_values(&["0.1.0", "x86_64"])
        .set(1.0);
    metrics
        .kernel_info
        .with_label_values(&["6.18 \"quoted\"\\", "true"])
        .set(1.0);
    let names: Vec<String> = (0..MAX_INTERFACES).map(|n| format!("eth{n}")).collect();
    for name in names.iter().map(String::as_str).chain([OTHER_INTERFACES]) {
        metrics
            .interface_attached
            .with_label_values(&[name, "native"])
            .set(1.0);
        metrics
            .interface_attached
            .with_label_values(&[name, "tcx"])
            .set(1.0);
        metrics.interface_receive_packets.with_label_values(&[name]).inc();
        metrics.interface_receive_bytes.with_label_values(&[name]).inc();
        metrics
            .interface_transmit_packets
            .with_label_values(&[name])
            .inc();
        metrics.interface_transmit_bytes.with_label_values(&[name]).inc();
    }
    for program in ["xdp", "xdp_frags", "tc_ingress", "tc_egress"] {
        metrics.bpf_runs.with_label_values(&[program]).inc();
        metrics.bpf_run_seconds.with_label_values(&[program]).inc_by(0.25);
    }
    for reason in label::DropReason::VALUES {
        metrics
            .sink_events_dropped
            .with_label_values(&["journal", reason])
            .inc();
    }
    for severity in crate::alert::Severity::ALL {
        metrics
            .incidents_open
            .with_label_values(&[severity.label()])
            .set(1.0);
    }
    for behaviour in crate::alert::Behaviour::ALL {
        for severity in crate::alert::Severity::possible(behaviour) {
            metrics
                .incidents
                .with_label_values(&[severity.label(), behaviour.label()])
                .inc();
        }
    }
    metrics
        .model_info
        .with_label_values(&["m", "autoencoder"])
        .set(1.0);
    metrics
        .reconstruction_error
        .add(&[1, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 4], 1e9);
    metrics.keep_exemplar(exemplar(2.0));
    metrics.keep_exemplar(exemplar(1e9));
    metrics
}

#[test]
fn both_formats_satisfy_a_strict_reader() {
    let metrics = full();
    let classic = parse(&metrics.render(Format::Classic).unwrap(), false).unwrap();
    let open = parse(&metrics.render(Format::OpenMetrics).unwrap(), true).unwrap();
    assert_eq!(classic.len(), open.len());
    let with_exemplar: Vec<_> = open.iter().filter(|sample| sample.exemplar.is_some()).collect();
    assert_eq!(with_exemplar.len(), 2);
    assert_eq!(with_exemplar[0].labels["le"], "3.0");
    assert_eq!(with_exemplar[1].labels["le"], "+Inf");
    assert_eq!(with_exemplar[0].exemplar.as_ref().unwrap()["incident"], "inc-7");
    let kernel = open
        .iter()
        .find(|sample| sample.name == "sensor_kernel_info")
        .unwrap();
    assert_eq!(kernel.labels["release"], "6.18 \"quoted\"\\");
}

#[test]
fn the_strict_reader_refuses_what_is_wrong() {
    for (text, open) in [
        ("# TYPE a counter\na 1\n# EOF\n", true),
        ("# TYPE a counter\na_total 1\n", true),
        ("# TYPE a gauge\na 1\n# EOF\nb 1\n", true),
        ("# TYPE a counter\na 1\n", false),
        ("# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n", false),
        ("# TYPE a gauge\na 1\na 1\n", false),
        ("# TYPE a gauge\na one\n", false),
        ("a 1\n", false),
        (
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1.0\na_count 2\n",
            false,
        ),
    ] {
        assert!(parse(text, open).is_err(), "{text}");
    }
}

#[test]
fn there_are_never_more_series_than_promised() {
    let count = parse(&full().render(Format::Classic).unwrap(), false)
        .unwrap()
        .len();
    assert!(count <= MAX_SERIES, "{count} series");
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let Ok(mut child) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        let required = std::env::var("SENSOR_TEST_REQUIRE").is_ok_and(|value| value == "1");
        assert!(!required, "promtool is not installed: run `cargo xtask setup`");
        println!("skipped: promtool is not installed: run `cargo xtask setup`");
        return;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(full().render(Format::Classic).unwrap().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    for def in TABLE {
        assert!(
            def.name.starts_with("sensor_") || def.name.starts_with("process_"),
            "{}",
            def.name
        );
        assert_eq!(
            def.kind == Kind::Counter,
            def.name.ends_with("_total"),
            "{}",
            def.name
        );
        assert_eq!(
            def.kind == Kind::Histogram,
            !def.buckets.is_empty(),
            "{}",
            def.name
        );
        assert!(def.buckets.is_sorted(), "{}", def.name);
        assert!(!def.help.trim().is_empty(), "{}", def.name);
        for label in def.labels {
            assert!(
                label.values.is_empty() != label.bound.is_empty(),
                "{} {}",
                def.name,
                label.name
            );
            assert!(
                !["le", "quantile", "job", "instance", "type"].contains(&label.name),
                "{}",
                def.name
            );
        }
    }
    assert!(TABLE.iter().any(|def| def.name == table::ERROR_NAME));
}

#[test]
fn batches_add_up_to_cumulative_buckets() {
    let metrics = Metrics::new().unwrap();
    metrics
        .reconstruction_error
        .add(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4], 5000.5);
    metrics
        .reconstruction_error
        .add(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.5);
    let samples = parse(&metrics.render(Format::Classic).unwrap(), false).unwrap();
    let value = |name: &str, bound: &str| {
        let found = samples
            .iter()
            .find(|s| s.name == name && s.labels.get("le").is_none_or(|le| le == bound));
        found.map(|sample| sample.value)
    };
    assert_eq!(value("sensor_reconstruction_error_bucket", "0.003"), Some(2.0));
    assert_eq!(value("sensor_reconstruction_error_bucket", "1000"), Some(4.0));
    assert_eq!(value("sensor_reconstruction_error_bucket", "+Inf"), Some(8.0));
    assert_eq!(value("sensor_reconstruction_error_sum", ""), Some(5001.0));
}

#[test]
fn every_reason_a_flow_ends_for_is_a_known_label() {
    let declared = TABLE
        .iter()
        .find(|def| def.name == "sensor_flows_ended_total")
        .unwrap()
        .labels[0]
        .values;
    let given: Vec<_> = crate::window::FlowsEnded::default()
        .by_reason()
        .iter()
        .map(|(reason, _)| *reason)
        .collect();
    assert_eq!(declared, given);
}

#[test]
fn absolute_counters_never_go_back() {
    let metrics = Metrics::new().unwrap();
    for (absolute, expected) in [(5, 5), (9, 9), (2, 9), (10, 10)] {
        Metrics::raise(&metrics.windows, absolute);
        assert_eq!(metrics.windows.get(), expected);
    }
    Metrics::raise_seconds(&metrics.process_cpu_seconds, 2.5);
    Metrics::raise_seconds(&metrics.process_cpu_seconds, 1.5);
    assert!((metrics.process_cpu_seconds.get() - 2.5).abs() < 1e-9);
}

#[test]
fn openmetrics_is_given_only_when_asked_for() {
    for (accept, expected) in [
        ("", Format::Classic),
        ("*/*", Format::Classic),
        ("text/plain", Format::Classic),
        ("application/openmetrics-text", Format::OpenMetrics),
        (
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        (
            "application/openmetrics-text;q=0.2,text/plain;q=0.5",
            Format::Classic,
        ),
    ] {
        assert_eq!(Format::negotiate(accept), expected, "{accept}");
    }
}

#[test]
fn docs_metrics_md_is_current() {
    docs::assert_current("metrics.md", &docs::markdown());
}
