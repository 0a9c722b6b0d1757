//! The only unsafe packet reads of the programs: bounds-checked loads from an XDP frame or a socket buffer.
//! It must never read past `end`, nor write.

use bytemuck::AnyBitPattern;
use sensor_common::packet::Packet;

/// Linear bytes of a frame.
#[derive(Debug)]
pub struct Bytes {
    data: usize,
    end: usize,
    scratch: *mut u64,
}

impl Bytes {
    /// Bytes from `data` to `end` as the context gave them; `scratch` points into a map value.
    #[inline(always)]
    pub fn new(data: usize, end: usize, scratch: *mut u64) -> Self {
        Self { data, end, scratch }
    }

    /// Linear bytes.
    #[inline(always)]
    pub fn linear_len(&self) -> u32 {
        (self.end - self.data) as u32
    }
}

impl Packet for Bytes {
    #[inline(always)]
    fn load<T: AnyBitPattern>(&self, offset: usize) -> Option<T> {
        // Compared as pointers: on plain numbers the compiler may subtract from the end instead, which the verifier
        // does not allow.
        let start = (self.data + offset) as *const u8;
        if start.wrapping_add(size_of::<T>()) > self.end as *const u8 {
            return None;
        }
        // SAFETY: `start` and the bytes of T behind it lie between the context's data and data_end, which the line
        // above checked and the verifier checks again; every bit pattern is a T.
        Some(unsafe { start.cast::<T>().read_unaligned() })
    }

    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        // The verifier forgets what it knew of a value that went through map memory.
        // SAFETY: `scratch` points to a u64 of this CPU's map value, found by a checked lookup.
        unsafe {
            self.scratch.write_volatile(value);
            self.scratch.read_volatile()
        }
    }
}
