//! Web traffic: a server that returns as many bytes as the path asks for, and clients that browse.
//!
//! HTTP/1.1 only as far as its packets look right: request and response sizes, keep-alive, pauses. Must never be
//! reachable from outside the lab's namespaces.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::stop::Stop;
use crate::traffic::random::Random;
use crate::traffic::sockets::connect_from;

/// The largest page the server gives.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// Answers the requests of one connection until the peer closes it, is silent for the socket's timeout or misbehaves.
pub fn answer(stream: TcpStream) {
    // A peer that goes away ends its connection; there is nobody to tell.
    let _closed = answer_requests(stream);
}

fn answer_requests(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let page = vec![b'x'; 16 << 10];
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let wanted = request
            .split(' ')
            .nth(1)
            .and_then(|path| path.trim_start_matches('/').parse().ok());
        let mut left = wanted.unwrap_or(0).min(MAX_PAGE_BYTES);
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {left}\r\n\r\n"
        )?;
        while left > 0 {
            let part = left.min(page.len());
            stream.write_all(&page[..part])?;
            left -= part;
        }
    }
}

/// Browses `servers` from `source` until stopped: one to four pages for each connection, 200 bytes to 60 kB each.
/// Returns the number of pages read.
pub fn browse(source: IpAddr, servers: &[SocketAddr], mut random: Random, stop: &Stop) -> u64 {
    let mut pages = 0;
    while stop.sleep(random.pause(100.0, 1_200.0)) {
        let server = servers[random.between(0, servers.len() as u64 - 1) as usize];
        pages += visit(source, server, &mut random, stop).unwrap_or(0);
    }
    pages
}

fn visit(source: IpAddr, server: SocketAddr, random: &mut Random, stop: &Stop) -> io::Result<u64> {
    let mut reader = BufReader::new(connect_from(source, server)?);
    let wanted = random.between(1, 4);
    for page in 0..wanted {
        let bytes = random.skewed(200.0, 60_000.0) as usize;
        let filler = "a".repeat(random.between(60, 500) as usize);
        let request = format!("GET /{bytes} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: {filler}\r\n\r\n");
        reader.get_mut().write_all(request.as_bytes())?;
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        io::copy(&mut reader.by_ref().take(bytes as u64), &mut io::sink())?;
        if page + 1 < wanted && !stop.sleep(random.pause(20.0, 300.0)) {
            return Ok(page + 1);
        }
    }
    Ok(wanted)
}
