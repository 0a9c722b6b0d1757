//! The table itself. A new scenario is an entry here and a function beside it; it must never be listed elsewhere.

use super::{Scenario, benign, brute_force, command, exfiltration, flood, local, reflect, scan};
use crate::simulate::parameter::{Parameter, Scale, Unit};

const fn parameter(
    name: &'static str,
    unit: Unit,
    default: f64,
    scale: Scale,
    help: &'static str,
) -> Parameter {
    Parameter {
        name,
        unit,
        default,
        scale,
        help,
    }
}

const fn length(seconds: f64) -> Parameter {
    parameter("length", Unit::Time, seconds, Scale::Pace, "how long it takes")
}

const fn amount(name: &'static str, default: f64, help: &'static str) -> Parameter {
    parameter(name, Unit::Count, default, Scale::Amount, help)
}

const fn fixed(name: &'static str, default: f64, help: &'static str) -> Parameter {
    parameter(name, Unit::Count, default, Scale::Fixed, help)
}

const fn period(seconds: f64, help: &'static str) -> Parameter {
    parameter("period", Unit::Time, seconds, Scale::Pace, help)
}

const fn bytes(default: f64, help: &'static str) -> Parameter {
    parameter("bytes", Unit::Bytes, default, Scale::Amount, help)
}

const fn from(inside: bool) -> Parameter {
    let default = if inside { 1.0 } else { 0.0 };
    parameter(
        "from",
        Unit::Choice(&["outside", "inside"]),
        default,
        Scale::Fixed,
        "a stranger, or one of the people's machines",
    )
}

const JITTER: Parameter = parameter(
    "jitter",
    Unit::Share,
    0.2,
    Scale::Fixed,
    "share by which the period varies",
);
const TARGETS: Parameter = parameter(
    "targets",
    Unit::Choice(&["network", "internet"]),
    0.0,
    Scale::Fixed,
    "the local network over and over, or random addresses of the Internet as worms do",
);
const PACKETS: Parameter = amount("packets", 15_000.0, "packets sent by the attacker");
const BOTS: Parameter = fixed("bots", 300.0, "hosts that take part");
const REFLECTORS: Parameter = fixed("reflectors", 200.0, "servers that answer");
const PORTS: Parameter = amount("ports", 1000.0, "ports tried");
const ATTEMPTS: Parameter = amount("attempts", 150.0, "passwords tried");
const PARALLEL: Parameter = fixed("parallel", 4.0, "connections at once");

macro_rules! scenario {
    ($name:literal, $summary:literal, $technique:expr, [$($parameter:expr),*], $start:expr) => {
        Scenario {
            name: $name,
            summary: $summary,
            benign: false,
            technique: $technique,
            parameters: const { &[$($parameter),*] },
            start: $start,
        }
    };
}

macro_rules! benign {
    ($name:literal, $summary:literal, [$($parameter:expr),*], $start:expr) => {
        Scenario {
            name: $name,
            summary: $summary,
            benign: true,
            technique: None,
            parameters: const { &[$($parameter),*] },
            start: $start,
        }
    };
}

