//! What the engine tells when addresses are not written as they are. It must never look for one address only.

use super::*;
use crate::privacy::{AddressMode, AddressNames, Key};

fn names(mode: AddressMode) -> AddressNames {
    match mode {
        AddressMode::Plain => AddressNames::plain(),
        AddressMode::Prefix => {
            AddressNames::prefix(Key::new(std::array::from_fn(|index| index as u8)).unwrap())
        }
        AddressMode::Drop => {
            AddressNames::dropped(&[([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0], 104)])
        }
    }
}

/// Several attacks at once, from their beginning to their end.
fn attacked(model: &Arc<Model>, mode: AddressMode) -> Lab {
    let mut lab = Lab::new(11, LEARN_WINDOWS);
    for _ in 0..LEARN_WINDOWS {
        lab.step(|_| ());
    }
    let mut settings = settings(LEARN_WINDOWS);
    settings.incidents.names = names(mode);
    settings.incidents.idle_ns = 30 * WINDOW_NS as i64;
    lab.engine = Engine::new(settings, Some(Arc::clone(model)));
    lab.step(|_| ());
    for _ in 0..2 {
        lab.step(|network| {
            network.vertical_scan(66, 10, 300);
            network.horizontal_scan(67, 120, 23);
            network.syn_flood(12, 3000, true);
        });
    }
    for _ in 0..60 {
        lab.step(|_| ());
    }
    lab
}

#[test]
fn no_alert_from_its_opening_to_its_end_shows_an_address_that_is_hidden() {
    let base = Lab::learned(11, LEARN_WINDOWS);
    let model = base.engine.model().unwrap().clone();
    let plain = attacked(&model, AddressMode::Plain);
    let text = |lab: &Lab| serde_json::to_string(&lab.alerts).unwrap();
    assert!(plain.alerts.iter().any(|alert| alert.state == State::Closed));
    assert!(text(&plain).contains("10.0.0.66") && text(&plain).contains("\"1:"));
    for mode in [AddressMode::Prefix, AddressMode::Drop] {
        let hidden = attacked(&model, mode);
        let told = |lab: &Lab| {
            let mut told: Vec<_> = lab
                .alerts
                .iter()
                .map(|alert| (alert.ts.clone(), alert.behaviour))
                .collect();
            told.sort();
            told
        };
        assert_eq!(
            told(&hidden),
            told(&plain),
            "the same incidents, whatever they are called"
        );
        let shown = text(&hidden);
        // All addresses of this network begin so.
        assert!(
            !shown.contains("10.0.0.") && !shown.contains("\"1:"),
            "{mode:?}: {shown}"
        );
        let ids = |lab: &Lab| {
            lab.alerts
                .iter()
                .map(|alert| alert.id.clone())
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert!(
            ids(&hidden).is_disjoint(&ids(&plain)),
            "an id must not be found by trying addresses"
        );
        assert!(
            hidden
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.exemplar.as_ref())
                .all(|one| one.community_id.is_empty())
        );
        for window in hidden.alerts.chunk_by(|a, b| a.ts == b.ts) {
            assert!(
                window.is_sorted_by_key(|alert| &alert.id),
                "the order of addresses shows"
            );
        }
    }
}
