//! What was read of each input, and what was not: totals, link types, interfaces, damage with its offset.
//! It must never grow with the input: past a bound, damage and link types are only counted.

use std::collections::BTreeMap;
use std::fmt;

/// Places of damage that are kept for each input; further ones are counted.
pub const MAX_DAMAGE: usize = 64;
/// Interfaces that are told apart within one input; further ones count as the last.
pub const MAX_INTERFACES: usize = 1024;

/// What was read of all inputs, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// One entry for each input.
    pub inputs: Vec<InputReport>,
}

impl ReadReport {
    /// Frames in all inputs, those of unsupported link types included.
    pub fn frames(&self) -> u64 {
        self.inputs.iter().map(|input| input.frames).sum()
    }

    /// Whether anything was damaged: exit code 3.
    pub fn is_damaged(&self) -> bool {
        self.inputs.iter().any(|input| !input.damage.is_empty())
    }

    /// What a person should know, one sentence a line.
    pub fn warnings(&self) -> Vec<String> {
        self.inputs.iter().flat_map(InputReport::warnings).collect()
    }
}

/// What was read of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputReport {
    /// Path as it was given; `-` is standard input.
    pub name: String,
    /// Frames in the file, those of unsupported link types included.
    pub frames: u64,
    /// Bytes of the uncompressed stream.
    pub bytes: u64,
    /// Frames of link types that are not supported, by link type; they were not handed on.
    pub unsupported: BTreeMap<u16, u64>,
    /// Frames without a time of their own (pcapng simple packet blocks); they have the time of the frame before.
    pub without_time: u64,
    /// Frames that are earlier than the frame before them.
    pub backwards: u64,
    /// Interfaces that the file describes, in order of appearance.
    pub interfaces: Vec<Interface>,
    /// Where the input could not be read, the first [`MAX_DAMAGE`] places.
    pub damage: Vec<Damage>,
    /// Further places.
    pub damage_beyond: u64,
}

/// An interface that frames were captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, where the file has it (`if_name` of pcapng).
    pub name: Option<String>,
    /// Link type of its frames.
    pub link_type: u16,
    /// Index that the capturing host gave it, where frames carry it (Linux cooked version 2); else 0.
    pub index: u32,
}

/// A place where an input could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the uncompressed stream.
    pub offset_bytes: u64,
    /// What was found there.
    pub what: What,
    /// Bytes of the uncompressed stream that were passed over.
    pub lost_bytes: u64,
}

/// What was found where an input could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The input ends within a record.
    Truncated,
    /// A record header that cannot be one; reading went on at the next that can.
    BadRecord,
    /// A block that is framed well and means nothing.
    BadBlock,
    /// A packet of an interface that was never described.
    UnknownInterface {
        /// Its number in the section.
        interface: u32,
    },
    /// The input could not be read on: the operating system or the decompressor said so.
    Unreadable {
        /// In its words.
        why: String,
    },
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("the file ends in the middle of a record"),
            Self::BadRecord => formatter.write_str("no record begins here"),
            Self::BadBlock => formatter.write_str("a block with impossible contents"),
            Self::UnknownInterface { interface } => {
                write!(
                    formatter,
                    "a packet of interface {interface}, which is not described"
                )
            }
            Self::Unreadable { why } => write!(formatter, "it cannot be read any further: {why}"),
        }
    }
}

impl InputReport {
    fn warnings(&self) -> Vec<String> {
        let name = &self.name;
        let mut lines: Vec<String> = self
            .damage
            .iter()
            .map(|damage| {
                let Damage {
                    offset_bytes,
                    what,
                    lost_bytes,
                } = damage;
                format!(
                    "{name}: at byte {offset_bytes} of the uncompressed data {what}; {lost_bytes} bytes lost"
                )
            })
            .collect();
        if self.damage_beyond > 0 {
            lines.push(format!(
                "{name}: damaged in {} further places",
                self.damage_beyond
            ));
        }
        for (link_type, frames) in &self.unsupported {
            lines.push(format!(
                "{name}: {frames} frames of link type {link_type} left out: only Ethernet, Linux cooked, raw IP and \
                 loopback captures are understood"
            ));
        }
        if self.without_time > 0 {
            lines.push(format!(
                "{name}: {} frames have no time of their own and took that of the frame before",
                self.without_time
            ));
        }
        lines
    }

    pub(super) fn damaged(&mut self, offset_bytes: u64, what: What, lost_bytes: u64) {
        if self.damage.len() < MAX_DAMAGE {
            self.damage.push(Damage {
                offset_bytes,
                what,
                lost_bytes,
            });
        } else {
            self.damage_beyond += 1;
        }
    }

    /// Index of an interface, the same one for the same description.
    pub(super) fn interface(&mut self, interface: Interface) -> u16 {
        let known = self.interfaces.iter().position(|known| *known == interface);
        let index = known.unwrap_or_else(|| {
            if self.interfaces.len() < MAX_INTERFACES {
                self.interfaces.push(interface);
            }
            self.interfaces.len() - 1
        });
        index as u16
    }
}
