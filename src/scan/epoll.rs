//! Who holds what an epoll instance watches, by kcmp. CRIU 4.2: `eventpoll.c: find_tfd_bsearch` asks for the descriptor
//! of the registered number, `kcmp-ids.c: kid_lookup_epoll_tfd` for the first of the walk that has the file open.

use std::collections::HashSet;

use rustix::fs::CWD;
use rustix::io::Errno;

use crate::facts::{FdInfo, Pid, Process};
use crate::procfs::fdinfo::{self, Record};
use crate::procfs::kcmp::{EpollSlot, is_watched};
use crate::procfs::read_at;

/// Number registered, inode and device of a target.
type Target = (i32, u64, u64);

/// Finds the holders of all targets. Of an instance that a child inherited only the first holder counts.
pub(super) fn holders(processes: &mut [Process]) {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (at, process) in processes.iter().enumerate() {
        for (place, fd) in process.fds.iter().enumerate() {
            let FdInfo::Epoll { targets, .. } = &fd.info else { continue };
            if seen.insert(targets) {
                found.push((at, place, of_instance(processes, process, fd.number, targets)));
            }
        }
    }
    for (at, place, holders) in found {
        let fd = processes.get_mut(at).and_then(|process| process.fds.get_mut(place));
        if let Some(FdInfo::Epoll { holders: noted, .. }) = fd.map(|fd| &mut fd.info) {
            *noted = holders;
        }
    }
}

/// `None` when the kernel does not tell of each one, or something has changed meanwhile.
fn of_instance(all: &[Process], watcher: &Process, instance: i32, targets: &[Target]) -> Option<Vec<Option<Pid>>> {
    let before = |place: usize, number: i32| targets.iter().take(place).filter(|target| target.0 == number).count();
    let holder = |(place, &(number, inode, _)): (usize, &Target)| {
        let slot = EpollSlot {
            instance: instance.try_into().ok()?,
            number: number.try_into().ok()?,
            place: before(place, number).try_into().ok()?,
        };
        of_target(all, watcher, slot, inode).ok()
    };
    let found: Option<Vec<_>> = targets.iter().enumerate().map(holder).collect();
    let own = Some(watcher.pid);
    found.filter(|found| found.iter().all(|holder| *holder == own) || is_as_listed(watcher.pid, instance, targets))
}

/// Whether the instance still watches just what was listed: of what was closed meanwhile nobody can be the holder.
fn is_as_listed(pid: Pid, instance: i32, targets: &[Target]) -> bool {
    let text = &mut Vec::new();
    let record = read_at(CWD, format!("/proc/{pid}/fdinfo/{instance}"), text).map(fdinfo::parse);
    matches!(record, Ok(Some(Record { info: FdInfo::Epoll { targets: now, .. }, .. })) if now == targets)
}

fn of_target(all: &[Process], watcher: &Process, slot: EpollSlot, inode: u64) -> Result<Option<Pid>, Errno> {
    let own = watcher.fds.iter().find(|fd| u32::try_from(fd.number) == Ok(slot.number));
    let candidates = own.map(|fd| (watcher.pid, fd)).into_iter();
    let others = all.iter().flat_map(|process| process.fds.iter().map(|fd| (process.pid, fd)));
    let same_inode = others.filter(|(_, fd)| fd.file_inode().is_none_or(|found| found == inode));
    for (pid, fd) in candidates.chain(same_inode) {
        match is_watched(pid, fd.number, watcher.pid, slot) {
            Ok(true) => return Ok(Some(pid)),
            Ok(false) | Err(Errno::BADF | Errno::SRCH) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}
