//! Exchanges without a connection: DNS, NTP, ping, ARP, neighbour discovery, DHCP, announcements, ICMP errors.
//! Each is a function that sends a whole exchange and says when it is over. It must never keep state.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    frame::{self, Path, group_mac},
    host::{HostId, Label},
    payload::{self, Answers, kind},
    random::Random,
    stage::{MICRO, MILLI, SECOND, Stage},
};

/// The Ethernet group address of everybody.
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A round trip between two hosts, seen where the capture is taken: from the first's packet to the second's answer.
pub(super) fn answer_delay(stage: &Stage, host: HostId, random: &mut Random) -> u64 {
    random.delay(2 * stage.host(host).delay_ns) + 10 * MICRO
}

/// A question in DNS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a str,
    pub(super) kind: u16,
    /// Whom the resolver asks in turn when it does not know.
    pub(super) upstream: Option<HostId>,
}

/// A client asks a resolver. Returns when the client knows; long after if the resolver is silent.
pub(super) fn lookup(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (client, resolver): (HostId, HostId),
    question: &Question<'_>,
    answers: &Answers<'_>,
    random: &mut Random,
) -> u64 {
    let ask = |id| payload::dns_query(id, question.name, question.kind);
    let tell = |id| payload::dns_response(id, question.name, question.kind, answers);
    let port = stage.host_mut(client).ephemeral_port(random);
    let id = random.next() as u16;
    stage.udp(now, label, (client, resolver), (port, 53), &ask(id));
    let mut time = now + answer_delay(stage, resolver, random);
    if stage.host(resolver).down.is_some() {
        stage.udp(now + 5 * SECOND, label, (client, resolver), (port, 53), &ask(id));
        return now + 10 * SECOND;
    }
    if let Some(upstream) = question.upstream {
        let (port, id) = (random.between(1024, 65_535) as u16, random.next() as u16);
        stage.udp(time, label, (resolver, upstream), (port, 53), &ask(id));
        time += answer_delay(stage, upstream, random);
        stage.udp(time, label, (upstream, resolver), (53, port), &tell(id));
        time += answer_delay(stage, resolver, random);
    }
    stage.udp(time, label, (resolver, client), (53, port), &tell(id));
    time + answer_delay(stage, client, random)
}

/// A client asks a time server.
pub(super) fn ntp(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (client, server): (HostId, HostId),
    random: &mut Random,
) {
    let port = if random.chance(0.5) {
        123
    } else {
        stage.host_mut(client).ephemeral_port(random)
    };
    stage.udp(
        now,
        label,
        (client, server),
        (port, 123),
        &payload::ntp(3, random),
    );
    let answered = now + answer_delay(stage, server, random);
    stage.udp(
        answered,
        label,
        (server, client),
        (123, port),
        &payload::ntp(4, random),
    );
}

/// Echo requests, one a second, and their replies.
pub(super) fn ping(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (from, to): (HostId, HostId),
    count: u16,
    random: &mut Random,
) {
    let body: Vec<u8> = (0..48).map(|byte| byte + 8).collect();
    let id = random.next() as u16;
    for sequence in 1..=count {
        let word = u32::from(id) << 16 | u32::from(sequence);
        let asked = now + u64::from(sequence - 1) * SECOND;
        let path = stage.path(from, to, false);
        stage.send(asked, label, (from, to), |out, _| {
            frame::icmp(out, &path, 8, 0, word, &body);
        });
        let answered = asked + answer_delay(stage, to, random);
        let path = stage.path(to, from, false);
        stage.send(answered, label, (to, from), |out, _| {
            frame::icmp(out, &path, 0, 0, word, &body);
        });
    }
}

