//! One flow in one window: the sum of all its records, in counters that cannot overflow within a window.
//! Everything here must be independent of the order in which records arrive.

use sensor_common::flow::{FIN, FlowKey, FlowRecord, Half, NET_ARP, RST, SYN, TICK_NS, ticks_between};

use super::spans::Spans;

/// TCP.
const TCP: u8 = 6;
/// Ports below are service ports (RFC 6335 system ports).
const SYSTEM_PORTS: u16 = 1024;

/// One direction of a [`Flow`]; see [`Half`] for the meaning of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowHalf {
    /// Packets on the wire.
    pub packets: u64,
    /// Frame bytes.
    pub bytes: u64,
    /// Bytes behind the transport header.
    pub payload_bytes: u64,
    /// Sum of squared frame lengths.
    pub len_sumsq: u64,
    /// Packets with each TCP flag (saturating), or ARP requests and replies.
    pub flag_counts: [u32; 8],
    /// IP fragments (saturating).
    pub fragments: u32,
    /// Shortest frame; 0 without packets.
    pub len_min: u16,
    /// Longest frame.
    pub len_max: u16,
    /// Smallest time to live; 0 without packets.
    pub ttl_min: u8,
    /// Largest time to live.
    pub ttl_max: u8,
}

impl FlowHalf {
    fn add(&mut self, half: &Half) {
        if half.packets == 0 {
            return;
        }
        let empty = self.packets == 0;
        if empty || half.len_min < self.len_min {
            self.len_min = half.len_min;
        }
        if empty || half.ttl_min < self.ttl_min {
            self.ttl_min = half.ttl_min;
        }
        self.len_max = self.len_max.max(half.len_max);
        self.ttl_max = self.ttl_max.max(half.ttl_max);
        self.packets += u64::from(half.packets);
        self.bytes += half.bytes;
        self.payload_bytes += half.payload_bytes;
        self.len_sumsq = self.len_sumsq.saturating_add(half.len_sumsq);
        self.fragments = self.fragments.saturating_add(half.fragments);
        for (sum, part) in self.flag_counts.iter_mut().zip(half.flag_counts) {
            *sum = sum.saturating_add(part);
        }
    }
}

/// One flow in one window, with what is known of its life before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Whose counters these are.
    pub key: FlowKey,
    /// The two directions; `half[0]` counts packets from `key.addr[0]` to `key.addr[1]`.
    pub half: [FlowHalf; 2],
    /// First packet in this window.
    pub first_ns: u64,
    /// Last packet in this window.
    pub last_ns: u64,
    /// Inter-arrival times counted: within records, and between records that do not overlap, earlier windows included.
    pub iat_count: u64,
    /// Their sum in ticks of [`TICK_NS`].
    pub iat_sum_ticks: u64,
    /// Sum of their squares (saturating).
    pub iat_sumsq_ticks: u64,
    /// Shortest; `u32::MAX` without any.
    pub iat_min_ticks: u32,
    /// Longest.
    pub iat_max_ticks: u32,
    /// First SYN without ACK in this window; 0 without one.
    pub syn_ns: u64,
    /// First SYN with ACK in this window; 0 without one.
    pub synack_ns: u64,
    /// SYN-ACK time minus SYN time, if the handshake completed in this window (the SYN may be older).
    pub handshake_ns: Option<u64>,
    /// First packet of the flow's life.
    pub born_ns: u64,
    /// Last packet before this window; 0 for a flow that began in this window.
    pub prior_last_ns: u64,
    /// Packets before this window, by half.
    pub prior_packets: [u64; 2],
    /// The half that opened the flow: see `Opening`.
    pub initiator: u8,
}

impl Flow {
    /// Whether the flow's first packet ever is in this window.
    pub fn opened(&self) -> bool {
        self.prior_packets == [0, 0]
    }

    /// The counters of the initiator's direction.
    pub fn out(&self) -> &FlowHalf {
        &self.half[usize::from(self.initiator & 1)]
    }

    /// The counters of the responder's direction.
    pub fn back(&self) -> &FlowHalf {
        &self.half[usize::from(!self.initiator & 1)]
    }

