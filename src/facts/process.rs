//! Processes and threads.

use serde::{Deserialize, Serialize};

use super::{Fd, HeldFile, Mapping, Namespaces, Pid};
use crate::text::RawText;

/// One process of the tree. Fields from `/proc/PID/{stat,status,cmdline,exe,ns,fd,fdinfo,maps}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the scanner's pid namespace.
    pub pid: Pid,
    /// Parent's process id in the scanner's pid namespace.
    pub ppid: Pid,
    /// Start time in clock ticks since boot: with `pid` it names the process for good.
    pub start_time: u64,
    /// Name, at most 15 bytes.
    pub comm: RawText,
    /// Link of `/proc/PID/exe`; absent for a zombie or kernel thread.
    pub exe: Option<RawText>,
    /// Command line. Scrubbed in recordings.
    pub args: Vec<RawText>,
    /// State letter of `/proc/PID/stat`: R S D T t Z X I.
    pub state: char,
    /// Process group id in the scanner's pid namespace; 0 when its leader is outside of it.
    pub pgid: Pid,
    /// Session id in the scanner's pid namespace; 0 when its leader is outside of it.
    pub sid: Pid,
    /// Process id in each pid namespace from the scanner's down to its own (`NSpid`).
    pub ns_pids: Vec<Pid>,
    /// Session id in the innermost pid namespace (last of `NSsid`); 0 when the leader is outside of it.
    pub ns_sid: Pid,
    /// Device number of the controlling terminal (`tty_nr`), 0 for none.
    pub tty: u32,
    /// Foreground process group of the controlling terminal (`tpgid`), -1 for none, 0 when its leader is not visible or
    /// it was not recorded.
    #[serde(default)]
    pub tty_group: Pid,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system gid.
    pub gids: [u32; 4],
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// Seccomp mode: 0 off, 1 strict, 2 filter.
    pub seccomp: u8,
    /// Permitted capabilities, bit N for capability N (`CapPrm`); absent in older recordings.
    #[serde(default)]
    pub permitted: Option<u64>,
    /// Process id of the tracer, 0 for none.
    pub tracer: Pid,
    /// Signal that stopped it (`exit_code` of a process in state T, since Linux 5.17); 0 when it is not stopped, when
    /// its parent has waited for the stop, or when it could not be read.
    pub stop_signal: u8,
    /// Pending signals, of the thread and of the process (`SigPnd | ShdPnd`), bit N-1 for signal N.
    pub pending_signals: u64,
    /// All threads, the leader first.
    pub threads: Vec<Thread>,
    /// Namespaces it is in.
    pub namespaces: Namespaces,
    /// Cgroup lines of `/proc/PID/cgroup`.
    pub cgroups: Vec<RawText>,
    /// Whether its cgroup is frozen (`cgroup.events` of v2, `freezer.state` of v1); absent when not readable.
    pub frozen: Option<bool>,
    /// Directories of its cgroup and those above it that were told to freeze, the topmost last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen_by: Vec<RawText>,
    /// Link of `/proc/PID/cwd`.
    pub cwd: Option<RawText>,
    /// Link of `/proc/PID/root`.
    pub root: Option<RawText>,
    /// Program, working directory and root directory: as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldFile>,
    /// Open files by number.
    pub fds: Vec<Fd>,
    /// Mappings that have a path or a name; anonymous memory is only counted.
    pub mappings: Vec<Mapping>,
    /// Sealed mappings, from `smaps`; `None` where that was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Vec<Mapping>>,
    /// Number of all mappings.
    pub mapping_count: u64,
    /// Bytes of private mappings.
    #[serde(default)]
    pub private_bytes: u64,
    /// Bytes of the longest private mapping; 0 in an older recording.
    #[serde(default)]
    pub longest_private: u64,
    /// Bytes of the largest piece of address space in which nothing is mapped; absent in an older recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_gap: Option<u64>,
    /// First address of the first guard region (`MADV_GUARD_INSTALL`) in private memory, and that behind it; absent
    /// where there is none or the kernel does not list them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_region: Option<(u64, u64)>,
    /// Bytes of address space in use (`VmSize`).
    #[serde(default)]
    pub virtual_bytes: u64,
    /// Bytes of locked memory (`VmLck`).
    #[serde(default)]
    pub locked_bytes: u64,
    /// Bytes of resident memory that no file holds (`RssAnon`): those that CRIU writes to its images.
    #[serde(default)]
    pub anonymous_bytes: u64,
    /// Soft resource limits; absent when not read.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Effective capabilities, bit N for capability N; absent when not read.
    #[serde(default)]
    pub capabilities: Option<u64>,
    /// Threads that a POSIX timer of its own sends signals to (`SIGEV_THREAD_ID`). Only looked for in another pid
    /// namespace than the scanner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timer_threads: Vec<Pid>,
    /// Resources shared with another process of the tree (by kcmp): `vm`, `fs`, `sighand`, `files`, and with whom.
    pub shares: Vec<(String, Pid)>,
}