/// `asker` looks for an address by ARP; the host that has it answers, if there is one.
pub(super) fn arp(
    stage: &mut Stage,
    now: u64,
    label: Label,
    asker: HostId,
    (address, holder): (Ipv4Addr, Option<HostId>),
    random: &mut Random,
) {
    let (mac, own) = (stage.host(asker).mac, stage.host(asker).v4);
    let ends = (asker, holder.unwrap_or(asker));
    stage.send(now, label, ends, |out, _| {
        frame::arp(out, 1, EVERYBODY, (mac, own), ([0; 6], address));
    });
    if let Some(holder) = holder {
        let at = now + answer_delay(stage, holder, random);
        let theirs = stage.host(holder).mac;
        stage.send(at, label, (holder, asker), |out, _| {
            frame::arp(out, 2, mac, (theirs, address), (mac, own));
        });
    }
}

/// `asker` looks for a neighbour by IPv6 neighbour discovery (RFC 4861).
pub(super) fn neighbour(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (asker, target): (HostId, HostId),
    random: &mut Random,
) {
    let (Some(own), Some(wanted)) = (stage.host(asker).v6, stage.host(target).v6) else {
        return;
    };
    let option = |kind: u8, mac: [u8; 6]| [&[kind, 1][..], &mac].concat();
    let mac = stage.host(asker).mac;
    let [.., b13, b14, b15] = wanted.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(b13),
        u16::from_be_bytes([b14, b15]),
    );
    let path = Path {
        ttl: 255,
        ..stage.path_to(asker, group.into(), true)
    };
    let body = [&wanted.octets()[..], &option(1, mac)].concat();
    stage.send(now, label, (asker, target), |out, _| {
        frame::icmp(out, &path, 135, 0, 0, &body);
    });
    let theirs = stage.host(target).mac;
    let path = Path {
        src_mac: theirs,
        dst_mac: mac,
        src: wanted.into(),
        dst: own.into(),
        ..path
    };
    let body = [&wanted.octets()[..], &option(2, theirs)].concat();
    let at = now + answer_delay(stage, target, random);
    stage.send(at, label, (target, asker), |out, _| {
        frame::icmp(out, &path, 136, 0, 0x6000_0000, &body);
    });
}

/// A router announces itself and the prefix of its network (RFC 4861 section 4.2).
pub(super) fn router_advertisement(stage: &mut Stage, now: u64, router: HostId) {
    let Some(address) = stage.host(router).v6 else {
        return;
    };
    let mac = stage.host(router).mac;
    let everybody = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let path = Path {
        src: link_local(mac).into(),
        ttl: 255,
        ..stage.path_to(router, everybody.into(), true)
    };
    let mut body = vec![0; 8];
    body.extend_from_slice(&[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0]);
    body.extend_from_slice(&address.octets()[..8]);
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&[1, 1]);
    body.extend_from_slice(&mac);
    stage.send(now, Label::BENIGN, (router, router), |out, _| {
        frame::icmp(out, &path, 134, 0, 0x4000_0708, &body);
    });
}

/// The link-local address made of an Ethernet address (RFC 4291 appendix A).
pub(super) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let mut bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
    bytes[8..11].copy_from_slice(&mac[..3]);
    bytes[13..].copy_from_slice(&mac[3..]);
    bytes[8] ^= 2;
    bytes.into()
}

/// A message to a group, such as mDNS and SSDP.
pub(super) fn announce(
    stage: &mut Stage,
    now: u64,
    label: Label,
    from: HostId,
    (group, port): (IpAddr, u16),
    sport: u16,
    payload: &[u8],
) {
    let ttl = match port {
        5353 => 255,
        1900 => 4,
        _ => 64,
    };
    let mut path = Path {
        ttl,
        ..stage.path_to(from, group, group.is_ipv6())
    };
    if group.is_ipv6() {
        path.src = link_local(path.src_mac).into();
    }
    stage.send(now, label, (from, from), |out, _| {
        frame::udp(out, &path, sport, port, payload);
    });
}

