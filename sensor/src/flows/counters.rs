//! The counters of a flow while they are read back, value by value. It must never round: what was written exactly comes
//! back exactly.

use sensor_common::flow::FlowKey;

use crate::window::{Flow, FlowHalf};

/// Counters of one row. Times are offsets from the start of the window, as they stand in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Of the initiator and of the responder.
    halves: [FlowHalf; 2],
    /// First packet; a row without it has no counters.
    pub(super) first_offset_ns: Option<i64>,
    pub(super) duration_ns: u64,
    pub(super) iat_count: u64,
    pub(super) iat_sum_ticks: u64,
    pub(super) iat_sumsq_ticks: u64,
    pub(super) iat_min_ticks: Option<u32>,
    pub(super) iat_max_ticks: u32,
    pub(super) syn_offset_ns: Option<i64>,
    pub(super) synack_offset_ns: Option<i64>,
    pub(super) handshake_ns: Option<u64>,
    pub(super) born_offset_ns: Option<i64>,
    pub(super) prior_last_offset_ns: Option<i64>,
    /// Packets in earlier windows, of the initiator and of the responder.
    pub(super) prior_packets: [u64; 2],
}

impl Counters {
    /// One direction.
    pub(super) fn half(&mut self, initiator: bool) -> &mut FlowHalf {
        let [out, back] = &mut self.halves;
        if initiator { out } else { back }
    }

    /// The flow, whose initiator is at this end of its key, in a window that starts at `start_ns`.
    pub(super) fn finish(self, key: FlowKey, initiator: u8, start_ns: u64) -> Option<Flow> {
        let at = |offset_ns: i64| start_ns.wrapping_add_signed(offset_ns);
        let at_or_none = |offset_ns: Option<i64>| offset_ns.map_or(0, at);
        let first_ns = at(self.first_offset_ns?);
        let (mut half, mut prior_packets) = (self.halves, self.prior_packets);
        if initiator == 1 {
            half.reverse();
            prior_packets.reverse();
        }
        Some(Flow {
            key,
            half,
            first_ns,
            last_ns: first_ns.saturating_add(self.duration_ns),
            iat_count: self.iat_count,
            iat_sum_ticks: self.iat_sum_ticks,
            iat_sumsq_ticks: self.iat_sumsq_ticks,
            iat_min_ticks: self.iat_min_ticks.unwrap_or(u32::MAX),
            iat_max_ticks: self.iat_max_ticks,
            syn_ns: at_or_none(self.syn_offset_ns),
            synack_ns: at_or_none(self.synack_offset_ns),
            handshake_ns: self.handshake_ns,
            born_ns: at_or_none(self.born_offset_ns),
            prior_last_ns: at_or_none(self.prior_last_offset_ns),
            prior_packets,
            initiator,
        })
    }
}
