//! A row while it is read back, and windows from rows. It must never accept a row that this sensor could not have
//! written, as far as that can be told.

use sensor_common::flow::{FlowKey, NET_ARP, NET_IPV4, NET_IPV6};

use super::{StoredWindow, counters::Counters};
use crate::{
    features::{Family, FlowColumn, HostColumn, HostFacts, RowKey, RowKind, Rows, WindowRows, schema_hash},
    window::Flow,
};

/// Protocols whose "ports" are type and code.
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// Digits of the schema hash that each row carries.
const SCHEMA_DIGITS: usize = 16;

/// What each row says of the feature schema.
pub(super) fn row_schema() -> String {
    let mut schema = schema_hash();
    schema.truncate(SCHEMA_DIGITS);
    schema
}

/// The values of one row, in any order; what is not set is absent.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) kind: Option<RowKind>,
    pub(super) wall_start_ns: Option<i64>,
    pub(super) length_ns: Option<u64>,
    pub(super) start_ns: Option<u64>,
    pub(super) coverage: f32,
    pub(super) hosts_over_limit: u64,
    /// Schema of the row, if it is not ours.
    pub(super) foreign_schema: Option<String>,
    pub(super) schema_seen: bool,
    pub(super) src: Option<[u8; 16]>,
    pub(super) dst: Option<[u8; 16]>,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) proto: u8,
    pub(super) family: Option<Family>,
    pub(super) network: Option<u8>,
    pub(super) iface: u16,
    pub(super) interface: String,
    pub(super) vlan: [u16; 2],
    pub(super) tunnel: u8,
    pub(super) tunnel_id: u32,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) counters: Counters,
    pub(super) flow_values: [f32; FlowColumn::COUNT],
    pub(super) host_values: [f32; HostColumn::COUNT],
    pub(super) facts: HostFacts,
    ours: std::sync::Arc<str>,
}

impl Parts {
    /// Nothing yet; `ours` is [`row_schema`].
    pub(super) fn new(ours: &std::sync::Arc<str>) -> Self {
        Self {
            kind: None,
            wall_start_ns: None,
            length_ns: None,
            start_ns: None,
            coverage: f32::NAN,
            hosts_over_limit: 0,
            foreign_schema: None,
            schema_seen: false,
            src: None,
            dst: None,
            src_port: 0,
            dst_port: 0,
            proto: 0,
            family: None,
            network: None,
            iface: 0,
            interface: String::new(),
            vlan: [0; 2],
            tunnel: 0,
            tunnel_id: 0,
            packets: 0,
            bytes: 0,
            counters: Counters::default(),
            flow_values: [f32::NAN; FlowColumn::COUNT],
            host_values: [f32::NAN; HostColumn::COUNT],
            facts: HostFacts::default(),
            ours: ours.clone(),
        }
    }

    /// Notes whether the row's values mean what ours mean.
    pub(super) fn check_schema(&mut self, found: &str) {
        self.schema_seen = true;
        if found != &*self.ours {
            self.foreign_schema = Some(found.chars().take(64).collect());
        }
    }

    /// The finished row.
    ///
    /// # Errors
    /// The name of a column that is missing.
    pub(super) fn finish(self) -> Result<ReadRow, &'static str> {
        let kind = self.kind.ok_or("kind")?;
        let wall_start_ns = self.wall_start_ns.ok_or("window_start_ns")?;
        let length_ns = self.length_ns.ok_or("window_length_ns")?;
        let start_ns = self.start_ns.ok_or("clock_start_ns")?;
        if !self.schema_seen {
            return Err("feature_schema");
        }
        let src = self.src.ok_or("src")?;
        let family = self.family.ok_or("family")?;
        let key = match kind {
            RowKind::Host => RowKey {
                flow: bytemuck::Zeroable::zeroed(),
                initiator: src,
                responder: [0; 16],
                packets: self.facts.packets_in.saturating_add(self.facts.packets_out),
                bytes: self.facts.bytes_in.saturating_add(self.facts.bytes_out),
                service_port: 0,
                initiator_port: 0,
                iface: 0,
                proto: 0,
                family,
            },
            RowKind::Flow => self.flow_key(src, family)?,
        };
        let flow = match kind {
            RowKind::Flow => {
                let opener = (src, self.src_port);
                let initiator = u8::from(opener != (key.flow.addr[0], key.flow.port[0]));
                self.counters.finish(key.flow, initiator, start_ns)
            }
            RowKind::Host => None,
        };
        Ok(ReadRow {
            window: WindowKey {
                start_ns,
                wall_start_ns,
                length_ns,
                coverage_bits: self.coverage.to_bits(),
                hosts_over_limit: self.hosts_over_limit,
            },
            kind,
            key,
            values: match kind {
                RowKind::Flow => self.flow_values.to_vec(),
                RowKind::Host => self.host_values.to_vec(),
            },
            facts: self.facts,
            flow,
            interface: self.interface,
        })
    }

    fn flow_key(&self, src: [u8; 16], family: Family) -> Result<RowKey, &'static str> {
        let dst = self.dst.ok_or("dst")?;
        let network = self.network.ok_or("network")?;
        let (low, high) = ((src, self.src_port), (dst, self.dst_port));
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        let has_ports = !matches!(self.proto, ICMP | ICMP_V6);
        debug_assert!(matches!(network, NET_IPV4 | NET_IPV6 | NET_ARP));
        Ok(RowKey {
            flow: FlowKey {
                addr: [low.0, high.0],
                tunnel_id: self.tunnel_id,
                port: [low.1, high.1],
                vlan: self.vlan,
                iface: self.iface,
                proto: self.proto,
                kind: network << 4 | self.tunnel,
            },
            initiator: src,
            responder: dst,
            packets: self.packets,
            bytes: self.bytes,
            service_port: if has_ports { self.dst_port } else { 0 },
            initiator_port: if has_ports { self.src_port } else { 0 },
            iface: self.iface,
            proto: self.proto,
            family,
        })
    }
}

