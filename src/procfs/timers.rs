//! `/proc/PID/timers`, the POSIX timers of a process. Kernel: `fs/proc/base.c: show_timer`.

use bstr::ByteSlice as _;

use super::number::decimal;
use crate::facts::Pid;

/// Threads that timers send their signals to (`notify: signal/tid.N`), sorted, each once.
#[must_use]
pub fn threads(text: &[u8]) -> Vec<Pid> {
    let number = |line: &[u8]| decimal::<Pid>(line.strip_prefix(b"notify: signal/tid.")?);
    let mut threads: Vec<Pid> = text.lines().filter_map(number).collect();
    threads.sort_unstable();
    threads.dedup();
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_timers_that_notify_a_thread_have_one() {
        let timer = |notify: &str| format!("ID: 0\nsignal: 10/0000000000000000\nnotify: {notify}\nClockID: 1\n");
        let text = [timer("signal/tid.42"), timer("signal/pid.7"), timer("none/pid.7"), timer("signal/tid.9")].concat();
        assert_eq!(threads(text.as_bytes()), [9, 42]);
        assert!(threads(b"").is_empty());
    }
}
