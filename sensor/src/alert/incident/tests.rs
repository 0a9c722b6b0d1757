//! Incidents over many windows.

mod stages;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn host(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn sighting(actor: u8, behaviour: Behaviour) -> Sighting {
    Sighting {
        subject: host(actor),
        behaviour,
        actor: Some(host(actor)),
        inside: false,
        targets: vec![host(200)],
        target_count: 1,
        count: 50,
        service: (6, 22),
        score: 10.0,
        detectors: BTreeMap::from([("autoencoder".to_owned(), 2.0)]),
        p_value: 1e-4,
        rows: 1,
        packets: 100,
        bytes: 6000,
        reasons: Vec::new(),
        summary: "s".to_owned(),
        community_ids: vec!["1:a".to_owned()],
        interface: "eth0".to_owned(),
    }
}

fn incidents() -> Incidents {
    Incidents::new(IncidentSettings::default(), "box".to_owned())
}

#[test]
fn one_story_opens_once_updates_once_a_minute_escalates_at_once_and_closes() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    let mut dispositions = Vec::new();
    for window in 0..35 {
        let mut seen = sighting(1, Behaviour::VerticalScan);
        if window >= 10 {
            seen.count = 2000;
        }
        dispositions.push(table.observe(seen, window * 2 * SECOND, "m", &mut alerts).0);
    }
    let states: Vec<_> = alerts.iter().map(|alert| (alert.state, alert.severity)).collect();
    let expected = [(State::Open, Severity::Medium), (State::Update, Severity::High)];
    assert_eq!(states, expected);
    assert_eq!(dispositions[10], Disposition::Escalated);
    assert_eq!(
        table
            .observe(
                sighting(1, Behaviour::VerticalScan),
                90 * SECOND,
                "m",
                &mut alerts
            )
            .0,
        Disposition::Updated
    );
    assert_eq!(alerts[2].packets, 3600);
    table.close_idle(300 * SECOND, "m", &mut alerts);
    assert_eq!(alerts.len(), 3);
    table.close_idle(390 * SECOND, "m", &mut alerts);
    assert_eq!(alerts[3].state, State::Closed);
    assert_eq!(alerts[3].last_seen, rfc3339(90 * SECOND));
    assert_eq!(table.open_by_severity(), [0; 5]);
    let ids: BTreeSet<_> = alerts.iter().map(|alert| alert.id.clone()).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn aftermath_of_an_open_incident_is_grouped_and_keeps_it_open() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    table.observe(sighting(1, Behaviour::HorizontalScan), 0, "m", &mut alerts);
    for minute in 1..10 {
        let now = minute * 60 * SECOND;
        assert_eq!(
            table
                .observe(sighting(1, Behaviour::Unclassified), now, "m", &mut alerts)
                .0,
            Disposition::Grouped
        );
        assert_eq!(
            table
                .observe(sighting(200, Behaviour::VolumeSurge), now, "m", &mut alerts)
                .0,
            Disposition::Grouped
        );
        table.close_idle(now, "m", &mut alerts);
    }
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        table
            .observe(sighting(3, Behaviour::Unclassified), SECOND, "m", &mut alerts)
            .0,
        Disposition::Opened
    );
}

#[test]
fn a_full_table_refuses_and_remembered_lists_stay_bounded() {
    let settings = IncidentSettings {
        max_open: 2,
        ..IncidentSettings::default()
    };
    let (mut table, mut alerts) = (Incidents::new(settings, "box".to_owned()), Vec::new());
    for actor in 1..=3 {
        let (disposition, about) =
            table.observe(sighting(actor, Behaviour::VerticalScan), 0, "m", &mut alerts);
        assert_eq!(disposition == Disposition::Refused, actor == 3);
        assert_eq!(about.is_none(), actor == 3);
    }
    for round in 0..200u8 {
        let mut seen = sighting(1, Behaviour::VerticalScan);
        seen.targets = vec![host(round)];
        seen.service = (6, u16::from(round));
        seen.community_ids = vec![format!("1:{round}")];
        table.observe(seen, i64::from(round) * 60 * SECOND, "m", &mut alerts);
    }
    let last = &alerts[alerts.len() - 1];
    assert!(last.targets.len() <= LISTED_TARGETS && last.services.len() <= MAX_SERVICES);
    assert_eq!(last.target_count, MAX_TARGETS as u64);
    assert_eq!(last.community_ids.len(), MAX_COMMUNITY_IDS);
}

#[test]
fn the_json_has_exactly_the_keys_of_the_contract() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    table.observe(sighting(1, Behaviour::Unclassified), 0, "m", &mut alerts);
    let json = serde_json::to_value(&alerts[0]).unwrap_or_default();
    let keys: Vec<String> = json
        .as_object()
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default();
    let mut expected = [
        "ts",
        "event",
        "id",
        "state",
        "severity",
        "behaviour",
        "score",
        "p_value",
        "actor",
        "targets",
        "target_count",
        "services",
        "first_seen",
        "last_seen",
        "rows",
        "packets",
        "bytes",
        "reasons",
        "summary",
        "technique",
        "community_ids",
        "model",
        "detectors",
        "sensor",
        "interface",
    ];
    expected.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(json["event"], "incident");
    assert_eq!(json["state"], "open");
    assert!(json["technique"].is_null());
    assert_eq!(json["detectors"]["autoencoder"], 2.0);
}
