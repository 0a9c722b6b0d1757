//! `train` and `evaluate` as users have them, on captures of `simulate`: figures, bars, report, flow files. It must never
//! ask for a figure to be good: that is for the evaluation suite.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use sensor_tests::agent;
use serde_json::Value;
use tempfile::TempDir;

/// Runs `sensor` in a directory; words are separated by spaces.
fn sensor(directory: &Path, arguments: &str) -> Output {
    Command::new(agent::binary().unwrap())
        .current_dir(directory)
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn done(directory: &Path, arguments: &str) -> Output {
    let output = sensor(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {}", stderr(&output));
    output
}

/// Ordinary traffic, a model of it (`model`), and an attack with labels of both forms.
fn workplace() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    PLACE
        .get_or_init(|| {
            let place = tempfile::tempdir().unwrap();
            let at = place.path();
            done(
                at,
                "simulate ordinary -o calm.pcap --labels calm.csv --duration 20m --seed 3",
            );
            done(at, "train calm.pcap -o model --detector kmeans");
            let attack = "simulate vertical-scan -o attack.pcap --duration 10m --seed 4";
            done(at, &format!("{attack} --labels frames.csv"));
            done(
                at,
                &format!("{attack} --labels intervals.csv --label-form interval"),
            );
            place
        })
        .path()
}

fn figures(directory: &Path, arguments: &str) -> Value {
    let output = done(directory, &format!("evaluate --model model --json - {arguments}"));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn figures_have_all_keys_of_the_contract() {
    let figures = figures(workplace(), "--labels frames.csv attack.pcap");
    for path in [
        "/rows/total",
        "/rows/malicious",
        "/rows/benign",
        "/detector",
        "/threshold",
        "/alarm_budget_per_day",
        "/realised_alarm_rate_per_day",
        "/thresholds/0/beyond_reach",
        "/confusion/tp",
        "/confusion/fp",
        "/confusion/tn",
        "/confusion/fn",
        "/precision",
        "/recall",
        "/f1",
        "/fpr",
        "/roc_auc",
        "/pr_auc",
        "/tpr_at_fpr_1e3",
        "/tpr_at_fpr_1e2",
        "/events/total",
        "/events/detected",
        "/events/missed",
        "/events/median_delay_s",
        "/incidents/total",
        "/incidents/false",
        "/incidents/false_per_hour",
        "/macro/roc_auc",
        "/macro/recall_at_fpr_1e2",
        "/macro/recall",
        "/labels/0/label",
        "/labels/0/rows",
        "/labels/0/roc_auc",
        "/labels/0/recall",
        "/labels/0/events",
        "/labels/0/detected",
        "/labels/0/named_as",
        "/capture/packets",
        "/capture/seconds",
        "/speed/packets_per_second",
        "/speed/rows_per_second",
    ] {
        assert!(figures.pointer(path).is_some(), "{path}: {figures}");
    }
    let count = |path: &str| figures.pointer(path).and_then(Value::as_u64).unwrap();
    assert_eq!(
        count("/rows/malicious"),
        count("/confusion/tp") + count("/confusion/fn")
    );
    assert_eq!(
        count("/rows/benign"),
        count("/confusion/fp") + count("/confusion/tn")
    );
    assert!(count("/rows/malicious") > 0 && count("/events/total") == 1);
}

#[test]
fn a_missed_bar_is_named_and_ends_with_five() {
    let at = workplace();
    let evaluate = "evaluate --model model --labels frames.csv attack.pcap";
    let output = sensor(
        at,
        &format!("{evaluate} --min-f1 1.1 --min-roc-auc 0 --max-fpr 1"),
    );
    assert_eq!(output.status.code(), Some(5));
    let said = stderr(&output);
    assert!(said.contains("f1 is ") && said.contains("at least 1.1"), "{said}");
    assert!(!said.contains("roc_auc is") && !said.contains("fpr is"), "{said}");
    // The figures are printed all the same.
    assert!(stdout(&output).contains("Mean over attacks"));
}

#[test]
fn the_report_is_one_file_that_asks_for_nothing() {
    let at = workplace();
    done(
        at,
        "evaluate --model model --model model --labels frames.csv --report report.html attack.pcap",
    );
    let html = fs::read_to_string(at.join("report.html")).unwrap();
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    let html = html.replace("http://www.w3.org/2000/svg", "");
    for part in ["http://", "https://", "<script", "src=", "url(", "@import"] {
        assert!(!html.contains(part), "{part}");
    }
    for part in [
        "Timeline",
        "Rows at the threshold",
        "vertical",
        "<svg",
        "Held-out scores",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(
        html.matches("<section").count(),
        html.matches("</section").count()
    );
    assert_eq!(html.matches("<div").count(), html.matches("</div").count());
}

#[test]
fn several_models_give_one_object_per_line_and_a_table() {
    let at = workplace();
    let output = done(
        at,
        "evaluate --model model --model model --labels frames.csv --json - attack.pcap",
    );
    let out = stdout(&output);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["macro"], lines[1]["macro"]);
    assert!(stderr(&output).contains("Mean over attacks"));
}

#[test]
fn a_flow_file_trains_the_model_of_its_capture() {
    let at = workplace();
    let id = |model: &str| {
        let manifest = fs::read(at.join(model).join("manifest.json")).unwrap();
        serde_json::from_slice::<Value>(&manifest).unwrap()["id"].clone()
    };
    for name in ["calm.parquet", "calm.csv", "calm.jsonl"] {
        done(at, &format!("flows calm.pcap -o flows-{name}"));
        done(
            at,
            &format!("train flows-{name} -o model-{name} --detector kmeans"),
        );
        assert_eq!(id("model"), id(&format!("model-{name}")), "{name}");
    }
}

#[test]
fn a_flow_file_is_evaluated_by_intervals_and_refuses_frames() {
    let at = workplace();
    done(at, "flows attack.pcap -o attack.parquet");
    let of_rows = figures(at, "--labels intervals.csv attack.parquet");
    let of_packets = figures(at, "--labels intervals.csv attack.pcap");
    for path in ["/rows/total", "/incidents/total", "/events/total", "/threshold"] {
        assert_eq!(of_rows.pointer(path), of_packets.pointer(path), "{path}");
    }
    assert!(of_rows["rows"]["malicious"].as_u64() >= of_packets["rows"]["malicious"].as_u64());
    let frames = sensor(at, "evaluate --model model --labels frames.csv attack.parquet");
    assert_eq!(frames.status.code(), Some(2));
    assert!(stderr(&frames).contains("labels by frame"), "{}", stderr(&frames));
    let mixed = sensor(at, "train calm.pcap attack.parquet -o mixed");
    assert_eq!(mixed.status.code(), Some(2));
    assert!(stderr(&mixed).contains("is a capture"), "{}", stderr(&mixed));
    let window = sensor(
        at,
        "evaluate --model model --window 60s --labels intervals.csv attack.parquet",
    );
    assert_eq!(window.status.code(), Some(2));
    assert!(stderr(&window).contains("--window 10s"), "{}", stderr(&window));
}
