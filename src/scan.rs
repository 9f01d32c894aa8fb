//! Target to facts: reads the process tree, area by area. Freezes, stops and changes nothing.
//!
//! Each process is read in one visit through one directory fd, in the order CRIU walks the tree, so memory and open
//! descriptors do not grow with it and a pid that is used again mixes nothing up. What only makes sense over all
//! processes (who shares what, who stands beside the tree, sockets, watches) follows.
//!
//! Only reads that can not hang and have no effect on the target: links, `fdinfo`, `maps` and the like, and `statx`
//! with `AT_STATX_DONT_SYNC` on local file systems. What can not be read becomes a [`Gap`]; a process, thread or
//! descriptor that goes away meanwhile is none.

use std::collections::HashSet;
use std::ffi::CStr;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::facts::{Area, CallerFacts, Capability, Facts, Gap, Host, Mount, NsId, Pid, Target};
use crate::procfs::{Proc, ProcessDir, is_gone};
use crate::text::RawText;

mod abilities;
mod bystanders;
mod closed;
mod deep;
mod epoll;
mod files;
mod freezer;
mod held;
mod host;
mod lookup;
mod memory;
mod mounts;
mod names;
mod namespaces;
mod process;
mod pulse;
mod queues;
mod root;
mod shares;
mod sockets;
mod space;
mod stat;
mod terminals;
mod tmpfs;
mod tree;
mod unix_names;
mod walk;
mod watch;
mod watches;

pub use watch::{watch, watch_deep};

/// Reads everything about a target except the criu that would dump it and its config files.
///
/// # Errors
/// When the root process is not there, ends during the scan, or may not be looked at at all, and when there is no
/// `/proc`. Anything else that can not be read is a gap.
pub fn scan(target: Target) -> Result<Facts> {
    let mut scanner = Scanner::new(open_proc()?);
    let host = host::host(&mut scanner);
    look(scanner, target, host)
}

/// Reads everything about a target on a host that is known.
fn look(mut scanner: Scanner, target: Target, host: Host) -> Result<Facts> {
    let root = tree::open_root(&mut scanner, target.root)?;
    let mut facts = Facts { target, host, ..Facts::default() };
    facts.host.freezers.clone_from(&scanner.freezer.mounts);
    scanner.own_namespace = facts.host.namespaces.mnt;
    let layouts = tree::walk(&mut scanner, facts.target.root, &mut facts.processes);
    shares::shares(&mut scanner, &mut facts.processes, &layouts);
    epoll::holders(&mut facts.processes);
    facts.bystanders = bystanders::bystanders(&mut scanner, &facts);
    tree::check_root(&mut scanner, &root, facts.root().is_some())?;
    facts.mount_namespaces = scanner.mounts.take();
    facts.outside_sessions = terminals::outside_sessions(&mut scanner, &facts);
    facts.user_namespace = root::user_namespace(&mut scanner, &root, &facts);
    facts.cgroup_views = root::cgroup_views(&mut scanner, &root, &facts);
    root::own_proc(&mut scanner, &mut facts);
    facts.proc_name_taken = root::proc_name_taken(&root, &facts);
    facts.gaps = scanner.gaps;
    sockets::sockets(&mut facts);
    watches::watches(&mut facts, &scanner.own_mounts);
    names::names(&mut facts);
    closed::directories(&mut facts);
    unix_names::unix_names(&mut facts);
    memory::unseen(&mut facts, &scanner.own_mounts);
    queues::queues(&mut facts);
    tmpfs::unreadable(&mut facts);
    facts.gaps.sort();
    facts.gaps.dedup();
    Ok(facts)
}

/// Reads the host alone, for no target.
///
/// # Errors
/// When there is no `/proc`.
pub fn scan_host(target: Target) -> Result<Facts> {
    let mut scanner = Scanner::new(open_proc()?);
    let host = host::host(&mut scanner);
    Ok(Facts { target, host, gaps: scanner.gaps, ..Facts::default() })
}

