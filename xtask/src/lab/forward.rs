//! Leads a port on this machine's loopback to the sensor in its namespace, so that a browser can look at it.
//!
//! Copies bytes and knows nothing of HTTP. Must never listen on anything but loopback.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sensor_tests::agent::LISTEN;
use sensor_tests::netns::Netns;
use sensor_tests::stop::Stop;

/// More than a browser and a few scrapers open; what comes above it is closed at once.
const CONNECTIONS: usize = 64;
const POLL: Duration = Duration::from_millis(20);

/// A running forwarder; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Forwarder {
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Forwarder {
    /// Listens on `port` of this machine's loopback (another one if it is taken) for the sensor in `namespace`.
    pub(crate) fn start(namespace: &Netns, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("cannot listen on loopback")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stop = Stop::default();
        let target: SocketAddr = LISTEN.parse()?;
        let watch = stop.clone();
        // Accepted from the socket made above, connected from a thread inside the namespace.
        let thread = namespace.spawn("forward", move || serve(&listener, target, &watch))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.request();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("the forwarder could not start: {error:#}"),
            Some(Err(_)) => eprintln!("the forwarder panicked"),
            Some(Ok(Ok(()))) | None => {}
        }
    }
}

fn serve(listener: &TcpListener, target: SocketAddr, stop: &Stop) {
    let open = Arc::new(AtomicUsize::new(0));
    while !stop.requested() {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(POLL);
            continue;
        };
        if open.load(Ordering::Relaxed) >= CONNECTIONS {
            continue;
        }
        // This thread is inside the namespace, and so are the sockets it makes.
        let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else {
            continue;
        };
        open.fetch_add(1, Ordering::Relaxed);
        let open = Arc::clone(&open);
        // Not joined: it ends when either side closes, at the latest with the sensor.
        let _connection = thread::spawn(move || {
            let _closed = join_streams(client, server);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Copies both ways until both sides are done.
fn join_streams(client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let (mut request, mut request_to) = (client.try_clone()?, server.try_clone()?);
    let (mut answer, mut answer_to) = (server, client);
    thread::scope(|scope| {
        scope.spawn(move || {
            let copied = io::copy(&mut request, &mut request_to);
            let _gone = request_to.shutdown(Shutdown::Write);
            copied
        });
        let copied = io::copy(&mut answer, &mut answer_to);
        // The reader of requests may wait for a client that has its answer: end it too.
        let _gone = answer_to.shutdown(Shutdown::Both);
        copied.map(drop)
    })
}
