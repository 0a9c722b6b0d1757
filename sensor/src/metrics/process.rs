//! The standard `process_*` metrics, from /proc/self.
//! It must never fail a scrape: what cannot be read keeps its last value.

use std::fs;

use super::Metrics;

/// Fields of /proc/self/stat behind the command name (proc(5)); the first of them is field 3.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command name may hold spaces and brackets: fields count from the last bracket.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn boot_time_seconds(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// Kernel tick rate and page size; both are fixed for the life of the process.
fn system_value(name: libc::c_int) -> Option<u64> {
    // SAFETY: sysconf takes any integer and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}

impl Metrics {
    pub(super) fn refresh_process(&self) {
        if let (Some(stat), Some(tick_rate), Some(page_bytes)) = (
            fs::read_to_string("/proc/self/stat")
                .ok()
                .as_deref()
                .and_then(parse_stat),
            system_value(libc::_SC_CLK_TCK),
            system_value(libc::_SC_PAGESIZE),
        ) {
            let seconds = |ticks: u64| ticks as f64 / tick_rate as f64;
            Self::raise_seconds(&self.process_cpu_seconds, seconds(stat.cpu_ticks));
            self.process_threads.set(stat.threads as f64);
            self.process_virtual_memory_bytes.set(stat.virtual_bytes as f64);
            self.process_resident_memory_bytes
                .set((stat.resident_pages * page_bytes) as f64);
            if let Some(boot) = fs::read_to_string("/proc/stat")
                .ok()
                .as_deref()
                .and_then(boot_time_seconds)
            {
                self.process_start_time_seconds
                    .set(boot + seconds(stat.start_ticks));
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The open directory is itself one of the entries.
            self.process_open_fds
                .set(entries.count().saturating_sub(1) as f64);
        }
        if let Some(limit) = fs::read_to_string("/proc/self/limits")
            .ok()
            .as_deref()
            .and_then(max_fds)
        {
            self.process_max_fds.set(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 100 50 0 0 20 0 3 0 777 4096000 25 0 0";
        let expected = Stat {
            cpu_ticks: 150,
            threads: 3,
            start_ticks: 777,
            virtual_bytes: 4_096_000,
            resident_pages: 25,
        };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("7 (x) S 1"), None);
    }
}
