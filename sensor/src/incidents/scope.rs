//! The scope of a suppression as people write it, and back. It must never accept one that fits everything.

use serde::{Deserialize, Serialize};

use crate::{
    alert::{Alert, Behaviour, suppress::Scope},
    config::Network,
};

/// A scope as people write it; what is empty fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeText {
    /// Network of the actor, such as `192.0.2.7` or `192.0.2.0/24`.
    pub actor: String,
    /// Network that holds all targets.
    pub target: String,
    /// Name of the behaviour.
    pub behaviour: String,
    /// Service, such as `tcp/22`.
    pub service: String,
}

/// Protocols of services, with and without a number behind them.
const WITH_PORT: [&str; 3] = ["tcp", "udp", "sctp"];
const WITHOUT: [&str; 3] = ["icmp", "icmpv6", "arp"];

fn service(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let fits = match text.split_once('/') {
        Some(("ip", number)) => number.parse::<u8>().is_ok(),
        Some((proto, port)) => WITH_PORT.contains(&proto) && port.parse::<u16>().is_ok(),
        None => WITHOUT.contains(&text.as_str()),
    };
    if fits {
        Ok(text)
    } else {
        Err(format!(
            "\"{text}\" is no service: write tcp/22, udp/53, icmp, arp or ip/47"
        ))
    }
}

/// A behaviour by its name.
///
/// # Errors
/// All names, if it is none of them.
pub fn behaviour(text: &str) -> Result<Behaviour, String> {
    Behaviour::ALL
        .into_iter()
        .find(|behaviour| behaviour.label() == text)
        .ok_or_else(|| {
            let names: Vec<_> = Behaviour::ALL.iter().map(|behaviour| behaviour.label()).collect();
            format!("\"{text}\" is no behaviour: write one of {}", names.join(", "))
        })
}

impl ScopeText {
    /// The scope of an incident: its actor and behaviour, and its target and service if it has one of each.
    pub fn of(alert: &Alert) -> Self {
        let single = |list: &[String]| match list {
            [only] => only.clone(),
            _ => String::new(),
        };
        Self {
            actor: alert.actor.clone(),
            target: if alert.target_count == 1 {
                single(&alert.targets)
            } else {
                String::new()
            },
            behaviour: alert.behaviour.label().to_owned(),
            service: single(&alert.services),
        }
    }

    /// Reads it; the second is the same in its usual form.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(&self) -> Result<(Scope, Self), String> {
        let network = |text: &str| match text.trim() {
            "" => Ok((None, String::new())),
            text => text
                .parse::<Network>()
                .map(|network| (Some(network.mapped()), network.to_string())),
        };
        let (actor, actor_text) = network(&self.actor)?;
        let (target, target_text) = network(&self.target)?;
        let behaviour = match self.behaviour.trim() {
            "" => None,
            text => Some(behaviour(text)?),
        };
        let service = match self.service.trim() {
            "" => None,
            text => Some(service(text)?),
        };
        let text = Self {
            actor: actor_text,
            target: target_text,
            behaviour: behaviour.map(Behaviour::label).unwrap_or_default().to_owned(),
            service: service.clone().unwrap_or_default(),
        };
        let scope = Scope {
            actor,
            target,
            behaviour,
            service,
        };
        if scope.is_empty() {
            return Err(
                "a suppression needs a scope: an actor, a target, a behaviour, a service, or several of them"
                    .to_owned(),
            );
        }
        Ok((scope, text))
    }
}