/// Replaces who would run criu, and looks again at what was looked at as far as the one before needs it.
pub fn set_caller(facts: &mut Facts, caller: CallerFacts) {
    let needs = |caller: &CallerFacts| (caller.has_over_host(Capability::DacReadSearch), caller.opens_mapped());
    let is_known = needs(&facts.host.caller) == needs(&caller);
    let own_mounts =
        open_proc().ok().filter(|_| !is_known).map(|proc| Scanner::new(proc).own_mounts).unwrap_or_default();
    let mut looks = std::mem::take(&mut facts.looks);
    for look in looks.iter_mut().chain([&mut *facts]) {
        look.host.caller.clone_from(&caller);
        if !is_known {
            look.gaps.retain(|gap| gap.area != Area::Watches);
            watches::watches(look, &own_mounts);
            memory::unseen(look, &own_mounts);
        }
    }
    facts.looks = looks;
}

fn open_proc() -> Result<Proc> {
    Proc::open(Path::new("/proc"))
        .map_err(|errno| Error::new("cannot read /proc").because(errno).hint("mount a proc file system there"))
}

/// What the areas of a scan share.
#[derive(Debug)]
struct Scanner {
    proc: Proc,
    /// The one buffer that files and links are read into.
    buffer: Vec<u8>,
    gaps: Vec<Gap>,
    mounts: mounts::Mounts,
    /// The mounts of the scanner's own namespace.
    own_mounts: Vec<Mount>,
    own_namespace: Option<NsId>,
    freezer: freezer::Freezer,
    /// Inodes of locked files, of whatever file system.
    locked: HashSet<u64>,
}

impl Scanner {
    fn new(proc: Proc) -> Self {
        let mut scanner = Self {
            proc,
            buffer: Vec::new(),
            gaps: Vec::new(),
            mounts: mounts::Mounts::default(),
            own_mounts: Vec::new(),
            own_namespace: None,
            freezer: freezer::Freezer::default(),
            locked: HashSet::new(),
        };
        scanner.own_mounts = mounts::own(&mut scanner);
        scanner.freezer = freezer::Freezer::new(&scanner.own_mounts);
        scanner.locked = files::locked(&mut scanner);
        scanner
    }

    /// Notes that something of a process could not be read, unless it is no longer there.
    fn failed(&mut self, area: Area, pid: Pid, name: impl std::fmt::Display, errno: Errno) {
        if !is_gone(errno) {
            self.gap(area, pid, name, reason(errno));
        }
    }

    /// Notes that `/proc/PID/NAME` could not be read.
    fn gap(&mut self, area: Area, pid: Pid, name: impl std::fmt::Display, reason: impl Into<String>) {
        let path = RawText::from(format!("/proc/{pid}/{name}"));
        self.gaps.push(Gap { area, pid: Some(pid), path, reason: reason.into() });
    }

    /// Reads and parses one file of a process.
    fn read<T>(
        &mut self,
        dir: &ProcessDir,
        area: Area,
        name: &CStr,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        match dir.read(name, &mut self.buffer).map(parse) {
            Ok(Some(parsed)) => return Some(parsed),
            Ok(None) => self.gap(area, dir.pid(), name.to_string_lossy(), NOT_UNDERSTOOD),
            Err(errno) => self.failed(area, dir.pid(), name.to_string_lossy(), errno),
        }
        None
    }

    /// Reads one link of a process.
    fn link(&mut self, dir: &ProcessDir, area: Area, name: &CStr) -> Option<RawText> {
        let link = dir.link(name, &mut self.buffer).map(RawText::from);
        link.map_err(|errno| self.failed(area, dir.pid(), name.to_string_lossy(), errno)).ok()
    }
}

/// Reason of a gap where a parser did not know what it saw.
const NOT_UNDERSTOOD: &str = "not understood: not what any known kernel prints";

/// Reason of a gap where a file was deleted.
const NOT_ASKED: &str = "deleted, and its file system may hang: whether another link is left was not asked";

/// An error of the kernel as the reason of a gap.
fn reason(errno: Errno) -> String {
    match errno {
        Errno::ACCESS | Errno::PERM => "permission denied".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
