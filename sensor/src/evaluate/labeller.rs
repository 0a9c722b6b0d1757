//! What the labels say about each window: which of its flows are malicious, and when. It must never see a score.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use sensor_common::{flow::FlowKey, parse::Parsed};

use crate::{
    capture::CapturedFrame,
    labels::{LabelId, Labels},
    replay::Watch,
};

/// The labels of one window.
#[derive(Clone, Debug, Default)]
pub struct WindowLabels {
    /// Malicious flows, by the label of their first malicious packet.
    pub flows: HashMap<FlowKey, LabelId>,
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

impl Watch for Labeller<'_> {
    type Note = WindowLabels;

    fn frame(&mut self, frame: &CapturedFrame<'_>, parsed: Option<&Parsed>) {
        let before = self.before.get(frame.input as usize).copied().unwrap_or(0);
        let Some(label) = self.labels.of(before + frame.number, frame.time_ns, parsed) else {
            return;
        };
        let (first, last) = self
            .open
            .seen
            .entry(label)
            .or_insert((frame.time_ns, frame.time_ns));
        (*first, *last) = ((*first).min(frame.time_ns), (*last).max(frame.time_ns));
        if let Some(parsed) = parsed {
            self.open.flows.entry(parsed.key).or_insert(label);
        }
    }

    fn take(&mut self) -> WindowLabels {
        std::mem::take(&mut self.open)
    }
}