    /// Packets of both directions.
    pub fn packets(&self) -> u64 {
        self.half[0].packets + self.half[1].packets
    }

    /// Frame bytes of both directions.
    pub fn bytes(&self) -> u64 {
        self.half[0].bytes + self.half[1].bytes
    }

    /// Address and port of the initiator.
    pub fn initiator_endpoint(&self) -> ([u8; 16], u16) {
        let side = usize::from(self.initiator & 1);
        (self.key.addr[side], self.key.port[side])
    }

    /// Address and port of the responder.
    pub fn responder_endpoint(&self) -> ([u8; 16], u16) {
        let side = usize::from(!self.initiator & 1);
        (self.key.addr[side], self.key.port[side])
    }

    /// Whether the responder has sent a packet in the flow's life.
    pub fn answered(&self) -> bool {
        self.back().packets > 0 || self.prior_packets[usize::from(!self.initiator & 1)] > 0
    }
}

/// Who opened a flow, from the best evidence so far: larger is better.
///
/// A SYN says it. Without one in TCP (capture began later, or a SYN-ACK came first), the side on a system port is the
/// responder if the other is not on one. Otherwise whoever spoke first. UDP has no such correction on purpose: an
/// unsolicited "answer" from port 53 is what an amplification attack looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    /// Nothing better than the order of packets.
    #[default]
    SpokeFirst,
    /// A system port on the other side.
    ServicePort,
    /// A SYN-ACK from the other side.
    SynAck,
    /// A SYN.
    Syn,
}

/// A flow while its window is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Building {
    /// Slot in the table of live flows.
    pub(super) slot: u32,
    flow: Flow,
    spans: Spans,
    spoke_first: u8,
    syn_half: u8,
    synack_half: u8,
    /// TCP halves that sent a FIN, as bits.
    pub(super) fin_halves: u8,
    /// Whether a reset was seen.
    pub(super) reset: bool,
}

impl Building {
    /// An empty flow; the first record must follow.
    pub(super) fn new(key: FlowKey, slot: u32) -> Self {
        let flow = Flow {
            key,
            half: [FlowHalf::default(); 2],
            first_ns: u64::MAX,
            last_ns: 0,
            iat_count: 0,
            iat_sum_ticks: 0,
            iat_sumsq_ticks: 0,
            iat_min_ticks: u32::MAX,
            iat_max_ticks: 0,
            syn_ns: 0,
            synack_ns: 0,
            handshake_ns: None,
            born_ns: 0,
            prior_last_ns: 0,
            prior_packets: [0; 2],
            initiator: 0,
        };
        let spans = Spans::default();
        Self {
            slot,
            flow,
            spans,
            spoke_first: 0,
            syn_half: 0,
            synack_half: 0,
            fin_halves: 0,
            reset: false,
        }
    }

    /// Adds one record of this flow.
    pub(super) fn add(&mut self, record: &FlowRecord) {
        let flow = &mut self.flow;
        // On equal times the lower half speaks first, whatever the order of the records.
        let first_half = record.first_half & 1;
        if (record.first_ns, first_half) < (flow.first_ns, self.spoke_first) {
            self.spoke_first = first_half;
        }
        flow.first_ns = flow.first_ns.min(record.first_ns);
        flow.last_ns = flow.last_ns.max(record.last_ns);
        flow.half[0].add(&record.half[0]);
        flow.half[1].add(&record.half[1]);
        let gaps = u64::from(record.half[0].packets) + u64::from(record.half[1].packets);
        if gaps > 1 {
            flow.iat_count += gaps - 1;
            flow.iat_sum_ticks += ticks_between(record.first_ns, record.last_ns);
            flow.iat_sumsq_ticks = flow.iat_sumsq_ticks.saturating_add(record.iat_sumsq_ticks);
            flow.iat_min_ticks = flow.iat_min_ticks.min(record.iat_min_ticks);
            flow.iat_max_ticks = flow.iat_max_ticks.max(record.iat_max_ticks);
        }
        if let Some((from_ns, to_ns)) = self.spans.add(record.first_ns, record.last_ns) {
            count_gap(flow, from_ns, to_ns);
        }
        if record.key.proto == TCP && record.key.network() != NET_ARP {
            self.add_tcp(record);
        }
    }

