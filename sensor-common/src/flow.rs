//! The flow key, the flow record and the per-packet update: what the kernel counts for every flow.
//! Everything here is plain integers with explicit layout; it must never depend on the clock, the host or floats.
//!
//! A record covers one drain of one CPU's table. Userspace adds the records of several CPUs and drains
//! (window stage of the agent). Its two [`Half`]s are the two directions: half 0 counts packets from `addr[0]` to `addr[1]`.

use bytemuck::{Pod, Zeroable};

use crate::parse::Parsed;

/// Inter-arrival times are counted in ticks of 1,024 ns: a shift instead of a division in the kernel.
pub const TICK_NS: u64 = 1024;

/// Ticks from one time to a later one: the difference of whole ticks since the clock's zero, so that the ticks of
/// successive gaps add up to those of the whole.
#[inline(always)]
pub const fn ticks_between(from_ns: u64, to_ns: u64) -> u64 {
    (to_ns / TICK_NS).saturating_sub(from_ns / TICK_NS)
}

/// TCP flag bits in the order of [`Half::flag_counts`] (RFC 9293, section 3.1).
pub const TCP_FLAG_NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
/// Index of FIN in [`Half::flag_counts`].
pub const FIN: usize = 0;
/// Index of SYN in [`Half::flag_counts`].
pub const SYN: usize = 1;
/// Index of RST in [`Half::flag_counts`].
pub const RST: usize = 2;
/// Index of PSH in [`Half::flag_counts`].
pub const PSH: usize = 3;
/// Index of ACK in [`Half::flag_counts`].
pub const ACK: usize = 4;
/// ARP flows count requests in place of flag 0.
pub const ARP_REQUEST: usize = 0;
/// ARP flows count replies in place of flag 1.
pub const ARP_REPLY: usize = 1;

/// Network layer of a flow (high nibble of [`FlowKey::kind`]).
pub const NET_IPV4: u8 = 4;
/// IPv6 (high nibble of [`FlowKey::kind`]).
pub const NET_IPV6: u8 = 6;
/// ARP (high nibble of [`FlowKey::kind`]): addresses are the protocol addresses, ports are 0.
pub const NET_ARP: u8 = 1;

/// No tunnel (low nibble of [`FlowKey::kind`]).
pub const TUNNEL_NONE: u8 = 0;
/// VXLAN, RFC 7348 (low nibble of [`FlowKey::kind`]).
pub const TUNNEL_VXLAN: u8 = 1;
/// GENEVE, RFC 8926.
pub const TUNNEL_GENEVE: u8 = 2;
/// GRE, RFC 2784 and 2890; the id is the key field or 0.
pub const TUNNEL_GRE: u8 = 3;
/// IPv4 inside IP (protocol 4), RFC 2003.
pub const TUNNEL_IPIP: u8 = 4;
/// IPv6 inside IP (protocol 41), RFC 4213.
pub const TUNNEL_6IN4: u8 = 5;

/// The VLAN field of an untagged frame.
pub const VLAN_NONE: u16 = 0;
/// Set on a VLAN field that was present, so that priority tags (VLAN id 0) differ from untagged frames.
pub const VLAN_PRESENT: u16 = 0x1000;

/// Direction-independent identity of a flow on one interface; 48 bytes, no padding.
///
/// Endpoints are ordered by address then port (big-endian comparison), so both directions give the same key.
/// IPv4 addresses are stored as IPv4-mapped IPv6 (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2).
/// For tunnelled packets the key is the inner flow. ICMP's type and code take the port fields so that a request
/// and its reply share a key, with the mapping of Community ID v1.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
pub struct FlowKey {
    /// Lower and higher endpoint address, network byte order.
    pub addr: [[u8; 16]; 2],
    /// Tunnel id: VNI (VXLAN, GENEVE) or GRE key; 0 without a tunnel.
    pub tunnel_id: u32,
    /// Ports of the two endpoints, host byte order; 0 for protocols and fragments without ports.
    pub port: [u16; 2],
    /// Outer and inner VLAN: `VLAN_PRESENT | id`, or [`VLAN_NONE`].
    pub vlan: [u16; 2],
    /// Interface slot that the agent assigned (0 in captures): a flow on two interfaces is two flows.
    pub iface: u16,
    /// IP protocol number; 0 for ARP.
    pub proto: u8,
    /// Network layer in the high nibble, tunnel kind in the low nibble.
    pub kind: u8,
}
const _: () = assert!(size_of::<FlowKey>() == 48);

impl FlowKey {
    /// The key as six machine words, for hashing and comparing.
    #[inline(always)]
    pub fn words(&self) -> &[u64; 6] {
        bytemuck::must_cast_ref(self)
    }

    /// Network layer: [`NET_IPV4`], [`NET_IPV6`] or [`NET_ARP`].
    #[inline(always)]
    pub const fn network(&self) -> u8 {
        self.kind >> 4
    }

