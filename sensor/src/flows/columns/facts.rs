//! Columns of what a host did: the counters behind host rows. It must never leave out a field of `HostFacts`: a row
//! read back is built from these alone, and must equal the one written.

use std::borrow::Cow;

use crate::{
    features::RowKind,
    flows::column::{Cell, Column, ColumnRows, ColumnType, Get, Set},
};

macro_rules! facts {
    ($($field:ident $kind:ident $unit:literal $text:literal;)*) => {
        vec![$(Column {
            name: Cow::Borrowed(concat!("fact_", stringify!($field))),
            kind: facts!(@kind $kind),
            unit: $unit,
            description: Cow::Borrowed($text),
            rows: ColumnRows::Only(RowKind::Host),
            get: facts!(@get $kind $field),
            set: facts!(@set $kind $field),
        }),*]
    };
    (@kind count) => { ColumnType::Int64 };
    (@kind small) => { ColumnType::Int32 };
    (@kind address) => { ColumnType::Text };
    (@get count $field:ident) => { Get::Fact(|facts| Cell::count(facts.$field)) };
    (@get small $field:ident) => { Get::Fact(|facts| Cell::Int(facts.$field.into())) };
    (@get address $field:ident) => {
        Get::FactAddress(|facts| &facts.$field)
    };
    (@set address $field:ident) => {
        Set::Fact(|facts, value| { facts.$field = value.address()?; Ok(()) })
    };
    (@set $number:ident $field:ident) => {
        Set::Fact(|facts, value| { facts.$field = value.int()?.try_into()?; Ok(()) })
    };
}

/// The columns.
pub(super) fn columns() -> Vec<Column> {
    facts! {
        flows_opened count "flows" "flows this host opened";
        flows_accepted count "flows" "flows others opened towards this host";
        peers count "hosts" "distinct addresses towards which it opened flows";
        ports count "ports" "distinct destination ports (with protocol) towards which it opened flows";
        top_peer address "" "peer on which it opened flows to the most distinct ports";
        top_peer_ports count "ports" "distinct ports on that peer";
        top_port small "" "destination port on which it opened flows to the most distinct peers";
        top_port_proto small "" "protocol of that port";
        top_port_peers count "hosts" "distinct peers on that port";
        top_target_flows count "flows" "most flows opened to one port of one peer (repeated attempts)";
        top_target address "" "peer of those flows";
        top_target_port small "" "port of those flows";
        top_target_proto small "" "protocol of those flows";
        unanswered count "flows" "opened flows whose responder never sent anything (multicast and broadcast not counted)";
        resets_received count "packets" "TCP resets that arrived at this host";
        resets_sent count "packets" "TCP resets that this host sent";
        syns_sent count "flows" "TCP flows it opened with a SYN in this window";
        syns_sent_unanswered count "flows" "of those, without SYN-ACK or reset";
        syns_received count "flows" "TCP flows opened towards it with a SYN in this window";
        syns_received_unanswered count "flows"
            "of those, that it left without SYN-ACK or reset, or that overflowed the flow table";
        sources count "hosts" "distinct addresses that opened flows towards it (overflow not included)";
        packets_out count "packets" "packets it sent";
        packets_in count "packets" "packets sent to it";
        bytes_out count "bytes" "bytes it sent";
        bytes_in count "bytes" "bytes sent to it";
        overflow_packets count "packets" "packets aimed at it that found no place in the flow table";
        overflow_sources count "hosts" "estimated distinct sources of those packets";
        overflow_port small "" "port most hit by those packets";
        overflow_proto small "" "protocol of that port";
        beacon_peer address "" "peer of the most regular contact that it made in this window";
        beacon_port small "" "port of that contact";
        beacon_proto small "" "protocol of that contact";
        beacon_regularity_permille small "1/1000" "regularity of that contact (1000: clockwork)";
        beacon_period_ms count "ms" "mean time between its last contacts";
        arp_requests count "packets" "ARP requests it sent";
        arp_targets count "hosts" "distinct addresses it asked for";
        new_peers count "hosts"
            "peers that it had not contacted before in the learned history (0 while that is being learned)";
        new_services count "ports"
            "services (protocol and port) that it had not used before (0 while that is being learned)";
    }
}