/// DNS over multicast: a query for a service, or an announcement of one.
pub(super) fn mdns(stage: &mut Stage, now: u64, label: Label, from: HostId, v6: bool, announcement: bool) {
    let group = if v6 {
        IpAddr::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb))
    } else {
        Ipv4Addr::new(224, 0, 0, 251).into()
    };
    let name = "_ipp._tcp.local";
    let message = if announcement {
        let own = stage.host(from).v4;
        let device = format!("device-{}.local", own.octets()[3]);
        payload::dns_response(0, &device, kind::A, &Answers::Addresses(&[own.into()]))
    } else {
        payload::dns_query(0, name, 12)
    };
    announce(stage, now, label, from, (group, 5353), 5353, &message);
}

/// SSDP of `UPnP`: four searches, or a notification.
pub(super) fn ssdp(
    stage: &mut Stage,
    now: u64,
    label: Label,
    from: HostId,
    search: bool,
    random: &mut Random,
) {
    const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250));
    let (count, gap, port, text) = if search {
        let port = stage.host_mut(from).ephemeral_port(random);
        let text = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
                    ST: urn:dial-multiscreen-org:service:dial:1\r\n\r\n";
        (4, SECOND, port, text)
    } else {
        let text = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=1800\r\n\
                    NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUSN: uuid:0::upnp:rootdevice\r\n\r\n";
        (3, 120 * MILLI, 1900, text)
    };
    for index in 0..count {
        announce(
            stage,
            now + index * gap,
            label,
            from,
            (GROUP, 1900),
            port,
            text.as_bytes(),
        );
    }
}

/// Which DHCP exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dhcp {
    /// Discover, offer, request, acknowledgement: a host that is new here.
    Join,
    /// Request and acknowledgement, unicast.
    Renew,
}

/// A host gets or renews its address (RFC 2131).
pub(super) fn dhcp(
    stage: &mut Stage,
    now: u64,
    label: Label,
    (client, server): (HostId, HostId),
    what: Dhcp,
    random: &mut Random,
) -> u64 {
    let transaction = random.next() as u32;
    let (mac, address, server_address) = {
        let (client, server) = (stage.host(client), stage.host(server));
        (client.mac, client.v4, server.v4)
    };
    let join = what == Dhcp::Join;
    let message = |operation: u8, kind: u8| {
        let mut out = vec![operation, 1, 6, 0];
        out.extend_from_slice(&transaction.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        let known = if join { Ipv4Addr::UNSPECIFIED } else { address };
        out.extend_from_slice(&known.octets());
        let given = if operation == 2 {
            address
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        out.extend_from_slice(&given.octets());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&mac);
        out.resize(236, 0);
        out.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind, 54, 4]);
        out.extend_from_slice(&server_address.octets());
        if operation == 2 {
            out.extend_from_slice(&[51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0]);
        }
        out.push(255);
        out.resize(300, 0);
        out
    };
    let rounds: &[(u8, u8)] = if join { &[(1, 2), (3, 5)] } else { &[(3, 5)] };
    let mut time = now;
    for (ask, tell) in rounds {
        let mut path = stage.path(client, server, false);
        if join {
            (path.src, path.dst) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
            path.dst_mac = group_mac(path.dst).unwrap_or(EVERYBODY);
        }
        let ends = (client, server);
        stage.udp_on(time, label, ends, &path, (68, 67), &message(1, *ask));
        time += answer_delay(stage, server, random) + MILLI;
        let path = stage.path(server, client, false);
        stage.udp_on(time, label, (server, client), &path, (67, 68), &message(2, *tell));
        time += answer_delay(stage, client, random) + MILLI;
    }
    time
}

/// An ICMP "destination unreachable" of this code about a frame (port: 3).
pub(super) fn unreachable(stage: &mut Stage, now: u64, label: Label, path: &Path, code: u8, about: &[u8]) {
    stage.send_raw(now, label, |out, _| {
        let (kind, code) = if path.src.is_ipv4() { (3, code) } else { (1, 4) };
        frame::icmp(out, path, kind, code, 0, frame::quote(about));
    });
}
