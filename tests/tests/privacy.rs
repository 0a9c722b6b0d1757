//! No output of a command shows an address, or anything it could be computed from, when addresses are pseudonyms or
//! dropped. What the addresses are is taken from the same commands with addresses as they are, and it must never pass
//! because there was nothing to find: every plain output that can hold one has to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet, fs, net::IpAddr, os::unix::fs::PermissionsExt, path::Path, process::Command,
    sync::OnceLock,
};

use sensor_tests::{agent, python};
use tempfile::TempDir;

/// The same as in the tests of flow files: one environment serves both.
const PYTHON: [&str; 3] = ["pandas==3.1.1", "pyarrow==26.0.1", "duckdb==2.0.0"];
const KEY: &str = "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301";

/// Everything that the commands over captures said and wrote, by name. `Parquet` is there twice: as it is, for what
/// stands in its header uncompressed, and as `DuckDB` reads it.
type Outputs = Vec<(String, String)>;

fn sensor(directory: &Path, mode: &str, arguments: &str) -> String {
    let output = Command::new(agent::binary().unwrap())
        .current_dir(directory)
        .env("SENSOR_PRIVACY_ADDRESSES", mode)
        .env("SENSOR_PRIVACY_KEY_FILE", directory.join("own.key"))
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    said + &String::from_utf8_lossy(&output.stdout)
}

/// A capture with an attack, and a model of ordinary traffic.
fn workplace() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    PLACE
        .get_or_init(|| {
            let place = tempfile::tempdir().unwrap();
            let at = place.path();
            fs::write(at.join("own.key"), KEY).unwrap();
            fs::set_permissions(at.join("own.key"), fs::Permissions::from_mode(0o600)).unwrap();
            for arguments in [
                "simulate ordinary -o calm.pcap --labels calm.csv --duration 20m --seed 3",
                "train calm.pcap -o model --detector kmeans",
                "simulate vertical-scan -o attack.pcap --labels attack.csv --duration 10m --seed 4",
            ] {
                sensor(at, "plain", arguments);
            }
            place
        })
        .path()
}

fn outputs(mode: &str) -> Outputs {
    let at = workplace();
    fs::create_dir_all(at.join(mode)).unwrap();
    let mut said = String::new();
    for arguments in [
        "replay --model model --alerts MODE/alerts.jsonl --scores MODE/scores.csv attack.pcap",
        "flows attack.pcap -o MODE/flows.parquet",
        "flows attack.pcap -o MODE/flows.csv",
        "flows attack.pcap -o MODE/flows.jsonl",
        "evaluate --model model --labels attack.csv --json MODE/figures.json --report MODE/report.html attack.pcap",
    ] {
        said += &sensor(at, mode, &arguments.replace("MODE", mode));
    }
    let mut outputs = vec![("what was said".to_owned(), said)];
    let mut names: Vec<_> = fs::read_dir(at.join(mode))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        outputs.push((path.file_name().unwrap().to_str().unwrap().to_owned(), text));
    }
    outputs
}

/// The Parquet file decoded to text by a reader that is not the sensor's.
fn decoded(python: &Path, mode: &str) -> String {
    let path = workplace().join(mode).join("flows.parquet");
    let script = "import duckdb, sys; print(duckdb.sql(f\"SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{sys.argv[1]}')\").fetchall())";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Whatever in a text reads as an address.
fn addresses(text: &str) -> BTreeSet<IpAddr> {
    text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn community_ids(text: &str) -> BTreeSet<&str> {
    text.split(['"', ','])
        .filter(|word| word.len() == 30 && word.starts_with("1:") && word.ends_with('='))
        .collect()
}

fn of<'a>(outputs: &'a Outputs, name: &str) -> &'a str {
    &outputs.iter().find(|(of, _)| of == name).unwrap().1
}

/// Addresses and Community IDs of the capture, from outputs with addresses as they are.
fn secrets() -> &'static (BTreeSet<IpAddr>, BTreeSet<String>) {
    static SECRETS: OnceLock<(BTreeSet<IpAddr>, BTreeSet<String>)> = OnceLock::new();
    SECRETS.get_or_init(|| {
        let plain = outputs("plain");
        let seen = addresses(of(&plain, "flows.csv"));
        assert!(seen.len() > 10, "{seen:?}");
        for name in ["alerts.jsonl", "scores.csv", "flows.jsonl"] {
            let found = addresses(of(&plain, name));
            assert!(!found.is_empty() && found.is_subset(&seen), "{name}: {found:?}");
        }
        let ids = community_ids(of(&plain, "flows.csv"));
        assert!(!community_ids(of(&plain, "alerts.jsonl")).is_empty());
        (seen.clone(), ids.into_iter().map(str::to_owned).collect())
    })
}

/// Looks through all outputs of a mode.
fn nothing_shows(mode: &str) {
    let (seen, ids) = secrets();
    let mut outputs = outputs(mode);
    if let Some(python) = python::with(&PYTHON) {
        let plain = decoded(&python, "plain");
        assert!(
            addresses(&plain).is_superset(seen),
            "the decoder shows no addresses"
        );
        outputs.push(("flows.parquet, decoded".to_owned(), decoded(&python, mode)));
    }
    for (name, text) in &outputs {
        let shown: Vec<_> = addresses(text).intersection(seen).copied().collect();
        assert!(shown.is_empty(), "{mode}: {name} shows {shown:?}");
        let shown: Vec<_> = community_ids(text)
            .into_iter()
            .filter(|id| ids.contains(*id))
            .collect();
        assert!(shown.is_empty(), "{mode}: {name} shows {shown:?}");
    }
}

#[test]
fn with_pseudonyms_no_output_shows_an_address_or_a_community_id() {
    nothing_shows("prefix");
    let prefix = outputs("prefix");
    // Useful all the same: the same host has the same name everywhere, and as many hosts are told apart.
    let (seen, _) = secrets();
    let names = addresses(of(&prefix, "flows.csv"));
    assert_eq!(names.len(), seen.len());
    for name in ["alerts.jsonl", "scores.csv", "flows.jsonl"] {
        let found = addresses(of(&prefix, name));
        assert!(!found.is_empty() && found.is_subset(&names), "{name}: {found:?}");
    }
}

#[test]
fn dropped_addresses_leave_no_address_in_any_output() {
    nothing_shows("drop");
    let drop = outputs("drop");
    for name in ["alerts.jsonl", "scores.csv", "flows.csv", "flows.jsonl"] {
        assert_eq!(addresses(of(&drop, name)), BTreeSet::new(), "{name}");
        assert!(of(&drop, name).contains("local"), "{name}");
    }
}

#[test]
fn pseudonyms_without_a_key_are_refused_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(agent::binary().unwrap())
        .current_dir(workplace())
        .env("SENSOR_PRIVACY_ADDRESSES", "prefix")
        .env("SENSOR_STATE_DIR", place.path())
        .args(["flows", "attack.pcap"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("privacy.key_file"), "{said}");
    assert!(output.stdout.is_empty());
}
