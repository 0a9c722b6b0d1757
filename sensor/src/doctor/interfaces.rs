//! The interfaces that would be watched: whether they exist, what holds their hooks, and which mode to expect.

use std::{fs, path::Path};

use super::Finding;
use crate::{
    config::Settings,
    probe::{
        follow::{self, Link},
        kernel,
    },
    service::default_interfaces,
};

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let links = match follow::links() {
        Ok(links) => links,
        Err(cause) => return vec![Finding::missing("interfaces", cause.to_string(), "")],
    };
    let mut findings = Vec::new();
    if settings.interfaces.is_empty() {
        let names = default_interfaces();
        if names.is_empty() {
            findings.push(Finding::missing(
                "interfaces",
                "no default route",
                "name the interfaces with -i",
            ));
        }
        for link in links.iter().filter(|link| names.contains(&link.name)) {
            findings.extend(one(link));
        }
        return findings;
    }
    for pattern in &settings.interfaces {
        let matching: Vec<&Link> = links.iter().filter(|link| pattern.matches(&link.name)).collect();
        if matching.is_empty() {
            let known: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
            let subject = format!("interface {pattern}");
            let known = format!("interfaces here: {}", known.join(", "));
            findings.push(Finding::note(subject, "matches nothing now", known));
        }
        findings.extend(matching.into_iter().flat_map(one));
    }
    findings
}

fn one(link: &Link) -> Vec<Finding> {
    let subject = format!("interface {}", link.name);
    let driver = driver(&link.name);
    let state = if link.up { "up" } else { "down" };
    let mut findings = vec![Finding::good(
        &subject,
        format!(
            "{state}, MTU {}, driver {}",
            link.mtu,
            driver.as_deref().unwrap_or("none")
        ),
    )];
    if !link.ethernet {
        findings.push(Finding::note(
            &subject,
            "no Ethernet header",
            "packets are read from the IP header on",
        ));
    }
    findings.push(match driver.as_deref() {
        Some(name) if NATIVE.contains(&name) => {
            Finding::good(&subject, format!("driver {name} has native XDP"))
        }
        _ => Finding::note(
            &subject,
            "native XDP is not known for this driver",
            "TC or generic XDP is used, at a higher cost",
        ),
    });
    match kernel::hook_holders(&link.name) {
        Ok(holders) if holders.is_empty() => findings.push(Finding::good(&subject, "hooks are free")),
        Ok(holders) => findings.extend(holders.iter().map(|holder| {
            let found = format!(
                "{} holds {} (program {}, id {})",
                holder.program, holder.hook, holder.program, holder.id
            );
            let fix = if holder.hook.starts_with("xdp") {
                "it stays; the sensor uses TC ingress beside it"
            } else {
                ""
            };
            Finding::note(&subject, found, fix)
        })),
        Err(cause) => findings.push(Finding::note(&subject, cause.to_string(), "")),
    }
    findings
}

/// Drivers with native XDP that hosts of this kind have; the list only feeds this report, attaching simply tries.
const NATIVE: &[&str] = &[
    "atlantic",
    "bnxt_en",
    "ena",
    "fec",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "mvpp2",
    "nfp",
    "qede",
    "sfc",
    "stmmac",
    "thunder-nicvf",
    "tsnep",
    "veth",
    "virtio_net",
    "vmxnet3",
    "xen-netfront",
];

/// The driver's name: of the device behind the interface, or of its kind for virtual ones.
fn driver(name: &str) -> Option<String> {
    let class = Path::new("/sys/class/net").join(name);
    if let Ok(target) = fs::read_link(class.join("device/driver")) {
        return target.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    let uevent = fs::read_to_string(class.join("uevent")).unwrap_or_default();
    let kind = uevent
        .lines()
        .find_map(|line| line.strip_prefix("DEVTYPE="))
        .map(str::to_owned);
    // veth sets no DEVTYPE; its peer's index differs from its own and it has no device.
    kind.or_else(|| is_veth(&class).then(|| "veth".to_owned()))
}

fn is_veth(class: &Path) -> bool {
    let number = |file: &str| {
        fs::read_to_string(class.join(file))
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
    };
    let ethernet = number("type") == Some(1);
    ethernet
        && number("iflink")
            .zip(number("ifindex"))
            .is_some_and(|(peer, own)| peer != own)
}
