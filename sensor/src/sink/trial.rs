//! A made-up update with everything in it, to try templates with before there is an incident, and for tests. It must
//! never be sent.

use std::collections::BTreeMap;

use crate::{
    alert::{Alert, Behaviour, Reason, Severity, State, rfc3339},
    incidents::Stored,
};

/// An update of this number.
pub(super) fn numbered(seq: u64) -> Stored {
    let start_ns = 1_767_323_045_000_000_000;
    Stored {
        seq,
        alert: Alert {
            ts: rfc3339(start_ns + 1_000_000_000 * seq as i64),
            event: "incident".to_owned(),
            id: format!("{:016x}", 0x00c0_ffee_0000 + seq),
            state: State::Open,
            severity: Severity::Medium,
            behaviour: Behaviour::VerticalScan,
            score: 12.5,
            p_value: 1e-7,
            actor: "192.0.2.66".to_owned(),
            targets: vec!["198.51.100.7".to_owned(), "2001:db8::7".to_owned()],
            target_count: 2,
            services: vec!["tcp/22".to_owned()],
            first_seen: rfc3339(start_ns),
            last_seen: rfc3339(start_ns + 1_000_000_000 * seq as i64),
            rows: 3,
            packets: 1004,
            bytes: 60_240,
            reasons: vec![Reason {
                feature: "host_ports".to_owned(),
                observed: 1004.0,
                expected: 2.0,
                low: 0.0,
                high: 6.0,
                contribution: 0.8,
                text: "opened connections to 1,004 ports; usual: 0–6".to_owned(),
            }],
            summary: "192.0.2.66 tried 1,004 ports of 198.51.100.7 in 10 s".to_owned(),
            technique: Some("T1046".to_owned()),
            community_ids: vec!["1:wCb3OG7yAFWelaUydu0D+125CLM=".to_owned()],
            model: "model-1".to_owned(),
            detectors: BTreeMap::from([("autoencoder".to_owned(), 12.5)]),
            sensor: "box".to_owned(),
            interface: "eth0".to_owned(),
        },
    }
}

/// Some update.
pub(super) fn trial() -> Stored {
    numbered(1)
}
