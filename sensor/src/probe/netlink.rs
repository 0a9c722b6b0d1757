//! Links by netlink: names, indices, MTU, and which XDP programs they carry.
//! It must never change anything: it only asks and listens.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage, LinkXdp},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::ProbeError;

/// Large enough for any batch of link messages the kernel sends at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// `RTMGRP_LINK`.
const GROUP_LINK: u32 = 1;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name.
    pub name: String,
    /// Index.
    pub ifindex: u32,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Has an Ethernet header (loopback has one, too).
    pub ethernet: bool,
    /// XDP programs on it: mode and program id.
    pub xdp: Vec<(&'static str, u32)>,
}

/// A change of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new or changed.
    Present(Link),
    /// It is gone.
    Gone(Link),
}

/// A netlink socket.
#[derive(Debug)]
pub(super) struct Route {
    socket: Socket,
}

impl AsRawFd for Route {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Route {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Route {
    /// A socket for questions.
    fn ask() -> Result<Self, ProbeError> {
        Self::bind(0)
    }

    /// A non-blocking socket that hears of every change of a link.
    pub(super) fn listen() -> Result<Self, ProbeError> {
        let route = Self::bind(GROUP_LINK)?;
        route
            .socket
            .set_non_blocking(true)
            .map_err(|source| ProbeError::from_io("netlink", source))?;
        Ok(route)
    }

    fn bind(groups: u32) -> Result<Self, ProbeError> {
        let failed = |source| ProbeError::from_io("opening a netlink socket", source);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind(&SocketAddr::new(0, groups)).map_err(failed)?;
        Ok(Self { socket })
    }

    /// Messages of one datagram; an error of kind `WouldBlock` if there is none, `ENOBUFS` if some were lost.
    pub(super) fn receive(&self) -> std::io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        self.socket.recv(&mut buffer, 0)?;
        let mut messages = Vec::new();
        let mut rest = buffer.as_slice();
        while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
            let length = (message.header.length as usize).next_multiple_of(4);
            messages.push(message);
            match rest.get(length..) {
                Some(more) if length > 0 && !more.is_empty() => rest = more,
                _ => break,
            }
        }
        Ok(messages)
    }
}

/// All links of this network namespace.
///
/// # Errors
/// When netlink cannot be asked.
pub fn links() -> Result<Vec<Link>, ProbeError> {
    let failed = |source| ProbeError::from_io("listing network interfaces", source);
    let route = Route::ask()?;
    let mut request = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(RouteNetlinkMessage::GetLink(LinkMessage::default())),
    );
    request.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    route
        .socket
        .send_to(&bytes, &SocketAddr::new(0, 0), 0)
        .map_err(failed)?;
    let mut links = Vec::new();
    loop {
        for message in route.receive().map_err(failed)? {
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(links),
                NetlinkPayload::Error(error) => return Err(failed(error.to_io())),
                payload => links.extend(change(payload).and_then(|change| match change {
                    Change::Present(link) => Some(link),
                    Change::Gone(_) => None,
                })),
            }
        }
    }
}

/// The link of that name.
///
/// # Errors
/// [`ProbeError::UnknownInterface`], naming those that exist.
pub fn link(name: &str) -> Result<Link, ProbeError> {
    let links = links()?;
    if let Some(link) = links.iter().find(|link| link.name == name) {
        return Ok(link.clone());
    }
    let mut known: Vec<_> = links.into_iter().map(|link| link.name).collect();
    known.sort();
    Err(ProbeError::UnknownInterface {
        name: name.to_owned(),
        known: known.join(", "),
    })
}

/// What a message says about a link, if it is about one.
pub(super) fn change(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<Change> {
    match payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => {
            describe(&message).map(Change::Present)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
            describe(&message).map(Change::Gone)
        }
        _ => None,
    }
}

fn describe(message: &LinkMessage) -> Option<Link> {
    let mut link = Link {
        name: String::new(),
        ifindex: message.header.index,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        ethernet: matches!(
            message.header.link_layer_type,
            LinkLayerType::Ether | LinkLayerType::Loopback
        ),
        xdp: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Xdp(facts) => link.xdp = programs(facts),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn programs(facts: &[LinkXdp]) -> Vec<(&'static str, u32)> {
    let by_mode: Vec<_> = facts
        .iter()
        .filter_map(|fact| match fact {
            LinkXdp::DrvProgId(id) => Some(("native", *id)),
            LinkXdp::SkbProgId(id) => Some(("generic", *id)),
            LinkXdp::HwProgId(id) => Some(("offload", *id)),
            _ => None,
        })
        .collect();
    if !by_mode.is_empty() {
        return by_mode;
    }
    facts
        .iter()
        .filter_map(|fact| match fact {
            LinkXdp::ProgId(id) if *id != 0 => Some(("xdp", *id)),
            _ => None,
        })
        .collect()
}
