//! Waiting until every program that began before now has ended (one RCU grace period).
//! It must never return early: what follows reads and clears memory that those programs write.

#![expect(unsafe_code, reason = "raw system calls")]

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use super::ProbeError;

const MEMBARRIER_CMD_QUERY: libc::c_int = 0;
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;

/// How a grace period is waited for on this kernel.
#[derive(Debug)]
pub(super) enum GracePeriod {
    /// `membarrier(MEMBARRIER_CMD_GLOBAL)`, which is `synchronize_rcu`; needs no privilege.
    Membarrier,
    /// An update of a map in a map, after which the kernel waits for running programs
    /// (`maybe_wait_bpf_programs`, Linux 1ae80cf31938): for kernels with `nohz_full`, where membarrier is refused.
    MapInMap {
        /// The array of maps.
        outer: OwnedFd,
        /// The map that is put into it again and again.
        inner: OwnedFd,
    },
}

impl GracePeriod {
    /// Finds out what this kernel offers.
    pub(super) fn choose() -> Result<Self, ProbeError> {
        // SAFETY: a query without pointers.
        let commands = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) };
        // Kernels that would refuse the command do not name it here; to try it would cost a grace period at start.
        if commands > 0 && commands & libc::c_long::from(MEMBARRIER_CMD_GLOBAL) != 0 {
            return Ok(Self::Membarrier);
        }
        Self::map_in_map()
    }

    pub(super) fn map_in_map() -> Result<Self, ProbeError> {
        let inner = create(BPF_MAP_TYPE_ARRAY, 0)?;
        let outer = create(BPF_MAP_TYPE_ARRAY_OF_MAPS, inner.as_raw_fd() as u32)?;
        Ok(Self::MapInMap { outer, inner })
    }

    /// Returns when all programs that were running at the call have ended.
    pub(super) fn wait(&self) -> Result<(), ProbeError> {
        match self {
            Self::Membarrier => membarrier(),
            Self::MapInMap { outer, inner } => {
                let (key, value) = (0u32, inner.as_raw_fd() as u32);
                let mut attributes = [0u64; 4];
                attributes[0] = u64::from(outer.as_raw_fd() as u32);
                attributes[1] = (&raw const key) as u64;
                attributes[2] = (&raw const value) as u64;
                bpf(BPF_MAP_UPDATE_ELEM, &attributes, "waiting for running programs").map(drop)
            }
        }
    }
}

fn membarrier() -> Result<(), ProbeError> {
    // SAFETY: a system call without pointers.
    if unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) } == 0 {
        return Ok(());
    }
    Err(ProbeError::sys("membarrier"))
}

/// A map with one four-byte element.
fn create(kind: u32, inner_fd: u32) -> Result<OwnedFd, ProbeError> {
    // union bpf_attr: type, key size, value size, max entries, flags, inner map.
    let words: [u32; 8] = [kind, 4, 4, 1, 0, inner_fd, 0, 0];
    let fd = bpf(
        BPF_MAP_CREATE,
        &bytemuck::must_cast::<[u32; 8], [u64; 4]>(words),
        "creating a map",
    )?;
    // SAFETY: the kernel gave a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: libc::c_int, attributes: &[u64; 4], what: &str) -> Result<i32, ProbeError> {
    // SAFETY: `attributes` lives through the call and is as long as said; pointers in it are to live locals of the
    // caller.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of_val(attributes),
        )
    };
    if result < 0 {
        return Err(ProbeError::from_io(what, io::Error::last_os_error()));
    }
    Ok(result as i32)
}
