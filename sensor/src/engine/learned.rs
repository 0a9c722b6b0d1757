//! The rows kept while learning: in order of time, by alarm unit (host and window), in bounded memory. When a bound is
//! reached every second unit is forgotten, by a hash of its number and the seed, so that what is kept stays a fair
//! sample of all of learning. It must never let one host's flood crowd the others out.

use std::collections::BTreeMap;

use crate::features::{RowKey, RowKind, Rows, WindowRows};

/// Rows kept per kind at most: 18 MB of flow rows, 8 MB of host rows.
const MAX_ROWS: [usize; 2] = [100_000, 50_000];
/// Rows of one unit kept at most.
const MAX_UNIT_ROWS: u32 = 512;

/// Where a kept row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Window, counted from 0.
    pub(super) window: u32,
    /// Unit, counted from 0 over all windows.
    pub(super) unit: u32,
    /// Number of the host whose row it is: a hash of its address.
    pub(super) host: u32,
    /// Index of the family of traffic.
    pub(super) family: u8,
    /// Class by the labels; 0 is benign, and everything is where there are no labels.
    pub(super) class: u16,
}

/// Kept rows of one kind.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) kind: RowKind,
    pub(super) values: Vec<f32>,
    pub(super) places: Vec<Place>,
}

/// Everything learned from so far.
#[derive(Clone, Debug)]
pub struct Learned {
    pub(super) kept: [Kept; 2],
    pub(super) windows: u32,
    pub(super) units: u64,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    /// Sum of the windows' lengths.
    pub(super) duration_ns: u64,
    /// One unit in 2^`halvings` is kept.
    halvings: u32,
    seed: u64,
}

impl Learned {
    /// Nothing learned yet. `seed` chooses what is forgotten when a bound is reached.
    pub fn new(seed: u64) -> Self {
        let kept = RowKind::ALL.map(|kind| Kept {
            kind,
            values: Vec::new(),
            places: Vec::new(),
        });
        Self {
            kept,
            windows: 0,
            units: 0,
            first_ns: 0,
            last_ns: 0,
            duration_ns: 0,
            halvings: 0,
            seed,
        }
    }

    /// Adds a window of ordinary traffic that ended at `now_ns`.
    pub fn add(&mut self, rows: &WindowRows, now_ns: i64) {
        self.add_labelled(rows, now_ns, &|_, _| 0);
    }

    /// Adds a window whose rows have classes; 0 is benign.
    pub fn add_labelled(
        &mut self,
        rows: &WindowRows,
        now_ns: i64,
        class_of: &dyn Fn(RowKind, &RowKey) -> u16,
    ) {
        if self.windows == 0 {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        self.duration_ns += rows.end_ns.saturating_sub(rows.start_ns);
        let mut units: BTreeMap<[u8; 16], (u32, u32)> = BTreeMap::new();
        for kind in [&rows.flow, &rows.host] {
            for key in &kind.keys {
                let next = (self.units + units.len() as u64) as u32;
                units.entry(key.initiator).or_insert((next, 0));
            }
        }
        for kind in [&rows.flow, &rows.host] {
            self.add_rows(kind, &mut units, class_of);
        }
        self.units += units.len() as u64;
        self.windows += 1;
        while self
            .kept
            .iter()
            .zip(MAX_ROWS)
            .any(|(kept, most)| kept.places.len() > most)
        {
            self.halve();
        }
    }

    fn add_rows(
        &mut self,
        rows: &Rows,
        units: &mut BTreeMap<[u8; 16], (u32, u32)>,
        class_of: &dyn Fn(RowKind, &RowKey) -> u16,
    ) {
        for (index, key) in rows.keys.iter().enumerate() {
            let Some((unit, count)) = units.get_mut(&key.initiator) else {
                continue;
            };
            if !keeps(*unit, self.halvings, self.seed) || *count >= MAX_UNIT_ROWS {
                continue;
            }
            *count += 1;
            let place = Place {
                window: self.windows,
                unit: *unit,
                host: host_number(&key.initiator, self.seed),
                family: key.family as u8,
                class: class_of(rows.kind, key),
            };
            if let Some(kept) = self.kept.iter_mut().find(|kept| kept.kind == rows.kind) {
                kept.values.extend_from_slice(rows.row(index));
                kept.places.push(place);
            }
        }
    }

    /// Forgets every second unit.
    fn halve(&mut self) {
        self.halvings += 1;
        let (halvings, seed) = (self.halvings, self.seed);
        for kept in &mut self.kept {
            kept.filter(|place| keeps(place.unit, halvings, seed));
        }
    }
}

impl Kept {
    /// Keeps the rows whose place passes, in order and in place.
    fn filter(&mut self, keep: impl Fn(&Place) -> bool) {
        let width = self.kind.width();
        let mut to = 0;
        for from in 0..self.places.len() {
            let Some(place) = self.places.get(from).copied().filter(&keep) else {
                continue;
            };
            self.values
                .copy_within(from * width..(from + 1) * width, to * width);
            if let Some(slot) = self.places.get_mut(to) {
                *slot = place;
            }
            to += 1;
        }
        self.places.truncate(to);
        self.values.truncate(to * width);
    }

