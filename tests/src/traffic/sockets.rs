//! Sockets with the options the standard library does not offer: a chosen source address, raw ICMP.
//!
//! Must never block for longer than [`TIMEOUT`], so that every generator ends soon after it is asked to.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{ReceiveTimeout, ReuseAddr, SendTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::stop::Stop;

/// The longest a read, write or connect may take.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// How often a server looks for new connections.
const ACCEPT_POLL: Duration = Duration::from_millis(5);

/// Connects to `server` from the address `source`, with timeouts set.
///
/// # Errors
/// As connect(2).
pub fn connect_from(source: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = tcp_socket(source, SockFlag::empty())?;
    let timeout = TimeVal::milliseconds(TIMEOUT.as_millis() as i64);
    setsockopt(&socket, SendTimeout, &timeout)?;
    setsockopt(&socket, ReceiveTimeout, &timeout)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(server))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Begins to connect and returns at once: one SYN is on its way. Refusals and timeouts are not reported.
///
/// # Errors
/// When the system has no socket, port or route for it.
pub fn begin_connect(source: IpAddr, server: SocketAddr) -> io::Result<OwnedFd> {
    let socket = tcp_socket(source, SockFlag::SOCK_NONBLOCK)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::ECONNREFUSED) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// A UDP socket bound to `source`, with timeouts set.
///
/// # Errors
/// When the address is not ours.
pub fn udp_from(source: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(source, 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// A raw socket for ICMP or `ICMPv6` bound to `source`. Messages are sent and received as on a UDP socket with port 0; over
/// IPv4 those received begin with the IP header.
///
/// # Errors
/// Without `CAP_NET_RAW`.
pub fn icmp_from(source: IpAddr) -> io::Result<UdpSocket> {
    let (family, protocol) = match source {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(
        socket.as_raw_fd(),
        &SockaddrStorage::from(SocketAddr::new(source, 0)),
    )?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// A listener that [`serve`] can poll. Made in the caller's namespace.
///
/// # Errors
/// When the address is taken or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts connections until stopped and runs `handle` for each on a thread of its own, at most `limit` at a time
/// (more wait in the listen queue). Returns how many it served.
pub fn serve(listener: &TcpListener, stop: &Stop, limit: usize, handle: impl Fn(TcpStream) + Sync) -> u64 {
    let mut served = 0;
    let busy = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        while !stop.requested() {
            let full = busy.load(std::sync::atomic::Ordering::Acquire) >= limit;
            let Some((stream, _)) = (!full).then(|| listener.accept().ok()).flatten() else {
                thread::sleep(ACCEPT_POLL);
                continue;
            };
            let ready = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_read_timeout(Some(TIMEOUT)))
                .and_then(|()| stream.set_write_timeout(Some(TIMEOUT)))
                .and_then(|()| stream.set_nodelay(true));
            if ready.is_err() {
                continue;
            }
            served += 1;
            busy.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            let (busy, handle) = (&busy, &handle);
            scope.spawn(move || {
                handle(stream);
                busy.fetch_sub(1, std::sync::atomic::Ordering::AcqRel);
            });
        }
    });
    served
}

fn tcp_socket(source: IpAddr, flags: SockFlag) -> io::Result<OwnedFd> {
    let family = if source.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | flags, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(
        socket.as_raw_fd(),
        &SockaddrStorage::from(SocketAddr::new(source, 0)),
    )?;
    Ok(socket)
}