/// What all rows of a window have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowKey {
    pub(super) start_ns: u64,
    wall_start_ns: i64,
    length_ns: u64,
    coverage_bits: u32,
    hosts_over_limit: u64,
}

/// A row read back.
#[derive(Clone, Debug)]
pub(super) struct ReadRow {
    pub(super) window: WindowKey,
    kind: RowKind,
    key: RowKey,
    values: Vec<f32>,
    facts: HostFacts,
    flow: Option<Flow>,
    interface: String,
}

impl ReadRow {
    /// Slot and name of the interface; an empty name says nothing.
    pub(super) fn interface(&self) -> (u16, &str) {
        (self.key.iface, &self.interface)
    }
}

impl WindowKey {
    /// End on the source's clock.
    pub(super) fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.length_ns)
    }

    /// The windows without rows between this one and `next`: as many as fit in between without a rest, none if that
    /// is not so or they are more than `limit`.
    pub(super) fn silent_until(&self, next: &Self, limit: u64) -> u64 {
        let gap_ns = next.start_ns.saturating_sub(self.end_ns());
        if self.length_ns == 0 || self.length_ns != next.length_ns || !gap_ns.is_multiple_of(self.length_ns) {
            return 0;
        }
        Some(gap_ns / self.length_ns)
            .filter(|count| *count <= limit)
            .unwrap_or(0)
    }

    /// The window after this one, without rows or packets.
    pub(super) fn silent_next(&self) -> Self {
        Self {
            start_ns: self.end_ns(),
            wall_start_ns: self.wall_start_ns.saturating_add_unsigned(self.length_ns),
            length_ns: self.length_ns,
            coverage_bits: 1.0_f32.to_bits(),
            hosts_over_limit: 0,
        }
    }
}

/// A window from its rows, in the order in which the extractor gives them.
pub(super) fn window(key: &WindowKey, rows: Vec<ReadRow>) -> StoredWindow {
    let (mut flows, mut hosts): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.kind == RowKind::Flow);
    flows.sort_by_key(|row| row.key.flow);
    hosts.sort_by_key(|row| row.key.initiator);
    let host_facts = hosts.iter().map(|row| row.facts).collect();
    let counted = flows.iter().map(|row| row.flow).collect::<Option<_>>();
    StoredWindow {
        rows: WindowRows {
            start_ns: key.start_ns,
            end_ns: key.end_ns(),
            coverage: f32::from_bits(key.coverage_bits),
            flow: collect(RowKind::Flow, flows),
            host: collect(RowKind::Host, hosts),
            host_facts,
            hosts_over_limit: key.hosts_over_limit,
        },
        flows: counted.unwrap_or_default(),
        wall_start_ns: key.wall_start_ns,
        wall_end_ns: key.wall_start_ns.saturating_add_unsigned(key.length_ns),
    }
}

fn collect(kind: RowKind, read: Vec<ReadRow>) -> Rows {
    let mut rows = Rows::empty(kind);
    rows.values.reserve(read.len() * rows.width);
    rows.keys.reserve(read.len());
    for row in read {
        rows.values.extend_from_slice(&row.values);
        rows.keys.push(row.key);
    }
    rows
}
