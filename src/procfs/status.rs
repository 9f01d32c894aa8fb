//! `/proc/PID/status` and `/proc/PID/task/TID/status`. Kernel: `fs/proc/array.c: proc_pid_status`.
//!
//! The name is escaped there, so a line is a line. Signals and capabilities are hexadecimal masks.

use bstr::ByteSlice as _;

use super::number::{decimal, hex, signed, words};
use crate::facts::{Pid, Thread};

/// What is used of a status file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// State letter.
    pub state: char,
    /// Id of the process the thread belongs to.
    pub tgid: Pid,
    /// Tracer, 0 for none.
    pub tracer: Pid,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system gid.
    pub gids: [u32; 4],
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// Process id in each pid namespace from the reader's down; empty on kernels without pid namespaces.
    pub ns_pids: Vec<Pid>,
    /// Session id in the innermost pid namespace; absent on kernels without pid namespaces.
    pub ns_sid: Option<Pid>,
    /// Signals pending for the thread.
    pub thread_signals: u64,
    /// Signals pending for the whole process.
    pub process_signals: u64,
    /// Effective capabilities.
    pub capabilities: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Seccomp mode; 0 on kernels without seccomp.
    pub seccomp: u8,
    /// Bytes of address space; 0 for a process without memory.
    pub virtual_bytes: u64,
    /// Bytes of locked memory.
    pub locked_bytes: u64,
    /// Bytes of resident memory that no file holds; 0 on kernels before 4.5.
    pub anonymous_bytes: u64,
}

impl Status {
    /// The status as that of thread `tid`.
    #[must_use]
    pub fn thread(&self, tid: Pid) -> Thread {
        Thread {
            tid,
            state: self.state,
            tracer: self.tracer,
            pending_signals: self.thread_signals,
            seccomp: self.seccomp,
            ..Thread::default()
        }
    }
}

/// Takes a status file apart; `None` when one of the lines every kernel prints is missing or no number.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    let mut tracer = None;
    for line in text.lines() {
        let Some(colon) = line.find_byte(b':') else { continue };
        let (key, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii_start());
        match key {
            b"State" => status.state = char::from(*value.first()?),
            b"Tgid" => status.tgid = signed(value)?,
            b"TracerPid" => tracer = Some(signed(value)?),
            b"Uid" => status.uids = four(value)?,
            b"Gid" => status.gids = four(value)?,
            b"Groups" => status.groups = words(value).map(decimal).collect::<Option<_>>()?,
            b"NSpid" => status.ns_pids = words(value).map(signed).collect::<Option<_>>()?,
            b"NSsid" => status.ns_sid = words(value).next_back().and_then(signed),
            b"SigPnd" => status.thread_signals = hex(value)?,
            b"ShdPnd" => status.process_signals = hex(value)?,
            b"CapPrm" => status.permitted = hex(value)?,
            b"CapEff" => status.capabilities = hex(value)?,
            b"VmSize" => status.virtual_bytes = kilobytes(value)?,
            b"VmLck" => status.locked_bytes = kilobytes(value)?,
            b"RssAnon" => status.anonymous_bytes = kilobytes(value)?,
            b"Seccomp" => status.seccomp = decimal(value)?,
            _ => {}
        }
    }
    status.tracer = tracer?;
    (status.tgid > 0 && status.state != '\0').then_some(status)
}

/// `N kB`.
fn kilobytes(value: &[u8]) -> Option<u64> {
    decimal::<u64>(words(value).next()?)?.checked_mul(1024)
}

fn four(value: &[u8]) -> Option<[u32; 4]> {
    let mut ids = [0; 4];
    for (slot, id) in ids.iter_mut().zip(words(value)) {
        *slot = decimal(id)?;
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_lists_and_an_escaped_name_are_read() {
        let text = b"Name:\ta\\nTracerPid: 5\nState:\tt (tracing stop)\nTgid:\t42\nPid:\t43\nTracerPid:\t7\n\
            Uid:\t0\t1\t2\t4294967295\nGid:\t5\t5\t6\t7\nGroups:\t4 27 \nNSpid:\t43\t9\t2\nNSsid:\t1\t0\nSigPnd:\t0000000000000200\n\
            ShdPnd:\t8000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t00000000000000ff\nVmSize:\t    2048 kB\nVmLck:\t 4 kB\nRssAnon:\t 8 kB\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let status = parse(text).unwrap();
        assert_eq!((status.state, status.tgid, status.tracer, status.seccomp), ('t', 42, 7, 2));
        assert_eq!((status.uids, status.gids), ([0, 1, 2, u32::MAX], [5, 5, 6, 7]));
        assert_eq!(status.groups, [4, 27]);
        assert_eq!((status.ns_pids.as_slice(), status.ns_sid), (&[43, 9, 2][..], Some(0)));
        assert_eq!((status.thread_signals, status.process_signals), (0x200, 1 << 63));
        assert_eq!((status.virtual_bytes, status.locked_bytes, status.anonymous_bytes), (2 << 20, 4096, 8192));
        assert_eq!((status.permitted, status.capabilities), (0x1ff_ffff_ffff, 0xff));
        assert_eq!(status.thread(43).pending_signals, 0x200);
    }

    #[test]
    fn a_cut_off_file_is_not_half_understood() {
        for text in ["", "Name:\tx\n", "State:\tS\nTgid:\t1\n", "State:\tS\nTgid:\tx\nTracerPid:\t0\n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