    /// Tunnel kind: [`TUNNEL_NONE`] and friends.
    #[inline(always)]
    pub const fn tunnel(&self) -> u8 {
        self.kind & 0xf
    }
}

/// Counters of one direction of a flow; 72 bytes.
///
/// Packets are packets on the wire: an offloaded super-packet counts as the segments it becomes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Half {
    /// Frame bytes (link header included, frame check sequence not).
    pub bytes: u64,
    /// Bytes behind the transport header, by the IP length field (link padding is not payload).
    pub payload_bytes: u64,
    /// Sum of squared frame lengths.
    pub len_sumsq: u64,
    /// Packets.
    pub packets: u32,
    /// How many packets carried each TCP flag, in the order of [`TCP_FLAG_NAMES`]; ARP requests and replies for ARP.
    pub flag_counts: [u32; 8],
    /// Packets that were IP fragments (first ones included).
    pub fragments: u32,
    /// Shortest frame; 0 while `packets` is 0.
    pub len_min: u16,
    /// Longest frame.
    pub len_max: u16,
    /// TCP window of this direction's first packet.
    pub window_first: u16,
    /// Smallest IP time to live; 0 while `packets` is 0.
    pub ttl_min: u8,
    /// Largest IP time to live.
    pub ttl_max: u8,
}
const _: () = assert!(size_of::<Half>() == 72);

/// What was counted of one flow; 240 bytes, the unit in which the kernel and the agent exchange flows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct FlowRecord {
    /// Whose counters these are.
    pub key: FlowKey,
    /// Time of the first packet, monotonic nanoseconds.
    pub first_ns: u64,
    /// Time of the last packet, monotonic nanoseconds.
    pub last_ns: u64,
    /// Sum of squared inter-arrival times in ticks²; their plain sum is the ticks between `first_ns` and
    /// `last_ns` (see [`ticks_between`]).
    pub iat_sumsq_ticks: u64,
    /// Shortest inter-arrival time in ticks; `u32::MAX` with fewer than two packets.
    pub iat_min_ticks: u32,
    /// Longest inter-arrival time in ticks.
    pub iat_max_ticks: u32,
    /// First SYN without ACK: ticks after `first_ns` plus 1; 0 if none was seen.
    pub syn_tick: u32,
    /// First SYN with ACK: ticks after `first_ns` plus 1; 0 if none was seen.
    pub synack_tick: u32,
    /// Source MAC address of the first packet; zero where the link has none.
    pub mac: [u8; 6],
    /// The half that spoke first: 0 or 1.
    pub first_half: u8,
    /// Explicit padding.
    pub pad: u8,
    /// The two directions.
    pub half: [Half; 2],
}
const _: () = assert!(size_of::<FlowRecord>() == 240);

/// When and how large: what the hook knows of a packet beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Monotonic nanoseconds.
    pub now_ns: u64,
    /// Frame length on the wire before segmentation, in bytes.
    pub len: u32,
    /// Segments this frame becomes on the wire (1 without offload).
    pub segments: u32,
    /// Payload bytes of each segment but the last (`gso_size`); 0 if unknown.
    pub segment_len: u32,
}

impl Sighting {
    /// A frame that is one packet on the wire.
    #[inline(always)]
    pub const fn packet(now_ns: u64, len: u32) -> Self {
        Self {
            now_ns,
            len,
            segments: 1,
            segment_len: 0,
        }
    }
}

impl FlowRecord {
    /// Starts a record with its first packet, overwriting whatever was there.
    #[inline(always)]
    pub fn start(&mut self, parsed: &Parsed, seen: &Sighting) {
        *self = Self::zeroed();
        self.key = parsed.key;
        self.first_ns = seen.now_ns;
        self.last_ns = seen.now_ns;
        self.iat_min_ticks = u32::MAX;
        self.mac = parsed.mac;
        self.first_half = parsed.half & 1;
        self.count(parsed, seen);
    }

    /// Adds a later packet of the same flow.
    #[inline(always)]
    pub fn update(&mut self, parsed: &Parsed, seen: &Sighting) {
        // A clock that steps back (another CPU's packet in a capture) must not wrap around.
        let gap = if seen.now_ns > self.last_ns {
            // Between ticks of one clock: gaps so add up to the ticks from first to last packet, which is what their
            // squares are compared with. Cutting each gap on its own would leave the sum of squares too small.
            seen.now_ns / TICK_NS - self.last_ns / TICK_NS
        } else {
            0
        };
        if seen.now_ns > self.last_ns {
            self.last_ns = seen.now_ns;
        }
        let ticks = if gap > u32::MAX as u64 {
            u32::MAX
        } else {
            gap as u32
        };
        self.iat_sumsq_ticks = self.iat_sumsq_ticks.wrapping_add(ticks as u64 * ticks as u64);
        if ticks < self.iat_min_ticks {
            self.iat_min_ticks = ticks;
        }
        if ticks > self.iat_max_ticks {
            self.iat_max_ticks = ticks;
        }
        self.count(parsed, seen);
    }

