//! The `sensor` binary: prepares the process while it has one thread, then hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    prepare();
    sensor::cli::main()
}

/// Settings of libraries that read them once, at their first use.
fn prepare() {
    // One thread for candle: with two on a busy host its barriers spin, and scoring is slower by a factor of 40.
    // SAFETY: the process has one thread yet, so nobody reads the environment at the same time.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    // glibc returns every block over 128 KiB to the kernel and asks for it again at the next tensor.
    #[cfg(target_env = "gnu")]
    {
        const THRESHOLD_BYTES: libc::c_int = 4 << 20;
        // SAFETY: mallopt only stores the number, and nothing else runs yet.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD_BYTES) };
    }
}
