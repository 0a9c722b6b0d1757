//! Names that rest on the row that stands out, and several hosts as one story.

use super::*;

type Column = (FlowColumn, f32);
/// Initiator, responder, protocol, ports and columns.
type FlowLine = (u8, u8, u8, (u16, u16), Vec<Column>);

/// Flow rows with these columns set.
fn rows(flows: &[FlowLine], hosts: Vec<([u8; 16], HostFacts)>) -> WindowRows {
    let mut scenery = Scenery {
        hosts,
        ..Scenery::default()
    };
    for (from, to, proto, ports, _) in flows {
        scenery.flow(*from, *to, *proto, *ports, 1.0);
    }
    let mut rows = scenery.rows();
    let width = RowKind::Flow.width();
    for (index, (.., columns)) in flows.iter().enumerate() {
        for (column, value) in columns {
            rows.flow.values[index * width + *column as usize] = *value;
        }
    }
    rows
}

fn flow_flagged(last: u8, row: usize) -> Flagged {
    Flagged {
        kind: RowKind::Flow,
        row,
        ..flagged(last, 5.0)
    }
}

fn reason(feature: &str, observed: f64, high: f64) -> Reason {
    Reason {
        feature: feature.to_owned(),
        observed,
        expected: 1.0,
        low: 0.0,
        high,
        contribution: 0.5,
        text: String::new(),
    }
}

/// The name of the first finding about host 1, by its first flow row.
fn name_of(columns: Vec<Column>, ports: (u16, u16), reasons: &[Reason]) -> Behaviour {
    let rows = rows(&[(1, 9, 6, ports, columns)], Vec::new());
    let list = classify(&rows, &[flow_flagged(1, 0)], &|_| 1e9).list;
    assert_eq!(list[0].behaviour, Behaviour::Unclassified);
    name(&rows, &list[0], reasons)
}

#[test]
fn guessing_passwords_slowly_is_named_by_ten_minutes_of_attempts() {
    let odd = [reason("from_outside", 1.0, 0.0)];
    // 0.2 a window of 10 s are twelve in ten minutes.
    let guesses =
        |rate: f32, port: u16| name_of(vec![(FlowColumn::TargetAttempts10m, rate)], (50_000, port), &odd);
    assert_eq!(guesses(0.2, 22), Behaviour::BruteForce);
    assert_eq!(guesses(0.1, 22), Behaviour::Unclassified);
    assert_eq!(guesses(0.2, 443), Behaviour::Unclassified);
}

#[test]
fn an_upload_is_exfiltration_only_where_it_leaves_and_volume_is_why() {
    let upload = |outside: f32, feature: &str| {
        let columns = vec![
            (FlowColumn::ToOutside, outside),
            (FlowColumn::BytesOut, 400_000.0),
            (FlowColumn::ByteAsymmetry, 0.95),
        ];
        name_of(columns, (50_000, 443), &[reason(feature, 400_000.0, 9_000.0)])
    };
    assert_eq!(upload(1.0, "initiator_bytes_out"), Behaviour::Exfiltration);
    assert_eq!(upload(0.0, "initiator_bytes_out"), Behaviour::VolumeSurge);
    assert_eq!(upload(1.0, "iat_cv"), Behaviour::Unclassified);
}

#[test]
fn contacts_by_the_clock_to_the_outside_are_a_beacon() {
    let contact = |regularity: f32, outside: f32| {
        let columns = vec![
            (FlowColumn::ToOutside, outside),
            (FlowColumn::ContactRegularity, regularity),
            (FlowColumn::TargetAttempts, 1.0),
        ];
        name_of(
            columns,
            (50_000, 443),
            &[reason("contact_regularity", f64::from(regularity), 0.5)],
        )
    };
    assert_eq!(contact(0.9, 1.0), Behaviour::Beacon);
    assert_eq!(contact(0.5, 1.0), Behaviour::Unclassified);
    assert_eq!(contact(0.9, 0.0), Behaviour::Unclassified);
}

#[test]
fn a_megabyte_to_one_host_outside_is_an_upload_unless_it_is_usual() {
    let columns = vec![
        (FlowColumn::ToOutside, 1.0),
        (FlowColumn::BytesOut, 3e6),
        (FlowColumn::BytesIn, 5e4),
    ];
    let rows = rows(
        &[(1, 9, 6, (50_000, 443), columns)],
        vec![(host(1), HostFacts::default())],
    );
    let behaviour = |usual: f32| classify(&rows, &[flagged(1, 5.0)], &|_| usual).list[0].behaviour;
    assert_eq!(behaviour(60_000.0), Behaviour::Exfiltration);
    assert_eq!(behaviour(2e6), Behaviour::Unclassified);
}

#[test]
fn pings_by_the_thousand_are_a_flood_of_their_victim() {
    let flows: Vec<_> = (10..15)
        .map(|from| (from, 9, 1, (0, 0), vec![(FlowColumn::PacketsOut, 500.0)]))
        .collect();
    let rows = rows(&flows, vec![(host(9), HostFacts::default())]);
    assert_eq!(
        named(&rows, &[flagged(9, 9.0)]),
        [(Behaviour::IcmpFlood, host(9), None)]
    );
}

#[test]
fn several_hosts_unusual_towards_one_are_one_story_about_it() {
    let flows: Vec<_> = (10..15)
        .map(|from| (from, 9, 6, (40_000, 8443), Vec::new()))
        .collect();
    let rows = rows(&flows, Vec::new());
    let all: Vec<Flagged> = (0..5).map(|row| flow_flagged(10 + row as u8, row)).collect();
    let found = classify(&rows, &all, &|_| 1e9);
    assert_eq!(found.list.len(), 1);
    let finding = &found.list[0];
    assert_eq!((finding.subject, finding.actor), (host(9), None));
    assert_eq!((finding.hosts, finding.sources, found.absorbed), (5, 5, 4));
    assert_eq!(finding.behaviour, Behaviour::Unclassified);
    // Two are two stories.
    assert_eq!(classify(&rows, &all[..2], &|_| 1e9).list.len(), 2);
}

#[test]
fn a_service_that_is_known_and_no_longer_answers_is_silent() {
    let silent = |answered: f32, offered: f32| {
        let columns = vec![
            (FlowColumn::Answered, answered),
            (FlowColumn::OfferFamiliarity, offered),
        ];
        let flows: Vec<_> = (10..15)
            .map(|from| (from, 9, 17, (40_000, 53), columns.clone()))
            .collect();
        let rows = rows(&flows, Vec::new());
        let all: Vec<Flagged> = (0..5).map(|row| flow_flagged(10 + row as u8, row)).collect();
        classify(&rows, &all, &|_| 1e9).list[0].behaviour
    };
    assert_eq!(silent(0.0, 1.0), Behaviour::SilentHost);
    assert_eq!(silent(1.0, 1.0), Behaviour::Unclassified);
    // Who never offered it is not missed.
    assert_eq!(silent(0.0, 0.0), Behaviour::Unclassified);
}
