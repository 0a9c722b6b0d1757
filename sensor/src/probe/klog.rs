//! Log lines of the kernel programs (aya-log): rare events only, such as a table that begins to overflow.
//! It must never be on the path of a packet.

use aya_log::EbpfLogger;
use log::Log;
use tokio::io::{Interest, unix::AsyncFd};

use super::ProbeError;

/// The programs' log, to be forwarded to the agent's.
pub struct KernelLog {
    logger: EbpfLogger<&'static dyn Log>,
}

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KernelLog").finish_non_exhaustive()
    }
}

impl KernelLog {
    pub(super) fn new(ebpf: &mut aya::Ebpf) -> Result<Self, ProbeError> {
        let logger = EbpfLogger::init(ebpf).map_err(|error| ProbeError::load("the log ring", &error))?;
        Ok(Self { logger })
    }

    /// Forwards lines until the runtime ends.
    ///
    /// # Errors
    /// When the ring cannot be polled.
    pub async fn forward(self) -> Result<(), ProbeError> {
        let failed = |source| ProbeError::from_io("reading the kernel log ring", source);
        #[expect(unsafe_code, reason = "registration with the runtime's poller")]
        // SAFETY: the logger owns its descriptor, gives the same one at every call and is dropped after the AsyncFd
        // has deregistered it.
        let ring = unsafe { AsyncFd::register_with_interest(self.logger, Interest::READABLE) };
        let mut ring = ring.map_err(|error| failed(error.into_parts().1))?;
        loop {
            let mut ready = ring.readable_mut().await.map_err(failed)?;
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    }
}
