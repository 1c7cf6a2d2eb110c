//! What Linux knows about this process, read from `/proc` (proc(5)); elsewhere nothing is.

use std::fs;

/// What was read; `None` where it can't be had.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Seconds since the epoch.
    pub(super) start_time: Option<f64>,
    pub(super) resident_memory: Option<u64>,
    pub(super) open_fds: Option<usize>,
}

impl Process {
    pub(super) fn read() -> Self {
        Self {
            start_time: start_time(),
            resident_memory: resident_memory(),
            // Reading the folder opens one more.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|found| found.count().saturating_sub(1)),
        }
    }
}

/// When the machine started, and how many ticks later the process did.
fn start_time() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let machine: f64 = field(&machine, "btime ")?.parse().ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything; what follows it begins with the third field.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: f64 = after_name.split_whitespace().nth(22 - 3)?.parse().ok()?;
    Some(machine + ticks / ticks_per_second())
}

fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 = field(&status, "VmRSS:")?.trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

/// What follows a word at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[expect(clippy::cast_precision_loss, reason = "there are a hundred or a thousand")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Process;
    use crate::clock::Clock;

    #[test]
    fn linux_knows_about_this_process() {
        let process = Process::read();
        let now = Clock::system().now().since_epoch().as_secs_f64();
        let start_time = process.start_time.unwrap();
        assert!((now - 3600.0..now + 1.0).contains(&start_time), "{start_time} {now}");
        assert!(process.resident_memory.unwrap() > 1024 * 1024);
        assert!((3..10_000).contains(&process.open_fds.unwrap()));
    }
}
