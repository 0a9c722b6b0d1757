//! IP networks in prefix notation (RFC 4632, RFC 4291 section 2.3): which hosts are ours.
//! It must never accept a network with host bits set: that is nearly always a typing error.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network such as `10.0.0.0/8` or `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// First address of the network.
    pub address: IpAddr,
    /// Length of the prefix in bits of its own address family.
    pub prefix_len: u8,
}

impl Network {
    /// The address in the form of flow keys (IPv4 mapped into IPv6) and the prefix length in those 128 bits.
    pub fn mapped(&self) -> ([u8; 16], u8) {
        match self.address {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), self.prefix_len + 96),
            IpAddr::V6(v6) => (v6.octets(), self.prefix_len),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .trim()
            .parse()
            .map_err(|_| format!("\"{text}\" is no network: write \"192.168.0.0/16\""))?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match prefix {
            None => bits,
            Some(prefix) => prefix
                .trim()
                .parse()
                .ok()
                .filter(|len| *len <= bits)
                .ok_or_else(|| format!("\"{text}\": the prefix length must be 0 to {bits}"))?,
        };
        let network = Self { address, prefix_len };
        let (mapped, len) = network.mapped();
        let host_bits = u128::from_be_bytes(mapped)
            .checked_shl(u32::from(len))
            .unwrap_or(0);
        if host_bits != 0 {
            return Err(format!(
                "\"{text}\" has bits set behind its prefix: write the network's first address"
            ));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}
