//! What is needed of `/proc/PID` to tell whether a state file means this process.

use std::fs;
use std::io;
use std::path::Path;

use crate::facts::Pid;

/// State letter, start time (clock ticks since boot) and kind of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) state: char,
    pub(super) start_time: u64,
    /// Number of threads, an ended main thread among them.
    pub(super) threads: u32,
    /// Whether it is a thread of the kernel's own.
    pub(super) is_kernel: bool,
}

/// `PF_KTHREAD` among the flags. Kernel: `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

impl Life {
    /// Whether it has ended, with all its threads.
    pub(super) fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads <= 1
    }
}

/// Reads `/proc/PID/stat`; `None` when there is no such process.
pub(super) fn life(proc: &Path, pid: Pid) -> io::Result<Option<Life>> {
    let path = proc.join(pid.to_string()).join("stat");
    match fs::read(path) {
        Ok(stat) => parse_stat(&stat).map(Some).ok_or_else(|| io::Error::other("not in the form of proc(5)")),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `ESRCH`: the process ended while it was read.
fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Fields 3, 9, 20 and 22; the name before them may hold blanks and parentheses.
fn parse_stat(stat: &[u8]) -> Option<Life> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')?.checked_add(1)?;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let is_kernel = fields.nth(5)?.parse::<u64>().ok()? & KERNEL_THREAD != 0;
    let threads = fields.nth(10)?.parse().ok()?;
    Some(Life { state, start_time: fields.nth(1)?.parse().ok()?, threads, is_kernel })
}

/// The value of a `Name:` line of `/proc/PID/status`, its words.
pub(crate) fn status_words<'a>(status: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_ascii_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"7 (a) Z 1 (b) S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(parse_stat(stat), Some(Life { state: 'S', start_time: 4711, threads: 1, is_kernel: false }));
        let kernel = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0";
        assert_eq!(parse_stat(kernel), Some(Life { state: 'S', start_time: 9, threads: 1, is_kernel: true }));
        assert_eq!(parse_stat(b"7 (a) S 1 7"), None);
        assert_eq!(parse_stat(b""), None);
    }
}
