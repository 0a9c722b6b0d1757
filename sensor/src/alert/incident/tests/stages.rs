//! One story that changes its name.

use super::*;

#[test]
fn a_scan_that_becomes_a_brute_force_is_one_incident_and_is_told_again() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    table.observe(sighting(1, Behaviour::HorizontalScan), 0, "m", &mut alerts);
    let (disposition, _) = table.observe(sighting(1, Behaviour::BruteForce), 20 * SECOND, "m", &mut alerts);
    assert_eq!(disposition, Disposition::Escalated);
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[0].id, alerts[1].id);
    assert_eq!(alerts[1].behaviour, Behaviour::BruteForce);
    assert!(
        alerts[1].summary.ends_with("(after a horizontal scan)"),
        "{}",
        alerts[1].summary
    );
    // Another scan is another story.
    let (disposition, _) = table.observe(
        sighting(1, Behaviour::HorizontalScan),
        30 * SECOND,
        "m",
        &mut alerts,
    );
    assert_eq!(disposition, Disposition::Opened);
    assert_ne!(alerts[2].id, alerts[0].id);
}

#[test]
fn two_sorts_of_scan_are_two_incidents() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    for (window, behaviour) in [Behaviour::VerticalScan, Behaviour::HorizontalScan]
        .into_iter()
        .enumerate()
    {
        let (disposition, _) = table.observe(
            sighting(1, behaviour),
            window as i64 * 10 * SECOND,
            "m",
            &mut alerts,
        );
        assert_eq!(disposition, Disposition::Opened);
    }
}

#[test]
fn what_had_no_name_takes_the_one_that_is_found_later() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    table.observe(sighting(1, Behaviour::Unclassified), 0, "m", &mut alerts);
    let mut flood = sighting(1, Behaviour::UdpFlood);
    flood.actor = None;
    table.observe(flood, 10 * SECOND, "m", &mut alerts);
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[0].id, alerts[1].id);
    assert_eq!(
        (alerts[1].behaviour, alerts[1].actor.as_str()),
        (Behaviour::UdpFlood, "")
    );
    assert!(alerts[1].severity >= Severity::High);
}

#[test]
fn a_victim_that_scans_has_two_incidents() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    let mut flood = sighting(1, Behaviour::SynFlood);
    flood.actor = None;
    table.observe(flood, 0, "m", &mut alerts);
    table.observe(
        sighting(1, Behaviour::VerticalScan),
        10 * SECOND,
        "m",
        &mut alerts,
    );
    let ids: BTreeSet<_> = alerts.iter().map(|alert| alert.id.clone()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn the_other_end_of_what_was_told_before_joins_it() {
    let (mut table, mut alerts) = (incidents(), Vec::new());
    table.observe(sighting(200, Behaviour::Unclassified), 0, "m", &mut alerts);
    // Host 2 is unusual towards host 200 alone.
    let (disposition, about) = table.observe(
        sighting(2, Behaviour::Unclassified),
        10 * SECOND,
        "m",
        &mut alerts,
    );
    assert_eq!(disposition, Disposition::Grouped);
    assert_eq!(about.map(|(id, _)| id), Some(alerts[0].id.clone()));
    table.close_idle(10_000 * SECOND, "m", &mut alerts);
    let closed = alerts.last().expect("it was closed");
    assert!(
        closed.targets.contains(&"10.0.0.2".to_owned()),
        "{:?}",
        closed.targets
    );
}

#[test]
fn a_host_that_stands_out_again_the_same_day_is_the_same_incident() {
    let hour = 3600 * SECOND;
    let (mut table, mut alerts) = (incidents(), Vec::new());
    let at = |table: &mut Incidents, alerts: &mut Vec<Alert>, hours: i64, behaviour| {
        table.close_idle(hours * hour, "m", alerts);
        table.observe(sighting(1, behaviour), hours * hour, "m", alerts).0
    };
    assert_eq!(
        at(&mut table, &mut alerts, 0, Behaviour::Unclassified),
        Disposition::Opened
    );
    assert_eq!(
        at(&mut table, &mut alerts, 5, Behaviour::VolumeSurge),
        Disposition::Updated
    );
    let states: Vec<_> = alerts.iter().map(|alert| alert.state).collect();
    assert_eq!(states, [State::Open, State::Closed, State::Update]);
    assert!(alerts.iter().all(|alert| alert.id == alerts[0].id));
    // A day after the last time it is news.
    assert_eq!(
        at(&mut table, &mut alerts, 31, Behaviour::Unclassified),
        Disposition::Opened
    );
    // With a name it is always.
    table.close_idle(40 * hour, "m", &mut alerts);
    assert_eq!(
        at(&mut table, &mut alerts, 40, Behaviour::VerticalScan),
        Disposition::Opened
    );
}

#[test]
fn closed_incidents_are_remembered_in_bounded_number() {
    let settings = IncidentSettings {
        max_open: 10,
        ..IncidentSettings::default()
    };
    let (mut table, mut alerts) = (Incidents::new(settings, "box".to_owned()), Vec::new());
    for host in 0..100 {
        let now_ns = i64::from(host) * 7200 * SECOND / 20;
        table.observe(
            Sighting {
                targets: vec![super::host(host)],
                ..sighting(host, Behaviour::Unclassified)
            },
            now_ns,
            "m",
            &mut alerts,
        );
        table.close_idle(now_ns, "m", &mut alerts);
        assert!(table.resting.len() <= 10);
    }
    assert_eq!(table.resting.len(), 10);
}
