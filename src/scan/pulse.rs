//! Whether a target does anything: a thread that ran has been switched to or away from since.
//!
//! The counts of switches tell more than CPU time does: that is counted in ticks of 10 ms, and a server that answers
//! a request in one of them shows none. Kernel: `kernel/sched/core.c: __schedule`, printed by
//! `fs/proc/array.c: task_context_switch_counts`.

use std::thread::sleep;
use std::time::Duration;

use bstr::ByteSlice as _;

use crate::facts::{Pid, Process};
use crate::procfs::{is_gone, read_at};
use crate::text::RawText;

/// How long it is watched. Most servers that have anything to do, do something in a tenth of a second.
const MOMENT: Duration = Duration::from_millis(100);

/// Whether a thread of these processes ran, or came or went, while they were watched for a moment.
pub(super) fn is_busy(processes: &[Process]) -> bool {
    let mut buffer = Vec::new();
    let before = pulse(processes, &mut buffer);
    sleep(MOMENT);
    let after = pulse(processes, &mut buffer);
    before != after || after.iter().any(|beat| beat.running || beat.gone)
}

/// What of a thread's status changes when it runs.
#[derive(Debug, PartialEq, Eq)]
struct Beat {
    running: bool,
    /// It ended since it was read.
    gone: bool,
    /// The lines with the counts of switches; empty for a thread that is gone or a kernel that does not count.
    switches: RawText,
}

fn pulse(processes: &[Process], buffer: &mut Vec<u8>) -> Vec<Beat> {
    let threads = processes.iter().flat_map(|process| process.threads.iter().map(|thread| (process.pid, thread.tid)));
    threads.map(|(pid, tid)| beat(pid, tid, buffer)).collect()
}

fn beat(pid: Pid, tid: Pid, buffer: &mut Vec<u8>) -> Beat {
    let path = format!("/proc/{pid}/task/{tid}/status");
    let read = read_at(rustix::fs::CWD, path, buffer);
    let gone = read.is_err_and(is_gone);
    let text = read.unwrap_or_default();
    let switches = text.find(b"voluntary_ctxt_switches").and_then(|start| text.get(start..)).unwrap_or_default();
    Beat { running: text.contains_str("\nState:\tR"), gone, switches: switches.into() }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::facts::Thread;

    fn running(script: &str) -> (Child, Vec<Process>) {
        let child = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let threads = vec![Thread { tid: pid, ..Thread::default() }];
        (child, vec![Process { pid, threads, ..Process::default() }])
    }

    #[test]
    fn who_works_or_ends_is_busy_and_who_sleeps_is_not() {
        let (mut works, busy) = running("while :; do sleep 0.01; done");
        let (mut spins, spinning) = running("while :; do :; done");
        let (mut sleeps, idle) = running("exec sleep 60");
        assert!(is_busy(&busy) && is_busy(&spinning));
        assert!((0..100).any(|_| !is_busy(&idle)));
        for child in [&mut works, &mut spins, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
