//! Pings: echo requests of both versions of ICMP, answered by the kernel at the other end.
//!
//! Must never send anything but echo requests.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::frames::checksum;
use crate::stop::Stop;
use crate::traffic::random::Random;
use crate::traffic::sockets::icmp_from;

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// What `ping` sends by default.
const PAYLOAD_BYTES: usize = 56;
/// Other ICMP messages that may come in while a reply is awaited.
const OTHER_MESSAGES: usize = 16;

/// Pings `target` about once a second until stopped; returns how many replies came.
pub fn ping(source: IpAddr, target: IpAddr, mut random: Random, stop: &Stop) -> u64 {
    let identifier = random.bits() as u16;
    let mut replies = 0;
    let mut sequence = 0_u16;
    while stop.sleep(Duration::from_millis(random.between(950, 1_050))) {
        sequence = sequence.wrapping_add(1);
        replies += u64::from(echo(source, target, identifier, sequence).unwrap_or(false));
    }
    replies
}

/// One echo request; true when its reply arrived in time.
///
/// # Errors
/// Without `CAP_NET_RAW`, or when the target is unreachable.
pub fn echo(source: IpAddr, target: IpAddr, identifier: u16, sequence: u16) -> std::io::Result<bool> {
    let socket = icmp_from(source)?;
    let (request, reply, header_bytes) = match target {
        IpAddr::V4(_) => (ECHO_REQUEST_V4, ECHO_REPLY_V4, 20),
        IpAddr::V6(_) => (ECHO_REQUEST_V6, ECHO_REPLY_V6, 0),
    };
    let mut message = vec![request, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.resize(8 + PAYLOAD_BYTES, 0x55);
    // Over IPv6 the kernel writes the checksum, which covers addresses it chooses.
    if target.is_ipv4() {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    socket.send_to(&message, SocketAddr::new(target, 0))?;
    let mut buffer = [0; 256];
    for _ in 0..OTHER_MESSAGES {
        let Ok(length) = socket.recv(&mut buffer) else {
            return Ok(false);
        };
        let received = buffer.get(header_bytes..length).unwrap_or_default();
        if received.first() == Some(&reply) && received.get(4..8) == message.get(4..8) {
            return Ok(true);
        }
    }
    Ok(false)
}
