//! Every packet that is not in a flow is in one of these counters: the books of the sensor.
//! One declaration serves the kernel program, the metrics' labels and the documents; it must never lose a reason.

use bytemuck::{Pod, Zeroable};

/// Why a packet could not be given a flow. The number is the index into [`Counters::skipped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Skip {
    /// The captured bytes end inside a header that is needed.
    Truncated = 0,
    /// An EtherType that is not parsed (LLDP, PTP, PROFINET, ...).
    EtherType = 1,
    /// An IEEE 802.3 length field (LLC, STP, CDP) instead of an EtherType.
    Llc = 2,
    /// MPLS label stack.
    Mpls = 3,
    /// PPP over Ethernet.
    Pppoe = 4,
    /// More than two VLAN tags.
    VlanDepth = 5,
    /// The IP version or header length field is impossible.
    BadIpHeader = 6,
    /// More IPv6 extension headers than are walked.
    ExtensionDepth = 7,
    /// ARP that is not Ethernet/IPv4.
    BadArp = 8,
    /// The map element for this CPU is missing (more CPUs than the tables were sized for).
    NoTable = 9,
}

impl Skip {
    /// All reasons, in index order.
    pub const ALL: [Self; 10] = [
        Self::Truncated,
        Self::EtherType,
        Self::Llc,
        Self::Mpls,
        Self::Pppoe,
        Self::VlanDepth,
        Self::BadIpHeader,
        Self::ExtensionDepth,
        Self::BadArp,
        Self::NoTable,
    ];

    /// The value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::EtherType => "ethertype",
            Self::Llc => "llc",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
            Self::VlanDepth => "vlan_depth",
            Self::BadIpHeader => "bad_ip_header",
            Self::ExtensionDepth => "extension_depth",
            Self::BadArp => "bad_arp",
            Self::NoTable => "no_table",
        }
    }

    /// One sentence for the documents.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Truncated => "The frame ends inside a header that is needed.",
            Self::EtherType => "An EtherType that is not parsed, such as LLDP or PTP.",
            Self::Llc => "An IEEE 802.3 length field instead of an EtherType: LLC, spanning tree, CDP.",
            Self::Mpls => "An MPLS label stack.",
            Self::Pppoe => "PPP over Ethernet.",
            Self::VlanDepth => "More than two VLAN tags.",
            Self::BadIpHeader => "An impossible IP version or header length.",
            Self::ExtensionDepth => "More IPv6 extension headers than are walked.",
            Self::BadArp => "ARP for something other than IPv4 over Ethernet.",
            Self::NoTable => "No flow table for this CPU.",
        }
    }
}

/// Room for reasons to come without a change of layout.
pub const SKIP_SLOTS: usize = 16;
const _: () = assert!(Skip::ALL.len() <= SKIP_SLOTS);

/// The books of one CPU in one epoch; 192 bytes.
///
/// Invariant: `seen_packets` = packets in this epoch's flow records + `overflow_packets` + Σ `skipped`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Counters {
    /// Packets the programs saw, as on the wire (segments of offloaded frames counted one by one).
    pub seen_packets: u64,
    /// Packets whose flow found no place; their bytes and targets are in the overflow sketch.
    pub overflow_packets: u64,
    /// Bytes of those packets.
    pub overflow_bytes: u64,
    /// Flow records that were moved to the overflow sketch to make room (their packets are in `overflow_packets`).
    pub evicted_flows: u64,
    /// Flow records started.
    pub started_flows: u64,
    /// Slots of the flow table in use.
    pub used_slots: u64,
    /// Bytes of skipped packets.
    pub skipped_bytes: u64,
    /// Reserved.
    pub pad: u64,
    /// Packets skipped, by [`Skip`].
    pub skipped: [u64; SKIP_SLOTS],
}
const _: () = assert!(size_of::<Counters>() == 192);

impl Counters {
    /// Adds another CPU's or epoch's books.
    pub fn add(&mut self, other: &Self) {
        self.seen_packets += other.seen_packets;
        self.overflow_packets += other.overflow_packets;
        self.overflow_bytes += other.overflow_bytes;
        self.evicted_flows += other.evicted_flows;
        self.started_flows += other.started_flows;
        self.used_slots += other.used_slots;
        self.skipped_bytes += other.skipped_bytes;
        for (sum, part) in self.skipped.iter_mut().zip(other.skipped) {
            *sum += part;
        }
    }

    /// Packets skipped for any reason.
    pub fn skipped_packets(&self) -> u64 {
        self.skipped.iter().sum()
    }
}

/// Traffic of one interface on one CPU since the tables were made (never reset); 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct IfaceCounters {
    /// Packets received, as on the wire.
    pub receive_packets: u64,
    /// Bytes received.
    pub receive_bytes: u64,
    /// Packets transmitted, as on the wire.
    pub transmit_packets: u64,
    /// Bytes transmitted.
    pub transmit_bytes: u64,
}
const _: () = assert!(size_of::<IfaceCounters>() == 32);
