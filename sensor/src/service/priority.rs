//! Lowers the priority of a thread, so that training takes only what nobody else wants.
//! It must never be called on a thread that counts or scores.

/// Nice value of the training thread: the lowest priority.
const NICE: libc::c_int = 19;

/// Gives the calling thread nice 19 and, if the kernel lets it, the idle scheduling class. Says whether the idle class
/// is in force.
pub(super) fn lower_this_thread() -> bool {
    // SAFETY: with the thread's own id 0 only the calling thread is changed; no memory is touched. (On Linux the nice
    // value belongs to the thread.)
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` is a valid struct that lives through the call; 0 means the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) == 0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    #[test]
    fn only_the_calling_thread_is_slowed() {
        let idle = |path: &str| {
            let stat = std::fs::read_to_string(path).unwrap();
            let fields: Vec<String> = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            // Field 19 is the nice value (proc(5)); the first field here is number 3.
            fields[16].parse::<i32>().unwrap()
        };
        let slow = std::thread::spawn(move || {
            super::lower_this_thread();
            idle("/proc/thread-self/stat")
        });
        assert_eq!(slow.join().unwrap(), super::NICE);
        assert_ne!(idle("/proc/thread-self/stat"), super::NICE);
    }
}
