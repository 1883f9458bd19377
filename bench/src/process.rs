//! What the kernel says of a process (proc(5)), and which core a thread may use.

use std::fs;
use std::io::Result;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::client::wrong;

/// Memory that lies in a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All of it, mapped files included.
    pub resident_bytes: u64,
    /// What belongs to it alone: heap and stacks.
    pub anonymous_bytes: u64,
}

/// Processor time that a process has used, in steps of 10 ms on most kernels.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat_times(&stat).map(|[own, _]| own).ok_or_else(|| wrong("/proc/PID/stat is not understood"))
}

/// Processor time of all children that this process has waited for, and of theirs.
pub fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    stat_times(&stat)
        .map(|[_, children]| children)
        .ok_or_else(|| wrong("/proc/self/stat is not understood"))
}

/// `utime + stime` and `cutime + cstime`: fields 14 to 17. The second field is a name in brackets
/// that may hold spaces and brackets.
fn stat_times(stat: &str) -> Option<[Duration; 2]> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let sum = |first: usize| {
        let ticks =
            fields.get(first)?.parse::<u64>().ok()? + fields.get(first + 1)?.parse::<u64>().ok()?;
        Some(Duration::from_secs_f64(ticks as f64 / ticks_per_second))
    };
    Some([sum(11)?, sum(13)?])
}

pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| wrong(format!("/proc/{pid}/status has no {name}")))
    };
    Ok(Memory { resident_bytes: field("VmRSS:")?, anonymous_bytes: field("RssAnon:")? })
}

/// The first child of a process.
pub fn child(pid: u32) -> Result<Option<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().next().and_then(|pid| pid.parse().ok()))
}

/// Holds the calling thread to one core.
pub fn pin_thread(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let second = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a) b) S 1 7 7 0 -1 0 1 2 3 4 {second} 0 0 {} 20 0", 2 * second);
        let seconds = [Duration::from_secs(1), Duration::from_secs(2)];
        assert_eq!(stat_times(&stat), Some(seconds));
        assert_eq!(stat_times("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.anonymous_bytes > 0);
        assert!(memory.anonymous_bytes <= memory.resident_bytes);
        assert!(cpu(std::process::id()).is_ok());
        assert!(cpu_of_children().is_ok());
    }
}
