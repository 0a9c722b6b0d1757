//! Columns that say whose row it is and when. It must never lose what tells two flows apart: a key read back equals the
//! one written.

use sensor_common::flow::{NET_ARP, NET_IPV4, NET_IPV6, VLAN_PRESENT};

use super::{BOTH, FLOW, column};
use crate::{
    alert::community_id::community_id,
    features::{Family, RowKey, RowKind},
    flows::column::{Cell, Column, ColumnType, Misfit, Row, Value},
};

/// Names of network layers, as in the key.
const NETWORKS: [(u8, &str); 3] = [(NET_IPV4, "ipv4"), (NET_IPV6, "ipv6"), (NET_ARP, "arp")];
/// Names of tunnels by number; 0 is none.
const TUNNELS: [&str; 6] = ["", "vxlan", "geneve", "gre", "ipip", "6in4"];
/// The VLAN id without the mark of presence.
const VLAN_ID: u16 = 0xfff;

/// The columns.
pub(super) fn columns() -> Vec<Column> {
    let mut columns = ends();
    columns.extend(layers());
    columns.extend(tunnels());
    columns
}

fn ends() -> Vec<Column> {
    use ColumnType::{Int32, Text};
    vec![
        column(
            "src",
            Text,
            BOTH,
            "address of the side that opened the flow (ARP: of the asking side), or the host of a host row; see docs/privacy.md",
            |row| row.address(&row.key.initiator),
            Some(|parts, value| {
                parts.src = Some(value.address()?);
                Ok(())
            }),
        ),
        column(
            "dst",
            Text,
            FLOW,
            "address of the other side",
            |row| of_flow(row, |key| row.address(&key.responder)),
            Some(|parts, value| {
                parts.dst = Some(value.address()?);
                Ok(())
            }),
        ),
        column(
            "src_port",
            Int32,
            FLOW,
            "port of src; ICMP: type of its message (as in Community ID); null for protocols without ports",
            |row| port(row, true),
            Some(|parts, value| {
                parts.src_port = value.int()?.try_into()?;
                Ok(())
            }),
        ),
        column(
            "dst_port",
            Int32,
            FLOW,
            "port of dst; ICMP: type of the answer, or the code where there is no answer (as in Community ID)",
            |row| port(row, false),
            Some(|parts, value| {
                parts.dst_port = value.int()?.try_into()?;
                Ok(())
            }),
        ),
        column(
            "proto",
            Int32,
            FLOW,
            "IP protocol number; 0 for ARP",
            |row| of_flow(row, |key| Cell::Int(key.flow.proto.into())),
            Some(|parts, value| {
                parts.proto = value.int()?.try_into()?;
                Ok(())
            }),
        ),
        column(
            "family",
            Text,
            BOTH,
            "kind of traffic; thresholds are set for each",
            |row| Cell::Text(row.key.family.label().into()),
            Some(|parts, value| {
                let name = value.text()?;
                parts.family = Family::ALL.into_iter().find(|family| family.label() == name);
                parts.family.map(|_| ()).ok_or(Misfit)
            }),
        ),
        column(
            "community_id",
            Text,
            FLOW,
            "Community ID v1 with seed 0; null for ARP, and where addresses are not written as they are",
            |row| {
                // With pseudonyms it would tell the address to whoever tries all of them.
                if row.kind == RowKind::Host || !row.names.is_plain() {
                    return Cell::Null;
                }
                community_id(&row.key.flow, &row.key.initiator).map_or(Cell::Null, |id| Cell::Text(id.into()))
            },
            None,
        ),
    ]
}

