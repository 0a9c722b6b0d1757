//! The three attacks of the lab: a vertical scan, a horizontal scan and a SYN flood.
//!
//! Each is bounded in packets and time, and says what it sent. Must be called inside a namespace that the caller made
//! (see [`crate::netns::Netns::run`]); nothing here checks that.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::frames::{Ends, SYN, tcp_ipv4};
use crate::packet_socket::PacketSocket;
use crate::stop::Stop;
use crate::traffic::random::Random;
use crate::traffic::sockets::begin_connect;

/// Frames sent between two looks at the clock.
const BURST: u32 = 20;

/// Tries to connect to `count` ports of `target`, from `first` on, spread over `time`. Returns the attempts made.
///
/// # Errors
/// When the system has no more sockets, or no route.
pub fn vertical_scan(
    source: IpAddr,
    target: IpAddr,
    first: u16,
    count: u16,
    time: Duration,
    stop: &Stop,
) -> io::Result<u32> {
    let targets = (first..first.saturating_add(count)).map(|port| SocketAddr::new(target, port));
    scan(source, targets, time / u32::from(count.max(1)), stop)
}

/// Tries to connect to `port` of `count` addresses, from `first` on, spread over `time`. Returns the attempts made.
///
/// # Errors
/// When the system has no more sockets, or no route.
pub fn horizontal_scan(
    source: IpAddr,
    first: Ipv4Addr,
    count: u8,
    port: u16,
    time: Duration,
    stop: &Stop,
) -> io::Result<u32> {
    let first = u32::from(first);
    let targets =
        (0..u32::from(count)).map(|step| SocketAddr::new(Ipv4Addr::from(first + step).into(), port));
    scan(source, targets, time / u32::from(count.max(1)), stop)
}

/// One half-open attempt per target. Sockets are held to the end, because closing one stops its retries; there are
/// at most as many as targets, and a scan has at most a few thousand.
fn scan(
    source: IpAddr,
    targets: impl Iterator<Item = SocketAddr>,
    pause: Duration,
    stop: &Stop,
) -> io::Result<u32> {
    let mut held: Vec<OwnedFd> = Vec::new();
    let mut attempts = 0;
    for target in targets {
        held.push(begin_connect(source, target)?);
        attempts += 1;
        // Keep well under the usual limit of 1,024 open files: the oldest attempt has been answered by now.
        if held.len() > 300 {
            held.remove(0);
        }
        if !stop.sleep(pause) {
            break;
        }
    }
    Ok(attempts)
}

/// A SYN flood against one server.
#[derive(Debug, Clone, Copy)]
pub struct Flood<'a> {
    /// The interface of the calling namespace to send on.
    pub interface: &'a str,
    /// Source and destination MAC address: the destination is the next hop towards the target.
    pub macs: ([u8; 6], [u8; 6]),
    /// The server.
    pub target: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// SYN segments to send.
    pub count: u32,
    /// Over how long to spread them.
    pub time: Duration,
}

/// Sends SYN segments from random addresses of 198.18.0.0/15 (RFC 2544, for tests). Returns the frames sent.
///
/// # Errors
/// Without `CAP_NET_RAW`, or when there is no such interface.
pub fn syn_flood(flood: Flood<'_>, mut random: Random, stop: &Stop) -> io::Result<u32> {
    let socket = PacketSocket::open(flood.interface)?;
    let begin = Instant::now();
    let mut sent = 0;
    for number in 0..flood.count {
        if number % BURST == 0 {
            let due = flood.time.mul_f64(f64::from(number) / f64::from(flood.count));
            if !stop.sleep(due.saturating_sub(begin.elapsed())) {
                break;
            }
        }
        let bits = random.bits();
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) | (bits as u32 & 0x0001_ffff));
        let port = 1_024 + (bits >> 32) as u16 % 60_000;
        let ends = Ends {
            macs: flood.macs,
            addresses: (source, flood.target),
            ports: (port, flood.port),
        };
        // A full queue drops this one: it is not counted as sent.
        sent += u32::from(socket.send(&tcp_ipv4(ends, SYN, (bits >> 16) as u32)).is_ok());
    }
    Ok(sent)
}
