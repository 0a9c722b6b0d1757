//! Which interfaces hold a default route, from /proc/net: the interfaces to watch when none is named.
//! It must never change a route.

use std::fs;

/// Names of the interfaces with a default route, IPv4 first, without repetition.
pub fn default_interfaces() -> Vec<String> {
    let ipv4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let ipv6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    parse(&ipv4, &ipv6)
}

fn parse(ipv4: &str, ipv6: &str) -> Vec<String> {
    /// The route is up (include/uapi/linux/route.h, `RTF_UP`).
    const UP: u32 = 1;
    /// A route that refuses packets (`RTF_REJECT`): IPv6 has one on lo on every host.
    const REJECT: u32 = 0x200;
    let mut names = Vec::new();
    let mut take = |name: &str, flags: &str| {
        let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
        if flags & UP != 0 && flags & REJECT == 0 && name != "lo" && !names.iter().any(|held| held == name) {
            names.push(name.to_owned());
        }
    };
    for line in ipv4.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [name, "00000000", _, flags, _, _, _, "00000000", ..] = fields.as_slice() {
            take(name, flags);
        }
    }
    for line in ipv6.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [destination, "00", _, _, _, _, _, _, flags, name] = fields.as_slice()
            && destination.bytes().all(|digit| digit == b'0')
        {
            take(name, flags);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_of_both_families_are_found_and_nothing_else() {
        let ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                    eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
                    eth1\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n\
                    down0\t00000000\t00000000\t0000\t0\t0\t0\t00000000\t0\t0\t0\n";
        let zero = "0".repeat(32);
        let other = format!("fe8{}", "0".repeat(29));
        let ipv6 = format!(
            "{zero} 00 {zero} 00 {other} 00000400 00000001 00000000 00000003 wlan0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200201 dummy0\n\
             {other} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth2\n\
             {zero} 00 {zero} 00 {other} 00000400 00000001 00000000 00000003 eth0\n"
        );
        assert_eq!(parse(ipv4, &ipv6), ["eth0", "wlan0"]);
        assert!(parse("", "").is_empty());
    }
}
