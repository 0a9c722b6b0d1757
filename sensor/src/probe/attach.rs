//! Attaches the programs to interfaces and takes them off again.
//! It must never replace another program: a taken hook is reported, and the next hook is tried.

use std::collections::BTreeMap;

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
    links::Link as _,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions},
    xdp::XdpLink,
};
use sensor_common::{
    counter::IfaceCounters,
    layout::{IFACE_L3, IFACE_PROBES, IFACES, IfaceSlot},
};

use super::{
    Probe, ProbeError,
    error::chain,
    kernel,
    mapping::write_u32,
    netlink::{self, Link},
};

/// Which ingress hook the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// The best that works: native XDP, then generic XDP, then TC.
    #[default]
    Auto,
    /// Native XDP or nothing.
    Native,
    /// Generic XDP or nothing.
    Generic,
    /// TC or nothing.
    Tcx,
}

/// The hook in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// XDP in the driver.
    Native,
    /// XDP after the driver, on socket buffers.
    Generic,
    /// TC by `bpf_link` (Linux 6.6).
    Tcx,
    /// TC by netlink.
    Clsact,
}

impl Mode {
    /// All modes, for metrics.
    pub const ALL: [Self; 4] = [Self::Native, Self::Generic, Self::Tcx, Self::Clsact];

    /// The value of the `mode` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// Where the sensor is attached on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub ifindex: u32,
    /// Slot number that flow keys carry.
    pub slot: u16,
    /// Ingress hook.
    pub ingress: Mode,
    /// Egress hook, if egress is counted.
    pub egress: Option<Mode>,
    /// Why a better hook was not taken, for the operator.
    pub notes: Vec<String>,
}

/// Links that keep the programs attached; dropping one detaches.
#[derive(Debug, Default)]
pub(super) struct Links {
    attachments: Vec<Attachment>,
    held: Vec<Held>,
    /// By slot: the last interface that had it, and what earlier ones had left in its counters. At most one for each
    /// of the `IFACES` slots.
    owners: BTreeMap<u16, (u32, IfaceCounters)>,
}

#[derive(Debug)]
enum Held {
    Xdp(u32, XdpLink),
    Tc(u32, SchedClassifierLink),
}

impl Held {
    fn ifindex(&self) -> u32 {
        match self {
            Self::Xdp(ifindex, _) | Self::Tc(ifindex, _) => *ifindex,
        }
    }

    fn detach(self) -> Result<(), ProgramError> {
        match self {
            Self::Xdp(_, link) => link.detach(),
            Self::Tc(_, link) => link.detach(),
        }
    }
}

impl Links {
    pub(super) fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// What the counters of a slot held before its interface came.
    pub(super) fn inherited(&self, slot: u16) -> IfaceCounters {
        self.owners
            .get(&slot)
            .map_or_else(IfaceCounters::default, |(_, counters)| *counters)
    }
}

impl Probe {
    /// Attaches to an interface; does nothing if it is attached already.
    ///
    /// # Errors
    /// The interface does not exist, every allowed hook is taken or refused (each with its reason), or there is no
    /// interface slot left.
    pub fn attach(&mut self, name: &str) -> Result<Attachment, ProbeError> {
        let link = netlink::link(name)?;
        if let Some(held) = self
            .links
            .attachments
            .iter()
            .find(|held| held.ifindex == link.ifindex)
        {
            return Ok(held.clone());
        }
        // The same name with another index: the old device is gone.
        self.detach(name);
        let slot = self.take_slot(&link)?;
        self.own(slot, link.ifindex);
        match self.attach_hooks(&link, slot) {
            Ok(attachment) => {
                self.links.attachments.push(attachment.clone());
                Ok(attachment)
            }
            Err(error) => {
                self.drop_links(link.ifindex);
                self.free_slot(slot);
                Err(error)
            }
        }
    }

    /// Detaches from an interface; does nothing if it is not attached.
    pub fn detach(&mut self, name: &str) {
        let Some(at) = self.links.attachments.iter().position(|held| held.name == name) else {
            return;
        };
        let attachment = self.links.attachments.remove(at);
        self.drop_links(attachment.ifindex);
        self.free_slot(attachment.slot);
    }

