//! What can go wrong on the kernel side, with the fix in every message and the exit code it leads to.
//! It must never hide the kernel's own words.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

/// An error of the kernel side.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process may not use BPF.
    #[error(
        "no permission to {op}: {source}. Run as root, or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON \
         (`sensor doctor` shows which are missing)"
    )]
    NoPrivilege {
        /// What was tried.
        op: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no such interface.
    #[error("interface {name:?} does not exist. Interfaces here: {known}")]
    UnknownInterface {
        /// The name that was asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// Every hook that could be used is taken or refused.
    #[error("cannot attach to {name}: {reasons}. Detach the other program or choose another interface")]
    HookTaken {
        /// The interface.
        name: String,
        /// One reason per mode that was tried.
        reasons: String,
    },
    /// More interfaces than slots, or an unlucky set of interface indices.
    #[error("cannot watch {name}: all interface slots near its index are in use. Watch fewer interfaces")]
    NoSlot {
        /// The interface.
        name: String,
    },
    /// The kernel refused the object or a program.
    #[error("the kernel refused to load {what}: {reason}. `sensor doctor` shows which feature is missing")]
    Load {
        /// Object or program.
        what: String,
        /// The kernel's words, the verifier's last lines included.
        reason: String,
    },
    /// A map of the object is missing: object and agent do not fit.
    #[error(
        "the BPF object has no {what:?}: it was not built with this sensor. Build both with `cargo xtask build`"
    )]
    Object {
        /// Map or program.
        what: &'static str,
    },
    /// A system call failed.
    #[error("{op} failed: {source}")]
    Sys {
        /// The call and what it was for.
        op: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl ProbeError {
    /// Exit code of the contract (DESIGN section 7).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownInterface { .. } | Self::NoSlot { .. } => 2,
            Self::NoPrivilege { .. } | Self::Load { .. } | Self::HookTaken { .. } => 4,
            Self::Object { .. } | Self::Sys { .. } => 1,
        }
    }

    pub(crate) fn sys(op: impl Into<String>) -> Self {
        Self::from_io(op, io::Error::last_os_error())
    }

    pub(crate) fn from_io(op: impl Into<String>, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NoPrivilege {
                op: op.into(),
                source,
            },
            _ => Self::Sys {
                op: op.into(),
                source,
            },
        }
    }

    pub(crate) fn load(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(source) = permission(error) {
            return Self::NoPrivilege {
                op: format!("load {what}"),
                source,
            };
        }
        Self::Load {
            what: what.to_owned(),
            reason: chain(error),
        }
    }

    pub(crate) fn program(what: &str, error: &ProgramError) -> Self {
        Self::load(what, error)
    }
}

/// The permission error at the root of a chain, if that is what it is.
fn permission(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let code = match error.downcast_ref::<io::Error>() {
            Some(io) => io.raw_os_error(),
            None => known(error),
        };
        // EACCES is the verifier's word for a program it refuses, EPERM the one for missing rights.
        if code == Some(libc::EPERM) {
            return Some(io::Error::from_raw_os_error(libc::EPERM));
        }
        next = error.source();
    }
    None
}

/// aya keeps some I/O errors in fields instead of the source chain.
fn known(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(MapError::CreateError { io_error, .. }) = error.downcast_ref() {
        return io_error.raw_os_error();
    }
    if let Some(ProgramError::LoadError { io_error, .. }) = error.downcast_ref() {
        return io_error.raw_os_error();
    }
    if let Some(EbpfError::MapError(MapError::CreateError { io_error, .. })) = error.downcast_ref() {
        return io_error.raw_os_error();
    }
    None
}

/// All causes in one line, the verifier's log cut to its end.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    const LONGEST: usize = 2_000;
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    let total = text.chars().count();
    if total <= LONGEST {
        return text;
    }
    let tail: String = text.chars().skip(total - LONGEST).collect();
    format!("… {tail}")
}