/// All scenarios, as `sensor simulate list` shows them.
pub static SCENARIOS: &[Scenario] = &[
    benign!("ordinary", "nothing but the background", [], |_| ()),
    scenario!(
        "syn-flood",
        "SYNs with forged sources at the server's port",
        Some("T1499.001"),
        [PACKETS, length(30.0)],
        flood::syn_spoofed
    ),
    scenario!(
        "syn-flood-botnet",
        "SYNs of many real hosts at the server's port",
        Some("T1499.001"),
        [PACKETS, BOTS, length(30.0)],
        flood::syn_botnet
    ),
    scenario!(
        "udp-flood",
        "datagrams with forged sources at random ports of the server",
        Some("T1498.001"),
        [PACKETS, length(30.0)],
        flood::udp_spoofed
    ),
    scenario!(
        "udp-flood-botnet",
        "datagrams of many real hosts at one port of the server",
        Some("T1498.001"),
        [PACKETS, BOTS, length(30.0)],
        flood::udp_botnet
    ),
    scenario!(
        "icmp-flood",
        "echo requests of many hosts at the server",
        Some("T1498.001"),
        [PACKETS, BOTS, length(30.0)],
        flood::icmp
    ),
    scenario!(
        "dns-amplification",
        "large DNS responses that nobody asked for",
        Some("T1498.002"),
        [amount("packets", 6000.0, "responses"), REFLECTORS, length(20.0)],
        reflect::dns
    ),
    scenario!(
        "ntp-amplification",
        "NTP monitor lists that nobody asked for",
        Some("T1498.002"),
        [amount("packets", 12_000.0, "responses"), REFLECTORS, length(20.0)],
        reflect::ntp
    ),
    scenario!(
        "snmp-amplification",
        "SNMP bulk responses that nobody asked for",
        Some("T1498.002"),
        [amount("packets", 8000.0, "responses"), REFLECTORS, length(20.0)],
        reflect::snmp
    ),
    scenario!(
        "memcached-amplification",
        "memcached values that nobody asked for",
        Some("T1498.002"),
        [amount("packets", 12_000.0, "responses"), REFLECTORS, length(20.0)],
        reflect::memcached
    ),
    scenario!(
        "vertical-scan",
        "one host tries many ports of the server (nmap SYN scan)",
        Some("T1046"),
        [PORTS, from(false), length(20.0)],
        scan::vertical
    ),
    scenario!(
        "horizontal-scan",
        "one host tries one port of many addresses (masscan)",
        Some("T1046"),
        [
            amount("hosts", 600.0, "addresses tried"),
            fixed("port", 445.0, "the port"),
            TARGETS,
            from(true),
            length(30.0)
        ],
        scan::horizontal
    ),
    scenario!(
        "slow-scan",
        "one host tries a port of the server now and then",
        Some("T1046"),
        [period(4.0, "time between two ports"), JITTER, from(false)],
        scan::slow
    ),
    scenario!(
        "fin-scan",
        "many ports of the server tried with FIN segments",
        Some("T1046"),
        [PORTS, from(false), length(20.0)],
        scan::fin
    ),
    scenario!(
        "null-scan",
        "many ports of the server tried with segments without flags",
        Some("T1046"),
        [PORTS, from(false), length(20.0)],
        scan::null
    ),
    scenario!(
        "xmas-scan",
        "many ports of the server tried with FIN, PSH and URG",
        Some("T1046"),
        [PORTS, from(false), length(20.0)],
        scan::xmas
    ),
    scenario!(
        "ssh-brute-force",
        "passwords guessed over SSH",
        Some("T1110.001"),
        [ATTEMPTS, PARALLEL, from(false), length(90.0)],
        brute_force::ssh
    ),
    scenario!(
        "ftp-brute-force",
        "passwords guessed over FTP",
        Some("T1110.001"),
        [ATTEMPTS, PARALLEL, from(false), length(90.0)],
        brute_force::ftp
    ),
    scenario!(
        "rdp-brute-force",
        "passwords guessed over RDP",
        Some("T1110.001"),
        [ATTEMPTS, PARALLEL, from(false), length(90.0)],
        brute_force::rdp
    ),
    scenario!(
        "beaconing",
        "a machine calls its controller again and again, a little irregularly",
        Some("T1071.001"),
        [
            period(15.0, "time between two calls"),
            JITTER,
            parameter(
                "tls",
                Unit::Choice(&["no", "yes"]),
                1.0,
                Scale::Fixed,
                "HTTPS instead of HTTP"
            )
        ],
        command::beaconing
    ),
    scenario!(
        "dns-tunnel",
        "data leaves in names that are asked for",
        Some("T1071.004"),
        [amount("queries", 900.0, "names asked for"), length(180.0)],
        command::dns_tunnel
    ),
    scenario!(
        "bulk-exfiltration",
        "one large upload to a host never seen before",
        Some("T1048.002"),
        [bytes(31_457_280.0, "bytes that leave"), length(40.0)],
        exfiltration::bulk
    ),
    scenario!(
        "low-and-slow-exfiltration",
        "small uploads to a new host, over a long time",
        Some("T1030"),
        [
            parameter(
                "bytes",
                Unit::Bytes,
                40_960.0,
                Scale::Amount,
                "bytes of each upload"
            ),
            period(25.0, "time between two uploads"),
            JITTER
        ],
        exfiltration::low_and_slow
    ),
    scenario!(
        "arp-storm",
        "one host floods the network with ARP requests",
        Some("T1498"),
        [amount("packets", 6000.0, "requests"), length(30.0)],
        local::arp_storm
    ),
    scenario!(
        "new-device",
        "an unknown device joins the network and looks around",
        Some("T1200"),
        [length(120.0)],
        local::new_device
    ),
    scenario!(
        "silent-device",
        "a device that always talks falls silent",
        None,
        [length(150.0)],
        local::silent_device
    ),
    scenario!(
        "service-outage",
        "the server's service stops while its clients go on asking",
        Some("T1489"),
        [
            parameter(
                "answer",
                Unit::Choice(&["reset", "silence"]),
                0.0,
                Scale::Fixed,
                "what clients get"
            ),
            length(120.0)
        ],
        local::service_outage
    ),
    benign!(
        "backup-job",
        "the server's data goes to one of the machines, as backups do",
        [bytes(41_943_040.0, "bytes of the backup"), length(120.0)],
        benign::backup_job
    ),
    benign!(
        "software-update",
        "all machines fetch the same update within a few minutes",
        [bytes(8_388_608.0, "bytes of the update"), length(120.0)],
        benign::software_update
    ),
    benign!(
        "flash-crowd",
        "many new visitors of the server's service, each with a whole visit",
        [amount("visitors", 400.0, "visitors"), length(90.0)],
        benign::flash_crowd
    ),
    benign!(
        "new-client",
        "a new machine begins to use the server's service",
        [amount("sessions", 8.0, "sessions"), length(150.0)],
        benign::new_client
    ),
];
