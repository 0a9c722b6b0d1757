//! EVE and OCSF files against schemas that are not ours. OCSF: the published schema 1.8.0, as the Python package
//! ocsf-json-schema carries it. Suricata's schema is GPL-2 and not in Debian's packages, so it is not in this repository:
//! `tests/python/eve_alert.schema.json` states the names and types that it allows in an `alert` record, with
//! nothing else allowed.

use std::{fs, path::Path, process::Command, time::Duration};

use sensor_tests::python;
use serde_json::Value;

use crate::bench::{Bench, alert, until};

const PYTHON: [&str; 2] = ["ocsf-json-schema==1.2.0", "jsonschema==4.26.0"];

/// Updates of all kinds: with and without an actor, with pseudonyms, with dropped addresses, with nothing to explain.
fn written() -> (Bench, Vec<Value>, Vec<Value>) {
    let mut bench = Bench::new();
    let sinks = bench.start(
        &[("EVE_FILE", "eve.json"), ("OCSF_FILE", "ocsf.json")],
        &["eve", "ocsf"],
    );
    let mut alerts = vec![alert(1, "open"), alert(1, "update"), alert(1, "closed")];
    let mut flood = alert(2, "open");
    flood.actor.clear();
    flood.technique = Some("T1499.001".to_owned());
    flood.services = vec!["udp/53".to_owned(), "tcp/80".to_owned()];
    let mut dropped = alert(3, "open");
    "external".clone_into(&mut dropped.actor);
    dropped.targets = vec!["local".to_owned()];
    dropped.community_ids.clear();
    let mut bare = alert(4, "open");
    bare.reasons.clear();
    bare.targets.clear();
    bare.services = vec!["icmp".to_owned()];
    bare.technique = None;
    bare.sensor.clear();
    alerts.extend([flood, dropped, bare]);
    for alert in &alerts {
        bench.write(alert);
    }
    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(bench.path(name)).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    until("all are written", || {
        [lines("eve.json"), lines("ocsf.json")]
            .iter()
            .all(|lines| lines.len() == alerts.len())
    });
    sinks.close(Duration::from_secs(5));
    let (eve, ocsf) = (lines("eve.json"), lines("ocsf.json"));
    (bench, eve, ocsf)
}

fn validated(bench: &Bench, script: &str, file: &str) {
    let Some(python) = python::with(&PYTHON) else {
        return;
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let output = Command::new(python)
        .arg(scripts.join(script))
        .arg(bench.path(file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.trim(), "6 records are valid");
}

#[test]
fn ocsf_findings_are_valid_by_the_published_schema_and_say_what_the_incident_said() {
    let (bench, _, findings) = written();
    validated(&bench, "validate_ocsf.py", "ocsf.json");
    let kinds: Vec<(u64, u64)> = findings
        .iter()
        .map(|finding| {
            (
                finding["type_uid"].as_u64().unwrap(),
                finding["status_id"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(kinds[..3], [(200_401, 1), (200_402, 2), (200_403, 4)]);
    let first = &findings[0];
    assert_eq!(first["metadata"]["uid"], "0000000000000001-1");
    assert_eq!(first["finding_info"]["uid"], "0000000000000001");
    let analysis = &first["anomaly_analyses"][0];
    assert_eq!(analysis["analysis_targets"][0]["name"], "192.0.2.66");
    assert_eq!(analysis["anomalies"][0]["observations"][0]["value"], "1004");
    let usual: Vec<&Value> = (0..3)
        .map(|index| &analysis["baselines"][0]["observations"][index]["value"])
        .collect();
    assert_eq!(usual, ["0", "2", "6"]);
    assert_eq!(
        findings[3]["finding_info"]["attacks"][0]["sub_technique"]["uid"],
        "T1499.001"
    );
}

#[test]
fn eve_records_are_what_suricata_s_schema_allows_and_only_addresses_are_addresses() {
    let (bench, records, _) = written();
    validated(&bench, "validate_eve.py", "eve.json");
    let first = &records[0];
    assert_eq!(
        (&first["src_ip"], &first["dest_ip"]),
        (&"192.0.2.66".into(), &"198.51.100.7".into())
    );
    assert_eq!(
        (&first["proto"], &first["dest_port"]),
        (&"TCP".into(), &22.into())
    );
    let tags = first["alert"]["metadata"]["tag"].as_array().unwrap();
    assert!(tags.contains(&"update:0000000000000001-1".into()), "{tags:?}");
    assert_eq!(
        first["flow_id"], records[2]["flow_id"],
        "updates of an incident belong together"
    );
    assert_ne!(first["flow_id"], records[3]["flow_id"]);
    let dropped = &records[4];
    assert!(
        dropped.get("src_ip").is_none() && dropped.get("dest_ip").is_none(),
        "{dropped}"
    );
}
