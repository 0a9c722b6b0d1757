//! What a program cost from its start to its end: CPU time of all its threads and children, wall time, largest memory.
//!
//! Must never wait for a program that somebody else started.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cost of one run.
#[derive(Clone, Debug)]
pub struct Usage {
    /// User and system time, of children that it waited for too.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Largest resident memory at any time, in bytes; of several processes, that of the largest.
    pub peak_bytes: u64,
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// What it printed on standard output and standard error, in no particular order.
    pub said: String,
}

/// Runs a program to its end, on one CPU if that is given. Standard output goes to a pipe, like standard error.
///
/// # Errors
/// When it cannot be started, pinned or waited for.
pub fn of(command: &mut Command, cpu: Option<usize>) -> io::Result<Usage> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A child inherits the set of the thread that starts it.
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this)?;
    if let Some(cpu) = cpu {
        let mut one = CpuSet::new();
        one.set(cpu)?;
        sched_setaffinity(this, &one)?;
    }
    let began = Instant::now();
    let started = command.spawn();
    sched_setaffinity(this, &before)?;
    let mut child = started?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let other = thread::spawn(move || {
        let mut text = String::new();
        let read = stdout
            .as_mut()
            .map_or(Ok(0), |pipe| pipe.read_to_string(&mut text));
        read.map(|_| text)
    });
    let mut said = String::new();
    if let Some(pipe) = &mut stderr {
        pipe.read_to_string(&mut said)?;
    }
    said += &other.join().unwrap_or_else(|_| Ok(String::new()))?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both pointers are to memory of this function; the process is our child and nobody else waits for it.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr()) };
    if waited < 0 {
        return Err(io::Error::last_os_error());
    }
    let wall = began.elapsed();
    // SAFETY: all fields are numbers, for which zero is valid, and the call has filled them.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    Ok(Usage {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        wall,
        // Linux counts in KiB.
        peak_bytes: usage.ru_maxrss as u64 * 1024,
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        said,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn cost_output_and_exit_code_are_those_of_the_program() {
        let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo out; echo err >&2";
        let used = of(Command::new("sh").args(["-c", script]), Some(0)).unwrap();
        assert!(used.success);
        assert!(
            used.said.contains("out\n") && used.said.contains("err\n"),
            "{used:?}"
        );
        assert!(used.cpu > Duration::ZERO && used.peak_bytes > 1 << 18, "{used:?}");
        assert!(!of(&mut Command::new("false"), None).unwrap().success);
    }
}
