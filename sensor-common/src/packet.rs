//! How packet bytes are read: one trait, so that the parser is the same code in the kernel and on the host.
//! It must never hand out a reference into packet memory, only plain integers and byte arrays.

use bytemuck::AnyBitPattern;

/// Bounds-checked access to the bytes of one captured frame.
///
/// `AnyBitPattern` makes it a compile error to read an enum, `bool` or reference straight from attacker-chosen
/// bytes.
pub trait Packet {
    /// Copies a `T` from `offset` bytes into the frame, or `None` if the captured bytes end before it does.
    fn load<T: AnyBitPattern>(&self, offset: usize) -> Option<T>;

    /// The same value, with its derivation hidden from the BPF verifier. Where several paths meet, the verifier
    /// would otherwise walk everything that follows once for each possible value. On the host: the identity.
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        value
    }
}

impl Packet for [u8] {
    #[inline(always)]
    fn load<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        bytemuck::try_pod_read_unaligned(self.get(offset..end)?).ok()
    }
}

/// Big-endian 16-bit field at `offset`.
#[inline(always)]
pub fn be16<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<u16> {
    packet.load::<u16>(offset).map(u16::from_be)
}

/// Big-endian 32-bit field at `offset`.
#[inline(always)]
pub fn be32<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<u32> {
    packet.load::<u32>(offset).map(u32::from_be)
}
