//! What this process takes of the machine (proc(5)), under the names that Prometheus gives them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::time::{ClockId, clock_gettime};

/// Read anew each time that metrics are asked for.
#[derive(Debug)]
pub struct ProcessMetrics {
    started_seconds: f64,
}

impl ProcessMetrics {
    /// Registers with a registry that has no prefix. To be called at the start of the process.
    pub fn register(registry: &mut Registry) {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        registry.register_collector(Box::new(Self { started_seconds: started.as_secs_f64() }));
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cpu = ConstCounter::new(cpu_seconds());
        let metric = encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time",
            None,
            cpu.metric_type(),
        )?;
        cpu.encode(metric)?;

        let gauges = [
            ("process_start_time_seconds", "Start, since 1970", Some(self.started_seconds)),
            ("process_resident_memory_bytes", "Memory in use", resident_bytes()),
            ("process_open_fds", "Open descriptors", open_descriptors()),
        ];
        for (name, help, value) in gauges {
            // What the system doesn't tell is left out.
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The second field of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some((pages * rustix::param::page_size() as u64) as f64)
}

fn open_descriptors() -> Option<f64> {
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // The listing itself is one.
    Some(descriptors.saturating_sub(1) as f64)
}
