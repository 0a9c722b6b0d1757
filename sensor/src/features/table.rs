//! The declared columns of flow rows and host rows: the only place where a feature's name, unit, formula, range,
//! scale and explanation are written. Changing anything but the texts changes the schema hash and so retires models.

use super::{
    Feature,
    Scale::{Linear, Log1p},
};

/// Declares a table and the enum of its column indices together, so that writer and table cannot disagree.
macro_rules! features {
    ($(#[$doc:meta])* $table:ident, $column:ident:
     $($variant:ident $name:literal $unit:literal $scale:ident $low:literal..$high:literal
       = $formula:literal => $text:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $column {
            $(#[doc = concat!("Index of `", $name, "`.")] $variant,)*
        }

        impl $column {
            /// Number of columns.
            pub const COUNT: usize = [$($column::$variant),*].len();
        }

        $(#[$doc])*
        pub static $table: &[Feature] = &[
            $(Feature {
                name: $name, unit: $unit, formula: $formula, low: $low, high: $high, scale: $scale, text: $text,
            },)*
        ];
    };
}

features! {
    /// Columns of flow rows; "out" is from the initiator to the responder.
    FLOW_FEATURES, FlowColumn:
    PacketsOut "packets_out" "packets" Log1p 0.0..1e12 = "packets from initiator to responder"
        => "{observed} packets sent by the initiator; usual {low}–{high}";
    PacketsIn "packets_in" "packets" Log1p 0.0..1e12 = "packets from responder to initiator"
        => "{observed} packets sent back by the responder; usual {low}–{high}";
    BytesOut "bytes_out" "bytes" Log1p 0.0..1e15 = "frame bytes from initiator to responder"
        => "{observed} bytes sent by the initiator; usual {low}–{high}";
    BytesIn "bytes_in" "bytes" Log1p 0.0..1e15 = "frame bytes from responder to initiator"
        => "{observed} bytes sent back by the responder; usual {low}–{high}";
    PayloadShare "payload_share" "1" Linear 0.0..1.0 = "payload bytes / frame bytes, both directions"
        => "{observed} of the bytes were payload; usual {low}–{high}";
    Duration "duration" "s" Log1p 0.0..1e6 = "last - first packet within the window"
        => "active for {observed} s of the window; usual {low}–{high}";
    PacketRate "packet_rate" "packets/s" Log1p 0.0..1e9
        = "(packets - 1) / duration, duration at least 1 ms; absent for one packet"
        => "{observed} packets per second; usual {low}–{high}";
    PacketAsymmetry "packet_asymmetry" "1" Linear -1.0..1.0
        = "(packets_out - packets_in) / (packets_out + packets_in)"
        => "balance of packets {observed} (1: only from the initiator); usual {low}–{high}";
    ByteAsymmetry "byte_asymmetry" "1" Linear -1.0..1.0 = "(bytes_out - bytes_in) / (bytes_out + bytes_in)"
        => "balance of bytes {observed} (1: only from the initiator); usual {low}–{high}";
    LenMeanOut "len_mean_out" "bytes" Log1p 0.0..65535.0 = "mean frame length, initiator; absent without packets"
        => "mean packet of the initiator {observed} bytes; usual {low}–{high}";
    LenMeanIn "len_mean_in" "bytes" Log1p 0.0..65535.0 = "mean frame length, responder; absent without packets"
        => "mean packet of the responder {observed} bytes; usual {low}–{high}";
    LenStdOut "len_std_out" "bytes" Log1p 0.0..65535.0
        = "population standard deviation of frame length, initiator; absent without packets"
        => "packet sizes of the initiator spread by {observed} bytes; usual {low}–{high}";
    LenStdIn "len_std_in" "bytes" Log1p 0.0..65535.0
        = "population standard deviation of frame length, responder; absent without packets"
        => "packet sizes of the responder spread by {observed} bytes; usual {low}–{high}";
    LenMax "len_max" "bytes" Log1p 0.0..65535.0 = "longest frame of either direction"
        => "largest packet {observed} bytes; usual {low}–{high}";
    IatMean "iat_mean" "ms" Log1p 0.0..1e9 = "mean inter-arrival time; absent without one"
        => "{observed} ms between packets on average; usual {low}–{high}";
    IatCv "iat_cv" "1" Log1p 0.0..1e6
        = "standard deviation / mean of inter-arrival times; absent with fewer than three of them or mean 0"
        => "packet timing varies by {observed} of its mean (0: clockwork); usual {low}–{high}";
    IatMin "iat_min" "ms" Log1p 0.0..1e9 = "shortest inter-arrival time; absent without one"
        => "shortest gap between packets {observed} ms; usual {low}–{high}";
    IatMax "iat_max" "ms" Log1p 0.0..1e9 = "longest inter-arrival time; absent without one"
        => "longest gap between packets {observed} ms; usual {low}–{high}";
    SilenceBefore "silence_before" "s" Log1p 0.0..1e6
        = "first packet in the window - last packet before it; absent for a new flow"
        => "silent for {observed} s before; usual {low}–{high}";
    SynPackets "syn_packets" "packets" Log1p 0.0..1e10 = "packets with SYN, both directions; TCP only"
        => "{observed} SYN packets in one connection; usual {low}–{high}";
    FinPackets "fin_packets" "packets" Log1p 0.0..1e10 = "packets with FIN, both directions; TCP only"
        => "{observed} FIN packets in one connection; usual {low}–{high}";
    RstPackets "rst_packets" "packets" Log1p 0.0..1e10 = "packets with RST, both directions; TCP only"
        => "{observed} resets in one connection; usual {low}–{high}";
    PshShare "psh_share" "1" Linear 0.0..1.0 = "packets with PSH / packets; TCP only"
        => "{observed} of the packets carried PSH; usual {low}–{high}";
    AckShare "ack_share" "1" Linear 0.0..1.0 = "packets with ACK / packets; TCP only"
        => "{observed} of the packets carried ACK; usual {low}–{high}";
    Handshake "handshake" "ms" Log1p 0.0..1e9 = "first SYN-ACK - first SYN, in the window where it completed"
        => "connection set-up took {observed} ms; usual {low}–{high}";
    HandshakeMissing "handshake_missing" "1" Linear 0.0..1.0
        = "1 if a SYN was sent in this window and no SYN-ACK followed; TCP only; absent while one may still come"
        => "connection attempt without an answer ({observed}); usual {low}–{high}";
    Answered "answered" "1" Linear 0.0..1.0 = "1 if the responder has sent a packet in the flow's life; absent while one may still come"
        => "responder answered ({observed}); usual {low}–{high}";
    FragmentShare "fragment_share" "1" Linear 0.0..1.0 = "IP fragments / packets"
        => "{observed} of the packets were fragments; usual {low}–{high}";
    IsTcp "is_tcp" "1" Linear 0.0..1.0 = "1 for TCP" => "TCP flow ({observed}); usual {low}–{high}";
    IsUdp "is_udp" "1" Linear 0.0..1.0 = "1 for UDP" => "UDP flow ({observed}); usual {low}–{high}";
    IsIcmp "is_icmp" "1" Linear 0.0..1.0 = "1 for ICMP or ICMPv6" => "ICMP flow ({observed}); usual {low}–{high}";
    IsSystemService "is_system_service" "1" Linear 0.0..1.0
        = "1 if the responder's TCP or UDP port is below 1024 (RFC 6335 system ports)"
        => "towards a system port ({observed}); usual {low}–{high}";
    InitiatorFlowsOpened "initiator_flows_opened" "flows" Log1p 0.0..1e9
        = "flows that the initiator opened in this window"
        => "its initiator opened {observed} connections in one window; usual {low}–{high}";
    InitiatorSurge "initiator_surge" "1" Log1p 0.0..1e9
        = "(1 + flows that the initiator opened in this window) / (1 + flows_opened_1h of its last host row, decayed to now); absent for a host with less than 5 minutes of history"
        => "its initiator opened {observed} times as many connections as it does over an hour; usual {low}–{high}";
    InitiatorPeers "initiator_peers" "hosts" Log1p 0.0..1e9
        = "distinct responders of flows that the initiator opened in this window"
        => "its initiator contacted {observed} hosts in one window; usual {low}–{high}";
    InitiatorServices "initiator_services" "ports" Log1p 0.0..65536.0
        = "distinct (protocol, port) of flows that the initiator opened in this window"
        => "its initiator tried {observed} ports in one window; usual {low}–{high}";
    InitiatorUnansweredShare "initiator_unanswered_share" "1" Linear 0.0..1.0
        = "unanswered / opened unicast flows of the initiator in this window; absent without any"
        => "{observed} of its initiator's attempts went unanswered; usual {low}–{high}";
    InitiatorResets "initiator_resets" "packets" Log1p 0.0..1e10
        = "resets that arrived at the initiator in this window"
        => "its initiator received {observed} resets; usual {low}–{high}";
    InitiatorBytesOut "initiator_bytes_out" "bytes" Log1p 0.0..1e15
        = "bytes that the initiator sent in this window, all flows"
        => "its initiator sent {observed} bytes in one window; usual {low}–{high}";
    ResponderSources "responder_sources" "hosts" Log1p 0.0..1e9
        = "distinct initiators of flows opened towards the responder in this window"
        => "its responder was contacted by {observed} hosts in one window; usual {low}–{high}";
    ResponderFlowsAccepted "responder_flows_accepted" "flows" Log1p 0.0..1e9
        = "flows opened towards the responder in this window"
        => "its responder was sent {observed} new connections in one window; usual {low}–{high}";
    ResponderServices "responder_services" "ports" Log1p 0.0..65536.0
        = "distinct (protocol, port) of flows opened towards the responder in this window"
        => "its responder was tried on {observed} ports in one window; usual {low}–{high}";
    ResponderUnansweredShare "responder_unanswered_share" "1" Linear 0.0..1.0
        = "flows opened towards the responder that it left unanswered / all of them; absent without any"
        => "its responder left {observed} of the attempts unanswered; usual {low}–{high}";
    TargetAttempts "target_attempts" "flows" Log1p 0.0..1e9
        = "flows that the initiator opened to this responder, protocol and port in this window"
        => "{observed} connections to the same service in one window; usual {low}–{high}";
    TargetAttempts10m "target_attempts_10m" "flows/window" Log1p 0.0..1e9
        = "target_attempts per window, exponentially weighted mean since the first, time constant 10 minutes; absent for the first 10 minutes"
        => "{observed} connections a window to the same service over ten minutes; usual {low}–{high}";
    PeerFamiliarity "peer_familiarity" "1" Linear 0.0..1.0
        = "1 - exp(-w/8), w = windows (half-life 1 day) in which the initiator used this responder before"
        => "initiator knows this peer to {observed} (0: never seen); usual {low}–{high}";
    ServiceFamiliarity "service_familiarity" "1" Linear 0.0..1.0
        = "1 - exp(-w/8), w = windows (half-life 1 day) in which the initiator used this protocol and port before"
        => "initiator knows this service to {observed} (0: never used); usual {low}–{high}";
    ContactRegularity "contact_regularity" "1" Linear 0.0..1.0
        = "max(0, 1 - 2 std/mean) of the times between contacts of initiator, responder and service; absent before the fourth"
        => "contacts come with regularity {observed} (1: clockwork); usual {low}–{high}";
    FromOutside "from_outside" "1" Linear 0.0..1.0 = "1 if the responder is local and the initiator is not"
        => "comes from outside of the local networks ({observed}); usual {low}–{high}";
    ToOutside "to_outside" "1" Linear 0.0..1.0
        = "1 if the initiator is local and the responder is neither local nor a group"
        => "goes out of the local networks ({observed}); usual {low}–{high}";
    OfferFamiliarity "offer_familiarity" "1" Linear 0.0..1.0
        = "1 - exp(-w/8), w = windows (half-life 1 day) in which the responder answered anybody on this protocol and port before; local responders only"
        => "the responder is known to offer this service to {observed} (0: never did); usual {low}–{high}";
    TargetBytesOut10m "target_bytes_out_10m" "bytes/window" Log1p 0.0..1e15
        = "bytes that the initiator sent to this responder, protocol and port per window, exponentially weighted mean since the first, time constant 10 minutes; absent for the first 10 minutes"
        => "{observed} bytes a window sent to the same service over ten minutes; usual {low}–{high}";
    InitiatorNewPeers "initiator_new_peers" "hosts" Log1p 0.0..1e9
        = "responders that the initiator contacted in this window and never before; absent while that is being learned"
        => "its initiator contacted {observed} hosts for the first time; usual {low}–{high}";
    InitiatorNewServices "initiator_new_services" "ports" Log1p 0.0..65536.0
        = "(protocol, port) that the initiator used in this window and never before; absent while that is being learned"
        => "its initiator used {observed} services for the first time; usual {low}–{high}";
    InitiatorUnanswered10m "initiator_unanswered_10m" "flows/window" Log1p 0.0..1e9
        = "unanswered_10m of the initiator's last host row, decayed to now; absent for a host with less than 5 minutes of history"
        => "{observed} of its initiator's attempts a window went unanswered over ten minutes; usual {low}–{high}";
    UploadSurge "upload_surge" "1" Log1p 0.0..1e12
        = "(1 + bytes that the initiator sent in this window) / (1 + bytes_out_1h of its last host row, decayed to now); absent for a host with less than 5 minutes of history"
        => "its initiator sent {observed} times as many bytes as it does over an hour; usual {low}–{high}";
}

features! {
    /// Columns of host rows; "opened" flows were initiated by the host and began in this window.
    HOST_FEATURES, HostColumn:
    FlowsOpened "flows_opened" "flows" Log1p 0.0..1e9 = "flows opened by the host"
        => "opened {observed} connections in one window; usual {low}–{high}";
    FlowsAccepted "flows_accepted" "flows" Log1p 0.0..1e9 = "flows opened towards the host"
        => "was sent {observed} new connections in one window; usual {low}–{high}";
    FlowsActive "flows_active" "flows" Log1p 0.0..1e9 = "flows with a packet in the window, either role"
        => "took part in {observed} flows; usual {low}–{high}";
    Peers "peers" "hosts" Log1p 0.0..1e9 = "distinct responders of flows opened by the host (fan-out)"
        => "contacted {observed} hosts in one window; usual {low}–{high}";
    Sources "sources" "hosts" Log1p 0.0..1e9
        = "distinct initiators of flows opened towards the host (fan-in), plus overflow_sources"
        => "was contacted by {observed} hosts in one window; usual {low}–{high}";
    Services "services" "ports" Log1p 0.0..65536.0 = "distinct (protocol, port) of flows opened by the host"
        => "tried {observed} ports in one window; usual {low}–{high}";
    ServiceEntropy "service_entropy" "bits" Linear 0.0..17.0
        = "Shannon entropy of (protocol, port) over flows opened by the host; absent without any"
        => "destination ports spread over {observed} bits; usual {low}–{high}";
    PortsOnTopPeer "ports_on_top_peer" "ports" Log1p 0.0..65536.0
        = "most distinct (protocol, port) on one peer among flows opened by the host"
        => "tried {observed} ports of one host; usual {low}–{high}";
    PeersOnTopService "peers_on_top_service" "hosts" Log1p 0.0..1e9
        = "most distinct peers on one (protocol, port) among flows opened by the host"
        => "tried one port on {observed} hosts; usual {low}–{high}";
    AttemptsOnTopTarget "attempts_on_top_target" "flows" Log1p 0.0..1e9
        = "most flows opened by the host to one (peer, protocol, port)"
        => "opened {observed} connections to one service of one host; usual {low}–{high}";
    Unanswered "unanswered" "flows" Log1p 0.0..1e9
        = "flows opened by the host whose responder sent nothing (multicast not counted)"
        => "{observed} attempts went unanswered; usual {low}–{high}";
    UnansweredShare "unanswered_share" "1" Linear 0.0..1.0
        = "unanswered / unicast flows opened by the host; absent without any"
        => "{observed} of the attempts went unanswered; usual {low}–{high}";
    UnansweredIn "unanswered_in" "flows" Log1p 0.0..1e10
        = "TCP attempts (SYN) towards the host left without SYN-ACK or reset, overflowed SYNs included"
        => "left {observed} connection attempts unanswered; usual {low}–{high}";
    ResetsReceived "resets_received" "packets" Log1p 0.0..1e10 = "TCP resets that arrived at the host"
        => "received {observed} resets; usual {low}–{high}";
    ResetsSent "resets_sent" "packets" Log1p 0.0..1e10 = "TCP resets that the host sent"
        => "sent {observed} resets; usual {low}–{high}";
    PacketsOut "packets_out" "packets" Log1p 0.0..1e12 = "packets the host sent"
        => "sent {observed} packets in one window; usual {low}–{high}";
    PacketsIn "packets_in" "packets" Log1p 0.0..1e12 = "packets sent to the host, overflow included"
        => "was sent {observed} packets in one window; usual {low}–{high}";
    BytesOut "bytes_out" "bytes" Log1p 0.0..1e15 = "frame bytes the host sent"
        => "sent {observed} bytes in one window; usual {low}–{high}";
    BytesIn "bytes_in" "bytes" Log1p 0.0..1e15 = "frame bytes sent to the host, overflow included"
        => "was sent {observed} bytes in one window; usual {low}–{high}";
    ByteAsymmetry "byte_asymmetry" "1" Linear -1.0..1.0 = "(bytes_out - bytes_in) / (bytes_out + bytes_in)"
        => "balance of bytes {observed} (1: only sent); usual {low}–{high}";
    UdpShare "udp_share" "1" Linear 0.0..1.0 = "packets in UDP flows / packets, either direction"
        => "{observed} of its packets were UDP; usual {low}–{high}";
    IcmpPackets "icmp_packets" "packets" Log1p 0.0..1e12 = "ICMP and ICMPv6 packets, either direction"
        => "{observed} ICMP packets; usual {low}–{high}";
    ArpRequests "arp_requests" "packets" Log1p 0.0..1e10 = "ARP requests the host sent"
        => "sent {observed} ARP requests; usual {low}–{high}";
    ArpTargets "arp_targets" "hosts" Log1p 0.0..1e9 = "distinct addresses in those ARP requests"
        => "asked by ARP for {observed} addresses; usual {low}–{high}";
    OverflowPackets "overflow_packets" "packets" Log1p 0.0..1e12
        = "packets towards the host that found no place in the flow table"
        => "{observed} packets towards it exceeded the flow table; usual {low}–{high}";
    OverflowSources "overflow_sources" "hosts" Log1p 0.0..1e10
        = "distinct sources of those packets, HyperLogLog estimate (64 registers, standard error 13 %)"
        => "about {observed} sources in the overflow towards it; usual {low}–{high}";
    NewPeers "new_peers" "hosts" Log1p 0.0..1e9
        = "peers contacted that are not in the learned history; absent while that is being learned"
        => "contacted {observed} hosts for the first time; usual {low}–{high}";
    NewServices "new_services" "ports" Log1p 0.0..65536.0
        = "(protocol, port) used that are not in the learned history; absent while that is being learned"
        => "used {observed} services for the first time; usual {low}–{high}";
    FlowsOpened1m "flows_opened_1m" "flows/window" Log1p 0.0..1e9
        = "flows_opened per window, exponentially weighted mean, time constant 1 minute"
        => "opened {observed} connections a window over a minute; usual {low}–{high}";
    FlowsOpened10m "flows_opened_10m" "flows/window" Log1p 0.0..1e9
        = "flows_opened per window, exponentially weighted mean, time constant 10 minutes"
        => "opened {observed} connections a window over ten minutes; usual {low}–{high}";
    FlowsOpened1h "flows_opened_1h" "flows/window" Log1p 0.0..1e9
        = "flows_opened per window, exponentially weighted mean, time constant 1 hour"
        => "opened {observed} connections a window over an hour; usual {low}–{high}";
    Unanswered1m "unanswered_1m" "flows/window" Log1p 0.0..1e9
        = "unanswered per window, exponentially weighted mean, time constant 1 minute"
        => "{observed} attempts a window went unanswered over a minute; usual {low}–{high}";
    Unanswered10m "unanswered_10m" "flows/window" Log1p 0.0..1e9
        = "unanswered per window, exponentially weighted mean, time constant 10 minutes"
        => "{observed} attempts a window went unanswered over ten minutes; usual {low}–{high}";
    Unanswered1h "unanswered_1h" "flows/window" Log1p 0.0..1e9
        = "unanswered per window, exponentially weighted mean, time constant 1 hour"
        => "{observed} attempts a window went unanswered over an hour; usual {low}–{high}";
    NewPeers10m "new_peers_10m" "hosts/window" Log1p 0.0..1e9
        = "new_peers per window, exponentially weighted mean, time constant 10 minutes"
        => "contacted {observed} new hosts a window over ten minutes; usual {low}–{high}";
    NewPeers1h "new_peers_1h" "hosts/window" Log1p 0.0..1e9
        = "new_peers per window, exponentially weighted mean, time constant 1 hour"
        => "contacted {observed} new hosts a window over an hour; usual {low}–{high}";
    NewServices10m "new_services_10m" "ports/window" Log1p 0.0..65536.0
        = "new_services per window, exponentially weighted mean, time constant 10 minutes"
        => "used {observed} new services a window over ten minutes; usual {low}–{high}";
    NewServices1h "new_services_1h" "ports/window" Log1p 0.0..65536.0
        = "new_services per window, exponentially weighted mean, time constant 1 hour"
        => "used {observed} new services a window over an hour; usual {low}–{high}";
    BytesOut1h "bytes_out_1h" "bytes/window" Log1p 0.0..1e15
        = "bytes_out per window, exponentially weighted mean, time constant 1 hour"
        => "sent {observed} bytes a window over an hour; usual {low}–{high}";
    BeaconRegularity "beacon_regularity" "1" Linear 0.0..1.0
        = "largest contact_regularity among the contacts the host made in this window; absent without one"
        => "made contacts with regularity {observed} (1: clockwork); usual {low}–{high}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_multiples_of_eight_and_columns_match_names() {
        assert_eq!(FLOW_FEATURES.len(), 56);
        assert_eq!(HOST_FEATURES.len(), 40);
        assert_eq!(
            FLOW_FEATURES[FlowColumn::ContactRegularity as usize].name,
            "contact_regularity"
        );
        assert_eq!(
            HOST_FEATURES[HostColumn::BeaconRegularity as usize].name,
            "beacon_regularity"
        );
    }

    #[test]
    fn every_feature_is_declared_completely_and_once() {
        for table in [FLOW_FEATURES, HOST_FEATURES] {
            for (index, feature) in table.iter().enumerate() {
                assert!(feature.low < feature.high, "{}", feature.name);
                assert!(
                    feature.scale == Linear || feature.low >= 0.0,
                    "{}: log1p needs low >= 0",
                    feature.name
                );
                for placeholder in ["{observed}", "{low}", "{high}"] {
                    assert!(
                        feature.text.contains(placeholder),
                        "{}: {placeholder}",
                        feature.name
                    );
                }
                assert!(
                    table.iter().take(index).all(|other| other.name != feature.name),
                    "{}",
                    feature.name
                );
            }
        }
    }
}
