//! Loads the object and its programs, sizes the maps, and hands the tables to a [`Drainer`].
//! It must never leave anything behind in the kernel: maps and programs live as long as these values.

use std::{os::fd::AsFd as _, panic::resume_unwind, thread};

use aya::{
    Ebpf, EbpfLoader,
    maps::Map,
    programs::{Program, ProgramError, SchedClassifier, Xdp},
};
use sensor_common::{
    counter::IfaceCounters,
    hash::Seed,
    layout::{ABI_VERSION, CLOCK_KTIME, Control, IFACES, Layout},
};

use super::{
    AttachMode, Attachment, Drainer, KernelLog, OBJECT, ProbeError,
    attach::Links,
    grace::GracePeriod,
    kernel,
    mapping::{Mapping, write_u64},
};

/// How the programs are loaded.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// Memory for the flow table, all CPUs and both epochs together, in bytes.
    pub table_bytes: u64,
    /// Which hook to use for ingress.
    pub mode: AttachMode,
    /// Whether to count egress, too.
    pub egress: bool,
    /// Whether programs report rare events through the log ring.
    pub kernel_log: bool,
    /// Clock of the programs (`sensor_common::layout::CLOCK_KTIME` and others).
    pub clock: u32,
    /// Secret of the hashes; drawn from the kernel's random source if `None`.
    pub seed: Option<Seed>,
    /// Further load-time constants, for the benchmark's object.
    #[doc(hidden)]
    pub globals: Vec<(&'static str, u32)>,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            table_bytes: 32 << 20,
            mode: AttachMode::Auto,
            egress: true,
            kernel_log: true,
            clock: CLOCK_KTIME,
            seed: None,
            globals: Vec::new(),
        }
    }
}

/// Run time of one program, counted by the kernel while its statistics are on (`kernel.bpf_stats_enabled`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStats {
    /// Name of the program.
    pub name: String,
    /// Nanoseconds it ran.
    pub run_ns: u64,
    /// How often it ran.
    pub runs: u64,
}

/// The loaded programs and their links.
#[derive(Debug)]
pub struct Probe {
    pub(super) ebpf: Ebpf,
    pub(super) settings: ProbeSettings,
    pub(super) control: Mapping<Control>,
    ifaces: Mapping<IfaceCounters>,
    layout: Layout,
    pub(super) links: Links,
    log: Option<KernelLog>,
}

/// Programs of the object: name, and whether it is an XDP program.
pub(super) const PROGRAMS: [(&str, bool); 4] = [
    ("sensor_xdp", true),
    ("sensor_xdp_frag", true),
    ("sensor_egress", false),
    ("sensor_ingress", false),
];

impl Probe {
    /// Maps the tables and loads the programs that most interfaces take; the others are loaded when an interface
    /// needs them ([`Self::attach`]), because the verifier's work is most of the time to start.
    ///
    /// # Errors
    /// Missing privilege or kernel feature, with the way out.
    pub fn load(settings: &ProbeSettings) -> Result<(Self, Drainer), ProbeError> {
        let (mut probe, drainer) = Self::prepare(OBJECT, settings)?;
        let ingress = if settings.mode == AttachMode::Tcx {
            "sensor_ingress"
        } else {
            "sensor_xdp"
        };
        let egress = settings.egress.then_some("sensor_egress");
        probe.need(|name| name == ingress || Some(name) == egress)?;
        Ok((probe, drainer))
    }

    /// Loads all programs of a build, for benchmarks and for tests that run programs without attaching them.
    ///
    /// # Errors
    /// As [`Self::load`].
    #[doc(hidden)]
    pub fn load_object(object: &[u8], settings: &ProbeSettings) -> Result<(Self, Drainer), ProbeError> {
        let (mut probe, drainer) = Self::prepare(object, settings)?;
        probe.need(|_| true)?;
        Ok((probe, drainer))
    }

    /// Makes the maps; no program is loaded yet.
    fn prepare(object: &[u8], settings: &ProbeSettings) -> Result<(Self, Drainer), ProbeError> {
        kernel::raise_memlock();
        let layout = Layout::fit(settings.table_bytes, kernel::possible_cpus()?);
        let pairs = layout.pairs();
        let log_level = u32::from(settings.kernel_log);
        let mut loader = EbpfLoader::new();
        loader
            .map_max_entries("FLOWS", layout.table_entries())
            .map_max_entries("OVERFLOW", layout.cell_entries())
            .map_max_entries("BOOKS", 2 * layout.cpus)
            .map_max_entries("SCRATCH", layout.cpus)
            .map_max_entries("IFACES", layout.cpus * IFACES)
            .override_global("CPUS", &layout.cpus, true)
            .override_global("PAIRS", &pairs, true)
            .override_global("CLOCK", &settings.clock, true)
            .override_global("KERNEL_LOG", &log_level, true);
        for (name, value) in &settings.globals {
            loader.override_global(name, value, true);
        }
        let mut ebpf = loader
            .load(object)
            .map_err(|error| ProbeError::load("the BPF object", &error))?;
        let control = Mapping::new(map(&ebpf, "CONTROL")?, "the control map", 0, 1)?;
        let seed = settings.seed.map_or_else(kernel::random_seed, Ok)?;
        initialise(&control, seed)?;
        let ifaces = Mapping::new(
            map(&ebpf, "IFACES")?,
            "the interface counters",
            0,
            (layout.cpus * IFACES) as usize,
        )?;
        let drainer = Drainer::new(
            map(&ebpf, "FLOWS")?,
            map(&ebpf, "OVERFLOW")?,
            map(&ebpf, "BOOKS")?,
            map(&ebpf, "CONTROL")?,
            layout,
            GracePeriod::choose()?,
        )?;
        let log = settings
            .kernel_log
            .then(|| KernelLog::new(&mut ebpf))
            .transpose()?;
        let links = Links::default();
        Ok((
            Self {
                ebpf,
                settings: settings.clone(),
                control,
                ifaces,
                layout,
                links,
                log,
            },
            drainer,
        ))
    }

