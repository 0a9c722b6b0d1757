//! What people confirmed or called benign, as labels that `train` and `evaluate` read. It must never label traffic of
//! which nobody said anything: an incident without any address has no label.

use std::io::Write;

use super::{Database, StoreError, feedback::Judgement};
use crate::alert::{Alert, rfc3339};

use super::database::unix_ns;

/// Labels as a file, and what did not become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The file: CSV with a header, one line per incident and target.
    pub csv: Vec<u8>,
    /// Incidents in it.
    pub incidents: u64,
    /// Incidents that name no host, or cannot be read.
    pub skipped: u64,
}

/// The columns, as the reader of labels expects them.
const HEADER: [&str; 8] = [
    "start", "end", "src", "dst", "src_port", "dst_port", "proto", "label",
];

impl Database {
    /// The labels of all judged incidents. Times of incidents are ends of windows, so each label begins a window
    /// (`window_ns`) earlier.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn export_labels(&self, window_ns: i64) -> Result<Export, StoreError> {
        let mut found = Export::default();
        let mut csv = csv::Writer::from_writer(Vec::new());
        let mut lines = vec![HEADER.map(str::to_owned)];
        for verdict in [Judgement::Confirmed, Judgement::Benign] {
            for incident in self.judged(verdict.label())? {
                let alert: Option<Alert> = serde_json::from_value(incident.alert).ok();
                let made = alert.map_or_else(Vec::new, |alert| {
                    let label = match verdict {
                        Judgement::Confirmed => alert.behaviour.label(),
                        Judgement::Benign | Judgement::Note => "benign",
                    };
                    lines_of(&alert, label, window_ns)
                });
                if made.is_empty() {
                    found.skipped += 1;
                } else {
                    found.incidents += 1;
                }
                lines.extend(made);
            }
        }
        for line in lines {
            // Memory takes everything that is written to it.
            let _ = csv.write_record(&line);
        }
        let _ = csv.flush();
        found.csv = csv.into_inner().unwrap_or_default();
        Ok(found)
    }
}

/// One line per target; one for all if not all are known. Port and protocol are given where they are the same for the
/// whole incident.
fn lines_of(alert: &Alert, label: &str, window_ns: i64) -> Vec<[String; 8]> {
    let start = rfc3339(unix_ns(&alert.first_seen).saturating_sub(window_ns).max(0));
    let complete = alert.target_count <= alert.targets.len() as u64;
    let targets: Vec<&str> = if complete {
        alert.targets.iter().map(String::as_str).collect()
    } else {
        vec![""]
    };
    let (proto, port) = common_service(&alert.services);
    targets
        .into_iter()
        .filter(|target| !(target.is_empty() && alert.actor.is_empty()))
        .map(|target| {
            [
                start.clone(),
                alert.last_seen.clone(),
                alert.actor.clone(),
                target.to_owned(),
                String::new(),
                port.clone(),
                proto.clone(),
                label.to_owned(),
            ]
        })
        .collect()
}

/// Protocol and port of all services, each empty if they differ.
fn common_service(services: &[String]) -> (String, String) {
    let mut parts = services
        .iter()
        .map(|service| service.split_once('/').unwrap_or((service, "")));
    let Some((proto, port)) = parts.next() else {
        return (String::new(), String::new());
    };
    let (mut proto, mut port) = (proto, port);
    for (other_proto, other_port) in parts {
        if other_proto != proto {
            proto = "";
        }
        if other_port != port {
            port = "";
        }
    }
    match proto {
        // The number behind it is a protocol, not a port.
        "ip" => (port.to_owned(), String::new()),
        "" => (String::new(), String::new()),
        _ => (proto.to_owned(), port.to_owned()),
    }
}

impl Export {
    /// Writes the file.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write(&self, mut output: impl Write) -> std::io::Result<()> {
        output.write_all(&self.csv)
    }
}
