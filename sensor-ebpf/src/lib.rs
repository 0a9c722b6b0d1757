//! What the programs share: packet access, maps and the counting of one frame.
//! It must never drop, change or delay a packet, and never loop without a bound.
//!
//! On the host this crate is empty, so that `cargo build --workspace` needs no BPF target.
#![no_std]

#[cfg(target_arch = "bpf")]
pub mod count;
#[cfg(target_arch = "bpf")]
pub mod frame;
#[cfg(target_arch = "bpf")]
pub mod maps;

/// A reachable panic would be an endless loop: the verifier refuses such a program, so none can be reached.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
