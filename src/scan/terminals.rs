//! Sessions outside the tree whose controlling terminal is the slave of a pty master that is open in the tree.
//!
//! `stat` gives a controlling terminal by device number only, and every devpts mount numbers its slaves from 0. So a
//! process counts when it also has `/dev/pts/N` open on the very devpts of the master.

use std::collections::{BTreeMap, HashSet};

use rustix::fs::makedev;
use rustix::path::DecInt;

use super::{Scanner, stat};
use crate::facts::{Area, Facts, Fd, FdInfo, OutsideSession, Process};
use crate::procfs::stat::Stat;
use crate::procfs::{ProcessDir, link_at, numbers_at};

/// The device file number of pty slaves (`UNIX98_PTY_SLAVE_MAJOR`).
const SLAVES: u32 = 136;

/// A slave: its number, and the device of its devpts.
struct Slave {
    index: u32,
    devpts: (u32, u32),
}

/// Finds the sessions, by terminal.
pub(super) fn outside_sessions(scanner: &mut Scanner, facts: &Facts) -> Vec<OutsideSession> {
    let slaves: BTreeMap<u32, Slave> = facts.processes.iter().flat_map(|process| slaves(facts, process)).collect();
    if slaves.is_empty() {
        return Vec::new();
    }
    let tree: HashSet<_> = facts.processes.iter().map(|process| process.pid).collect();
    let mut pids = numbers_at(scanner.proc.dir(), c".").unwrap_or_default();
    pids.retain(|pid| !tree.contains(pid));
    pids.sort_unstable();
    let mut found = BTreeMap::new();
    for pid in pids {
        let Ok(dir) = scanner.proc.process(pid) else { continue };
        let Some(stat) = dir.read(c"stat", &mut scanner.buffer).ok().and_then(crate::procfs::stat::parse) else {
            continue;
        };
        let slave = slaves.get(&stat.tty).filter(|_| stat.sid != 0 && !found.contains_key(&stat.tty));
        if slave.is_some_and(|slave| has_open(scanner, &dir, slave)) {
            let Stat { tty, sid, comm, .. } = stat;
            found.insert(tty, OutsideSession { tty, sid, pid, comm });
        }
    }
    found.into_values().collect()
}

/// The slaves of the masters a process has open, by device number.
fn slaves(facts: &Facts, process: &Process) -> impl Iterator<Item = (u32, Slave)> {
    process.fds.iter().filter_map(move |fd| {
        let FdInfo::Ptmx { index } = fd.info else { return None };
        let tty = u32::try_from(makedev(SLAVES, index)).ok()?;
        Some((tty, Slave { index, devpts: devpts(facts, process, fd)? }))
    })
}

/// The devpts a master belongs to: its own mount, or for a `/dev/ptmx` elsewhere `pts` beside it.
fn devpts(facts: &Facts, process: &Process, fd: &Fd) -> Option<(u32, u32)> {
    let namespace = facts.mount_namespaces.iter().find(|namespace| Some(namespace.id) == process.namespaces.mnt)?;
    let mut mounts = namespace.mounts.iter().rev().filter(|mount| mount.fs_type.as_bytes() == b"devpts");
    let own = mounts.clone().find(|mount| Some(mount.id) == fd.mount_id);
    own.or_else(|| mounts.find(|mount| mount.mount_point.as_bytes() == b"/dev/pts")).map(|mount| mount.device)
}

fn has_open(scanner: &mut Scanner, dir: &ProcessDir, slave: &Slave) -> bool {
    let path = format!("/dev/pts/{}", slave.index);
    let opened = dir.open_dir(c"fd").and_then(|fds| Ok((numbers_at(&fds, c".")?, fds)));
    let (numbers, fds) = match opened {
        Ok(opened) => opened,
        Err(errno) => {
            scanner.failed(Area::Processes, dir.pid(), "fd", errno);
            return false;
        }
    };
    numbers.into_iter().any(|number| {
        link_at(&fds, DecInt::new(number), &mut scanner.buffer).is_ok_and(|link| link == path.as_bytes())
            && stat::stat(&fds, DecInt::new(number), b"")
                .is_ok_and(|found| found.rdev == (SLAVES, slave.index) && found.device == slave.devpts)
    })
}