    /// Ticks after the first packet plus 1: 1 if the clock stepped back, `u32::MAX` for an hour and more.
    #[inline(always)]
    fn tick(&self, now_ns: u64) -> u32 {
        let gap = if now_ns > self.first_ns {
            (now_ns - self.first_ns) / TICK_NS
        } else {
            0
        };
        if gap >= u32::MAX as u64 {
            u32::MAX
        } else {
            gap as u32 + 1
        }
    }

    #[inline(always)]
    fn count(&mut self, parsed: &Parsed, seen: &Sighting) {
        if parsed.tcp_flags & 0x02 != 0 && parsed.key.proto == 6 {
            let tick = self.tick(seen.now_ns);
            if parsed.tcp_flags & 0x10 == 0 {
                if self.syn_tick == 0 {
                    self.syn_tick = tick;
                }
            } else if self.synack_tick == 0 {
                self.synack_tick = tick;
            }
        }
        // Two call sites with constant indices: the verifier sees fixed offsets, the CPU no dependent address.
        if parsed.half == 0 {
            self.half[0].count(parsed, seen);
        } else {
            self.half[1].count(parsed, seen);
        }
    }
}

impl Half {
    #[inline(always)]
    fn count(&mut self, parsed: &Parsed, seen: &Sighting) {
        if self.packets == 0 {
            self.len_min = u16::MAX;
            self.ttl_min = u8::MAX;
            self.window_first = parsed.tcp_window;
        }
        if seen.segments > 1 {
            self.count_segments(parsed, seen);
        } else {
            let len = seen.len as u64;
            self.packets += 1;
            self.bytes += len;
            // Two frames of 4 GiB, which only a capture can claim, would be one too many.
            self.len_sumsq = self.len_sumsq.wrapping_add(len * len);
            self.payload_bytes += parsed.payload_len as u64;
            self.span(seen.len, seen.len);
            self.flags(parsed.tcp_flags, 1);
        }
        if parsed.ttl < self.ttl_min {
            self.ttl_min = parsed.ttl;
        }
        if parsed.ttl > self.ttl_max {
            self.ttl_max = parsed.ttl;
        }
        self.fragments += parsed.fragment as u32;
    }

    /// An offloaded frame of `header + payload` becomes `segments` frames that each repeat the header; all but the
    /// last carry the same payload (Linux `skb_segment`).
    #[inline(always)]
    fn count_segments(&mut self, parsed: &Parsed, seen: &Sighting) {
        let segments = seen.segments;
        let header = parsed.header_len;
        let payload = seen.len.saturating_sub(header);
        let each = payload.div_ceil(segments);
        // Without a known segment size: equal shares, the rest in the last one.
        let full = if seen.segment_len != 0 && seen.segment_len < payload {
            seen.segment_len
        } else {
            each
        };
        let last = payload.saturating_sub(full.saturating_mul(segments - 1));
        let (full_len, last_len) = ((header + full) as u64, (header + last) as u64);
        self.packets += segments;
        // Exact even where a segment length does not fit the number of segments.
        self.bytes += seen.len as u64 + header as u64 * (segments as u64 - 1);
        self.len_sumsq += full_len * full_len * (segments as u64 - 1) + last_len * last_len;
        self.payload_bytes += parsed.payload_len as u64;
        self.span(last_len as u32, full_len as u32);
        self.flags(parsed.tcp_flags, segments);
    }

    #[inline(always)]
    fn span(&mut self, shortest: u32, longest: u32) {
        let low = if shortest > u16::MAX as u32 {
            u16::MAX
        } else {
            shortest as u16
        };
        let high = if longest > u16::MAX as u32 {
            u16::MAX
        } else {
            longest as u16
        };
        if low < self.len_min {
            self.len_min = low;
        }
        if high > self.len_max {
            self.len_max = high;
        }
    }

    /// Counts the flags of `segments` packets: ACK on each; the one-off flags where segmentation leaves them
    /// (SYN, URG, ECE on all by content, FIN and PSH on the last, CWR on the first; Linux `tcp_gso_segment`).
    #[inline(always)]
    fn flags(&mut self, flags: u8, segments: u32) {
        if flags == 0x10 {
            self.flag_counts[ACK] += segments;
            return;
        }
        if flags == 0 {
            return;
        }
        self.flag_counts[0] += (flags & 1) as u32;
        self.flag_counts[1] += (flags >> 1 & 1) as u32;
        self.flag_counts[2] += (flags >> 2 & 1) as u32;
        self.flag_counts[3] += (flags >> 3 & 1) as u32;
        self.flag_counts[4] += (flags >> 4 & 1) as u32 * segments;
        self.flag_counts[5] += (flags >> 5 & 1) as u32 * segments;
        self.flag_counts[6] += (flags >> 6 & 1) as u32 * segments;
        self.flag_counts[7] += (flags >> 7 & 1) as u32;
    }
}
