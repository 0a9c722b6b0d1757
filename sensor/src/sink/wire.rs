//! How syslog messages travel: datagrams, or a stream of counted messages, in the clear or in TLS. Syslog has no answers:
//! what was written may never have been read. So a message counts as arrived only when the connection has outlived it for
//! a while; until then it is sent again if the connection breaks. It must never send half a message and go on.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::{unacknowledged, worker::Failure};
use crate::{config::sinks::SyslogAddress, service::clock};

/// Longest wait for a connection, and for room to write.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection must outlive a message. A collector that reads within this time loses nothing when it is killed;
/// nobody can know how much of what its kernel took a slower one had read.
const SETTLED: Duration = Duration::from_secs(5);
/// Messages that are waited for, one by one; beyond, the newest stands for several.
const MOST_PENDING: usize = 4096;

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A transport that connects when it has to.
pub(super) struct Wire {
    address: SyslogAddress,
    tls: Option<Arc<ClientConfig>>,
    socket: Option<Socket>,
    /// Sent, but perhaps not arrived: number and time.
    pending: VecDeque<(u64, u64)>,
    arrived: u64,
    /// The connection broke, and nothing was sent since.
    broken: bool,
}

impl Wire {
    /// `tls` is needed for addresses with TLS.
    pub(super) fn new(address: SyslogAddress, tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            address,
            tls,
            socket: None,
            pending: VecDeque::new(),
            arrived: 0,
            broken: false,
        }
    }

    /// Sends one message.
    pub(super) fn send(&mut self, seq: u64, message: &[u8]) -> Result<(), Failure> {
        self.check()?;
        match self.try_send(message) {
            Ok(()) => {}
            Err(cause) => return Err(self.broken(&cause)),
        }
        self.broken = false;
        let now_ns = clock::monotonic_ns();
        if self.pending.len() >= MOST_PENDING {
            self.pending.pop_back();
        }
        self.pending.push_back((seq, now_ns));
        Ok(())
    }

    /// Up to which message everything has arrived, if all up to `delivered` were sent.
    pub(super) fn confirmed(&mut self, delivered: u64) -> Result<u64, Failure> {
        self.check()?;
        if self.broken {
            return Ok(self.arrived);
        }
        let settled_ns = clock::monotonic_ns().saturating_sub(SETTLED.as_nanos() as u64);
        if !matches!(self.unacknowledged(), Ok(0)) {
            return Ok(self.arrived);
        }
        while let Some((seq, _)) = self.pending.pop_front_if(|(_, sent_ns)| *sent_ns <= settled_ns) {
            self.arrived = seq;
        }
        if self.pending.is_empty() {
            self.arrived = self.arrived.max(delivered);
        }
        Ok(self.arrived)
    }

    /// Looks whether the other side has gone. That is a failure only if something may be lost by it.
    fn check(&mut self) -> Result<(), Failure> {
        let gone = match &mut self.socket {
            None => return Ok(()),
            Some(socket) => socket.gone(),
        };
        match gone {
            Ok(false) => Ok(()),
            Ok(true) if self.pending.is_empty() => {
                self.socket = None;
                Ok(())
            }
            Ok(true) => Err(self.broken(&io::Error::other("the collector closed the connection"))),
            Err(cause) => Err(self.broken(&cause)),
        }
    }

    fn broken(&mut self, cause: &io::Error) -> Failure {
        self.socket = None;
        self.pending.clear();
        self.broken = true;
        Failure::Later(format!("{}: {cause}", self.address))
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        match &self.socket {
            Some(Socket::Tcp(stream)) => unacknowledged::bytes(stream),
            Some(Socket::Tls(stream)) => unacknowledged::bytes(&stream.sock),
            _ => Ok(0),
        }
    }

    fn try_send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        match self.socket.insert(socket) {
            Socket::Udp(socket) => whole(socket.send(message)?, message),
            Socket::Unix(socket) => whole(socket.send(message)?, message),
            Socket::Tcp(stream) => stream.write_all(&counted(message)),
            Socket::Tls(stream) => {
                stream.write_all(&counted(message))?;
                stream.flush()
            }
        }
    }

    fn connect(&self) -> io::Result<Socket> {
        Ok(match &self.address {
            SyslogAddress::Udp(address) => Socket::Udp(first(address, |address| {
                let local: SocketAddr = if address.is_ipv4() {
                    ([0; 4], 0).into()
                } else {
                    ([0u16; 8], 0).into()
                };
                let socket = UdpSocket::bind(local)?;
                socket.connect(address)?;
                Ok(socket)
            })?),
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Socket::Unix(socket)
            }
            SyslogAddress::Tcp(address) => Socket::Tcp(stream(address)?),
            SyslogAddress::Tls(address) => Socket::Tls(Box::new(self.tls(address)?)),
        })
    }

    fn tls(&self, address: &str) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let config = self
            .tls
            .clone()
            .ok_or_else(|| io::Error::other("no certificates were loaded"))?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut socket = stream(address)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }
}

impl Socket {
    /// Whether the other side has gone, as far as this side can know without waiting.
    fn gone(&mut self) -> io::Result<bool> {
        match self {
            Self::Udp(socket) => socket.take_error()?.map_or(Ok(false), Err),
            Self::Unix(_) => Ok(false),
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let gone = drained(&mut |buffer| stream.read(buffer));
                stream.set_nonblocking(false)?;
                gone
            }
            Self::Tls(stream) => {
                stream.sock.set_nonblocking(true)?;
                let gone = drained(&mut |buffer| stream.read(buffer));
                stream.sock.set_nonblocking(false)?;
                gone
            }
        }
    }
}

/// Reads what a collector says, which is nothing by the standard, until it would block (`false`) or ends (`true`).
fn drained(read: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<bool> {
    let mut buffer = [0; 512];
    for _ in 0..16 {
        match read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
            Err(cause) => return Err(cause),
        }
    }
    Ok(false)
}

/// Octet counting (RFC 6587, section 3.4.1).
fn counted(message: &[u8]) -> Vec<u8> {
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend_from_slice(message);
    frame
}

fn whole(sent: usize, message: &[u8]) -> io::Result<()> {
    if sent == message.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

fn stream(address: &str) -> io::Result<TcpStream> {
    let stream = first(address, |address| TcpStream::connect_timeout(&address, PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The first address of a name that answers.
fn first<T>(address: &str, mut connect: impl FnMut(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match connect(address) {
            Ok(socket) => return Ok(socket),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}
