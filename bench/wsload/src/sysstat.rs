//! Server-side cost: CPU time, memory and hardware counters of another process.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::FromRawFd;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};

/// `pid` and all its descendants.
fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut i = 0;
    while i < all.len() {
        for tid in tids(all[i]) {
            if let Ok(s) = fs::read_to_string(format!("/proc/{}/task/{tid}/children", all[i])) {
                all.extend(s.split_whitespace().filter_map(|x| x.parse::<i32>().ok()));
            }
        }
        i += 1;
    }
    all
}

fn tids(pid: i32) -> Vec<i32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .map(|d| d.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default()
}

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cpu {
    /// user and system seconds, 10 ms granularity, dead threads included
    pub(crate) user: f64,
    pub(crate) sys: f64,
    /// scheduler's run time of the living threads, ns granularity
    pub(crate) exec: f64,
}

pub(crate) fn cpu(pid: i32) -> Cpu {
    let tick = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    let mut c = Cpu::default();
    for p in tree(pid) {
        if let Ok(s) = fs::read_to_string(format!("/proc/{p}/stat"))
            && let Some(r) = s.rfind(')')
        {
            let f: Vec<&str> = s[r + 1..].split_whitespace().collect();
            c.user += f.get(11).and_then(|x| x.parse::<f64>().ok()).unwrap_or(0.0) / tick;
            c.sys += f.get(12).and_then(|x| x.parse::<f64>().ok()).unwrap_or(0.0) / tick;
        }
        for t in tids(p) {
            if let Ok(s) = fs::read_to_string(format!("/proc/{p}/task/{t}/schedstat")) {
                c.exec += s.split_whitespace().next().and_then(|x| x.parse::<f64>().ok()).unwrap_or(0.0) / 1e9;
            }
        }
    }
    c
}

fn status_kib(pid: i32, field: &str) -> u64 {
    tree(pid)
        .into_iter()
        .filter_map(|p| {
            let s = fs::read_to_string(format!("/proc/{p}/status")).ok()?;
            s.lines().find(|l| l.starts_with(field))?.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

pub(crate) fn rss_kib(pid: i32) -> u64 {
    status_kib(pid, "VmRSS:")
}

pub(crate) fn peak_rss_kib(pid: i32) -> u64 {
    status_kib(pid, "VmHWM:")
}

#[repr(C)]
#[derive(Default)]
struct PerfAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    rest: [u64; 10],
}

/// Hardware counters attached to every thread of a process tree: retired
/// instructions in user and in kernel mode, and cycles.
pub(crate) struct Counters {
    fds: Vec<(usize, File)>,
}

impl Counters {
    pub(crate) fn attach(pid: i32) -> Option<Counters> {
        const INHERIT: u64 = 1 << 1;
        const EXCLUDE_USER: u64 = 1 << 4;
        const EXCLUDE_KERNEL: u64 = 1 << 5;
        const EXCLUDE_HV: u64 = 1 << 6;
        let kinds: [(u64, u64); 3] = [(1, EXCLUDE_KERNEL), (1, EXCLUDE_USER), (0, 0)];
        let mut fds = Vec::new();
        for p in tree(pid) {
            for t in tids(p) {
                for (slot, (config, flags)) in kinds.iter().enumerate() {
                    let a = PerfAttr {
                        size: std::mem::size_of::<PerfAttr>() as u32,
                        config: *config,
                        flags: flags | INHERIT | EXCLUDE_HV,
                        ..Default::default()
                    };
                    // SAFETY: the kernel reads `a.size` bytes of `a`, which is that large, and keeps no pointer to it.
                    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &a, t, -1, -1, 0) } as i32;
                    if fd < 0 {
                        return None;
                    }
                    // SAFETY: the kernel has just given us this descriptor; nothing else owns it.
                    let fd = unsafe { File::from_raw_fd(fd) };
                    fds.push((slot, fd));
                }
            }
        }
        (!fds.is_empty()).then_some(Counters { fds })
    }

    /// (user instructions, kernel instructions, cycles)
    pub(crate) fn read(&self) -> [u64; 3] {
        let mut out = [0u64; 3];
        for (slot, mut fd) in self.fds.iter().map(|(slot, fd)| (*slot, fd)) {
            let mut count = [0; 8];
            if fd.read_exact(&mut count).is_ok() {
                out[slot] += u64::from_ne_bytes(count);
            }
        }
        out
    }
}

pub(crate) fn own_cpu() -> f64 {
    let seconds = |t: TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |r| seconds(r.user_time()) + seconds(r.system_time()))
}
