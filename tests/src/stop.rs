//! One flag that ends everything: set by the caller, by Ctrl-C or by SIGTERM.
//!
//! The signal handler only stores to an atomic; all cleaning up happens in ordinary code that watches the flag. Must
//! never end the process by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set by the signal handler, seen by every [`Stop`].
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// How long a sleeping generator may take to see the flag.
const POLL: Duration = Duration::from_millis(20);

/// A flag shared by the threads of one run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks every holder of this flag to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to end now.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) || signalled()
    }

    /// Sleeps for `time` or until asked to stop; true when the whole time has passed.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(POLL));
        }
        false
    }
}

/// Whether Ctrl-C or SIGTERM has arrived since [`catch_signals`].
pub fn signalled() -> bool {
    SIGNALLED.load(Ordering::Relaxed)
}

/// Turns SIGINT, SIGTERM and SIGHUP into [`Stop::requested`] instead of the end of the process.
pub fn catch_signals() {
    extern "C" fn handler(_signal: libc::c_int) {
        SIGNALLED.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler has the C signature that signal(2) expects, lives for the whole program and does
        // nothing but one relaxed atomic store, which is async-signal-safe.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
}
