//! Ordinary traffic and attacks for the lab and the namespace tests.
//!
//! [`ordinary`] plays a small office: web pages in both directions over IPv4 and IPv6, name lookups, a remote shell,
//! pings. [`attack`] plays a vertical scan, a horizontal scan and a SYN flood. Sizes and pauses come from a seeded
//! generator, so that two runs do the same; only the kernel's timing differs. Must never run outside namespaces the
//! caller made, and never without a bound.

pub mod attack;
pub mod dns;
pub mod http;
pub mod ordinary;
pub mod ping;
pub mod random;
pub mod shell;
pub mod sockets;