    /// Tells the programs of a changed MTU.
    pub fn changed(&mut self, link: &Link) {
        if let Some(held) = self
            .links
            .attachments
            .iter()
            .find(|held| held.ifindex == link.ifindex)
        {
            self.write_slot(held.slot, link);
        }
    }

    fn attach_hooks(&mut self, link: &Link, slot: u16) -> Result<Attachment, ProbeError> {
        let mut notes = Vec::new();
        let (ingress, held) = self.attach_ingress(link, &mut notes)?;
        self.links.held.push(held);
        let mut egress = None;
        if self.settings.egress {
            let program = self.tc_program("sensor_egress")?;
            let (mode, held) =
                attach_tc(program, "sensor_egress", link, TcAttachType::Egress).map_err(|reason| {
                    ProbeError::HookTaken {
                        name: link.name.clone(),
                        reasons: format!("egress: {reason}"),
                    }
                })?;
            self.links.held.push(held);
            egress = Some(mode);
        }
        Ok(Attachment {
            name: link.name.clone(),
            ifindex: link.ifindex,
            slot,
            ingress,
            egress,
            notes,
        })
    }

    fn attach_ingress(&mut self, link: &Link, notes: &mut Vec<String>) -> Result<(Mode, Held), ProbeError> {
        let wanted = self.settings.mode;
        let xdp_free = link.xdp.is_empty();
        if !xdp_free && wanted != AttachMode::Tcx {
            notes.push(holders(link));
        }
        if xdp_free && matches!(wanted, AttachMode::Auto | AttachMode::Native) {
            for program in ["sensor_xdp", "sensor_xdp_frag"] {
                match self.attach_xdp(program, link, XdpMode::Driver) {
                    Ok(held) => return Ok((Mode::Native, held)),
                    Err(reason) => notes.push(format!("native XDP ({program}): {reason}")),
                }
            }
        }
        if xdp_free && matches!(wanted, AttachMode::Auto | AttachMode::Generic) {
            match self.attach_xdp("sensor_xdp", link, XdpMode::Skb) {
                Ok(held) => return Ok((Mode::Generic, held)),
                Err(reason) => notes.push(format!("generic XDP: {reason}")),
            }
        }
        if matches!(wanted, AttachMode::Auto | AttachMode::Tcx) {
            let program = self.tc_program("sensor_ingress")?;
            match attach_tc(program, "sensor_ingress", link, TcAttachType::Ingress) {
                Ok(done) => return Ok(done),
                Err(reason) => notes.push(format!("TC: {reason}")),
            }
        }
        Err(ProbeError::HookTaken {
            name: link.name.clone(),
            reasons: notes.join("; "),
        })
    }

    fn attach_xdp(&mut self, program: &'static str, link: &Link, mode: XdpMode) -> Result<Held, String> {
        self.need(|name| name == program)
            .map_err(|error| error.to_string())?;
        let program: &mut Xdp = self
            .ebpf
            .program_mut(program)
            .ok_or("not in the object")?
            .try_into()
            .map_err(|error: ProgramError| chain(&error))?;
        let id = program
            .attach_to_if_index(link.ifindex, mode)
            .map_err(|error| chain(&error))?;
        let taken = program.take_link(id).map_err(|error| chain(&error))?;
        Ok(Held::Xdp(link.ifindex, taken))
    }

    fn tc_program(&mut self, name: &'static str) -> Result<&mut SchedClassifier, ProbeError> {
        self.need(|other| other == name)?;
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(ProbeError::Object { what: name })?;
        program
            .try_into()
            .map_err(|error| ProbeError::program(name, &error))
    }

    fn drop_links(&mut self, ifindex: u32) {
        let (gone, kept) = self
            .links
            .held
            .drain(..)
            .partition(|held| held.ifindex() == ifindex);
        self.links.held = kept;
        for held in Vec::<Held>::into_iter(gone) {
            // A device that vanished took its programs along.
            if let Err(error) = held.detach() {
                tracing::debug!(%error, ifindex, "detaching");
            }
        }
    }

