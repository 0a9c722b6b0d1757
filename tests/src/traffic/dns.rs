//! Name lookups: one small datagram there, a larger one back, each from a new port.
//!
//! The datagrams have a DNS header and a question; nothing resolves anything. Must never be reachable from outside the
//! lab's namespaces.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::stop::Stop;
use crate::traffic::random::Random;
use crate::traffic::sockets::udp_from;

/// Answers queries on `socket` (which must have a read timeout) until stopped; returns how many.
pub fn answer(socket: &UdpSocket, mut random: Random, stop: &Stop) -> u64 {
    let mut answered = 0;
    let mut query = [0; 512];
    while !stop.requested() {
        let Ok((length, client)) = socket.recv_from(&mut query) else {
            continue;
        };
        let mut response = query[..length].to_vec();
        if let Some(flags) = response.get_mut(2) {
            *flags |= 0x80;
        }
        response.resize(length + random.skewed(16.0, 300.0) as usize, 0);
        answered += u64::from(socket.send_to(&response, client).is_ok());
    }
    answered
}

/// Looks names up from `source` until stopped; returns how many queries were answered.
pub fn look_up(source: IpAddr, resolver: SocketAddr, mut random: Random, stop: &Stop) -> u64 {
    let mut answered = 0;
    while stop.sleep(random.pause(80.0, 900.0)) {
        let Ok(socket) = udp_from(source) else { continue };
        let mut query = vec![0; 12];
        query[..2].copy_from_slice(&(random.bits() as u16).to_be_bytes());
        query[5] = 1;
        query.resize(12 + random.between(12, 40) as usize, b'q');
        let mut response = [0; 1_024];
        let lookup = socket
            .send_to(&query, resolver)
            .and_then(|_| socket.recv(&mut response));
        answered += u64::from(lookup.is_ok());
    }
    answered
}
