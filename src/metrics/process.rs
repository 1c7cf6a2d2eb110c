//! Metrics read at each scrape: the process (Linux's `/proc`, proc(5)), and lost log lines.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::telemetry;

/// This process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_gauge(
            &mut encoder,
            "process_start_time_seconds",
            "When the process started, in seconds since the epoch.",
            start_time(),
        )?;
        encode_gauge(
            &mut encoder,
            "process_resident_memory_bytes",
            "Resident memory of the process.",
            resident_memory(),
        )?;
        encode_gauge(&mut encoder, "process_open_fds", "Open file descriptors.", open_fds())?;
        ConstCounter::new(telemetry::lines_dropped()).encode(encoder.encode_descriptor(
            "discogsography_log_lines_dropped",
            "Log lines dropped because the queue was full, or because writing failed.",
            None,
            MetricType::Counter,
        )?)
    }
}

/// Writes a gauge; it has no sample if the value is unknown.
fn encode_gauge<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Option<N>,
) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    value.map_or(Ok(()), |value| ConstGauge::new(value).encode(encoder))
}

/// Returns when the process started, in seconds since the Unix epoch.
///
/// The sum of the machine's boot time and the ticks until the start.
fn start_time() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let machine: f64 = field(&machine, "btime ")?.parse().ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets, which may contain anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: f64 = after_name.split_whitespace().nth(22 - 3)?.parse().ok()?;
    Some(machine + ticks / ticks_per_second())
}

fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 = field(&status, "VmRSS:")?.trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_fds() -> Option<u64> {
    // Reading the folder opens one more descriptor.
    fs::read_dir("/proc/self/fd").ok().map(|found| (found.count() as u64).saturating_sub(1))
}

/// Returns the rest of the line that starts with `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[expect(clippy::cast_precision_loss, reason = "it is 100 or 1000")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{open_fds, resident_memory, start_time};
    use crate::clock::Clock;

    #[test]
    fn linux_knows_about_this_process() {
        let now = Clock::system().now().since_epoch().as_secs_f64();
        let start_time = start_time().unwrap();
        assert!((now - 3600.0..now + 1.0).contains(&start_time), "{start_time} {now}");
        assert!(resident_memory().unwrap() > 1024 * 1024);
        assert!((3..10_000).contains(&open_fds().unwrap()));
    }
}