    fn take_slot(&self, link: &Link) -> Result<u16, ProbeError> {
        for probe in 0..IFACE_PROBES {
            let slot = ((link.ifindex + probe) & (IFACES - 1)) as u16;
            // Slot 0 is for interfaces the agent does not know.
            if slot != 0 && !self.links.attachments.iter().any(|held| held.slot == slot) {
                self.write_slot(slot, link);
                return Ok(slot);
            }
        }
        Err(ProbeError::NoSlot {
            name: link.name.clone(),
        })
    }

    /// Counters are never reset: an interface that gets the slot of another one begins where that one ended.
    fn own(&mut self, slot: u16, ifindex: u32) {
        if self
            .links
            .owners
            .get(&slot)
            .is_none_or(|(owner, _)| *owner != ifindex)
        {
            let before = self.slot_counters(slot);
            self.links.owners.insert(slot, (ifindex, before));
        }
    }

    fn write_slot(&self, slot: u16, link: &Link) {
        let flags = if link.ethernet { 0 } else { IFACE_L3 };
        self.put(
            slot,
            IfaceSlot {
                ifindex: link.ifindex,
                mtu: link.mtu,
                flags,
                pad: 0,
            },
        );
    }

    fn free_slot(&self, slot: u16) {
        self.put(slot, IfaceSlot::default());
    }

    /// Writes a slot so that a program never sees the index of one interface with the facts of another.
    fn put(&self, slot: u16, value: IfaceSlot) {
        let Some(control) = self.control.get(0) else {
            return;
        };
        let base = control.as_ptr();
        #[expect(unsafe_code, reason = "addresses of fields of shared memory")]
        // SAFETY: `slot` is below IFACES (take_slot), so the fields lie within the mapped control element; only
        // addresses are formed here.
        let fields = unsafe {
            let entry = (&raw mut (*base).ifaces)
                .cast::<IfaceSlot>()
                .add(usize::from(slot));
            [
                &raw mut (*entry).ifindex,
                &raw mut (*entry).mtu,
                &raw mut (*entry).flags,
            ]
        };
        let [Some(ifindex), Some(mtu), Some(flags)] = fields.map(std::ptr::NonNull::new) else {
            return;
        };
        write_u32(ifindex, 0);
        write_u32(mtu, value.mtu);
        write_u32(flags, value.flags);
        write_u32(ifindex, value.ifindex);
    }
}

/// Attaches to TC: by link in front of other programs where the kernel has TCX, else by netlink.
fn attach_tc(
    program: &mut SchedClassifier,
    name: &str,
    link: &Link,
    direction: TcAttachType,
) -> Result<(Mode, Held), String> {
    let (mode, options) = if kernel::at_least(6, 6) {
        // In front: a program before us could end the chain. Ours always hands on.
        (Mode::Tcx, TcAttachOptions::TcxOrder(LinkOrder::first()))
    } else {
        // Filters set by netlink outlive a killed process: clear what an earlier run left, then attach.
        if let Err(error) = tc::qdisc_add_clsact(&link.name) {
            tracing::debug!(%error, interface = link.name, "adding the clsact qdisc");
        }
        if tc::qdisc_detach_program(&link.name, direction, name).is_ok() {
            tracing::info!(interface = link.name, "removed a filter that an earlier run left");
        }
        (Mode::Clsact, TcAttachOptions::Netlink(NlOptions::default()))
    };
    let id = program
        .attach_with_options(&link.name, direction, options)
        .map_err(|error| chain(&error))?;
    let taken = program.take_link(id).map_err(|error| chain(&error))?;
    Ok((mode, Held::Tc(link.ifindex, taken)))
}

/// Who holds the XDP hook, in words.
fn holders(link: &Link) -> String {
    let held: Vec<String> = link
        .xdp
        .iter()
        .map(|(mode, id)| format!("{} ({mode}, id {id})", kernel::program_name(*id)))
        .collect();
    format!("XDP hook held by {}", held.join(", "))
}
