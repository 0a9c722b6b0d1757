//! The ordinary traffic of a small office behind a gateway, played until stopped.
//!
//! Every player has its own thread inside the namespace where it belongs, and its own random numbers. The mix is
//! stationary on purpose: what the lab calls ordinary must be the same while learning and afterwards.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::netns::Netns;
use crate::stop::Stop;
use crate::topology::{Topology, at, lan_v4, lan_v6, wan_v4, wan_v6};
use crate::traffic::random::Random;
use crate::traffic::sockets::{listen, serve};
use crate::traffic::{dns, http, ping, shell};

/// Connections one server handles at a time.
const CONNECTIONS: usize = 64;
/// How long a server thread may wait before it looks at the stop flag.
const SERVER_POLL: Duration = Duration::from_millis(100);

/// What one kind of player did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Web pages read, both directions, IPv4 and IPv6.
    pub pages: u64,
    /// Name lookups answered.
    pub lookups: u64,
    /// Keystrokes echoed by the remote shell.
    pub keystrokes: u64,
    /// Ping replies.
    pub pings: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Server,
    Web,
    Dns,
    Shell,
    Ping,
}

type Player = (Kind, JoinHandle<Result<u64>>);

/// Ordinary traffic that is being played.
#[derive(Debug)]
pub struct Ordinary {
    players: Vec<Player>,
    clients: Stop,
    servers: Stop,
    seed: u64,
}

impl Ordinary {
    /// Starts servers, then clients. Ends when [`Ordinary::finish`] is called, the value is dropped, or a signal comes.
    ///
    /// # Errors
    /// When a server's address is taken or a thread cannot be started.
    pub fn start(topology: &Topology, seed: u64) -> Result<Self> {
        let mut ordinary = Self {
            players: Vec::new(),
            clients: Stop::default(),
            servers: Stop::default(),
            seed,
        };
        ordinary.start_servers(topology)?;
        ordinary.start_clients(topology)?;
        Ok(ordinary)
    }

    fn start_servers(&mut self, topology: &Topology) -> Result<()> {
        for address in [lan_v4(10), lan_v6(10)] {
            self.tcp_server(&topology.lan, at(address, 80), http::answer)?;
        }
        for address in [wan_v4(200), wan_v6(200)] {
            self.tcp_server(&topology.wan, at(address, 80), http::answer)?;
        }
        self.tcp_server(&topology.gateway, at(wan_v4(1), 22), shell::answer)?;
        self.dns_server(&topology.lan, at(lan_v4(53), 53))?;
        self.dns_server(&topology.wan, at(wan_v4(53), 53))?;
        self.dns_server(&topology.wan, at(wan_v6(53), 53))
    }

    fn start_clients(&mut self, topology: &Topology) -> Result<()> {
        let (wan, lan) = (&topology.wan, &topology.lan);
        // From the internet: visitors of our web server and resolver, one administrator.
        for host in 10..=13 {
            self.web(wan, wan_v4(host), vec![at(lan_v4(10), 80)])?;
        }
        for host in 14..=15 {
            self.web(wan, wan_v6(host), vec![at(lan_v6(10), 80)])?;
        }
        for host in [10, 12, 16] {
            self.dns(wan, wan_v4(host), at(lan_v4(53), 53))?;
        }
        for host in [16, 17] {
            self.shell(wan, wan_v4(host), at(wan_v4(1), 22))?;
        }
        self.ping(wan, wan_v4(17), lan_v4(10))?;
        self.ping(wan, wan_v6(17), lan_v6(10))?;
        // From the local network: devices that browse and look names up outside.
        for host in 20..=22 {
            self.web(lan, lan_v4(host), vec![at(wan_v4(200), 80)])?;
            self.dns(lan, lan_v4(host), at(wan_v4(53), 53))?;
        }
        self.web(lan, lan_v6(23), vec![at(wan_v6(200), 80)])?;
        self.dns(lan, lan_v6(23), at(wan_v6(53), 53))?;
        self.ping(lan, lan_v4(20), wan_v4(200))
    }

