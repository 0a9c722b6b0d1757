//! From a window of flows to rows of numbers: one row per flow, one per host.
//! Pure and seeded; it must never hand the model anything that names the recording (addresses, MACs, ports, absolute
//! time or TTL): those stay in [`RowKey`], beside the values.
//!
//! Every column is declared once, in [`table`]; documents, explanation texts and [`schema_hash`] come from there.

mod contacts;
mod extract;
mod familiar;
mod flow_row;
mod graph;
mod history;
mod host_row;
mod hosts;
mod keyed;
mod locality;
mod offers;
mod schema;
mod sources;
pub mod table;
#[cfg(test)]
mod tests;

use sensor_common::flow::FlowKey;

pub use extract::{Extractor, ExtractorSettings};
pub use schema::{features_markdown, schema_hash};
pub use table::{FLOW_FEATURES, FlowColumn, HOST_FEATURES, HostColumn};

/// How a value is brought to the model's scale before the fitted robust scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// `ln(1 + value)`: counts, sizes and times, which spread over many powers of ten.
    Log1p,
    /// As it is: shares, differences and yes/no values.
    Linear,
}

impl Scale {
    /// Name used in the documents and in the schema hash.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Log1p => "log1p",
            Self::Linear => "linear",
        }
    }

    /// Applies the scale to one raw value (NaN stays NaN).
    #[inline]
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Self::Log1p => value.ln_1p(),
            Self::Linear => value,
        }
    }
}

/// One declared column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Column name, unique within its kind of row.
    pub name: &'static str,
    /// Unit of the raw value; `1` for shares and yes/no values.
    pub unit: &'static str,
    /// How the value is computed, in words and symbols.
    pub formula: &'static str,
    /// Smallest raw value; values are clamped to it.
    pub low: f32,
    /// Largest raw value; values are clamped to it.
    pub high: f32,
    /// Scale of the model input.
    pub scale: Scale,
    /// Explanation with the placeholders `{observed}`, `{low}` and `{high}` (the usual range).
    pub text: &'static str,
}

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// One flow in one window; columns are [`FLOW_FEATURES`].
    Flow,
    /// One host in one window; columns are [`HOST_FEATURES`].
    Host,
}

impl RowKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Flow, Self::Host];

    /// Name used in metrics' labels, files and documents.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Host => "host",
        }
    }

    /// The columns of this kind of row.
    pub fn features(self) -> &'static [Feature] {
        match self {
            Self::Flow => FLOW_FEATURES,
            Self::Host => HOST_FEATURES,
        }
    }

    /// Number of columns.
    pub fn width(self) -> usize {
        self.features().len()
    }
}

/// The kind of traffic of a row: calibration is done separately for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// TCP flow.
    TcpService = 0,
    /// UDP flow other than DNS.
    Udp = 1,
    /// DNS over UDP or TCP port 53, multicast DNS excluded.
    Dns = 2,
    /// ICMP and `ICMPv6`.
    Icmp = 3,
    /// ARP and its IPv6 counterparts: neighbour and router discovery, multicast listener reports. Hosts send them when a
    /// timer runs out; what they add up to is seen in host rows.
    Arp = 4,
    /// Any flow to a multicast or broadcast address.
    Multicast = 5,
    /// Any other protocol.
    Other = 6,
    /// Host row of a host in a local network.
    Local = 7,
    /// Host row of any other host.
    Remote = 8,
}

impl Family {
    /// All families, in index order.
    pub const ALL: [Self; 9] = [
        Self::TcpService,
        Self::Udp,
        Self::Dns,
        Self::Icmp,
        Self::Arp,
        Self::Multicast,
        Self::Other,
        Self::Local,
        Self::Remote,
    ];

    /// Name used in files and documents.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TcpService => "tcp_service",
            Self::Udp => "udp",
            Self::Dns => "dns",
            Self::Icmp => "icmp",
            Self::Arp => "arp",
            Self::Multicast => "multicast",
            Self::Other => "other",
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// Whose row it is: what an alarm needs and the model must not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// The flow; zeroed for host rows.
    pub flow: FlowKey,
    /// Address of the side that opened the flow, or the host of a host row (IPv4 as `::ffff:a.b.c.d`).
    pub initiator: [u8; 16],
    /// Address of the other side; zero for host rows.
    pub responder: [u8; 16],
    /// Packets of the row, both directions.
    pub packets: u64,
    /// Frame bytes of the row, both directions.
    pub bytes: u64,
    /// Port of the responder; 0 for host rows and protocols without ports.
    pub service_port: u16,
    /// Port of the initiator; 0 for host rows and protocols without ports.
    pub initiator_port: u16,
    /// Interface slot; 0 for host rows.
    pub iface: u16,
    /// IP protocol; 0 for ARP and host rows.
    pub proto: u8,
    /// Kind of traffic, for grouped calibration.
    pub family: Family,
}