    /// Loads the wanted programs that are not loaded yet, side by side: each keeps the verifier busy for a while.
    pub(super) fn need(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), ProbeError> {
        thread::scope(|scope| {
            let missing = self
                .ebpf
                .programs_mut()
                .filter(|(name, program)| wanted(name) && program.fd().is_err());
            let loads: Vec<_> = missing
                .map(|(name, program)| scope.spawn(move || load_program(name, program)))
                .collect();
            loads
                .into_iter()
                .try_for_each(|load| load.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }

    /// What is attached where.
    pub fn attachments(&self) -> &[Attachment] {
        self.links.attachments()
    }

    /// Sizes of the tables.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The programs' log, once.
    pub fn take_kernel_log(&mut self) -> Option<KernelLog> {
        self.log.take()
    }

    /// Traffic of each attached interface since it was first attached, all CPUs.
    pub fn interface_counters(&self) -> Vec<(String, IfaceCounters)> {
        self.attachments()
            .iter()
            .map(|attachment| {
                let now = self.slot_counters(attachment.slot);
                let before = self.links.inherited(attachment.slot);
                (attachment.name.clone(), since(now, before))
            })
            .collect()
    }

    pub(super) fn slot_counters(&self, slot: u16) -> IfaceCounters {
        let mut sum = IfaceCounters::default();
        for cpu in 0..self.layout.cpus {
            if let Some(part) = self.ifaces.read((cpu * IFACES + u32::from(slot)) as usize) {
                sum.receive_packets += part.receive_packets;
                sum.receive_bytes += part.receive_bytes;
                sum.transmit_packets += part.transmit_packets;
                sum.transmit_bytes += part.transmit_bytes;
            }
        }
        sum
    }

    /// Run time of the programs that are loaded; zero while the kernel's statistics are off.
    pub fn program_stats(&self) -> Vec<ProgramStats> {
        let mut stats = Vec::new();
        for (name, is_xdp) in PROGRAMS {
            let info = if is_xdp {
                self.xdp(name).and_then(|program| program.info().ok())
            } else {
                self.classifier(name).and_then(|program| program.info().ok())
            };
            if let Some(info) = info {
                stats.push(ProgramStats {
                    name: name.to_owned(),
                    run_ns: info.run_time().as_nanos() as u64,
                    runs: info.run_count(),
                });
            }
        }
        stats
    }

    /// A loaded XDP program, for attaching and for test runs.
    pub fn xdp(&self, name: &str) -> Option<&Xdp> {
        self.ebpf
            .program(name)
            .and_then(|program| program.try_into().ok())
    }

    /// A loaded TC program, for attaching and for test runs.
    pub fn classifier(&self, name: &str) -> Option<&SchedClassifier> {
        self.ebpf
            .program(name)
            .and_then(|program| program.try_into().ok())
    }

    /// Sets the time of all packets that follow, for programs loaded with `CLOCK_SUPPLIED`.
    #[doc(hidden)]
    pub fn supply_time(&self, now_ns: u64) {
        if let Some(control) = self.control.get(0) {
            // The supplied time is the second double word of the element.
            const { assert!(std::mem::offset_of!(Control, supplied_ns) == 8) };
            #[expect(unsafe_code, reason = "address of a field of shared memory")]
            // SAFETY: within the mapped element, see the assertion.
            write_u64(unsafe { control.cast::<u64>().add(1) }, now_ns);
        }
    }
}

/// What was counted after `before`.
fn since(now: IfaceCounters, before: IfaceCounters) -> IfaceCounters {
    IfaceCounters {
        receive_packets: now.receive_packets.saturating_sub(before.receive_packets),
        receive_bytes: now.receive_bytes.saturating_sub(before.receive_bytes),
        transmit_packets: now.transmit_packets.saturating_sub(before.transmit_packets),
        transmit_bytes: now.transmit_bytes.saturating_sub(before.transmit_bytes),
    }
}

fn initialise(control: &Mapping<Control>, seed: Seed) -> Result<(), ProbeError> {
    let Some(mut element) = control.get(0) else {
        return Err(ProbeError::Object { what: "CONTROL" });
    };
    #[expect(unsafe_code, reason = "the tables are new: no program runs yet")]
    // SAFETY: no program is loaded yet, so nobody else reads or writes the element.
    let element = unsafe { element.as_mut() };
    element.abi = ABI_VERSION;
    element.seed = seed;
    Ok(())
}

fn load_program(name: &str, program: &mut Program) -> Result<(), ProbeError> {
    match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
    .map_err(|error| ProbeError::program(name, &error))
}

fn map<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<std::os::fd::BorrowedFd<'a>, ProbeError> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data.fd().as_fd()),
        _ => Err(ProbeError::Object { what: name }),
    }
}
