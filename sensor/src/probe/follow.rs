//! Follows interfaces as they come, go and change, so that the service can attach and detach.
//! It must never miss a change for good: when the kernel had to drop messages, it lists everything anew.

use tokio::io::unix::AsyncFd;

pub use super::netlink::{Change, Link, link, links};
use super::{ProbeError, netlink, netlink::Route};

/// Hears of changes of links in this network namespace.
#[derive(Debug)]
pub struct Watcher {
    socket: AsyncFd<Route>,
}

impl Watcher {
    /// Begins to listen. Call [`links`] afterwards for what is there already. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the netlink socket cannot be opened.
    pub fn new() -> Result<Self, ProbeError> {
        let route = Route::listen()?;
        #[expect(unsafe_code, reason = "registration with the runtime's poller")]
        // SAFETY: the socket owns its descriptor, gives the same one at every call and is dropped after the AsyncFd
        // has deregistered it.
        let socket = unsafe { AsyncFd::register(route) };
        let socket = socket.map_err(|error| ProbeError::from_io("watching links", error.into_parts().1))?;
        Ok(Self { socket })
    }

    /// Waits for the next changes; after a loss of messages, reports every link as present.
    ///
    /// # Errors
    /// When netlink fails for another reason than lost messages.
    pub async fn next(&mut self) -> Result<Vec<Change>, ProbeError> {
        let failed = |source| ProbeError::from_io("watching links", source);
        loop {
            let mut ready = self.socket.readable().await.map_err(failed)?;
            match ready.try_io(|socket| socket.get_ref().receive()) {
                Ok(Ok(messages)) => {
                    let changes: Vec<_> = messages
                        .into_iter()
                        .filter_map(|message| netlink::change(message.payload))
                        .collect();
                    if !changes.is_empty() {
                        return Ok(changes);
                    }
                }
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(links()?.into_iter().map(Change::Present).collect());
                }
                Ok(Err(error)) => return Err(failed(error)),
                Err(_would_block) => {}
            }
        }
    }
}
