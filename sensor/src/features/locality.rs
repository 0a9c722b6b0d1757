//! Which addresses are ours, and which stand for groups. IPv4 addresses are IPv4-mapped IPv6 (`::ffff:a.b.c.d`).

/// Prefix of IPv4-mapped addresses (RFC 4291, section 2.5.5.2).
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

const fn v4(a: u8, b: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, 0, 0]
}

const fn v6(a: u8, b: u8) -> [u8; 16] {
    [a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// What is local when nobody says otherwise: RFC 1918, RFC 3927 and their IPv6 counterparts (RFC 4193, RFC 4291), and the
/// other ranges that are not routed on the internet but used in networks: shared address space (RFC 6598) and benchmarking
/// (RFC 2544).
const AUTO: [([u8; 16], u8); 8] = [
    (v4(10, 0), 96 + 8),
    (v4(172, 16), 96 + 12),
    (v4(192, 168), 96 + 16),
    (v4(169, 254), 96 + 16),
    (v4(100, 64), 96 + 10),
    (v4(198, 18), 96 + 15),
    (v6(0xfc, 0), 7),
    (v6(0xfe, 0x80), 10),
];

/// The networks whose hosts always get a host row.
#[derive(Clone, Debug)]
pub(super) struct LocalNetworks(Vec<(u128, u128)>);

impl LocalNetworks {
    /// Networks as (address, prefix length of the 128-bit form); none means the private and link-local ones.
    pub(super) fn new(networks: &[([u8; 16], u8)]) -> Self {
        let networks = if networks.is_empty() { &AUTO } else { networks };
        let masked = networks.iter().map(|&(address, prefix)| {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            (u128::from_be_bytes(address) & mask, mask)
        });
        Self(masked.collect())
    }

    /// Whether the address is in one of the networks.
    pub(super) fn contains(&self, address: &[u8; 16]) -> bool {
        let address = u128::from_be_bytes(*address);
        self.0.iter().any(|&(network, mask)| address & mask == network)
    }

    /// Whether the address stands for a group: IPv4 and IPv6 multicast, limited broadcast, and in local IPv4 networks
    /// the last address of a /24, which is the directed broadcast of most of them (their masks are not known here).
    pub(super) fn is_group(&self, address: &[u8; 16]) -> bool {
        if address[..12] == MAPPED {
            let first = address[12];
            first >= 224 && (first < 240 || address[12..] == [255; 4])
                || address[15] == 255 && self.contains(address)
        } else {
            address[0] == 0xff
        }
    }
}

/// Whether the address names nobody: `0.0.0.0` or `::`.
pub(super) fn is_unspecified(address: &[u8; 16]) -> bool {
    *address == [0; 16] || (address[..12] == MAPPED && address[12..] == [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip4(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
        let mut address = v4(a, b);
        (address[14], address[15]) = (c, d);
        address
    }

    #[test]
    fn private_and_link_local_networks_are_local_by_default() {
        let auto = LocalNetworks::new(&[]);
        for local in [
            ip4(10, 1, 2, 3),
            ip4(172, 31, 0, 1),
            ip4(192, 168, 9, 9),
            ip4(169, 254, 1, 1),
        ] {
            assert!(auto.contains(&local));
        }
        assert!(auto.contains(&v6(0xfd, 0x12)) && auto.contains(&v6(0xfe, 0x80)));
        for remote in [ip4(172, 32, 0, 1), ip4(8, 8, 8, 8), v6(0x20, 0x01), [0; 16]] {
            assert!(!auto.contains(&remote));
        }
    }

    #[test]
    fn configured_networks_replace_the_default_and_a_prefix_of_zero_is_everything() {
        let own = LocalNetworks::new(&[(ip4(203, 0, 113, 7), 96 + 24)]);
        assert!(own.contains(&ip4(203, 0, 113, 200)) && !own.contains(&ip4(10, 0, 0, 1)));
        assert!(LocalNetworks::new(&[([0; 16], 0)]).contains(&v6(0x20, 0x01)));
    }

    #[test]
    fn groups_are_multicast_and_broadcast() {
        let auto = LocalNetworks::new(&[]);
        for group in [
            ip4(224, 0, 0, 251),
            ip4(255, 255, 255, 255),
            ip4(192, 168, 1, 255),
            v6(0xff, 0x02),
        ] {
            assert!(auto.is_group(&group));
        }
        for host in [
            ip4(8, 8, 8, 255),
            ip4(192, 168, 1, 254),
            ip4(240, 0, 0, 1),
            v6(0xfe, 0x80),
        ] {
            assert!(!auto.is_group(&host));
        }
        assert!(is_unspecified(&ip4(0, 0, 0, 0)) && is_unspecified(&[0; 16]));
    }
}