    fn add_tcp(&mut self, record: &FlowRecord) {
        // Never 0, which means "none".
        let at = |tick: u32| (record.first_ns + u64::from(tick - 1) * TICK_NS).max(1);
        let syn_halves = [
            record.half[0].flag_counts[SYN] > 0,
            record.half[1].flag_counts[SYN] > 0,
        ];
        // With SYN flags on both sides of one record, the earlier kind came from the half that spoke first.
        let (opener, answerer) = match syn_halves {
            [true, false] => (0, 0),
            [false, true] => (1, 1),
            _ if record.synack_tick != 0
                && (record.syn_tick == 0 || record.synack_tick < record.syn_tick) =>
            {
                (1 - (record.first_half & 1), record.first_half & 1)
            }
            _ => (record.first_half & 1, 1 - (record.first_half & 1)),
        };
        if record.syn_tick != 0 {
            let syn_ns = at(record.syn_tick);
            if self.flow.syn_ns == 0 || (syn_ns, opener) < (self.flow.syn_ns, self.syn_half) {
                (self.flow.syn_ns, self.syn_half) = (syn_ns, opener);
            }
        }
        if record.synack_tick != 0 {
            let synack_ns = at(record.synack_tick);
            if self.flow.synack_ns == 0 || (synack_ns, answerer) < (self.flow.synack_ns, self.synack_half) {
                (self.flow.synack_ns, self.synack_half) = (synack_ns, answerer);
            }
        }
        for (side, half) in record.half.iter().enumerate() {
            self.fin_halves |= u8::from(half.flag_counts[FIN] > 0) << side;
            self.reset |= half.flag_counts[RST] > 0;
        }
    }

    /// The half that opened the flow, by this window's records alone.
    pub(super) fn opening(&self) -> (Opening, u8) {
        let key = &self.flow.key;
        if self.flow.syn_ns != 0 {
            return (Opening::Syn, self.syn_half);
        }
        if self.flow.synack_ns != 0 {
            return (Opening::SynAck, 1 - self.synack_half);
        }
        let system = key.port.map(|port| port < SYSTEM_PORTS && port != 0);
        match system {
            [true, false] if key.proto == TCP => (Opening::ServicePort, 1),
            [false, true] if key.proto == TCP => (Opening::ServicePort, 0),
            _ => (Opening::SpokeFirst, self.spoke_first),
        }
    }

    /// Key of the flow.
    pub(super) fn key(&self) -> &FlowKey {
        &self.flow.key
    }

    /// First packet so far.
    pub(super) fn first_ns(&self) -> u64 {
        self.flow.first_ns
    }

    /// First SYN so far; 0 without one.
    pub(super) fn syn_ns(&self) -> u64 {
        self.flow.syn_ns
    }

    /// The finished flow: gaps between its spans, and to `prior_last_ns` (0: none), are counted.
    pub(super) fn finish(&self, prior_last_ns: u64) -> Flow {
        let mut flow = self.flow;
        for (from_ns, to_ns) in self.spans.gaps() {
            count_gap(&mut flow, from_ns, to_ns);
        }
        if prior_last_ns != 0 && prior_last_ns < flow.first_ns {
            let first_ns = flow.first_ns;
            count_gap(&mut flow, prior_last_ns, first_ns);
        }
        flow
    }
}

// A flow in the open window costs this much beside its life.
const _: () = assert!(size_of::<Building>() <= 416);

fn count_gap(flow: &mut Flow, from_ns: u64, to_ns: u64) {
    let ticks = u32::try_from(ticks_between(from_ns, to_ns)).unwrap_or(u32::MAX);
    flow.iat_count += 1;
    flow.iat_sum_ticks += u64::from(ticks);
    flow.iat_sumsq_ticks = flow
        .iat_sumsq_ticks
        .saturating_add(u64::from(ticks) * u64::from(ticks));
    flow.iat_min_ticks = flow.iat_min_ticks.min(ticks);
    flow.iat_max_ticks = flow.iat_max_ticks.max(ticks);
}