impl Process {
    /// The process's number in its own pid namespace.
    #[must_use]
    pub fn inner_pid(&self) -> Pid {
        self.ns_pids.last().copied().unwrap_or(self.pid)
    }

    /// Cgroup lines of its threads, each list once: those of the main thread, then those that differ from them.
    pub fn cgroup_lists(&self) -> impl Iterator<Item = &Vec<RawText>> {
        std::iter::once(&self.cgroups).chain(self.threads.iter().filter_map(|thread| thread.cgroups.as_ref()))
    }

    /// Whether it has ended and only waits to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// One thread, from `/proc/PID/task/TID/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Thread id in the scanner's pid namespace.
    pub tid: Pid,
    /// Thread id in its own pid namespace, where that is another one; of the leader see [`Process::ns_pids`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_tid: Option<Pid>,
    /// State letter.
    pub state: char,
    /// Process id of the tracer, 0 for none.
    pub tracer: Pid,
    /// Pending signals of this thread, bit N-1 for signal N.
    pub pending_signals: u64,
    /// Seccomp mode.
    pub seccomp: u8,
    /// Whether its user or group ids are not those of the main thread.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_ids: bool,
    /// Supplementary group ids, where they are not those of the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<u32>>,
    /// Lines of its `cgroup` file, where they are not those of the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroups: Option<Vec<RawText>>,
}

impl Thread {
    /// The thread's number in its own pid namespace; `None` where that was not recorded.
    #[must_use]
    pub fn inner_tid(&self, process: &Process) -> Option<Pid> {
        self.inner_tid.or((process.ns_pids.len() < 2).then_some(self.tid))
    }
}

/// Soft resource limits of a process, from `/proc/PID/limits`; absent where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// First descriptor number that may not be used (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<u64>,
    /// Bytes of locked memory (`RLIMIT_MEMLOCK`).
    pub locked_memory: Option<u64>,
}

/// A process that shares the target's pid namespace or cgroup but is no descendant of its root.
///
/// CRIU freezes it with the cgroup and leaves it out (`seize.c`: "Unexpected process in the freezer cgroup").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bystander {
    /// Process id in the scanner's pid namespace.
    pub pid: Pid,
    /// Its name.
    pub comm: RawText,
    /// What it shares with the target.
    pub shares: Vec<BystanderOf>,
    /// Process id of the tracer, 0 for none or in an older recording.
    #[serde(default)]
    pub tracer: Pid,
    /// Whether a signal has stopped it; false in an older recording.
    #[serde(default)]
    pub stopped: bool,
}

/// What a bystander shares with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BystanderOf {
    /// The pid namespace of the root process.
    PidNamespace,
    /// The cgroup of the root process.
    Cgroup,
}

/// A session outside of the tree whose controlling terminal a process of the tree has open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideSession {
    /// Device number of the terminal, as [`Process::tty`] has it.
    pub tty: u32,
    /// Session id in the scanner's pid namespace.
    pub sid: Pid,
    /// A process of it.
    pub pid: Pid,
    /// The name of that process.
    pub comm: RawText,
}