/// Rows of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The kind of the rows.
    pub kind: RowKind,
    /// Columns per row.
    pub width: usize,
    /// Row-major raw values, before any scaling; NaN means absent (not applicable or not known yet).
    pub values: Vec<f32>,
    /// Whose rows these are, one per row.
    pub keys: Vec<RowKey>,
}

impl Rows {
    /// No rows of this kind.
    pub fn empty(kind: RowKind) -> Self {
        Self {
            kind,
            width: kind.width(),
            values: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The raw values of one row; empty if there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        self.values
            .get(index * self.width..(index + 1) * self.width)
            .unwrap_or_default()
    }
}

/// What one host did in one window: the evidence for naming a behaviour. "Opened" means flows whose first packet ever
/// fell into this window and that this host initiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Flows this host opened.
    pub flows_opened: u64,
    /// Flows others opened towards this host.
    pub flows_accepted: u64,
    /// Distinct addresses towards which it opened flows.
    pub peers: u64,
    /// Distinct destination ports (with protocol) towards which it opened flows.
    pub ports: u64,
    /// The peer on which it opened flows to the most distinct ports; zero without flows.
    pub top_peer: [u8; 16],
    /// Distinct ports on that peer.
    pub top_peer_ports: u64,
    /// The destination port on which it opened flows to the most distinct peers.
    pub top_port: u16,
    /// Protocol of that port.
    pub top_port_proto: u8,
    /// Distinct peers on that port.
    pub top_port_peers: u64,
    /// Most flows opened to one port of one peer (repeated attempts).
    pub top_target_flows: u64,
    /// Peer of those flows.
    pub top_target: [u8; 16],
    /// Port of those flows.
    pub top_target_port: u16,
    /// Protocol of those flows.
    pub top_target_proto: u8,
    /// Opened flows whose responder never sent anything (multicast and broadcast not counted).
    pub unanswered: u64,
    /// TCP resets that arrived at this host.
    pub resets_received: u64,
    /// TCP resets that this host sent.
    pub resets_sent: u64,
    /// TCP flows it opened with a SYN in this window.
    pub syns_sent: u64,
    /// Of those, without SYN-ACK or reset.
    pub syns_sent_unanswered: u64,
    /// TCP flows opened towards it with a SYN in this window.
    pub syns_received: u64,
    /// Of those, that it left without SYN-ACK or reset, or that overflowed the flow table.
    pub syns_received_unanswered: u64,
    /// Distinct addresses that opened flows towards it (overflow not included, see `overflow_sources`).
    pub sources: u64,
    /// Packets it sent.
    pub packets_out: u64,
    /// Packets sent to it.
    pub packets_in: u64,
    /// Bytes it sent.
    pub bytes_out: u64,
    /// Bytes sent to it.
    pub bytes_in: u64,
    /// Packets aimed at it that found no place in the flow table.
    pub overflow_packets: u64,
    /// Estimated distinct sources of those packets.
    pub overflow_sources: u64,
    /// Port most hit by those packets.
    pub overflow_port: u16,
    /// Protocol of that port.
    pub overflow_proto: u8,
    /// Peer of the most regular contact that it made in this window; zero without one that has come often enough.
    pub beacon_peer: [u8; 16],
    /// Port of that contact.
    pub beacon_port: u16,
    /// Protocol of that contact.
    pub beacon_proto: u8,
    /// Regularity of that contact in thousandths (1000: clockwork).
    pub beacon_regularity_permille: u16,
    /// Mean time between its last contacts.
    pub beacon_period_ms: u64,
    /// ARP requests it sent.
    pub arp_requests: u64,
    /// Distinct addresses it asked for.
    pub arp_targets: u64,
    /// Peers that it had not contacted before in the learned history (0 while that is being learned).
    pub new_peers: u64,
    /// Services (protocol and port) that it had not used before (0 while that is being learned).
    pub new_services: u64,
}

/// All rows of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRows {
    /// Start of the window, nanoseconds of the source's clock.
    pub start_ns: u64,
    /// End of the window.
    pub end_ns: u64,
    /// Share of the seen packets that are in flow rows, 0 to 1.
    pub coverage: f32,
    /// Flow rows, sorted by flow key.
    pub flow: Rows,
    /// Host rows, sorted by address.
    pub host: Rows,
    /// Evidence per host, parallel to `host.keys`.
    pub host_facts: Vec<HostFacts>,
    /// Ends of flows that got no host entry in this window because the bound on hosts was reached; their context
    /// values are absent.
    pub hosts_over_limit: u64,
}
