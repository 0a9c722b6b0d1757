//! What the labels say about each window: which of its flows are malicious, and when. It must never see a score.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use sensor_common::{flow::FlowKey, parse::Parsed};

use crate::{
    capture::CapturedFrame,
    flows::StoredWindow,
    labels::{LabelId, Labels},
    replay::Watch,
};

/// The labels of one window.
#[derive(Clone, Debug, Default)]
pub struct WindowLabels {
    /// Malicious flows, by the label of their first malicious packet.
    pub flows: HashMap<FlowKey, LabelId>,
    /// Hosts at either end of them, by the smallest label.
    pub hosts: HashMap<[u8; 16], LabelId>,
    /// Wall times of the first and the last malicious frame, by label; frames without a flow included.
    pub seen: BTreeMap<LabelId, (u64, u64)>,
}

/// Collects labels frame by frame.
#[derive(Debug)]
pub struct Labeller<'a> {
    labels: &'a Labels,
    /// Frames in the inputs before each input.
    before: &'a [u64],
    open: WindowLabels,
}

impl<'a> Labeller<'a> {
    /// A labeller; `before` is the number of frames before each input, by the order in which inputs were named.
    pub fn new(labels: &'a Labels, before: &'a [u64]) -> Self {
        Self {
            labels,
            before,
            open: WindowLabels::default(),
        }
    }
}

impl WindowLabels {
    /// The labels of a stored window: a flow has that of an interval that overlaps the time between its first and its
    /// last packet in the window and concerns it. Only labels by interval can say that.
    pub fn of_rows(labels: &Labels, window: &StoredWindow) -> Self {
        let unsigned = |time_ns: i64| u64::try_from(time_ns).unwrap_or(0);
        let whole = (unsigned(window.wall_start_ns), unsigned(window.wall_end_ns));
        let wall_ns = |time_ns: u64| {
            whole
                .0
                .saturating_add(time_ns.saturating_sub(window.rows.start_ns))
        };
        let mut found = Self::default();
        for (index, key) in window.rows.flow.keys.iter().enumerate() {
            // The end of the whole window is exclusive, and so is that of the flow.
            let (start_ns, end_ns) = window.flows.get(index).map_or(whole, |flow| {
                (wall_ns(flow.first_ns), wall_ns(flow.last_ns.saturating_add(1)))
            });
            if let Some((label, first_ns, last_ns)) = labels.of_flow(start_ns, end_ns, &key.flow) {
                found.saw(label, first_ns, last_ns);
                found.add_flow(&key.flow, label);
            }
        }
        found
    }

    fn saw(&mut self, label: LabelId, first_ns: u64, last_ns: u64) {
        let (first, last) = self.seen.entry(label).or_insert((first_ns, last_ns));
        (*first, *last) = ((*first).min(first_ns), (*last).max(last_ns));
    }

    fn add_flow(&mut self, key: &FlowKey, label: LabelId) {
        if self.flows.contains_key(key) {
            return;
        }
        self.flows.insert(*key, label);
        for address in key.addr {
            let held = self.hosts.entry(address).or_insert(label);
            *held = label.min(*held);
        }
    }
}

impl Watch for Labeller<'_> {
    type Note = WindowLabels;

    fn frame(&mut self, frame: &CapturedFrame<'_>, parsed: Option<&Parsed>) {
        let before = self.before.get(frame.input as usize).copied().unwrap_or(0);
        let Some(label) = self.labels.of(before + frame.number, frame.time_ns, parsed) else {
            return;
        };
        self.open.saw(label, frame.time_ns, frame.time_ns);
        if let Some(parsed) = parsed {
            self.open.add_flow(&parsed.key, label);
        }
    }

    fn take(&mut self) -> WindowLabels {
        std::mem::take(&mut self.open)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use bytemuck::Zeroable as _;
    use sensor_common::parse::Start;

    use super::*;
    use crate::{features::RowKey, flows::tests::samples};

    fn frame(number: u64, input: u32, time_ns: u64) -> CapturedFrame<'static> {
        CapturedFrame {
            time_ns,
            start: Start::Ip,
            data: &[0],
            wire_len: 1,
            iface: 0,
            input,
            number,
        }
    }

    fn key(low: u8, high: u8) -> FlowKey {
        FlowKey {
            addr: [[low; 16], [high; 16]],
            ..FlowKey::zeroed()
        }
    }

    fn parsed(low: u8, high: u8) -> Parsed {
        Parsed {
            key: key(low, high),
            ..Parsed::zeroed()
        }
    }

    #[test]
    fn frames_are_counted_over_all_inputs_and_each_window_begins_anew() {
        let labels = "frame,label\n2,scan\n12,flood\n13,scan\n";
        let labels = Labels::read(labels.as_bytes(), Path::new("x")).unwrap();
        let mut labeller = Labeller::new(&labels, &[0, 10]);
        labeller.frame(&frame(1, 0, 5), Some(&parsed(1, 2)));
        labeller.frame(&frame(2, 0, 6), Some(&parsed(1, 3)));
        let first = labeller.take();
        assert_eq!(first.flows.get(&key(1, 3)), Some(&0));
        assert!(!first.flows.contains_key(&key(1, 2)));
        // The second frame of the second input is the twelfth of all.
        labeller.frame(&frame(2, 1, 20), Some(&parsed(4, 5)));
        labeller.frame(&frame(3, 1, 21), Some(&parsed(4, 5)));
        labeller.frame(&frame(3, 1, 25), None);
        let second = labeller.take();
        assert_eq!(second.flows.len(), 1);
        // The first malicious packet of a flow decides; a host has the smallest of its flows' labels.
        assert_eq!(second.flows.get(&key(4, 5)), Some(&1));
        assert_eq!(second.hosts.get(&[4; 16]), Some(&1));
        assert_eq!(
            second.seen.into_iter().collect::<Vec<_>>(),
            [(0, (21, 25)), (1, (20, 20))]
        );
        assert!(labeller.take().flows.is_empty());
    }

    #[test]
    fn stored_flows_are_labelled_for_the_part_of_the_window_that_the_interval_covers() {
        let labels = "start,end,src,dst,src_port,dst_port,proto,label\n5,15,,,,,,scan\n";
        let labels = Labels::read(labels.as_bytes(), Path::new("x")).unwrap();
        let row = RowKey {
            flow: key(1, 2),
            ..samples::row_key([1; 16], [2; 16])
        };
        let window = |start_s: u64| samples::stored(start_s * 1_000_000_000, vec![row], Vec::new());
        let found = WindowLabels::of_rows(&labels, &window(10));
        assert_eq!(found.flows.get(&key(1, 2)), Some(&0));
        assert_eq!(found.hosts.len(), 2);
        assert_eq!(found.seen.get(&0), Some(&(10_000_000_000, 15_000_000_000)));
        assert!(WindowLabels::of_rows(&labels, &window(20)).flows.is_empty());
        // Where its packets are known, those count: here from 14 s to 16 s, and then from 16 s on.
        let mut counted = window(10);
        for (first_s, label) in [(14, Some(&0)), (16, None)] {
            let (first_ns, last_ns) = (first_s * 1_000_000_000, 16_000_000_000);
            counted.flows = vec![samples::counted(key(1, 2), first_ns, last_ns)];
            let found = WindowLabels::of_rows(&labels, &counted);
            assert_eq!(found.flows.get(&key(1, 2)), label, "{first_s}");
            assert_eq!(
                found.seen.get(&0),
                label.map(|_| &(14_000_000_000, 15_000_000_000))
            );
        }
    }
}
