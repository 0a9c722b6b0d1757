//! How much of what was written to a TCP connection the other side has not acknowledged yet: one system call. It must never
//! be asked of anything but a socket.

use std::{io, net::TcpStream, os::fd::AsRawFd};

/// Bytes that the peer's kernel has not acknowledged (`SIOCOUTQ`, tcp(7)).
#[expect(
    unsafe_code,
    reason = "there is no safe way to this system call in the standard library"
)]
pub(super) fn bytes(stream: &TcpStream) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `stream` is borrowed; the call writes one int to where the pointer points.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 {
        Ok(u64::try_from(bytes).unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}