    /// Asks everyone to end, waits (at most about a second) and adds up.
    ///
    /// # Errors
    /// When a player could not enter its namespace or panicked.
    pub fn finish(mut self) -> Result<Summary> {
        self.end()
    }

    fn end(&mut self) -> Result<Summary> {
        // Clients first: a server that goes first would leave them with unanswered requests.
        self.clients.request();
        let mut summary = Summary::default();
        let (servers, clients): (Vec<Player>, Vec<Player>) = self
            .players
            .drain(..)
            .partition(|(kind, _)| matches!(kind, Kind::Server));
        for (kind, player) in clients {
            let done = join(player)?;
            match kind {
                Kind::Web => summary.pages += done,
                Kind::Dns => summary.lookups += done,
                Kind::Shell => summary.keystrokes += done,
                Kind::Ping => summary.pings += done,
                Kind::Server => {}
            }
        }
        self.servers.request();
        for (_, player) in servers {
            join(player)?;
        }
        Ok(summary)
    }

    fn random(&self) -> Random {
        Random::new(self.seed, self.players.len() as u64)
    }

    fn play(
        &mut self,
        kind: Kind,
        namespace: &Netns,
        work: impl FnOnce() -> u64 + Send + 'static,
    ) -> Result<()> {
        let name = format!("{kind:?}{}", self.players.len());
        self.players.push((kind, namespace.spawn(&name, work)?));
        Ok(())
    }

    fn tcp_server(&mut self, namespace: &Netns, address: SocketAddr, answer: fn(TcpStream)) -> Result<()> {
        // Bound here, so that the first client finds it.
        let listener = namespace
            .run(|| listen(address))?
            .with_context(|| format!("cannot listen on {address}"))?;
        let stop = self.servers.clone();
        self.play(Kind::Server, namespace, move || {
            serve(&listener, &stop, CONNECTIONS, answer)
        })
    }

    fn dns_server(&mut self, namespace: &Netns, address: SocketAddr) -> Result<()> {
        let socket = namespace
            .run(|| UdpSocket::bind(address))?
            .with_context(|| format!("cannot listen on {address}"))?;
        socket.set_read_timeout(Some(SERVER_POLL))?;
        let (stop, random) = (self.servers.clone(), self.random());
        self.play(Kind::Server, namespace, move || {
            dns::answer(&socket, random, &stop)
        })
    }

    fn web(&mut self, namespace: &Netns, source: IpAddr, servers: Vec<SocketAddr>) -> Result<()> {
        let (stop, random) = (self.clients.clone(), self.random());
        self.play(Kind::Web, namespace, move || {
            http::browse(source, &servers, random, &stop)
        })
    }

    fn dns(&mut self, namespace: &Netns, source: IpAddr, resolver: SocketAddr) -> Result<()> {
        let (stop, random) = (self.clients.clone(), self.random());
        self.play(Kind::Dns, namespace, move || {
            dns::look_up(source, resolver, random, &stop)
        })
    }

    fn shell(&mut self, namespace: &Netns, source: IpAddr, server: SocketAddr) -> Result<()> {
        let (stop, random) = (self.clients.clone(), self.random());
        self.play(Kind::Shell, namespace, move || {
            shell::work(source, server, random, &stop)
        })
    }

    fn ping(&mut self, namespace: &Netns, source: IpAddr, target: IpAddr) -> Result<()> {
        let (stop, random) = (self.clients.clone(), self.random());
        self.play(Kind::Ping, namespace, move || {
            ping::ping(source, target, random, &stop)
        })
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        // After `finish` there is nobody left; otherwise the first problem has been reported already.
        let _ended = self.end();
    }
}

fn join(player: JoinHandle<Result<u64>>) -> Result<u64> {
    player
        .join()
        .map_err(|_| anyhow!("a traffic generator panicked"))?
}
