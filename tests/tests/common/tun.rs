//! A tun device: packets without a link layer, written by the test as if a tunnel had received them.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::fd::AsRawFd as _,
};

/// The device lives as long as this value.
#[derive(Debug)]
pub struct Tun(File);

impl Tun {
    /// Makes the device in the calling thread's namespace.
    pub fn create(name: &str) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .unwrap();
        // SAFETY: an ifreq is plain data, for which all zeros is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (target, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *target = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one ifreq, which lives through the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert_eq!(result, 0, "making {name}: {}", std::io::Error::last_os_error());
        Self(file)
    }

    /// Lets the device receive one IP packet.
    pub fn write(&self, packet: &[u8]) {
        assert_eq!((&self.0).write(packet).unwrap(), packet.len());
    }
}