fn layers() -> Vec<Column> {
    use ColumnType::{Int32, Text};
    vec![
        column(
            "network",
            Text,
            FLOW,
            "`ipv4`, `ipv6` or `arp`",
            |row| {
                of_flow(row, |key| {
                    name_of(
                        NETWORKS
                            .iter()
                            .find(|(number, _)| *number == key.flow.network())
                            .map(|(_, name)| *name),
                    )
                })
            },
            Some(|parts, value| {
                let name = value.text()?;
                let found = NETWORKS.iter().find(|(_, label)| *label == name).ok_or(Misfit)?;
                parts.network = Some(found.0);
                Ok(())
            }),
        ),
        column(
            "interface",
            Text,
            FLOW,
            "name of the interface, where it is known",
            |row| {
                if row.kind == RowKind::Host || row.interface.is_empty() {
                    Cell::Null
                } else {
                    Cell::Text(row.interface.into())
                }
            },
            Some(|parts, value| {
                value.text()?.clone_into(&mut parts.interface);
                Ok(())
            }),
        ),
        column(
            "interface_index",
            Int32,
            FLOW,
            "number of the interface among the inputs, from 0",
            |row| of_flow(row, |key| Cell::Int(key.flow.iface.into())),
            Some(|parts, value| {
                parts.iface = value.int()?.try_into()?;
                Ok(())
            }),
        ),
        column(
            "vlan",
            Int32,
            FLOW,
            "outer VLAN id; null for untagged frames",
            |row| of_flow(row, |key| vlan(key.flow.vlan[0])),
            Some(|parts, value| {
                parts.vlan[0] = vlan_field(value)?;
                Ok(())
            }),
        ),
        column(
            "vlan_inner",
            Int32,
            FLOW,
            "inner VLAN id",
            |row| of_flow(row, |key| vlan(key.flow.vlan[1])),
            Some(|parts, value| {
                parts.vlan[1] = vlan_field(value)?;
                Ok(())
            }),
        ),
    ]
}

fn tunnels() -> Vec<Column> {
    use ColumnType::{Int64, Text};
    vec![
        column(
            "tunnel",
            Text,
            FLOW,
            "`vxlan`, `geneve`, `gre`, `ipip` or `6in4`; the row is then the inner flow",
            |row| {
                of_flow(row, |key| {
                    name_of(TUNNELS.get(usize::from(key.flow.tunnel())).copied())
                })
            },
            Some(|parts, value| {
                let name = value.text()?;
                let number = TUNNELS.iter().position(|tunnel| *tunnel == name).ok_or(Misfit)?;
                parts.tunnel = number as u8;
                Ok(())
            }),
        ),
        column(
            "tunnel_id",
            Int64,
            FLOW,
            "VNI (VXLAN, GENEVE) or GRE key; null without a tunnel",
            |row| {
                of_flow(row, |key| {
                    if key.flow.tunnel() == 0 {
                        Cell::Null
                    } else {
                        Cell::Int(key.flow.tunnel_id.into())
                    }
                })
            },
            Some(|parts, value| {
                parts.tunnel_id = value.int()?.try_into()?;
                Ok(())
            }),
        ),
    ]
}

fn of_flow<'a>(row: &'a Row<'a>, get: impl FnOnce(&'a RowKey) -> Cell<'a>) -> Cell<'a> {
    match row.kind {
        RowKind::Flow => get(row.key),
        RowKind::Host => Cell::Null,
    }
}

fn name_of(name: Option<&'static str>) -> Cell<'static> {
    match name {
        Some(name) if !name.is_empty() => Cell::Text(name.into()),
        _ => Cell::Null,
    }
}

/// The port of one side, from the flow's key: there ICMP has its type and code.
fn port(row: &Row<'_>, initiator: bool) -> Cell<'static> {
    let (key, flow) = (row.key, &row.key.flow);
    if row.kind == RowKind::Host || !has_ports(flow.proto, flow.network()) {
        return Cell::Null;
    }
    // A flow of a host with itself has the same address twice; the port that the row names tells which side is which.
    let first_is_initiator = if let Some(counted) = row.flow {
        counted.initiator & 1 == 0
    } else if flow.addr[0] == flow.addr[1] {
        key.initiator_port == flow.port[0]
    } else {
        key.initiator == flow.addr[0]
    };
    Cell::Int(flow.port[usize::from(first_is_initiator != initiator)].into())
}

/// TCP, UDP, ICMP, DCCP, `ICMPv6`, SCTP and UDP-Lite.
fn has_ports(proto: u8, network: u8) -> bool {
    network != NET_ARP && matches!(proto, 1 | 6 | 17 | 33 | 58 | 132 | 136)
}

fn vlan(field: u16) -> Cell<'static> {
    if field & VLAN_PRESENT == 0 {
        Cell::Null
    } else {
        Cell::Int((field & VLAN_ID).into())
    }
}

fn vlan_field(value: &Value<'_>) -> Result<u16, Misfit> {
    let id: u16 = value.int()?.try_into()?;
    if id > VLAN_ID {
        Err(Misfit)
    } else {
        Ok(VLAN_PRESENT | id)
    }
}
