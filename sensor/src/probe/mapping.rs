//! Memory-mapped BPF arrays: the only place that touches shared kernel memory.
//! It must never hand out a reference to memory that the kernel writes at the same time: elements of the active half
//! are read word by word, references are given for the idle half only.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    marker::PhantomData,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{Ordering, fence},
};

use bytemuck::Pod;

use super::ProbeError;

/// A shared mapping of `len` elements of a BPF array whose element size is a multiple of eight.
#[derive(Debug)]
pub(super) struct Mapping<T> {
    base: NonNull<T>,
    len: usize,
    bytes: usize,
    _element: PhantomData<T>,
}

// SAFETY: the mapping is plain shared memory owned by this value; it is not tied to a thread.
unsafe impl<T: Pod + Send> Send for Mapping<T> {}

impl<T: Pod> Mapping<T> {
    /// Maps `len` elements from element `first` on. The byte offset must be a multiple of the page size.
    pub(super) fn new(fd: BorrowedFd<'_>, what: &str, first: usize, len: usize) -> Result<Self, ProbeError> {
        const {
            assert!(
                size_of::<T>().is_multiple_of(8),
                "array elements are rounded up to eight bytes"
            );
        };
        let page = page_size();
        let bytes = (len * size_of::<T>()).next_multiple_of(page);
        let offset = first * size_of::<T>();
        // SAFETY: a new mapping of a BPF array's memory; the kernel checks length and offset against the map.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(ProbeError::sys(format!("mapping {what} ({bytes} bytes)")));
        }
        let Some(base) = NonNull::new(base.cast()) else {
            return Err(ProbeError::sys(format!("mapping {what}")));
        };
        Ok(Self {
            base,
            len,
            bytes,
            _element: PhantomData,
        })
    }

    /// A pointer to an element; `None` past the end.
    pub(super) fn get(&self, index: usize) -> Option<NonNull<T>> {
        if index >= self.len {
            return None;
        }
        // SAFETY: within the mapping.
        Some(unsafe { self.base.add(index) })
    }

    /// A copy of an element, word by word, while the kernel may be writing it: each word is whole, the element as a
    /// whole need not be.
    pub(super) fn read(&self, index: usize) -> Option<T> {
        let element = self.get(index)?;
        let mut value = T::zeroed();
        let words = bytemuck::bytes_of_mut(&mut value);
        for (word, chunk) in words.chunks_exact_mut(8).enumerate() {
            // SAFETY: within the element, aligned to eight because elements are.
            let bits = unsafe { element.cast::<u64>().add(word).read_volatile() };
            chunk.copy_from_slice(&bits.to_ne_bytes());
        }
        Some(value)
    }

    /// The elements as a slice, for a half that no program writes any more.
    pub(super) fn idle(&mut self) -> &mut [T] {
        fence(Ordering::Acquire);
        // SAFETY: the caller flipped the epoch and waited a grace period (`Drainer::drain`), so nobody else writes
        // these elements; T is plain data; the exclusive borrow keeps other views away.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, unmapped once. Failure would mean a bug; there is nothing to do about it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Asks the memory for a value that will be read soon; does nothing where the compiler offers no such instruction.
#[inline(always)]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        let first = std::ptr::from_ref(value).cast::<i8>();
        for line in 0..size_of::<T>().div_ceil(LINE) {
            // SAFETY: a prefetch reads nothing and cannot fault, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line * LINE)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Writes one word of a shared element.
pub(super) fn write_u32(target: NonNull<u32>, value: u32) {
    fence(Ordering::Release);
    // SAFETY: `target` points into a live mapping (callers keep it); programs read the word by itself.
    unsafe { target.write_volatile(value) };
}

/// Writes a double word of a shared element.
pub(super) fn write_u64(target: NonNull<u64>, value: u64) {
    fence(Ordering::Release);
    // SAFETY: as for `write_u32`.
    unsafe { target.write_volatile(value) };
}

/// Bytes of a page.
pub(super) fn page_size() -> usize {
    // SAFETY: a query without arguments that can fail.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