    /// Copies the rows of these places; of each unit at most `per_unit`, evenly spread over its rows.
    pub(super) fn select(&self, wanted: &dyn Fn(&Place) -> bool, per_unit: u64) -> (Vec<f32>, Vec<Place>) {
        let mut totals: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for place in self.places.iter().filter(|place| wanted(place)) {
            totals.entry(place.unit).or_default().0 += 1;
        }
        let width = self.kind.width();
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for (place, row) in self.places.iter().zip(self.values.chunks_exact(width)) {
            if !wanted(place) {
                continue;
            }
            let Some((total, seen)) = totals.get_mut(&place.unit) else {
                continue;
            };
            let quota = per_unit.min(*total);
            let take = (*seen + 1) * quota / *total > *seen * quota / *total;
            *seen += 1;
            if take {
                values.extend_from_slice(row);
                places.push(*place);
            }
        }
        (values, places)
    }
}

/// A number for a host that is the same in all windows. Two hosts in a billion may share one.
fn host_number(address: &[u8; 16], seed: u64) -> u32 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::with_seed(seed).hash_one(address) as u32
}

/// Whether a unit is in the sample: one in 2^`halvings`, nested from one halving to the next (the mixer of `SplitMix64`).
fn keeps(unit: u32, halvings: u32, seed: u64) -> bool {
    let mut hash = (u64::from(unit) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    hash & ((1 << halvings.min(63)) - 1) == 0
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use sensor_common::flow::FlowKey;

    use super::*;
    use crate::features::{Family, RowKey};

    fn window(hosts: u32, flows_each: u32) -> WindowRows {
        let key = |host: u32| RowKey {
            flow: FlowKey::zeroed(),
            initiator: u128::from(host).to_be_bytes(),
            responder: [0; 16],
            packets: 1,
            bytes: 1,
            service_port: 0,
            initiator_port: 0,
            iface: 0,
            proto: 6,
            family: Family::TcpService,
        };
        let mut flow = Rows::empty(RowKind::Flow);
        let mut host = Rows::empty(RowKind::Host);
        for number in 0..hosts {
            for _ in 0..flows_each {
                flow.keys.push(key(number));
                flow.values.extend(vec![number as f32; RowKind::Flow.width()]);
            }
            host.keys.push(key(number));
            host.values.extend(vec![number as f32; RowKind::Host.width()]);
        }
        WindowRows {
            start_ns: 0,
            end_ns: 10,
            coverage: 1.0,
            flow,
            host,
            host_facts: Vec::new(),
            hosts_over_limit: 0,
        }
    }

    #[test]
    fn memory_is_bounded_and_the_sample_covers_all_windows() {
        let mut learned = Learned::new(1);
        let rows = window(200, 10);
        for index in 0..200 {
            learned.add(&rows, index);
        }
        let flow = &learned.kept[0];
        assert!(flow.places.len() <= MAX_ROWS[0] && flow.places.len() > MAX_ROWS[0] / 5);
        assert_eq!(flow.values.len(), flow.places.len() * RowKind::Flow.width());
        assert_eq!(learned.units, 40_000);
        let windows: std::collections::BTreeSet<u32> = flow.places.iter().map(|place| place.window).collect();
        assert_eq!(windows.len(), 200);
        for (place, row) in flow
            .places
            .iter()
            .zip(flow.values.chunks_exact(RowKind::Flow.width()))
        {
            assert!(
                (row[0] - (place.unit % 200) as f32).abs() < 1e-6,
                "values moved away from their place"
            );
        }
    }

    #[test]
    fn one_host_cannot_crowd_the_others_out() {
        let mut learned = Learned::new(1);
        let mut rows = window(10, 5);
        let flood = window(1, 50_000);
        rows.flow.keys.extend(flood.flow.keys);
        rows.flow.values.extend(flood.flow.values);
        learned.add(&rows, 0);
        assert!(learned.kept[0].places.len() <= 512 + 9 * 5);
        let (values, places) = learned.kept[0].select(&|_| true, 32);
        assert_eq!(places.iter().filter(|place| place.unit == 0).count(), 32);
        assert_eq!(places.len(), 32 + 9 * 5);
        assert_eq!(values.len(), places.len() * RowKind::Flow.width());
    }
}
